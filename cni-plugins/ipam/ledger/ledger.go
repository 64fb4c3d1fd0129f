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
// A lease appears by link(2), complete or not at all. The entry below .ids is a
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

	"github.com/coracle-oci/coracle/cni-plugins/ipam"
	"github.com/coracle-oci/coracle/cni-plugins/plugin"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
)

// A Ledger is the open, locked directory of a network. It is for one goroutine.
type Ledger struct {
	dir  string
	lock *os.File
}

// Open makes the directory if needed, waits for its lock, and forgets the
// leases of earlier boots.
func Open(dataDir, network string) (*Ledger, error) {
	dir := filepath.Join(dataDir, network)
	if err := os.MkdirAll(filepath.Join(dir, idsDir), 0o755); err != nil {
		return nil, ioFailure(err)
	}
	l, err := open(dir, false)
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
	dir := filepath.Join(dataDir, network)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return open(dir, false)
}

// Peek is OpenExisting for readers: they wait only for writers.
func Peek(dataDir, network string) (*Ledger, error) {
	dir := filepath.Join(dataDir, network)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return open(dir, true)
}

func open(dir string, shared bool) (*Ledger, error) {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, ioFailure(err)
	}
	if err := sys.LockNetwork(lock, shared); err != nil {
		lock.Close()
		return nil, ioFailure(&fs.PathError{Op: "flock", Path: lock.Name(), Err: err})
	}
	return &Ledger{dir, lock}, nil
}

// Close frees the lock.
func (l *Ledger) Close() error { return l.lock.Close() }

const idsDir = ".ids"

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
		overwrite(l.lastPath(i), lease.Address.Addr().String())
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
			if _, err := os.Lstat(l.path(a)); errors.Is(err, fs.ErrNotExist) {
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
	index := l.indexPath(owner)
	if err := os.Remove(index); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return ioFailure(err)
	}
	if err := os.Symlink(join(addresses), index); err != nil {
		return ioFailure(err)
	}
	// The lock is ours, so one name is enough. A draft that a killed call left
	// may be a lease's second name: it must not be written over.
	draft := filepath.Join(l.dir, idsDir, ".draft")
	if err := remove(draft); err != nil {
		return err
	}
	if err := os.WriteFile(draft, []byte(content(owner)), 0o644); err != nil {
		return ioFailure(err)
	}
	defer os.Remove(draft)
	for _, a := range addresses {
		if err := os.Link(draft, l.path(a)); errors.Is(err, fs.ErrExist) {
			os.Remove(l.path(a)) // choose has seen that it is nobody's
			err = os.Link(draft, l.path(a))
			if err != nil {
				return ioFailure(err)
			}
		} else if err != nil {
			return ioFailure(err)
		}
	}
	return nil
}

// Release frees what a container has for an interface. It may have nothing.
//
// Leases of the other host-local have no index; they are found by reading all.
func (l *Ledger) Release(owner plugin.Attachment) error {
	target, err := os.Readlink(l.indexPath(owner))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return l.Collect(func(a plugin.Attachment) bool { return a == owner })
	}
	if err != nil {
		return ioFailure(err)
	}
	for _, a := range split(target) {
		if have, taken := l.owner(a); taken && have == owner {
			if err := remove(l.path(a)); err != nil {
				return err
			}
		}
	}
	return remove(l.indexPath(owner))
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
		if err := remove(l.path(a)); err != nil {
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
		if err := remove(filepath.Join(l.dir, idsDir, e.Name())); err != nil {
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
	target, err := os.Readlink(l.indexPath(owner))
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
	text, err := os.ReadFile(l.path(a))
	if err != nil {
		return owner, !errors.Is(err, fs.ErrNotExist)
	}
	id, ifname, _ := strings.Cut(string(text), "\n")
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
	now, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil // cannot tell: keep all
	}
	path := filepath.Join(l.dir, ".boot")
	then, err := os.ReadFile(path)
	if err == nil && string(then) == string(now) {
		return nil
	}
	if err == nil && len(then) == len(now) {
		if err := l.Collect(func(plugin.Attachment) bool { return true }); err != nil {
			return err
		}
	}
	draft := filepath.Join(l.dir, idsDir, ".boot")
	if err := os.WriteFile(draft, now, 0o644); err != nil {
		return ioFailure(err)
	}
	return ioFailure(os.Rename(draft, path))
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
	text, _ := os.ReadFile(l.lastPath(i))
	a, _ := netip.ParseAddr(strings.TrimSpace(string(text)))
	return a
}

// overwrite replaces the text of a file without emptying it first: ext4 takes
// a file that was emptied to the disk when it is closed (auto_da_alloc), which
// costs more than all the rest of a lease. A text that is half old and half
// new does no harm here.
func overwrite(path, text string) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return
	}
	defer file.Close()
	if _, err := file.WriteString(text); err != nil {
		return
	}
	if info, err := file.Stat(); err == nil && info.Size() > int64(len(text)) {
		file.Truncate(int64(len(text)))
	}
}

func (l *Ledger) path(a netip.Addr) string { return l.dir + "/" + a.String() }

func (l *Ledger) lastPath(i int) string { return l.dir + "/last_reserved_ip." + strconv.Itoa(i) }

func (l *Ledger) indexPath(owner plugin.Attachment) string {
	return l.dir + "/" + idsDir + "/" + owner.ContainerID + ":" + owner.Ifname
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

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return ioFailure(err)
	}
	return nil
}

// ioFailure gives errors of files their code.
func ioFailure(err error) error { return plugin.Fail(plugin.CodeIO, err) }
