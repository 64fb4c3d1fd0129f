// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan_test

import (
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/facts"
	"github.com/coracle-oci/coracle/runtime/plan"
)

func mount(destination, kind, source string, options ...string) specs.Mount {
	return specs.Mount{Destination: destination, Type: kind, Source: source, Options: options}
}

func withoutMountNS(s *specs.Spec) {
	var rest []specs.LinuxNamespace
	for _, ns := range s.Linux.Namespaces {
		if ns.Type != specs.MountNamespace {
			rest = append(rest, ns)
		}
	}
	s.Linux.Namespaces = rest
	s.Mounts, s.Linux.MaskedPaths, s.Linux.ReadonlyPaths, s.Linux.Devices, s.Root.Readonly = nil, nil, nil, nil, false
}

// TestRefusals has what only plan can refuse, as it takes the facts: the config
// is valid in itself.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*specs.Spec)
		facts  func(*facts.Facts)
		want   string // the error, up to its hint
		hint   string // a part of it
	}{
		{name: "no root", facts: func(f *facts.Facts) { f.Files["/bundle/rootfs"] = facts.Kind{} },
			want: "config.json root.path: open /bundle/rootfs: no such file or directory (ENOENT)", hint: "/bundle"},
		{name: "the root is a file", facts: func(f *facts.Facts) { f.Files["/bundle/rootfs"] = facts.Kind{Mode: linux.S_IFREG} },
			want: "config.json root.path: open /bundle/rootfs: not a directory (ENOTDIR)"},
		{name: "source missing", change: func(s *specs.Spec) { s.Mounts = append(s.Mounts, mount("/data", "bind", "/srv/data", "rbind")) },
			facts: func(f *facts.Facts) { f.Files["/srv/data"] = facts.Kind{} },
			want:  "config.json mounts[7].source: bind /srv/data on /data: no such file or directory (ENOENT)", hint: "remove mounts[7]"},
		{name: "relative source missing", change: func(s *specs.Spec) { s.Mounts = append(s.Mounts, mount("/data", "bind", "data", "bind")) },
			facts: func(f *facts.Facts) { f.Files["/bundle/data"] = facts.Kind{} },
			want:  "config.json mounts[7].source: bind /bundle/data on /data: no such file or directory (ENOENT)"},
		{name: "mount on the root", change: func(s *specs.Spec) { s.Mounts = append(s.Mounts, mount("/a/..", "tmpfs", "tmpfs")) },
			want: "config.json mounts[7].destination: /a/.. is the root itself", hint: "root.path"},
		{name: "no cgroups", change: func(s *specs.Spec) {
			s.Linux.Resources = nil
			s.Mounts = append(s.Mounts[:6], mount("/cg", "cgroup", "cgroup"))
		}, facts: func(f *facts.Facts) { f.Cgroup = facts.Cgroup{} }, want: "config.json mounts[6].type: no cgroup hierarchy is mounted on this machine"},
		{name: "cgroup2 on v1", change: func(s *specs.Spec) { s.Mounts = append(s.Mounts, mount("/cg", "cgroup2", "cgroup")) },
			want: "config.json mounts[7].type: cgroup v2 is not what this machine's controllers are on", hint: `"cgroup"`},
		{name: "an ordinary user", facts: func(f *facts.Facts) { f.Capabilities, f.UID = 0, 1000 },
			want: "config.json linux.namespaces: make namespaces: operation not permitted (EPERM)", hint: "coracle spec --rootless"},
		{name: "groups without a range", change: func(s *specs.Spec) {
			ownUser(s)
			s.Process.User.AdditionalGids = []uint32{0}
		}, facts: ordinary, want: "config.json process.user.additionalGids: the supplementary groups cannot be set", hint: "/etc/subgid"},
		{name: "limits without cgroups", change: func(s *specs.Spec) {
			ownUser(s)
			s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64)}}
		}, facts: ordinary, want: "config.json linux.resources: limit the container: this user may not make cgroups: permission denied (EACCES)", hint: "Delegate=yes"},
		{name: "idmap as an ordinary user", change: func(s *specs.Spec) {
			ownUser(s)
			m := mount("/x", "bind", "/srv", "bind", "idmap")
			s.Mounts = append(s.Mounts, m)
		}, facts: ordinary, want: "config.json mounts[7].source: map the ids of a mount: operation not permitted (EPERM)", hint: "run it as root"},
		{name: "no resctrl", change: func(s *specs.Spec) { s.Linux.IntelRdt = &specs.LinuxIntelRdt{} }, facts: without(plan.Resctrl + "/schemata"),
			want: "config.json linux.intelRdt: resctrl is not mounted: there is no /sys/fs/resctrl/schemata", hint: "mount -t resctrl"},
		{name: "no such group", change: func(s *specs.Spec) { s.Linux.IntelRdt = &specs.LinuxIntelRdt{ClosID: "gold"} }, facts: without(plan.Resctrl + "/gold"),
			want: "config.json linux.intelRdt.closID: use the group /sys/fs/resctrl/gold: no such file or directory (ENOENT)", hint: "schemata"},
		{name: "no AppArmor", change: func(s *specs.Spec) { s.Process.ApparmorProfile = "docker-default" }, facts: without(plan.AppArmorDir),
			want: "config.json process.apparmorProfile: AppArmor is not enabled on this machine: there is no /sys/kernel/security/apparmor", hint: `"unconfined"`},
		{name: "no SELinux", change: func(s *specs.Spec) { s.Process.SelinuxLabel = "u:r:t:s0" }, facts: without(plan.SELinuxFile),
			want: "config.json process.selinuxLabel: SELinux is not enabled on this machine: there is no /sys/fs/selinux/enforce", hint: "remove it"},
		{name: "no SELinux for mounts", change: func(s *specs.Spec) { s.Linux.MountLabel = "u:r:t:s0" }, facts: without(plan.SELinuxFile),
			want: "config.json linux.mountLabel: SELinux is not enabled", hint: "remove it"},
		{name: "no such context", change: func(s *specs.Spec) {
			s.Linux.MountLabel, s.Annotations = "u:r:t:s0", map[string]string{plan.MountContext: "contexts"}
		}, want: `config.json annotations["run.oci.mount_context_type"]: unknown kind of label contexts`, hint: "rootcontext"},
		{name: "device twice", change: func(s *specs.Spec) {
			s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/x", Type: "c", Major: 1, Minor: 3}, {Path: "/dev/./x", Type: "c", Major: 1, Minor: 3}}
		}, want: "config.json linux.devices[1].path: /dev/./x is listed twice"},
		{name: "device that the host lacks", change: func(s *specs.Spec) {
			s.Linux.Devices = []specs.LinuxDevice{{Path: "/other/x", Type: "c", Major: 1, Minor: 3}}
		}, facts: func(f *facts.Facts) { f.Files["/other/x"] = facts.Kind{} },
			want: "config.json linux.devices[0].path: mount the host's /other/x: no such file or directory (ENOENT)", hint: "same path"},
		{name: "mounts without a namespace", change: func(s *specs.Spec) { withoutMountNS(s); s.Mounts = []specs.Mount{mount("/x", "tmpfs", "tmpfs")} },
			want: "config.json mounts: there is no new mount namespace to make mounts in", hint: `{"type": "mount"}`},
		{name: "mounts in a joined namespace", change: func(s *specs.Spec) {
			for i := range s.Linux.Namespaces {
				if s.Linux.Namespaces[i].Type == specs.MountNamespace {
					s.Linux.Namespaces[i].Path = "/proc/9/ns/mnt"
				}
			}
		}, want: "config.json mounts: there is no new mount namespace to make mounts in", hint: "remove linux.namespaces[4].path"},
		{name: "masks without a namespace", change: func(s *specs.Spec) { withoutMountNS(s); s.Linux.MaskedPaths = []string{"/x"} },
			want: "config.json linux.maskedPaths: there is no new mount namespace"},
		{name: "read-only paths without a namespace", change: func(s *specs.Spec) { withoutMountNS(s); s.Linux.ReadonlyPaths = []string{"/x"} },
			want: "config.json linux.readonlyPaths: there is no new mount namespace"},
		{name: "read-only root without a namespace", change: func(s *specs.Spec) { withoutMountNS(s); s.Root.Readonly = true },
			want: "config.json root.readonly: there is no new mount namespace"},
		{name: "devices without a namespace", change: func(s *specs.Spec) {
			withoutMountNS(s)
			s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/x", Type: "c", Major: 1, Minor: 3}}
		}, want: "config.json linux.devices: there is no new mount namespace"},
		{name: "terminal without a namespace", change: func(s *specs.Spec) { withoutMountNS(s); s.Process.Terminal = true },
			want: "config.json process.terminal: there is no new mount namespace"},
		{name: "an unmounted controller", change: func(s *specs.Spec) {
			s.Linux.Resources = &specs.LinuxResources{Rdma: map[string]specs.LinuxRdma{"mlx5_1": {HcaHandles: new(uint32)}}}
		}, want: "config.json linux.resources.rdma"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.change == nil {
				c.change = func(*specs.Spec) {}
			}
			_, err := compileOn(edit(t, c.change), machine(t, "hybrid"), c.facts)
			if err == nil || !strings.HasPrefix(err.Error(), c.want) || !strings.Contains(fail.HintOf(err), c.hint) {
				t.Errorf("got %v (hint %q), want %q", err, fail.HintOf(err), c.want)
			}
		})
	}
}

