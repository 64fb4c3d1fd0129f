// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package probe

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/coracle-oci/coracle/runtime/facts"
)

// The mountinfos and memberships are of real machines, shortened to a few
// lines around those of cgroups.
const (
	noSystemd = `22 27 0:21 / /proc rw,relatime - proc proc rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`
	noSystemdOwn = `9:name=systemd:/
4:memory:/process_api/904a
2:cpuacct:/
1:cpu:/
0::/
`
	pureV2 = `24 30 0:22 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
35 24 0:29 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
36 24 0:30 / /sys/fs/pstore rw,nosuid,nodev,noexec,relatime shared:10 - pstore pstore rw
`
	hybrid = `32 24 0:27 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,mode=755
33 32 0:28 / /sys/fs/cgroup/unified rw,nosuid,nodev,noexec,relatime shared:10 - cgroup2 cgroup2 rw,nsdelegate
34 32 0:29 / /sys/fs/cgroup/systemd rw,nosuid,nodev,noexec,relatime shared:11 - cgroup cgroup rw,xattr,name=systemd
38 32 0:33 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid,nodev,noexec,relatime shared:15 - cgroup cgroup rw,cpu,cpuacct
39 32 0:34 / /sys/fs/cgroup/net_cls,net_prio rw,nosuid,nodev,noexec,relatime shared:16 - cgroup cgroup rw,net_cls,net_prio
`
	hybridOwn = `7:net_cls,net_prio:/
4:cpu,cpuacct:/user.slice
1:name=systemd:/user.slice/user-1000.slice/session-3.scope
0::/user.slice/user-1000.slice/session-3.scope
`
	inContainer = `742 738 0:31 /docker/4fa6 /sys/fs/cgroup/memory ro,nosuid,nodev,noexec,relatime master:13 - cgroup cgroup rw,memory
743 738 0:33 /docker/4fa6 /sys/fs/cgroup/cpu,cpuacct ro,nosuid,nodev,noexec,relatime master:15 - cgroup cgroup rw,cpu,cpuacct
`
	inContainerOwn = `4:cpu,cpuacct:/docker/4fa6/inner
3:memory:/docker/4fa6
0::/system.slice/docker.service
`
)

