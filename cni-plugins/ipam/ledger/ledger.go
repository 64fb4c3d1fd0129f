// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package ledger keeps on disk which container has which address. It is the
// only memory of the host-local plugin.
//
// # The directory of a network, DATADIR/NETWORK
//
// The first three are those of the CNI project's host-local plugin, so that
// either can go on where the other was:
//
//	10.1.0.5             the lease of an address: "CONTAINER\r\nINTERFACE"
//	last_reserved_ip.0   the address that range set 0 gave away last
//	lock                 its flock(2) is held by whoever changes anything
//	.boot                the boot that the leases are of (kernel.random.boot_id)
//	.ids/CONTAINER:INTERFACE → "10.1.0.5,fd00::5"
//
// A lease appears by rename(2), complete or not at all. The entry below .ids is a
// symbolic link that leads nowhere: its target, the addresses, appears together
// with it, before the leases; readers check it against them. So DEL and CHECK
// read two files however many leases there are, and a call that is killed
// between any two steps leaves nothing that DEL does not find.
//
// Leases of an earlier boot are removed by the first call after it: no network
// namespace outlives a boot. Lease files without a container's name in them
// (an interrupted write of another program) are free addresses.
package ledger

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/coracle-oci/coracle/cni-plugins/ipam"
	"github.com/coracle-oci/coracle/cni-plugins/plugin"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
)

// A Ledger is the open, locked directory of a network. It is for one goroutine.
type Ledger struct {
	dir      string
	fd, lock int // of the directory and of its lock; -1: there is none
}

// Empty returns a ledger without leases that is nowhere. It is only to read.
func Empty() *Ledger { return &Ledger{"", -1, -1} }

// Open makes the directory if needed, waits for its lock, and forgets the
// leases of earlier boots.
func Open(dataDir, network string) (*Ledger, error) {
	if err := os.MkdirAll(filepath.Join(dataDir, network, idsDir), 0o755); err != nil {
		return nil, ioFailure(err)
	}
	l, err := open(dataDir, network, sys.LockExclusive)
	if err != nil {
		return nil, err
	}
	if err := l.boot(); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// OpenExisting is Open for those who only remove or look; the ledger is nil if
// there is none.
func OpenExisting(dataDir, network string) (*Ledger, error) {
	return existing(open(dataDir, network, sys.LockExclusive))
}

// Peek is OpenExisting for readers: they wait only for writers.
func Peek(dataDir, network string) (*Ledger, error) {
	return existing(open(dataDir, network, sys.LockShared))
}

func existing(l *Ledger, err error) (*Ledger, error) {
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return l, err
}

// open takes the lock, which is free again when its descriptor is closed: a
// killed call holds nothing.
func open(dataDir, network string, lock func(fd int) error) (*Ledger, error) {
	l := &Ledger{filepath.Join(dataDir, network), -1, -1}
	var err error
	if l.fd, err = sys.Open(l.dir, syscall.O_RDONLY|syscall.O_DIRECTORY); err != nil {
		return nil, l.failure("open", "", err)
	}
	if l.lock, err = l.open("lock", syscall.O_RDWR|syscall.O_CREAT); err == nil {
		err = lock(l.lock)
	}
	if err != nil {
		l.Close()
		return nil, l.failure("lock", "lock", err)
	}
	return l, nil
}

// Close frees the lock.
func (l *Ledger) Close() {
	for _, fd := range []int{l.lock, l.fd} {
		if fd >= 0 {
			sys.Close(fd)
		}
	}
}

const (
	idsDir = ".ids"
	draft  = idsDir + "/.draft"

	bootName = ".boot"
)

// Lease gives a container one address of each set, those that it asks for
// where it asks. Nothing is left when one set has none.
func (l *Ledger) Lease(sets []ipam.Set, asked []netip.Addr, owner plugin.Attachment) ([]ipam.Lease, error) {
	if have := l.indexed(owner); len(have) > 0 {
		return nil, plugin.Fail(plugin.CodeDuplicate, &fail.Error{Where: l.dir,
			Doing: "container " + owner.ContainerID + " has " + join(have) + " for " + owner.Ifname + " already",
			Hint:  "call DEL before another ADD"})
	}
	chosen, err := l.choose(sets, asked)
	if err != nil {
		return nil, err
	}
	if err := l.write(chosen, owner); err != nil {
		l.Release(owner)
		return nil, err
	}
	for i, lease := range chosen {
		// Only a hint for the next call: which address comes next.
		l.overwrite(lastName(i), lease.Address.Addr().String())
	}
	return chosen, nil
}

// Choose tells what Lease would give, and writes nothing.
func (l *Ledger) Choose(sets []ipam.Set, asked []netip.Addr) ([]ipam.Lease, error) {
	return l.choose(sets, asked)
}

// choose picks one free address of each set. An address that is asked for must
// belong to a set, and each set gives one.
func (l *Ledger) choose(sets []ipam.Set, asked []netip.Addr) (chosen []ipam.Lease, err error) {
	for _, a := range asked {
		if !slices.ContainsFunc(sets, func(s ipam.Set) bool { _, ok := s.Contains(a); return ok }) {
			return nil, plugin.Invalid("ips", a.String()+" is in no range, or is a gateway")
		}
	}
	asked = slices.Clone(asked)
	for i, s := range sets {
		wanted := slices.IndexFunc(asked, func(a netip.Addr) bool { _, ok := s.Contains(a); return ok })
		var lease ipam.Lease
		if wanted >= 0 {
			lease, err = l.exactly(s, asked[wanted])
			asked = slices.Delete(asked, wanted, wanted+1)
		} else {
			lease, err = l.next(i, s)
		}
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, lease)
	}
	if len(asked) > 0 {
		return nil, plugin.Invalid("ips", asked[0].String()+" is a second address of one range set")
	}
	return chosen, nil
}