// ownUser maps the id of an ordinary user to root, and no other.
func ownUser(s *specs.Spec) {
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	s.Linux.UIDMappings, s.Linux.GIDMappings = []specs.LinuxIDMapping{{HostID: 1000, Size: 1}}, []specs.LinuxIDMapping{{HostID: 1000, Size: 1}}
	s.Linux.Resources = nil
}

// ordinary is the facts of that user.
func ordinary(f *facts.Facts) {
	f.Capabilities, f.UID, f.GID, f.Cgroup.Denied = 0, 1000, 1000, true
}

func without(file string) func(*facts.Facts) {
	return func(f *facts.Facts) { f.Files[file] = facts.Kind{} }
}

// compileOn compiles for a machine that has all that the config names, less what
// change takes away.
func compileOn(c *config.Config, m facts.Facts, change func(*facts.Facts)) (*plan.Plan, error) {
	m.Files = hostFiles(plan.HostPaths("/bundle", &c.Spec))
	if change != nil {
		change(&m)
	}
	return plan.Compile(plan.Request{ID: "c1", Bundle: "/bundle", Config: c, Facts: m})
}

// TestCapabilitiesThatCannotBeGranted are left out with a warning: that leaves
// less privilege than asked for.
func TestCapabilitiesThatCannotBeGranted(t *testing.T) {
	c := edit(t, func(s *specs.Spec) {
		s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: []string{"CAP_KILL", "CAP_SYS_BOOT"}, Ambient: []string{"CAP_KILL"}}
	})
	p, err := compileOn(c, machine(t, "hybrid"), func(f *facts.Facts) { f.Capabilities = 1<<5 | 1<<21 }) // CAP_KILL, CAP_SYS_ADMIN
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"config.json process.capabilities.bounding[1]: CAP_SYS_BOOT cannot be granted; left out",
		"config.json process.capabilities.ambient[0]: CAP_KILL cannot be granted; left out", // it is not inheritable
	}
	if strings.Join(p.Warnings, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", p.Warnings, want)
	}
	text := p.Text()
	if !strings.Contains(text, "PR_CAPBSET_DROP, CAP_SYS_BOOT") || strings.Contains(text, "PR_CAPBSET_DROP, CAP_KILL)") || strings.Contains(text, "PR_CAP_AMBIENT") {
		t.Error("the bounding set is not CAP_KILL alone, or there is an ambient set")
	}
}

// TestHostPaths are those that a config names: what plan wants to know.
func TestHostPaths(t *testing.T) {
	s := &specs.Spec{Root: &specs.Root{Path: "rootfs"}, Mounts: []specs.Mount{
		mount("/a", "bind", "/srv", "rbind"), mount("/b", "none", "rel", "bind"), mount("/c/../c/", "tmpfs", "tmpfs"), mount("/d", "bind", "", "bind"),
		mount("/e", "tmpfs", "tmpfs", "size=1k,mode=700"), mount("/f", "tmpfs", "", "remount"), mount("/g", "bind", "/ln", "bind", "copy-symlink")},
		Linux: &specs.Linux{Devices: []specs.LinuxDevice{{Path: "/dev/kvm"}}}}
	want := "/bundle/rootfs /srv /bundle/rel image:/bundle/rootfs//c /ln image:/bundle/rootfs//g /dev/kvm"
	if got := strings.Join(plan.HostPaths("/bundle", s), " "); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := plan.HostPaths("/bundle", &specs.Spec{}); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}
