// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package ledger

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/coracle-oci/coracle/cni-plugins/ipam"
	"github.com/coracle-oci/coracle/cni-plugins/plugin"
)

func set(subnet, start, end string) ipam.Set {
	p := netip.MustParsePrefix(subnet)
	return ipam.Set{{Subnet: p, Start: netip.MustParseAddr(start), End: netip.MustParseAddr(end), Gateway: p.Addr().Next()}}
}

var small = []ipam.Set{set("10.1.0.0/24", "10.1.0.2", "10.1.0.4")}

func who(id string) plugin.Attachment { return plugin.Attachment{ContainerID: id, Ifname: "eth0"} }

// with opens the ledger for one act.
func with(t *testing.T, dir string, f func(*Ledger)) {
	t.Helper()
	l, err := Open(dir, "net")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f(l)
}

// lease returns the address that id gets, or the error's code.
func lease(t *testing.T, dir, id string, asked ...netip.Addr) (address string, code int) {
	t.Helper()
	with(t, dir, func(l *Ledger) {
		leases, err := l.Lease(small, asked, who(id))
		if err != nil {
			code = plugin.CodeOf(err)
			return
		}
		address = leases[0].Address.String()
	})
	return address, code
}

func release(t *testing.T, dir, id string) {
	t.Helper()
	with(t, dir, func(l *Ledger) {
		if err := l.Release(who(id)); err != nil {
			t.Error(err)
		}
	})
}

func TestLease(t *testing.T) {
	dir := t.TempDir()
	for i, want := range []string{"10.1.0.2/24", "10.1.0.3/24", "10.1.0.4/24"} {
		if have, _ := lease(t, dir, string(rune('a'+i))); have != want {
			t.Errorf("have %s, want %s", have, want)
		}
	}
	if _, code := lease(t, dir, "d"); code != plugin.CodeExhausted {
		t.Errorf("code %d", code)
	}
	if _, code := lease(t, dir, "a"); code != plugin.CodeDuplicate {
		t.Errorf("code %d", code)
	}
	release(t, dir, "b")
	release(t, dir, "b")
	if have, _ := lease(t, dir, "e"); have != "10.1.0.3/24" {
		t.Errorf("the free one was not given: %s", have)
	}
	if _, code := lease(t, dir, "f", netip.MustParseAddr("10.1.0.4")); code != plugin.CodeTaken {
		t.Errorf("code %d", code)
	}
	if _, code := lease(t, dir, "f", netip.MustParseAddr("10.9.9.9")); code != plugin.CodeInvalid {
		t.Errorf("code %d", code)
	}
	for _, name := range []string{"a", "c", "e"} {
		release(t, dir, name)
	}
	if entries, _ := os.ReadDir(filepath.Join(dir, "net", idsDir)); len(entries) != 0 {
		t.Errorf("%v", entries)
	}
}

// The file format is that of everybody's host-local.
func TestFormat(t *testing.T) {
	dir := t.TempDir()
	lease(t, dir, "a")
	for name, want := range map[string]string{"10.1.0.2": "a\r\neth0", "last_reserved_ip.0": "10.1.0.2"} {
		if text, err := os.ReadFile(filepath.Join(dir, "net", name)); err != nil || string(text) != want {
			t.Errorf("%s: %q %v", name, text, err)
		}
	}
	if target, _ := os.Readlink(filepath.Join(dir, "net", idsDir, "a:eth0")); target != "10.1.0.2" {
		t.Error(target)
	}
}

