// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package bridge

import (
	"flag"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/coracle-oci/coracle/cni-plugins/masq"
	"github.com/coracle-oci/coracle/cni-plugins/plan"
	"github.com/coracle-oci/coracle/cni-plugins/plugin"
	"github.com/coracle-oci/coracle/internal/netlink"
)

var update = flag.Bool("update", false, "rewrite testdata/plans.txt")

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func attachment(c Config, f Facts) Attachment {
	if c.Bridge == "" {
		c.Bridge = "br0"
	}
	c.IsGateway = c.IsGateway || c.IsDefaultGateway
	f.NetnsFD = 5
	f.Random = [3]netlink.MAC{{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}, {2, 0, 0, 0, 0, 3}}
	return Attachment{Config: &c, Facts: f, Tag: "net|c|eth0", Host: "vetha", Ifname: "eth0", Netns: "/ns",
		IPAM: &plugin.Result{
			IPs:    []plugin.IP{{Address: prefix("10.1.0.2/24"), Gateway: netip.MustParseAddr("10.1.0.1")}, {Address: prefix("fd00::2/64"), Gateway: netip.MustParseAddr("fd00::1")}},
			Routes: []plugin.Route{{Dst: prefix("192.0.2.0/24"), MTU: 1300}},
		}}
}

// The plans of typical networks. A change of the file is a change of what
// happens on users' machines.
func TestGoldenPlans(t *testing.T) {
	there := &netlink.Link{Index: 7, Kind: "bridge", Flags: 1, MTU: 1500, MAC: netlink.MAC{2, 0, 0, 0, 0, 9}}
	down := &netlink.Link{Index: 7, Kind: "bridge", MTU: 1500}
	ready := Facts{Bridge: there, Addresses: []netip.Prefix{prefix("10.1.0.1/24"), prefix("fd00::1/64"), prefix("fe80::1/64")}}
	occupied := Facts{Bridge: there, Addresses: []netip.Prefix{prefix("10.9.0.1/24"), prefix("fd00::9/64"), prefix("fd09::1/64")}}
	mac := netlink.MAC{2, 0, 0, 0, 0, 0xaa}
	noIP := attachment(Config{}, ready)
	noIP.IPAM = nil
	left := masq.Entries("net|old|eth0", "br9", []netip.Addr{netip.MustParseAddr("10.1.0.2")})
	var b strings.Builder
	for _, test := range []struct {
		name string
		a    Attachment
	}{
		{"the first container of a machine", attachment(Config{IsDefaultGateway: true, IPMasq: true}, Facts{NoTable: true})},
		{"the second", attachment(Config{IsDefaultGateway: true, IPMasq: true}, ready)},
		{"no gateway, no masquerading", attachment(Config{MTU: 1400, HairpinMode: true, PortIsolation: true, EnableDAD: true, MAC: &mac}, ready)},
		{"a bridge that is down and gets promiscuous", attachment(Config{PromiscMode: true}, Facts{Bridge: down})},
		{"another network's address on the bridge, by force", attachment(Config{IsGateway: true, ForceAddress: true}, occupied)},
		{"no addresses", noIP},
		{"an element that nobody removed", attachment(Config{IPMasq: true}, Facts{Bridge: there, InTheWay: left})},
	} {
		p, result, err := Compile(test.a)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		p = append(p, Masquerade(test.a, result)...)
		b.WriteString("== " + test.name + "\n" + p.String() + string(result.Encode("1.1.0")))
	}
	const path = "testdata/plans.txt"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("have:\n%s\nwant:\n%s", b.String(), want)
	}
}

// Whatever makes something says how to take it back.
func TestEverythingHasAnUndo(t *testing.T) {
	a := attachment(Config{IsDefaultGateway: true, IPMasq: true, ForceAddress: true}, Facts{})
	p, result, err := Compile(a)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range append(p, Masquerade(a, result)...) {
		if s.Sysctl == nil && s.In != plan.Container && len(s.Undo) == 0 && !strings.HasPrefix(s.Do[0].Doing, "let the carrier") {
			t.Errorf("step %d cannot be taken back: %v", i, s.Do)
		}
	}
}

func TestConflict(t *testing.T) {
	there := &netlink.Link{Index: 7, Kind: "bridge", Flags: 1}
	for address, conflict := range map[string]bool{"10.9.0.1/24": true, "10.1.0.1/16": true, "fd00::9/64": true, "fd09::1/64": false, "fe80::1/64": false} {
		_, _, err := Compile(attachment(Config{IsGateway: true}, Facts{Bridge: there, Addresses: []netip.Prefix{prefix(address)}}))
		if (err != nil) != conflict || err != nil && plugin.CodeOf(err) != plugin.CodeConflict {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// Whatever the configuration says: an error with a code of the specification,
// or a plan.
func FuzzParse(f *testing.F) {
	f.Add(`{"bridge":"br0","ipMasq":true,"mtu":1400,"ipam":{"type":"host-local"},"runtimeConfig":{"mac":"02:00:00:00:00:01"}}`)
	f.Add(`{"BRIDGE":"x","vlan":5}`)
	f.Fuzz(func(t *testing.T, stdin string) {
		r, err := plugin.Parse(func(name string) string {
			return map[string]string{"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c", "CNI_NETNS": "/x", "CNI_IFNAME": "eth0"}[name]
		}, []byte(stdin))
		if err != nil {
			return
		}
		c, err := Parse(r)
		if err != nil {
			if plugin.CodeOf(err) == plugin.CodeKernel {
				t.Error(err)
			}
			return
		}
		a := attachment(Config{}, Facts{})
		a.Config = c
		if p, _, err := Compile(a); err != nil || len(p) == 0 {
			t.Error(p, err)
		}
	})
}
