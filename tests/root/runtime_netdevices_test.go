// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"os/exec"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// ip calls ip(8), which must succeed.
func ip(t *testing.T, arguments ...string) string {
	t.Helper()
	out, err := exec.Command("ip", arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %q: %v: %s", arguments, err, out)
	}
	return string(out)
}

// newPair makes a pair of devices; what is left of it goes at the end.
func newPair(t *testing.T, name string) {
	t.Helper()
	ip(t, "link", "add", name, "type", "veth", "peer", "name", name+"p")
	t.Cleanup(func() { exec.Command("ip", "link", "delete", name+"p").Run() })
}

// inside runs ip(8) in the container's network namespace.
func (v vessel) inside(arguments ...string) string {
	v.t.Helper()
	out, err := exec.Command("nsenter", append([]string{"--net=/proc/" + itoa(v.status().Pid) + "/ns/net", "ip"}, arguments...)...).CombinedOutput()
	if err != nil {
		v.t.Fatalf("ip %q: %v: %s", arguments, err, out)
	}
	return string(out)
}

// TestRootNetDevices: moved, renamed, up, with the permanent global addresses and
// no others; never moved back.
func TestRootNetDevices(t *testing.T) {
	testkit.Need(t, testkit.Root, testkit.Netns, testkit.Tool("ip"), testkit.Tool("nsenter"))
	testkit.NoLeaks(t)
	for _, name := range []string{"cortest0", "cortest1", "cortest2"} {
		newPair(t, name)
	}
	ip(t, "addr", "add", "10.99.7.2/24", "broadcast", "10.99.7.255", "dev", "cortest0")
	ip(t, "addr", "add", "10.99.8.2/32", "dev", "cortest0", "noprefixroute")
	ip(t, "addr", "add", "169.254.7.7/16", "scope", "link", "dev", "cortest0")
	ip(t, "addr", "add", "10.99.9.9/24", "dev", "cortest0", "valid_lft", "1000", "preferred_lft", "1000")
	ip(t, "-6", "addr", "add", "fd00:99::7/64", "dev", "cortest0")
	ip(t, "link", "set", "cortest0", "mtu", "1400", "up")
	v := newVessel(t, testkit.Args("sleep", "1000"), func(s *specs.Spec) {
		s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"cortest0": {Name: "net0"}, "cortest1": {}, "cortest2": {Name: "eth%d"}}
	})
	v.create()
	addresses := v.inside("-oneline", "addr", "show", "dev", "net0")
	for _, want := range []string{"inet 10.99.7.2/24 brd 10.99.7.255", "inet 10.99.8.2/32", "inet6 fd00:99::7/64"} {
		if !strings.Contains(addresses, want) {
			t.Errorf("no %q in %s", want, addresses)
		}
	}
	if strings.Contains(addresses, "169.254.7.7") || strings.Contains(addresses, "10.99.9.9") {
		t.Errorf("too much in %s", addresses)
	}
	for _, name := range []string{"net0", "cortest1", "eth0"} {
		if link := v.inside("-oneline", "link", "show", "dev", name); !strings.Contains(link, ",UP") || name == "net0" && !strings.Contains(link, "mtu 1400") {
			t.Errorf("%s", link)
		}
	}
	if exec.Command("ip", "link", "show", "cortest0").Run() == nil {
		t.Error("cortest0 is still there")
	}
	v.quiet("delete", v.id)
	if exec.Command("ip", "link", "show", "cortest0").Run() == nil {
		t.Error("cortest0 was moved back")
	}
}

// TestRootNetDevicesRefused: a failure leaves the devices as they were.
func TestRootNetDevicesRefused(t *testing.T) {
	testkit.Need(t, testkit.Root, testkit.Netns, testkit.Tool("ip"))
	testkit.NoLeaks(t)
	newPair(t, "cortest0")
	ip(t, "addr", "add", "10.99.7.2/24", "dev", "cortest0")
	ip(t, "link", "set", "cortest0", "up")
	before := ip(t, "-oneline", "-4", "addr", "show", "dev", "cortest0")
	v := newVessel(t)
	for _, c := range []struct {
		devices map[string]specs.LinuxNetDevice
		words   []string
	}{
		{map[string]specs.LinuxNetDevice{"cortest9": {}}, []string{"linux.netDevices.cortest9", "(ENODEV)"}},
		{map[string]specs.LinuxNetDevice{"cortest0": {Name: "lo"}}, []string{"linux.netDevices.cortest0", "(EEXIST)", "%d"}},
		{map[string]specs.LinuxNetDevice{"cortest0": {Name: "net0"}, "cortest9": {}}, []string{"linux.netDevices.cortest9", "(ENODEV)"}},
		{map[string]specs.LinuxNetDevice{"lo": {Name: "lo2"}}, []string{"linux.netDevices.lo", "(EINVAL)"}},
	} {
		v.edit(func(s *specs.Spec) { s.Linux.NetDevices = c.devices })
		v.expectRefusal(c.words...)
		if after := ip(t, "-oneline", "-4", "addr", "show", "dev", "cortest0"); after != before {
			t.Errorf("%v: it is now %s, was %s", c.devices, after, before)
		}
	}
	v.edit(func(s *specs.Spec) {
		s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"cortest0": {Name: "net0"}}
		s.Process.Args = []string{"/bin/absent"}
	})
	v.expectRefusal("process.args[0]", "no such file or directory")
	if after := ip(t, "-oneline", "-4", "addr", "show", "dev", "cortest0"); strings.TrimSpace(after[strings.Index(after, "cortest0"):]) != strings.TrimSpace(before[strings.Index(before, "cortest0"):]) {
		t.Errorf("it is now %s, was %s", after, before)
	}
}
