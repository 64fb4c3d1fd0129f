// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"slices"
	"strings"
	"testing"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// valid returns the smallest config that nothing is wrong with, with all namespaces.
func valid() *Config {
	c := &Config{Spec: specs.Spec{
		Version: "1.0.2-dev",
		Root:    &specs.Root{Path: "rootfs"},
		Process: &specs.Process{Cwd: "/", Args: []string{"sh"}},
		Linux:   &specs.Linux{},
	}}
	for _, kind := range Namespaces() {
		if kind != "user" {
			c.Linux.Namespaces = append(c.Linux.Namespaces, specs.LinuxNamespace{Type: specs.LinuxNamespaceType(kind)})
		}
	}
	return c
}

func texts(found []*fail.Error) []string {
	var all []string
	for _, e := range found {
		text := e.Error()
		if e.Hint != "" {
			text += "; hint: " + e.Hint
		}
		all = append(all, strings.TrimPrefix(text, Name+" "))
	}
	return all
}

func TestValid(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"minimal":              func(c *Config) {},
		"no linux":             func(c *Config) { c.Linux = nil },
		"pre-release":          func(c *Config) { c.Version = "1.0.0-rc5+dev.7" },
		"newer minor":          func(c *Config) { c.Version = "1.99.0" },
		"unconfined":           func(c *Config) { c.Process.ApparmorProfile = "unconfined" },
		"empty netDevices":     func(c *Config) { c.Linux.NetDevices = map[string]specs.LinuxNetDevice{} },
		"size, no terminal":    func(c *Config) { c.Process.ConsoleSize = &specs.Box{Height: 1 << 20} },
		"host name":            func(c *Config) { c.Hostname = strings.Repeat("a", 64) },
		"engine's propagation": func(c *Config) { c.Linux.RootfsPropagation = "rslave" },
		"joined user namespace": func(c *Config) {
			c.Linux.Namespaces = append(c.Linux.Namespaces, specs.LinuxNamespace{Type: "user", Path: "/proc/1/ns/user"})
		},
		"every known mount option on a bind": func(c *Config) {
			ids := []specs.LinuxIDMapping{{Size: 1}}
			c.Mounts = []specs.Mount{{Destination: "/a", Source: "/a", UIDMappings: ids, GIDMappings: ids,
				Options: slices.DeleteFunc(MountOptions(), func(o string) bool { return o == "tmpcopyup" })}}
		},
		"fs data": func(c *Config) {
			c.Mounts = []specs.Mount{{Destination: "/a", Type: "tmpfs", Options: []string{"size=64k", "huge"}}}
		},
		"mount with mappings": func(c *Config) {
			ids := []specs.LinuxIDMapping{{HostID: 1000, Size: 1}}
			c.Mounts = []specs.Mount{{Destination: "/a", Type: "tmpfs", UIDMappings: ids, GIDMappings: ids},
				{Destination: "/b", Source: "/b", Options: []string{"bind", "ridmap"}, UIDMappings: ids, GIDMappings: ids},
				{Destination: "/c", Source: "/c", Options: []string{"bind", "idmap=uids=0-1000-10#10-2000-10;gids=5-6-7"}}}
		},
		"mapping of a joined namespace": func(c *Config) {
			c.Linux.Namespaces = append(c.Linux.Namespaces, specs.LinuxNamespace{Type: "user", Path: "/proc/1/ns/user"})
			c.Mounts = []specs.Mount{{Destination: "/b", Source: "/b", Options: []string{"bind", "idmap"}}}
		},
		"mapping of the container": func(c *Config) {
			c.Linux.Namespaces = append(c.Linux.Namespaces, specs.LinuxNamespace{Type: "user"})
			c.Linux.UIDMappings, c.Linux.GIDMappings = []specs.LinuxIDMapping{{HostID: 1, Size: 10}}, []specs.LinuxIDMapping{{HostID: 1, Size: 10}}
			c.Mounts = []specs.Mount{{Destination: "/b", Source: "/b", Options: []string{"bind", "idmap=uids=@0-5-5;gids=@0-0-10"}}}
		},
		"podman's tmpfs": func(c *Config) {
			c.Mounts = []specs.Mount{{Destination: "/a", Type: "tmpfs", Options: []string{"rw", "rprivate", "nosuid", "tmpcopyup"}}}
		},
		"remount": func(c *Config) { c.Mounts = []specs.Mount{{Destination: "/", Options: []string{"remount", "ro"}}} },
		"sysctls": func(c *Config) {
			c.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1", "net/ipv4/conf/eth0.100/forwarding": "1",
				"net.ipv4.conf.eth0/100.forwarding": "1", "kernel.msgmax": "1", "kernel.domainname": "x", "fs.mqueue.msg_max": "1"}
		},
		"fifo without numbers": func(c *Config) {
			c.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/fifo", Type: "p", Major: -1}}
		},
		"time offsets": func(c *Config) {
			c.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: -5}, "monotonic": {Nanosecs: 999999999}}
		},
		"neighbouring mappings": func(c *Config) {
			c.Linux.Namespaces = append(c.Linux.Namespaces, specs.LinuxNamespace{Type: "user"})
			c.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 1}, {ContainerID: 1, HostID: 100000, Size: 65536}}
			c.Linux.GIDMappings = []specs.LinuxIDMapping{{Size: noID}}
		},
	} {
		c := valid()
		change(c)
		if err := Validate(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(c.Warnings) > 0 {
			t.Errorf("%s: %q", name, c.Warnings)
		}
	}
}

