// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package journey_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// TestRootLXC moves an LXC container over: its config becomes a bundle, and what
// the config says is what a program in the container sees.
func TestRootLXC(t *testing.T) {
	testkit.Need(t, testkit.Root, testkit.Netns, testkit.Tool("nsenter"), testkit.Tool("ip"), testkit.Tool("nft"))
	testkit.NoLeaks(t)
	h := newHouse(t)
	rootfs := h.path("lxc/web/rootfs")
	h.must(exec.Command("mkdir", "-p", rootfs, h.path("data"), h.path("bundle")))
	h.must(exec.Command("cp", "-a", testkit.Rootfs(t)+"/.", rootfs))
	h.must(exec.Command("sh", "-c", "echo from the host > "+h.path("data/file")))
	h.must(exec.Command("chown", "-R", "100000:100000", rootfs, h.path("data")))
	h.must(exec.Command("chmod", "755", h.dir))
	conf := h.path("lxc/web/config")
	write(t, h.path("lxc/fstab"), "tmpfs scratch tmpfs size=1m 0 0\n")
	write(t, conf, fmt.Sprintf(`lxc.uts.name = moved
lxc.rootfs.path = dir:%[1]s
lxc.mount.auto = proc:mixed
lxc.mount.entry = %[2]s srv/data none bind,ro,create=dir 0 0
lxc.mount.fstab = %[3]s
lxc.net.0.type = veth
lxc.net.0.link = br-%[4]s
lxc.net.0.hwaddr = 02:00:00:00:00:17
lxc.net.0.ipv4.address = 10.97.0.17/24
lxc.net.0.ipv4.gateway = 10.97.0.1
lxc.idmap = u 0 100000 65536
lxc.idmap = g 0 100000 65536
lxc.cgroup.memory.limit_in_bytes = 64M
lxc.cgroup.pids.max = 50
lxc.cap.drop = sys_module mknod
lxc.hook.pre-start = echo "$LXC_NAME $1 $2 $3" >%[2]s.hook;:
lxc.environment = COLOUR=blue
lxc.prlimit.nofile = 100:200
lxc.sysctl.net.ipv4.ip_forward = 1
lxc.init.cmd = /bin/sh -c 'hostname; id -u; cat /srv/data/file; echo $COLOUR; ulimit -n; ulimit -Hn; cat /proc/sys/net/ipv4/ip_forward; grep CapBnd /proc/self/status; ip -4 addr show eth0; ip link show eth0; ip route; grep -c scratch /proc/mounts; touch /proc/sys/x; cat /proc/self/cgroup'
lxc.start.auto = 1
`, rootfs, h.path("data"), h.path("lxc/fstab"), h.id[7:]))
	spec := h.coracle("spec", "--from-lxc", conf, "--bundle", h.path("bundle"), "--cninet", h.path("cninet"))
	var left strings.Builder
	spec.Stderr = &left
	if err := spec.Run(); err != nil {
		t.Fatalf("%v\n%s", err, left.String())
	}
	if want := "coracle: warning: " + conf + ":21: lxc.start.auto = 1: has no counterpart\n"; left.String() != want {
		t.Errorf("left: %q, want %q", left.String(), want)
	}
	// Leases of its own.
	list := h.path("bundle/cni/web-eth0.conflist")
	h.must(exec.Command("sed", "-i", `s#"type": "host-local"#"type": "host-local", "dataDir": "`+h.path("leases")+`"#`, list))

	got := h.must(h.coracle("run", "--bundle", h.path("bundle"), h.id))
	for _, want := range []string{"moved\n0\nfrom the host\nblue\n100\n200\n1\n", "inet 10.97.0.17/24", "link/ether 02:00:00:00:00:17", "default via 10.97.0.1 dev eth0"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if !strings.Contains(got, "\n1\n") {
		t.Errorf("no tmpfs at /scratch:\n%s", got)
	}
	var bounding uint64
	if _, text, ok := strings.Cut(got, "CapBnd:\t"); ok {
		fmt.Sscanf(text, "%x", &bounding)
	}
	if dropped := uint64(1)<<16 | 1<<27; bounding == 0 || bounding&dropped != 0 {
		t.Errorf("bounding set is %x", bounding)
	}
	hook, err := os.ReadFile(h.path("data.hook"))
	if err != nil || string(hook) != "web web lxc pre-start\n" {
		t.Errorf("the hook wrote %q, %v", hook, err)
	}
	if leases, err := os.ReadDir(h.path("leases/web-eth0")); err == nil {
		for _, l := range leases {
			if strings.HasPrefix(l.Name(), "10.") {
				t.Errorf("lease %s is left", l.Name())
			}
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
