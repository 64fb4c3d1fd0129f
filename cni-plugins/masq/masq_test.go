// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package masq

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/coracle-oci/coracle/internal/netlink"
)

// What the package comment shows is what is made: nft's own words of it are
// compared with a kernel in tests/network.
func TestCreate(t *testing.T) {
	var have []string
	for _, m := range Create() {
		have = append(have, m.Doing)
	}
	want := []string{
		"make table inet coracle_cni",
		"make set masq4 of ipv4_addr", "make set masq6 of ipv6_addr", "make set home4 of ipv4_addr . ifname", "make set home6 of ipv6_addr . ifname",
		"make chain postrouting",
		"add to chain postrouting: ip saddr . oifname @home4 return", "add to chain postrouting: ip daddr 224.0.0.0/4 return", "add to chain postrouting: ip saddr @masq4 masquerade",
		"add to chain postrouting: ip6 saddr . oifname @home6 return", "add to chain postrouting: ip6 daddr ff00::/8 return", "add to chain postrouting: ip6 saddr @masq6 masquerade",
	}
	if strings.Join(have, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s", strings.Join(have, "\n"))
	}
}

func TestEntries(t *testing.T) {
	entries := Entries("n|c|eth0", "br0", []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")})
	var have []string
	for _, e := range entries {
		back := netlink.ParseElements(e.Add().Body)
		if len(back) != 1 || !e.Same(Entry{e.Set, back[0]}) || len(back[0].Key) != int(e.Set.Key.Len) {
			t.Errorf("%v read back as %v", e, back)
		}
		if other := (Entry{e.Set, netlink.Element{Key: e.Element.Key, Comment: "x"}}); e.Same(other) || !e.SameKey(other) {
			t.Error("owners are not told apart")
		}
		have = append(have, e.Add().Doing)
	}
	want := "add to set masq4: 10.0.0.1 of n|c|eth0\nadd to set home4: 10.0.0.1 . br0 of n|c|eth0\nadd to set masq6: fd00::1 of n|c|eth0\nadd to set home6: fd00::1 . br0 of n|c|eth0"
	if strings.Join(have, "\n") != want {
		t.Errorf("%s", strings.Join(have, "\n"))
	}
}