func (l *Ledger) exactly(s ipam.Set, a netip.Addr) (ipam.Lease, error) {
	r, _ := s.Contains(a)
	if owner, taken := l.owner(a); taken {
		return ipam.Lease{}, plugin.Fail(plugin.CodeTaken, fail.At(l.dir, a.String()+" belongs to container "+owner.ContainerID+" ("+owner.Ifname+")"))
	}
	return r.Lease(a), nil
}

// tries is how many taken addresses are looked at one by one before the whole
// directory is read.
const tries = 16

// next picks the next free address of set number i.
func (l *Ledger) next(i int, s ipam.Set) (ipam.Lease, error) {
	looked := 0
	var names map[string]bool
	for a, r := range s.After(l.last(i)) {
		if looked++; looked == tries {
			var err error
			if names, err = l.names(); err != nil {
				return ipam.Lease{}, err
			}
		}
		if names != nil && !names[a.String()] {
			return r.Lease(a), nil
		}
		if names == nil {
			if !l.exists(a) {
				return r.Lease(a), nil
			}
		}
	}
	for a, r := range s.After(l.last(i)) { // all names are taken; are their files leases?
		if names != nil && !names[a.String()] {
			continue
		}
		if _, taken := l.owner(a); !taken {
			return r.Lease(a), nil
		}
	}
	return ipam.Lease{}, plugin.Fail(plugin.CodeExhausted, &fail.Error{Where: l.dir, Doing: "no address is free in range " + s.String(),
		Hint: "remove containers, run GC, or widen the range"})
}

// Exhausted returns an error if a set has no free address.
func (l *Ledger) Exhausted(sets []ipam.Set) error {
	for i, s := range sets {
		if _, err := l.next(i, s); err != nil {
			return err
		}
	}
	return nil
}

// write puts the index and then the leases on disk.
func (l *Ledger) write(chosen []ipam.Lease, owner plugin.Attachment) error {
	var addresses []netip.Addr
	for _, lease := range chosen {
		addresses = append(addresses, lease.Address.Addr())
	}
	if err := l.index(addresses, owner); err != nil {
		return err
	}
	for _, a := range addresses { // a file that is in the way is nobody's: choose has seen it
		if err := l.put(a.String(), content(owner)); err != nil {
			return err
		}
	}
	return nil
}

// index writes down which addresses are about to be the container's.
func (l *Ledger) index(addresses []netip.Addr, owner plugin.Attachment) error {
	name := indexName(owner)
	err := sys.SymlinkAt(join(addresses), l.fd, name)
	if errors.Is(err, fs.ErrExist) {
		if err := l.remove(name); err != nil {
			return err
		}
		err = sys.SymlinkAt(join(addresses), l.fd, name)
	}
	return l.failure("make", name, err)
}

// Release frees what a container has for an interface. It may have nothing.
//
// Leases of the other host-local have no index; they are found by reading all.
func (l *Ledger) Release(owner plugin.Attachment) error {
	target, err := sys.ReadlinkAt(l.fd, indexName(owner))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EINVAL) {
		return l.Collect(func(a plugin.Attachment) bool { return a == owner })
	}
	if err != nil {
		return l.failure("read", indexName(owner), err)
	}
	for _, a := range split(target) {
		if have, taken := l.owner(a); taken && have == owner {
			if err := l.remove(a.String()); err != nil {
				return err
			}
		}
	}
	return l.remove(indexName(owner))
}

// Held returns the addresses that a container has for an interface.
func (l *Ledger) Held(owner plugin.Attachment) []netip.Addr {
	if have := l.indexed(owner); len(have) > 0 {
		return have
	}
	var have []netip.Addr
	l.each(func(a netip.Addr, o plugin.Attachment) {
		if o == owner {
			have = append(have, a)
		}
	})
	return have
}