func TestFindings(t *testing.T) {
	twice := func(x specs.LinuxNamespace) func(*Config) {
		return func(c *Config) { c.Linux.Namespaces = append(c.Linux.Namespaces, x) }
	}
	hook := func(h specs.Hook) func(*Config) {
		return func(c *Config) { c.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/a"}, h}} }
	}
	mount := func(m specs.Mount) func(*Config) {
		return func(c *Config) { c.Mounts = []specs.Mount{m} }
	}
	sysctl := func(name string) func(*Config) {
		return func(c *Config) { c.Linux.Sysctl = map[string]string{name: "1"} }
	}
	maps := func(m ...specs.LinuxIDMapping) func(*Config) {
		return func(c *Config) {
			c.Linux.Namespaces = append(c.Linux.Namespaces, specs.LinuxNamespace{Type: "user"})
			c.Linux.UIDMappings, c.Linux.GIDMappings = m, []specs.LinuxIDMapping{{Size: 1}}
		}
	}
	device := func(d specs.LinuxDevice) func(*Config) {
		return func(c *Config) { c.Linux.Devices = []specs.LinuxDevice{d} }
	}
	devices := func(name, to string) func(*Config) {
		return func(c *Config) { c.Linux.NetDevices = map[string]specs.LinuxNetDevice{name: {Name: to}} }
	}
	rdt := func(r specs.LinuxIntelRdt) func(*Config) {
		return func(c *Config) { c.Linux.IntelRdt = &r }
	}
	umask, zero, adj, none := uint32(0o1000), 0, 1001, uint32(noID)
	for _, c := range []struct {
		name string
		have func(*Config)
		want string
	}{
		{"no version", func(c *Config) { c.Version = "" }, "ociVersion: is missing"},
		{"version 2", func(c *Config) { c.Version = "2.0.0" }, "ociVersion: version 2.0.0 is not supported; coracle knows all of 1.x"},
		{"version 1", func(c *Config) { c.Version = "1" }, `ociVersion: "1" is not a version such as 1.3.0`},
		{"version 01", func(c *Config) { c.Version = "1.02.0" }, `ociVersion: "1.02.0" is not a version such as 1.3.0`},
		{"version dash", func(c *Config) { c.Version = "1.0.0-" }, `ociVersion: "1.0.0-" is not a version such as 1.3.0`},
		{"no root", func(c *Config) { c.Root = nil }, "root: is missing"},
		{"no root path", func(c *Config) { c.Root.Path = "" }, "root.path: is missing"},
		{"annotation", func(c *Config) { c.Annotations = map[string]string{"": "x"} }, "annotations: a key is empty"},
		{"hostname without uts", func(c *Config) { c.Hostname, c.Linux = "a", nil }, `hostname: needs a uts namespace; hint: add {"type": "uts"} to linux.namespaces, or remove hostname`},
		{"domainname without uts", func(c *Config) { c.Domainname, c.Linux = "a", nil }, `domainname: needs a uts namespace; hint: add {"type": "uts"} to linux.namespaces, or remove domainname`},
		{"long hostname", func(c *Config) { c.Hostname = strings.Repeat("a", 65) }, "hostname: is longer than 64 bytes"},

		{"no process, and nobody to wait", func(c *Config) {
			c.Process, c.Linux.Namespaces = nil, append(c.Linux.Namespaces, specs.LinuxNamespace{Type: "user"})
			c.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 1, HostID: 1, Size: 1}}
			c.Linux.GIDMappings = []specs.LinuxIDMapping{{HostID: 1, Size: 1}}
		}, "process.user.uid: 0 is not mapped; hint: add it to linux.uidMappings"},
		{"no cwd", func(c *Config) { c.Process.Cwd = "" }, "process.cwd: is missing"},
		{"relative cwd", func(c *Config) { c.Process.Cwd = "tmp" }, `process.cwd: "tmp" is not an absolute path`},
		{"no args", func(c *Config) { c.Process.Args = []string{} }, "process.args: is missing"},
		{"empty args[0]", func(c *Config) { c.Process.Args[0] = "" }, `process.args[0]: exec: "": executable file not found in $PATH`},
		{"env without =", func(c *Config) { c.Process.Env = []string{"A=b", "C"} }, `process.env[1]: "C" has no =`},
		{"env without name", func(c *Config) { c.Process.Env = []string{"=x"} }, `process.env[0]: "=x" has no name before the =`},
		{"uid -1", func(c *Config) { c.Process.User.UID = noID }, "process.user.uid: 4294967295 is no id: the kernel reads it as -1"},
		{"gid -1", func(c *Config) { c.Process.User.GID = noID }, "process.user.gid: 4294967295 is no id: the kernel reads it as -1"},
		{"group -1", func(c *Config) { c.Process.User.AdditionalGids = []uint32{5, noID} }, "process.user.additionalGids[1]: 4294967295 is no id: the kernel reads it as -1"},
		{"uid not mapped", func(c *Config) {
			maps(specs.LinuxIDMapping{ContainerID: 1, HostID: 1000, Size: 9})(c)
			c.Process.User.UID = 10
		}, "process.user.uid: 10 is not mapped; hint: add it to linux.uidMappings"},
		{"gid not mapped", func(c *Config) {
			maps(specs.LinuxIDMapping{Size: 9})(c)
			c.Process.User.GID = 1
		}, "process.user.gid: 1 is not mapped; hint: add it to linux.gidMappings"},
		{"group not mapped", func(c *Config) {
			maps(specs.LinuxIDMapping{Size: 9})(c)
			c.Process.User.AdditionalGids = []uint32{0, 1}
		}, "process.user.additionalGids[1]: 1 is not mapped; hint: add it to linux.gidMappings"},
		{"umask", func(c *Config) { c.Process.User.Umask = &umask }, "process.user.umask: 512 (octal 1000) is more than 511 (octal 777)"},
		{"wide", func(c *Config) {
			c.Process.Terminal, c.Process.ConsoleSize = true, &specs.Box{Width: 65536, Height: 25}
		}, "process.consoleSize: 65536 x 25 is more than 65535"},
		{"rlimit type", func(c *Config) { c.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILES"}} }, `process.rlimits[0].type: unknown limit "RLIMIT_NOFILES"; hint: did you mean RLIMIT_NOFILE?`},
		{"rlimit short", func(c *Config) { c.Process.Rlimits = []specs.POSIXRlimit{{Type: "nproc"}} }, `process.rlimits[0].type: unknown limit "nproc"; hint: did you mean RLIMIT_NPROC?`},
		{"rlimit twice", func(c *Config) {
			c.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_CPU"}, {Type: "RLIMIT_CPU", Soft: 1, Hard: 1}}
		}, "process.rlimits[1].type: RLIMIT_CPU is given twice"},
		{"rlimit soft", func(c *Config) { c.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_CPU", Soft: 2, Hard: 1}} }, "process.rlimits[0].soft: 2 is more than the hard limit 1"},
		{"execCPUAffinity", func(c *Config) { c.Process.ExecCPUAffinity = &specs.CPUAffinity{Initial: "0-1,3", Final: "1-"} }, `process.execCPUAffinity.final: "1-" is no list of CPUs such as 0-3,7`},
		{"oomScoreAdj", func(c *Config) { c.Process.OOMScoreAdj = &adj }, "process.oomScoreAdj: 1001 is not between -1000 and 1000"},

		{"apparmorProfile", func(c *Config) { c.Process.ApparmorProfile = "a\nb" }, `process.apparmorProfile: "a\nb" has a control character`},
		{"selinuxLabel", func(c *Config) { c.Process.SelinuxLabel = "a\tb" }, `process.selinuxLabel: "a\tb" has a control character`},
		{"mountLabel", func(c *Config) { c.Linux.MountLabel = "a\x00" }, `linux.mountLabel: "a\x00" has a control character`},

		{"mount without destination", mount(specs.Mount{Type: "proc"}), "mounts[0].destination: is missing"},
		{"mount without type", mount(specs.Mount{Destination: "/a", Source: "/b"}), "mounts[0].type: is missing"},
		{"bind without source", mount(specs.Mount{Destination: "/a", Options: []string{"rbind"}}), "mounts[0].source: is missing"},
		{"bind by type alone", mount(specs.Mount{Destination: "/a", Type: "bind", Source: "/b", Options: []string{"ro"}}), `mounts[0].options: have neither bind nor rbind, but the type is bind; hint: add "rbind" or "bind" to the options`},
		{"misspelt option", mount(specs.Mount{Destination: "/a", Source: "/b", Options: []string{"bind", "nosiud"}}), `mounts[0].options[1]: unknown option "nosiud" for a bind mount; hint: did you mean nosuid?`},
		{"data on a bind", mount(specs.Mount{Destination: "/a", Source: "/b", Options: []string{"bind", "size=64k"}}), `mounts[0].options[1]: unknown option "size=64k" for a bind mount`},
		{"no mapping", mount(specs.Mount{Destination: "/a", Source: "/b", Options: []string{"bind", "ridmap"}}), "mounts[0].options[1]: there is nothing to map ids by: neither the mount has uidMappings and gidMappings, nor has the container a user namespace"},
		{"mapping of users alone", mount(specs.Mount{Destination: "/a", Type: "tmpfs", Options: []string{"idmap"}, UIDMappings: []specs.LinuxIDMapping{{Size: 1}}}), "mounts[0].gidMappings: is missing: uidMappings and gidMappings go together"},
		{"mapping of groups alone", mount(specs.Mount{Destination: "/a", Type: "tmpfs", GIDMappings: []specs.LinuxIDMapping{{Size: 1}}}), "mounts[0].uidMappings: is missing: uidMappings and gidMappings go together"},
		{"mapping of nothing on a mount", mount(specs.Mount{Destination: "/a", Type: "tmpfs", UIDMappings: []specs.LinuxIDMapping{{}}, GIDMappings: []specs.LinuxIDMapping{{Size: 1}}}), "mounts[0].uidMappings[0].size: is zero or missing"},
		{"mapping said twice", mount(specs.Mount{Destination: "/a", Type: "tmpfs", Options: []string{"idmap=uids=0-0-1;gids=0-0-1"}, UIDMappings: []specs.LinuxIDMapping{{Size: 1}}, GIDMappings: []specs.LinuxIDMapping{{Size: 1}}}), "mounts[0].options[0]: the mount's uidMappings and gidMappings say it too"},
		{"mapping without gids=", mount(specs.Mount{Destination: "/a", Type: "tmpfs", Options: []string{"idmap=uids=0-0-1"}}), "mounts[0].options[0]: uids= and gids= go together"},
		{"mapping with uids= twice", mount(specs.Mount{Destination: "/a", Type: "tmpfs", Options: []string{"idmap=uids=0-0-1;uids=0-0-1"}}), `mounts[0].options[0]: "uids=0-0-1" is not uids=… or gids=…, each once`},
		{"mapping of two numbers", mount(specs.Mount{Destination: "/a", Type: "tmpfs", Options: []string{"ro", "ridmap=uids=0-1;gids=0-0-1"}}), `mounts[0].options[1]: "0-1" is not ID-ID-SIZE`},
		{"mapping of words", mount(specs.Mount{Destination: "/a", Type: "tmpfs", Options: []string{"idmap=uids=0-x-1;gids=0-0-1"}}), `mounts[0].options[0]: "0-x-1" is not ID-ID-SIZE`},
		{"mapping too large for a number", mount(specs.Mount{Destination: "/a", Type: "tmpfs", Options: []string{"idmap=uids=0-4294967296-1;gids=0-0-1"}}), `mounts[0].options[0]: "0-4294967296-1" is not ID-ID-SIZE`},
		{"mapping of no ids", mount(specs.Mount{Destination: "/a", Type: "tmpfs", Options: []string{"idmap=uids=0-1-0;gids=0-0-1"}}), `mounts[0].options[0] uids[0].size: is zero or missing`},
		{"mapping relative to nothing", mount(specs.Mount{Destination: "/a", Type: "tmpfs", Options: []string{"idmap=uids=@0-1-5;gids=0-0-1"}}), `mounts[0].options[0]: the ids from 1 on, 5 of them, are not in one mapping of the container`},
		{"tmpcopyup of a bind", mount(specs.Mount{Destination: "/a", Source: "/b", Options: []string{"bind", "tmpcopyup"}}), "mounts[0].options[1]: tmpcopyup is for a mount of type tmpfs"},
		{"tmpcopyup of proc", mount(specs.Mount{Destination: "/a", Type: "proc", Options: []string{"tmpcopyup"}}), "mounts[0].options[0]: tmpcopyup is for a mount of type tmpfs"},
		{"copy-symlink of a tmpfs", mount(specs.Mount{Destination: "/a", Type: "tmpfs", Options: []string{"copy-symlink"}}), "mounts[0].options[0]: copy-symlink is for bind mounts"},
		{"src-nofollow of a tmpfs", mount(specs.Mount{Destination: "/a", Type: "tmpfs", Options: []string{"src-nofollow"}}), "mounts[0].options[0]: src-nofollow is for bind mounts"},
		{"empty option", mount(specs.Mount{Destination: "/a", Type: "tmpfs", Options: []string{""}}), "mounts[0].options[0]: is empty"},

		{"hook path", hook(specs.Hook{Path: "bin/b"}), `hooks.createRuntime[1].path: "bin/b" is not an absolute path`},
		{"hook without path", hook(specs.Hook{}), "hooks.createRuntime[1].path: is missing"},
		{"hook timeout", hook(specs.Hook{Path: "/b", Timeout: &zero}), "hooks.createRuntime[1].timeout: 0 is not greater than zero seconds"},
		{"hook env", hook(specs.Hook{Path: "/b", Env: []string{"A"}}), `hooks.createRuntime[1].env[0]: "A" has no =`},

		{"namespace type", twice(specs.LinuxNamespace{Type: "net"}), `linux.namespaces[7].type: unknown namespace type "net"; hint: did you mean network?`},
		{"namespace type, misspelt", twice(specs.LinuxNamespace{Type: "cgruop"}), `linux.namespaces[7].type: unknown namespace type "cgruop"; hint: did you mean cgroup?`},
		{"namespace type, no idea", twice(specs.LinuxNamespace{Type: "galaxy"}), `linux.namespaces[7].type: unknown namespace type "galaxy"`},
		{"namespace without type", twice(specs.LinuxNamespace{}), "linux.namespaces[7].type: is missing"},
		{"namespace twice", twice(specs.LinuxNamespace{Type: "ipc"}), "linux.namespaces[7].type: ipc is given twice"},
		{"namespace path", func(c *Config) { c.Linux.Namespaces[0].Path = "proc/1/ns/cgroup" }, `linux.namespaces[0].path: "proc/1/ns/cgroup" is not an absolute path`},
		{"mapping without namespace", func(c *Config) { c.Linux.UIDMappings = []specs.LinuxIDMapping{{Size: 1}} }, `linux.uidMappings: needs a user namespace; hint: add {"type": "user"} to linux.namespaces, or remove linux.uidMappings`},
		{"namespace without mapping", maps(), "linux.uidMappings: is missing: a new user namespace has no ids without it"},
		{"mapping of nothing", maps(specs.LinuxIDMapping{}), "linux.uidMappings[0].size: is zero or missing"},
		{"mapping too far", maps(specs.LinuxIDMapping{HostID: noID - 1, Size: 2}), "linux.uidMappings[0].size: 2 leads beyond the last id, 4294967294"},
		{"mappings overlap inside", maps(specs.LinuxIDMapping{Size: 10}, specs.LinuxIDMapping{ContainerID: 9, HostID: 100, Size: 1}), "linux.uidMappings[1]: overlaps with linux.uidMappings[0]"},
		{"mappings overlap outside", maps(specs.LinuxIDMapping{Size: 1, HostID: 7}, specs.LinuxIDMapping{ContainerID: 9, HostID: 5, Size: 3}), "linux.uidMappings[1]: overlaps with linux.uidMappings[0]"},
		{"clock", func(c *Config) { c.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"monotone": {}} }, `linux.timeOffsets: unknown clock "monotone"; hint: did you mean monotonic?`},
		{"nanoseconds", func(c *Config) { c.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Nanosecs: 1e9}} }, "linux.timeOffsets.boottime.nanosecs: 1000000000 is not below 1000000000"},
		{"offsets without namespace", func(c *Config) {
			c.Linux.Namespaces = nil
			c.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {}}
		}, `linux.timeOffsets: needs a new time namespace; hint: add {"type": "time"} to linux.namespaces`},
		{"device path", device(specs.LinuxDevice{Path: "dev/a", Type: "c"}), `linux.devices[0].path: "dev/a" is not an absolute path`},
		{"device type", device(specs.LinuxDevice{Path: "/dev/a", Type: "x"}), `linux.devices[0].type: unknown device type "x"`},
		{"device major", device(specs.LinuxDevice{Path: "/dev/a", Type: "c", Major: 4096}), "linux.devices[0].major: 4096 is not between 0 and 4095"},
		{"device minor", device(specs.LinuxDevice{Path: "/dev/a", Type: "b", Minor: -1}), "linux.devices[0].minor: -1 is not between 0 and 1048575"},
		{"device owner", device(specs.LinuxDevice{Path: "/dev/a", Type: "c", UID: &none}), "linux.devices[0].uid: 4294967295 is no id: the kernel reads it as -1"},
		{"net device without namespace", func(c *Config) {
			c.Linux.Namespaces = nil
			c.Linux.NetDevices = map[string]specs.LinuxNetDevice{"eth1": {}}
		}, `linux.netDevices: needs a network namespace; hint: add {"type": "network"} to linux.namespaces, or remove linux.netDevices`},
		{"net device", devices("eth1:0", ""), `linux.netDevices.eth1:0: is no name of a network device: up to 15 bytes without spaces, "/" and ":"`},
		{"net device, long name", devices("eth1", "a-name-that-is-long"), `linux.netDevices.eth1.name: "a-name-that-is-long" is no name of a network device: up to 15 bytes without spaces, "/" and ":"`},
		{"net device, pattern", devices("eth1", "eth%s"), `linux.netDevices.eth1.name: "eth%s" has a % that is not the one of %d`},
		{"net device, two patterns", devices("eth1", "e%dth%d"), `linux.netDevices.eth1.name: "e%dth%d" has a % that is not the one of %d`},
		{"net devices, one name", func(c *Config) {
			c.Linux.NetDevices = map[string]specs.LinuxNetDevice{"eth1": {Name: "eth2"}, "eth2": {}}
		}, "linux.netDevices.eth2.name: eth2 is given to eth1 already"},
		{"closID", rdt(specs.LinuxIntelRdt{ClosID: "../x"}), `linux.intelRdt.closID: "../x" is no name of a directory`},
		{"l3CacheSchema", rdt(specs.LinuxIntelRdt{L3CacheSchema: "MB:0=1"}), `linux.intelRdt.l3CacheSchema: "MB:0=1" does not begin with L3:`},
		{"memBwSchema", rdt(specs.LinuxIntelRdt{MemBwSchema: "MB:0=1\nL3:0=f"}), `linux.intelRdt.memBwSchema: has a line break`},
		{"schemata", rdt(specs.LinuxIntelRdt{Schemata: []string{"L3:0=f", "L3"}}), `linux.intelRdt.schemata[1]: "L3" is no schema such as L3:0=f`},
		{"propagation", func(c *Config) { c.Linux.RootfsPropagation = "slaves" }, `linux.rootfsPropagation: unknown propagation "slaves"; hint: did you mean slave?`},
		{"masked path", func(c *Config) { c.Linux.MaskedPaths = []string{"/proc/kcore", "proc/keys"} }, `linux.maskedPaths[1]: "proc/keys" is not an absolute path`},
		{"read-only path", func(c *Config) { c.Linux.ReadonlyPaths = []string{""} }, "linux.readonlyPaths[0]: is missing"},
		{"cgroupsPath", func(c *Config) { c.Linux.CgroupsPath = "/a/../../b" }, `linux.cgroupsPath: "/a/../../b" leads upwards`},

		{"sysctl of the host", sysctl("vm.swappiness"), `linux.sysctl["vm.swappiness"]: is not separate for each container: it would change the host; hint: set it on the host, with sysctl(8)`},
		{"sysctl, a prefix is not enough", sysctl("kernel.shmall2"), `linux.sysctl["kernel.shmall2"]: is not separate for each container: it would change the host; hint: set it on the host, with sysctl(8)`},
		{"sysctl leads out", sysctl("net/../kernel/core_pattern"), `linux.sysctl["net/../kernel/core_pattern"]: is no name of a sysctl`},
		{"sysctl leads out, with dots", sysctl("net.//.kernel.core_pattern"), `linux.sysctl["net.//.kernel.core_pattern"]: is no name of a sysctl`},
		{"sysctl empty", sysctl(""), `linux.sysctl[""]: is no name of a sysctl`},
		{"sysctl hostname", sysctl("kernel.hostname"), `linux.sysctl["kernel.hostname"]: is set with the hostname property; hint: use hostname instead`},
		{"sysctl without namespace", sysctl("user.max_user_namespaces"), `linux.sysctl["user.max_user_namespaces"]: needs a user namespace; hint: add {"type": "user"} to linux.namespaces`},
	} {
		t.Run(c.name, func(t *testing.T) {
			have := valid()
			c.have(have)
			if got := texts(Findings(have)); !slices.Equal(got, []string{c.want}) {
				t.Errorf("\ngot  %s\nwant %s", strings.Join(got, "\n     "), c.want)
			}
		})
	}
}