// Leases of the other host-local, which have no index, are respected and freed.
func TestForeign(t *testing.T) {
	dir := t.TempDir()
	with(t, dir, func(*Ledger) {})
	for address, text := range map[string]string{"10.1.0.2": "old\r\neth0", "10.1.0.3": "older"} {
		if err := os.WriteFile(filepath.Join(dir, "net", address), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if have, _ := lease(t, dir, "a"); have != "10.1.0.4/24" {
		t.Error(have)
	}
	release(t, dir, "old")
	if have, _ := lease(t, dir, "b"); have != "10.1.0.2/24" {
		t.Error(have)
	}
}

// Files that are no leases are free addresses, but only where no other is left.
func TestJunk(t *testing.T) {
	dir := t.TempDir()
	with(t, dir, func(*Ledger) {})
	for address, text := range map[string]string{"10.1.0.2": "", "10.1.0.3": "\x00\x00\x00", "10.1.0.4": "\r\neth0"} {
		if err := os.WriteFile(filepath.Join(dir, "net", address), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for _, id := range []string{"a", "b", "c"} {
		have, code := lease(t, dir, id)
		if code != 0 || seen[have] {
			t.Errorf("%s: %q, code %d", id, have, code)
		}
		seen[have] = true
	}
	if _, code := lease(t, dir, "d"); code != plugin.CodeExhausted {
		t.Errorf("code %d", code)
	}
}

// What a killed call may have left: an index without leases, leases without
// all of their family, a draft that is another lease's second name.
func TestHalf(t *testing.T) {
	dir := t.TempDir()
	lease(t, dir, "a")
	net := filepath.Join(dir, "net")
	if err := os.Link(filepath.Join(net, "10.1.0.2"), filepath.Join(net, idsDir, ".draft")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("10.1.0.3,fd00::5", filepath.Join(net, idsDir, "b:eth0")); err != nil {
		t.Fatal(err)
	}
	if have, code := lease(t, dir, "b"); code != 0 || have != "10.1.0.3/24" {
		t.Errorf("%s, code %d", have, code)
	}
	if text, _ := os.ReadFile(filepath.Join(net, "10.1.0.2")); string(text) != "a\r\neth0" {
		t.Errorf("the lease of a became %q", text)
	}
	if err := os.Symlink("10.1.0.2", filepath.Join(net, idsDir, "c:eth0")); err != nil {
		t.Fatal(err)
	}
	release(t, dir, "c") // the index lies: the lease is a's
	with(t, dir, func(l *Ledger) {
		if have := l.Held(who("a")); len(have) != 1 || have[0].String() != "10.1.0.2" {
			t.Error(have)
		}
	})
}

func TestBoot(t *testing.T) {
	dir := t.TempDir()
	lease(t, dir, "a")
	boot := filepath.Join(dir, "net", ".boot")
	now, err := os.ReadFile(boot)
	if err != nil {
		t.Fatal(err)
	}
	if have, _ := lease(t, dir, "b"); have != "10.1.0.3/24" {
		t.Error(have)
	}
	if err := os.WriteFile(boot, []byte(strings.Repeat("0", len(now))), 0o644); err != nil {
		t.Fatal(err)
	}
	with(t, dir, func(l *Ledger) {
		if owners := l.Owners(); len(owners) != 0 {
			t.Errorf("leases of an earlier boot: %v", owners)
		}
	})
	if text, _ := os.ReadFile(boot); string(text) != string(now) {
		t.Errorf("%q", text)
	}
}

func TestCollect(t *testing.T) {
	dir := t.TempDir()
	lease(t, dir, "a")
	lease(t, dir, "b")
	with(t, dir, func(l *Ledger) {
		if err := l.Collect(func(a plugin.Attachment) bool { return a.ContainerID == "a" }); err != nil {
			t.Error(err)
		}
		if have := l.Owners(); len(have) != 1 || have[0] != who("b") {
			t.Error(have)
		}
	})
}

// Two families, or nothing.
func TestAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	full := []ipam.Set{small[0], set("fd00::/64", "fd00::2", "fd00::2")}
	with(t, dir, func(l *Ledger) {
		if _, err := l.Lease(full, nil, who("a")); err != nil {
			t.Error(err)
		}
		if err := l.Exhausted(full); err == nil {
			t.Error("not exhausted")
		}
		if _, err := l.Lease(full, nil, who("b")); plugin.CodeOf(err) != plugin.CodeExhausted {
			t.Error(err)
		}
		if have := l.Owners(); len(have) != 1 {
			t.Error(have)
		}
	})
}

func TestManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	wide := []ipam.Set{set("10.2.0.0/16", "10.2.0.2", "10.2.255.254")}
	var group sync.WaitGroup
	var mutex sync.Mutex
	seen := map[netip.Prefix]bool{}
	for i := range 100 {
		group.Go(func() {
			l, err := Open(dir, "net")
			if err != nil {
				t.Error(err)
				return
			}
			defer l.Close()
			leases, err := l.Lease(wide, nil, plugin.Attachment{ContainerID: "c" + string(rune('0'+i/10)) + string(rune('0'+i%10)), Ifname: "eth0"})
			if err != nil {
				t.Error(err)
				return
			}
			mutex.Lock()
			defer mutex.Unlock()
			seen[leases[0].Address] = true
		})
	}
	group.Wait()
	if len(seen) != 100 {
		t.Errorf("%d addresses for 100", len(seen))
	}
}

// The hint which address comes next is right when it gets shorter, too.
func TestShorterHint(t *testing.T) {
	with(t, t.TempDir(), func(l *Ledger) {
		for _, text := range []string{"10.1.0.254", "10.1.0.2", "10.1.0.33"} {
			l.overwrite("last_reserved_ip.0", text)
			if have, err := l.read("last_reserved_ip.0"); err != nil || have != text {
				t.Errorf("have %q, want %q: %v", have, text, err)
			}
		}
	})
}