// Collect removes the leases whose owner is stale, files that are no leases,
// and index entries without a lease.
func (l *Ledger) Collect(stale func(plugin.Attachment) bool) error {
	names, err := l.names()
	if err != nil {
		return err
	}
	for name := range names {
		a, err := netip.ParseAddr(name)
		if err != nil {
			continue
		}
		if owner, taken := l.owner(a); taken && !stale(owner) {
			continue
		}
		if err := l.remove(a.String()); err != nil {
			return err
		}
	}
	return l.collectIndex(stale)
}

func (l *Ledger) collectIndex(stale func(plugin.Attachment) bool) error {
	entries, err := os.ReadDir(filepath.Join(l.dir, idsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return ioFailure(err)
	}
	for _, e := range entries {
		id, ifname, _ := strings.Cut(e.Name(), ":")
		owner := plugin.Attachment{ContainerID: id, Ifname: ifname}
		if !stale(owner) && len(l.indexed(owner)) > 0 {
			continue
		}
		if err := l.remove(idsDir + "/" + e.Name()); err != nil {
			return err
		}
	}
	return nil
}

// Owners returns who has leases, each once.
func (l *Ledger) Owners() (owners []plugin.Attachment) {
	l.each(func(_ netip.Addr, o plugin.Attachment) {
		if !slices.Contains(owners, o) {
			owners = append(owners, o)
		}
	})
	return owners
}

func (l *Ledger) each(f func(netip.Addr, plugin.Attachment)) {
	names, _ := l.names()
	for name := range names {
		if a, err := netip.ParseAddr(name); err == nil {
			if owner, taken := l.owner(a); taken {
				f(a, owner)
			}
		}
	}
}

// indexed returns the addresses that the index says a container has, and that
// it has indeed.
func (l *Ledger) indexed(owner plugin.Attachment) (have []netip.Addr) {
	target, err := sys.ReadlinkAt(l.fd, indexName(owner))
	if err != nil {
		return nil
	}
	for _, a := range split(target) {
		if o, taken := l.owner(a); taken && o == owner {
			have = append(have, a)
		}
	}
	return have
}

// owner reads a lease. taken is false for no file and for one without a name.
// A file that cannot be read is taken.
func (l *Ledger) owner(a netip.Addr) (owner plugin.Attachment, taken bool) {
	text, err := l.read(a.String())
	if err != nil {
		return owner, !errors.Is(err, fs.ErrNotExist)
	}
	id, ifname, _ := strings.Cut(text, "\n")
	owner = plugin.Attachment{ContainerID: strings.TrimSpace(id), Ifname: strings.TrimSpace(ifname)}
	return owner, plausible(owner.ContainerID)
}

// plausible tells whether a lease's first line can be a container's id.
func plausible(id string) bool {
	return id != "" && !strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' || c == '/' })
}

// boot removes the leases of earlier boots. A directory without .boot was made
// by another program; its leases are believed.
func (l *Ledger) boot() error {
	now, err := sys.ReadInto(make([]byte, 0, 64), "/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil // cannot tell: keep all
	}
	then, err := l.read(bootName)
	if err == nil && then == string(now) {
		return nil
	}
	if err == nil && len(then) == len(now) {
		if err := l.Collect(func(plugin.Attachment) bool { return true }); err != nil {
			return err
		}
	}
	return l.put(bootName, string(now))
}

// names reads the directory.
func (l *Ledger) names() (map[string]bool, error) {
	dir, err := os.Open(l.dir)
	if err != nil {
		return nil, ioFailure(err)
	}
	defer dir.Close()
	list, err := dir.Readdirnames(-1)
	names := make(map[string]bool, len(list))
	for _, name := range list {
		names[name] = true
	}
	return names, ioFailure(err)
}

// last returns the address that set number i gave away last.
func (l *Ledger) last(i int) netip.Addr {
	text, _ := l.read(lastName(i))
	a, _ := netip.ParseAddr(strings.TrimSpace(text))
	return a
}

// exists tells whether an address has a file; it has one if that cannot be known.
func (l *Ledger) exists(a netip.Addr) bool {
	if l.fd < 0 {
		return false
	}
	_, err := sys.StatAt(l.fd, a.String())
	return !errors.Is(err, fs.ErrNotExist)
}

func lastName(i int) string { return "last_reserved_ip." + strconv.Itoa(i) }

func indexName(owner plugin.Attachment) string {
	return idsDir + "/" + owner.ContainerID + ":" + owner.Ifname
}

func content(owner plugin.Attachment) string { return owner.ContainerID + "\r\n" + owner.Ifname }

func join(addresses []netip.Addr) string {
	var texts []string
	for _, a := range addresses {
		texts = append(texts, a.String())
	}
	return strings.Join(texts, ",")
}

func split(target string) (addresses []netip.Addr) {
	for text := range strings.SplitSeq(target, ",") {
		if a, err := netip.ParseAddr(text); err == nil {
			addresses = append(addresses, a)
		}
	}
	return addresses
}