func TestFindingsAreAllThereAndInOrder(t *testing.T) {
	got := texts(Findings(&Config{Spec: specs.Spec{Mounts: []specs.Mount{{}}, Process: &specs.Process{}}}))
	want := []string{"ociVersion: is missing", "root: is missing", "mounts[0].destination: is missing", "mounts[0].type: is missing",
		"process.cwd: is missing", "process.args: is missing"}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

// TestLessThanAskedForIsAWarning: the container runs, with less.
func TestLessThanAskedForIsAWarning(t *testing.T) {
	c := valid()
	c.Mounts = []specs.Mount{{Destination: "data", Type: "tmpfs"}}
	c.Annotations = map[string]string{"run.oci.handler": "krun", "run.oci.other": "x"}
	c.Process.Capabilities = &specs.LinuxCapabilities{Bounding: []string{"CAP_CHOWN", "CAP_FUTURE"}, Effective: []string{"CAP_FUTURE"}, Ambient: []string{"chown"}}
	if err := Validate(c); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`config.json annotations["run.oci.handler"]: there is no handler "krun" here: the container is one like all others`,
		`config.json mounts[0].destination: "data" is not an absolute path; taken from /`,
		`config.json process.capabilities.bounding[1]: unknown capability "CAP_FUTURE" is ignored`,
		`config.json process.capabilities.ambient[0]: unknown capability "chown" is ignored`,
	}
	if !slices.Equal(c.Warnings, want) {
		t.Errorf("got\n%s", strings.Join(c.Warnings, "\n"))
	}
}