func TestParseCgroup(t *testing.T) {
	for _, c := range []struct{ name, mounts, own, want string }{
		{"a mount for each controller", noSystemd, noSystemdOwn,
			"/sys/fs/cgroup/cpu [cpu] / | /sys/fs/cgroup/cpuacct [cpuacct] / | /sys/fs/cgroup/memory [memory] /process_api/904a | " +
				"/sys/fs/cgroup/systemd [name=systemd] / | v2 /sys/fs/cgroup/unified /"},
		{"pure v2", pureV2, "0::/user.slice/user-0.slice/session-1.scope\n", "v2 /sys/fs/cgroup /user.slice/user-0.slice/session-1.scope"},
		{"systemd's hybrid", hybrid, hybridOwn,
			"/sys/fs/cgroup/systemd [name=systemd] /user.slice/user-1000.slice/session-3.scope | /sys/fs/cgroup/cpu,cpuacct [cpu cpuacct] /user.slice | " +
				"/sys/fs/cgroup/net_cls,net_prio [net_cls net_prio] / | v2 /sys/fs/cgroup/unified /user.slice/user-1000.slice/session-3.scope"},
		{"in a container without a namespace", inContainer, inContainerOwn,
			"/sys/fs/cgroup/memory [memory] / | /sys/fs/cgroup/cpu,cpuacct [cpu cpuacct] /inner"},
		{"in a container with one", "742 738 0:31 / /sys/fs/cgroup ro - cgroup2 cgroup ro", "0::/\n", "v2 /sys/fs/cgroup /"},
		{"mounted twice", pureV2 + strings.ReplaceAll(pureV2, "/sys/fs/cgroup", "/mnt"), "0::/a\n", "v2 /sys/fs/cgroup /a"},
		{"own outside of the namespace", pureV2, "0::/../b\n", "v2 /sys/fs/cgroup "},
		{"mounted from outside of the namespace", strings.Replace(pureV2, ":29 / ", ":29 /.. ", 1), "0::/b\n", "v2 /sys/fs/cgroup "},
		{"own in another part", strings.Replace(pureV2, ":29 / ", ":29 /docker ", 1), "0::/dockers/b\n", "v2 /sys/fs/cgroup "},
		{"odd names", `9 8 0:7 / /a\040b\134c - cgroup2 none rw`, "0::/x:y\n", `v2 /a b\c /x:y`},
		{"an option that looks like a controller", "9 8 0:7 / /c - cgroup cgroup rw,cpu,release_agent=/memory", "1:cpu:/\n2:memory:/\n", "/c [cpu] /"},
		{"nothing mounted", "22 27 0:21 / /proc rw,relatime - proc proc rw\n", noSystemdOwn, ""},
		{"cut off", "9 8 0:7 / /c - cgroup", "1:cpu:/\n", ""},
		{"nothing at all", "", "", ""},
	} {
		if got := describe(parseCgroup([]byte(c.mounts), parseMemberships([]byte(c.own)))); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestPlace(t *testing.T) {
	for line, want := range map[string]string{
		"4:memory:/a": "memory", "4:cpu,cpuacct:/": "cpu,cpuacct", "1:name=systemd:/a:b": "systemd", "2:cpu,name=x:/": "cpu,name=x",
		"3:name=..:/": "none", "0::/a": "unified", "alone 0::/": "",
	} {
		rest, alone := strings.CutPrefix(line, "alone ")
		m := parseMemberships([]byte(rest))[0]
		name, ok := m.place(alone)
		if !ok {
			name = "none"
		}
		if name != want {
			t.Errorf("%s: got %q, want %q", line, name, want)
		}
	}
}

func describe(c facts.Cgroup) string {
	var all []string
	for _, h := range c.V1 {
		all = append(all, fmt.Sprint(h.Mount, " ", h.Controllers, " ", h.Own))
	}
	if c.V2 != nil {
		all = append(all, "v2 "+c.V2.Mount+" "+c.V2.Own)
	}
	return strings.Join(all, " | ")
}

func FuzzParseCgroup(f *testing.F) {
	f.Add(noSystemd, noSystemdOwn)
	f.Add(hybrid, hybridOwn)
	f.Add(inContainer, inContainerOwn)
	f.Fuzz(func(t *testing.T, mounts, own string) {
		c := parseCgroup([]byte(mounts), parseMemberships([]byte(own)))
		for _, h := range c.V1 {
			if len(h.Controllers) == 0 || h.Own != "" && !strings.Contains(own, h.Own) && h.Own != "/" {
				t.Errorf("%+v", h)
			}
		}
	})
}

// TestConventional: where the hierarchies of this machine are found without mountinfo,
// they are those of mountinfo. TestRootProbe makes machines for it.
func TestConventional(t *testing.T) {
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	c, roots, err := hierarchies("/proc/self")
	if err != nil {
		t.Fatal(err)
	}
	memberships, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	got, want := strings.Split(describe(c), " | "), strings.Split(describe(parseCgroup(mountinfo, parseMemberships(memberships))), " | ")
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || roots != rootMounts(mountinfo) {
		t.Errorf("got %d and %q, want %d and %q", roots, got, rootMounts(mountinfo), want)
	}
}

// TestCgroupHere finds this process where the probe says that it is.
func TestCgroupHere(t *testing.T) {
	c, err := Cgroup()
	if err != nil {
		t.Fatal(err)
	}
	all := c.V1
	if c.V2 != nil {
		all = append(all, *c.V2)
	}
	for _, h := range all {
		if h.Own == "" {
			continue // outside of our cgroup namespace
		}
		list, err := os.ReadFile(h.Mount + h.Own + "/cgroup.procs")
		if err != nil {
			t.Error(err)
		} else if !slices.Contains(strings.Fields(string(list)), strconv.Itoa(os.Getpid())) {
			t.Errorf("this process is not in %s%s", h.Mount, h.Own)
		}
	}
}

func BenchmarkCgroup(b *testing.B) {
	for b.Loop() {
		if _, err := Cgroup(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseCgroup(b *testing.B) {
	for b.Loop() {
		parseCgroup([]byte(noSystemd), parseMemberships([]byte(noSystemdOwn)))
	}
}