// TestNoProcess: config.md requires one for start alone.
func TestNoProcess(t *testing.T) {
	c := valid()
	c.Process = nil
	if err := Validate(c); err != nil {
		t.Fatal(err)
	}
	if want := []string{"config.json process: is missing: the container can be created, but not started"}; !slices.Equal(c.Warnings, want) {
		t.Errorf("got %q", c.Warnings)
	}
}

func TestNumbers(t *testing.T) {
	// include/uapi/linux/capability.h and asm-generic/resource.h
	for name, want := range map[string]int{"CAP_CHOWN": 0, "CAP_SYS_ADMIN": 21, "CAP_SETFCAP": 31, "CAP_CHECKPOINT_RESTORE": 40} {
		if got, ok := CapabilityNumber(name); !ok || got != want {
			t.Errorf("%s: got %d", name, got)
		}
	}
	for name, want := range map[string]int{"RLIMIT_CPU": 0, "RLIMIT_NOFILE": 7, "RLIMIT_AS": 9, "RLIMIT_RTTIME": 15} {
		if got, ok := RlimitNumber(name); !ok || got != want {
			t.Errorf("%s: got %d", name, got)
		}
	}
	if _, ok := CapabilityNumber("CAP_NET"); ok {
		t.Error("CAP_NET is none")
	}
}

func TestListsAreSorted(t *testing.T) {
	for _, list := range [][]string{mountOptions, namespaces, propagations} {
		if !slices.IsSorted(list) {
			t.Errorf("%q", list)
		}
	}
}

func TestSysctlPath(t *testing.T) {
	for _, c := range []struct {
		name, want string
		ok         bool
	}{
		{"net.ipv4.ip_forward", "net/ipv4/ip_forward", true},
		{"net/ipv4/ip_forward", "net/ipv4/ip_forward", true},
		{"net.ipv4.conf.eth0/100.forwarding", "net/ipv4/conf/eth0.100/forwarding", true},
		{"net/ipv4/conf/eth0.100/forwarding", "net/ipv4/conf/eth0.100/forwarding", true},
		{"kernel", "kernel", true},
		{".net", "", false},
		{"/net", "", false},
		{"net..x", "", false},
		{"net/../x", "", false},
		{"net.//.x", "", false},
		{"", "", false},
	} {
		if got, ok := SysctlPath(c.name); got != c.want || ok != c.ok {
			t.Errorf("%q: got %q, %v", c.name, got, ok)
		}
	}
}
