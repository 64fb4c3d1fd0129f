// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// TestRootBadFields: a wrong value of each field of process and linux that has no
// test of its own names the field, and leaves nothing.
func TestRootBadFields(t *testing.T) {
	testkit.NoLeaks(t)
	v := newVessel(t)
	process := func(change func(*specs.Process)) func(*specs.Spec) { return func(s *specs.Spec) { change(s.Process) } }
	linux := func(change func(*specs.Linux)) func(*specs.Spec) { return func(s *specs.Spec) { change(s.Linux) } }
	resources := func(change func(*specs.LinuxResources)) func(*specs.Spec) {
		return linux(func(l *specs.Linux) { l.Resources = new(specs.LinuxResources); change(l.Resources) })
	}
	idMapped := func(uids, gids []specs.LinuxIDMapping) func(*specs.Spec) {
		return func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/x", Type: "bind", Source: "/", Options: []string{"bind"}, UIDMappings: uids, GIDMappings: gids})
		}
	}
	for field, edit := range map[string]func(*specs.Spec){
		"process.user.uid":                process(func(p *specs.Process) { p.User.UID = 1<<32 - 1 }),
		"process.user.gid":                process(func(p *specs.Process) { p.User.GID = 1<<32 - 1 }),
		"process.user.additionalGids[0]":  process(func(p *specs.Process) { p.User.AdditionalGids = []uint32{1<<32 - 1} }),
		"process.user.umask":              process(func(p *specs.Process) { p.User.Umask = ptr[uint32](0o1000) }),
		"process.args":                    process(func(p *specs.Process) { p.Args = nil }),
		"process.env[0]":                  process(func(p *specs.Process) { p.Env = []string{"x"} }),
		"process.cwd":                     process(func(p *specs.Process) { p.Cwd = "tmp" }),
		"process.oomScoreAdj":             process(func(p *specs.Process) { p.OOMScoreAdj = ptr(1001) }),
		"process.rlimits[0].type":         process(func(p *specs.Process) { p.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_X"}} }),
		"process.scheduler.policy":        process(func(p *specs.Process) { p.Scheduler = &specs.Scheduler{Policy: "SCHED_X"} }),
		"process.ioPriority.priority":     process(func(p *specs.Process) { p.IOPriority = &specs.LinuxIOPriority{Class: "IOPRIO_CLASS_BE", Priority: 8} }),
		"process.apparmorProfile":         process(func(p *specs.Process) { p.ApparmorProfile = "a\nb" }),
		"process.selinuxLabel":            process(func(p *specs.Process) { p.SelinuxLabel = "a\nb" }),
		"hostname":                        func(s *specs.Spec) { s.Hostname = strings.Repeat("x", 65) },
		"domainname":                      func(s *specs.Spec) { s.Domainname = "x"; noNamespace(specs.UTSNamespace)(s); s.Hostname = "" },
		"linux.namespaces[0].type":        linux(func(l *specs.Linux) { l.Namespaces[0].Type = "net" }),
		"linux.uidMappings":               linux(func(l *specs.Linux) { l.UIDMappings = []specs.LinuxIDMapping{{Size: 1}} }),
		"linux.gidMappings":               linux(func(l *specs.Linux) { l.GIDMappings = []specs.LinuxIDMapping{{Size: 1}} }),
		"linux.timeOffsets":               linux(func(l *specs.Linux) { l.TimeOffsets = map[string]specs.LinuxTimeOffset{"monotonic": {}} }),
		"linux.sysctl[\"vm.swappiness\"]": linux(func(l *specs.Linux) { l.Sysctl = map[string]string{"vm.swappiness": "1"} }),
		"linux.sysctl[\"user.max_x\"]":    linux(func(l *specs.Linux) { l.Sysctl = map[string]string{"user.max_x": "1"} }),
		"linux.netDevices.x.name":         linux(func(l *specs.Linux) { l.NetDevices = map[string]specs.LinuxNetDevice{"x": {Name: "a/b"}} }),
		"linux.memoryPolicy.nodes":        linux(func(l *specs.Linux) { l.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: "MPOL_BIND", Nodes: "x"} }),
		"linux.personality.domain":        linux(func(l *specs.Linux) { l.Personality = &specs.LinuxPersonality{Domain: "BSD"} }),
		"linux.intelRdt.closID":           linux(func(l *specs.Linux) { l.IntelRdt = &specs.LinuxIntelRdt{ClosID: ".."} }),
		"linux.mountLabel":                linux(func(l *specs.Linux) { l.MountLabel = "a\nb" }),
		"linux.rootfsPropagation":         linux(func(l *specs.Linux) { l.RootfsPropagation = "x" }),
		"linux.devices[0].type":           linux(func(l *specs.Linux) { l.Devices = []specs.LinuxDevice{{Path: "/dev/x", Type: "x"}} }),
		"linux.maskedPaths[0]":            linux(func(l *specs.Linux) { l.MaskedPaths = []string{"x"} }),
		"linux.readonlyPaths[0]":          linux(func(l *specs.Linux) { l.ReadonlyPaths = []string{"x"} }),
		"linux.cgroupsPath":               linux(func(l *specs.Linux) { l.CgroupsPath = "../x" }),

		"ociVersion":              func(s *specs.Spec) { s.Version = "2.0.0" },
		"root.path":               func(s *specs.Spec) { s.Root.Path = "/no/such" },
		"annotations":             func(s *specs.Spec) { s.Annotations = map[string]string{"": "x"} },
		"process.consoleSize":     process(func(p *specs.Process) { p.Terminal, p.ConsoleSize = true, &specs.Box{Height: 1 << 16} }),
		"process.rlimits[1].type": process(func(p *specs.Process) { p.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_CORE"}, {Type: "RLIMIT_CORE"}} }),
		"process.rlimits[0].soft": process(func(p *specs.Process) { p.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_CORE", Soft: 1}} }),
		"process.scheduler.flags[0]": process(func(p *specs.Process) {
			p.Scheduler = &specs.Scheduler{Policy: "SCHED_OTHER", Flags: []specs.LinuxSchedulerFlag{"X"}}
		}),
		"process.scheduler.nice":          process(func(p *specs.Process) { p.Scheduler = &specs.Scheduler{Policy: "SCHED_OTHER", Nice: 20} }),
		"process.scheduler.priority":      process(func(p *specs.Process) { p.Scheduler = &specs.Scheduler{Policy: "SCHED_FIFO", Priority: 100} }),
		"process.ioPriority.class":        process(func(p *specs.Process) { p.IOPriority = &specs.LinuxIOPriority{Class: "X"} }),
		"process.execCPUAffinity.initial": process(func(p *specs.Process) { p.ExecCPUAffinity = &specs.CPUAffinity{Initial: "x"} }),
		"process.execCPUAffinity.final":   process(func(p *specs.Process) { p.ExecCPUAffinity = &specs.CPUAffinity{Final: "3-1"} }),
		"mounts[4].destination":           mount("", "tmpfs", "tmpfs"),
		"mounts[4].source":                mount("/x", "bind", "", "bind"),
		"mounts[4].options[1]":            mount("/x", "bind", "/", "bind", "nonsense"),
		"mounts[4].uidMappings":           idMapped(nil, []specs.LinuxIDMapping{{Size: 1}}),
		"mounts[4].gidMappings":           idMapped([]specs.LinuxIDMapping{{Size: 1}}, nil),
		"hooks.prestart[0].path":          func(s *specs.Spec) { s.Hooks = &specs.Hooks{Prestart: []specs.Hook{{Path: "x"}}} },
		"hooks.createRuntime[0].env[0]": func(s *specs.Spec) {
			s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/x", Env: []string{"x"}}}}
		},
		"hooks.createContainer[0].path": func(s *specs.Spec) { s.Hooks = &specs.Hooks{CreateContainer: []specs.Hook{{}}} },
		"hooks.startContainer[0].path":  func(s *specs.Spec) { s.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{}}} },
		"hooks.poststart[0].path":       func(s *specs.Spec) { s.Hooks = &specs.Hooks{Poststart: []specs.Hook{{}}} },
		"hooks.poststop[0].timeout":     func(s *specs.Spec) { s.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "/x", Timeout: ptr(0)}}} },
		"linux.namespaces[0].path":      linux(func(l *specs.Linux) { l.Namespaces[0].Path = "relative" }),
		"linux.netDevices": func(s *specs.Spec) {
			s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"x": {}}
			noNamespace(specs.NetworkNamespace)(s)
		},
		"linux.memoryPolicy.mode": linux(func(l *specs.Linux) { l.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: "X"} }),
		"linux.memoryPolicy.flags[0]": linux(func(l *specs.Linux) {
			l.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: "MPOL_BIND", Nodes: "0", Flags: []specs.MemoryPolicyFlagType{"X"}}
		}),
		"linux.personality.flags[0]": linux(func(l *specs.Linux) {
			l.Personality = &specs.LinuxPersonality{Domain: "LINUX", Flags: []specs.LinuxPersonalityFlag{"X"}}
		}),
		"linux.intelRdt.l3CacheSchema": linux(func(l *specs.Linux) { l.IntelRdt = &specs.LinuxIntelRdt{L3CacheSchema: "MB:0=f"} }),
		"linux.intelRdt.memBwSchema":   linux(func(l *specs.Linux) { l.IntelRdt = &specs.LinuxIntelRdt{MemBwSchema: "L3:0=f"} }),
		"linux.intelRdt.schemata[0]":   linux(func(l *specs.Linux) { l.IntelRdt = &specs.LinuxIntelRdt{Schemata: []string{"a:b\nc:d"}} }),
		"linux.devices[0].path":        linux(func(l *specs.Linux) { l.Devices = []specs.LinuxDevice{{Path: "x", Type: "c"}} }),
		"linux.seccomp.defaultAction":  linux(func(l *specs.Linux) { l.Seccomp = &specs.LinuxSeccomp{DefaultAction: "X"} }),
		"linux.seccomp.defaultErrnoRet": linux(func(l *specs.Linux) {
			l.Seccomp = &specs.LinuxSeccomp{DefaultAction: "SCMP_ACT_KILL", DefaultErrnoRet: ptr[uint](1)}
		}),
		"linux.seccomp.architectures[0]": linux(func(l *specs.Linux) {
			l.Seccomp = &specs.LinuxSeccomp{DefaultAction: "SCMP_ACT_ALLOW", Architectures: []specs.Arch{"X"}}
		}),
		"linux.seccomp.flags[0]": linux(func(l *specs.Linux) {
			l.Seccomp = &specs.LinuxSeccomp{DefaultAction: "SCMP_ACT_ALLOW", Flags: []specs.LinuxSeccompFlag{"X"}}
		}),
		"linux.seccomp.listenerMetadata": linux(func(l *specs.Linux) {
			l.Seccomp = &specs.LinuxSeccomp{DefaultAction: "SCMP_ACT_ALLOW", ListenerMetadata: "x"}
		}),
		"linux.seccomp.syscalls[0].names": linux(func(l *specs.Linux) {
			l.Seccomp = &specs.LinuxSeccomp{DefaultAction: "SCMP_ACT_ALLOW", Syscalls: []specs.LinuxSyscall{{Action: "SCMP_ACT_KILL"}}}
		}),
		"linux.seccomp.syscalls[0].action": linux(func(l *specs.Linux) {
			l.Seccomp = &specs.LinuxSeccomp{DefaultAction: "SCMP_ACT_ALLOW", Syscalls: []specs.LinuxSyscall{{Names: []string{"read"}, Action: "X"}}}
		}),
		"linux.resources.devices[0].access": resources(func(r *specs.LinuxResources) { r.Devices = []specs.LinuxDeviceCgroup{{Access: "x"}} }),
		"linux.resources.memory.limit":      resources(func(r *specs.LinuxResources) { r.Memory = &specs.LinuxMemory{Limit: ptr[int64](-2)} }),
		"linux.resources.memory.swap": resources(func(r *specs.LinuxResources) {
			r.Memory = &specs.LinuxMemory{Limit: ptr[int64](1 << 30), Swap: ptr[int64](1 << 20)}
		}),
		"linux.resources.memory.swappiness": resources(func(r *specs.LinuxResources) { r.Memory = &specs.LinuxMemory{Swappiness: ptr[uint64](101)} }),
		"linux.resources.cpu.shares":        resources(func(r *specs.LinuxResources) { r.CPU = &specs.LinuxCPU{Shares: ptr[uint64](1 << 20)} }),
		"linux.resources.cpu.quota":         resources(func(r *specs.LinuxResources) { r.CPU = &specs.LinuxCPU{Quota: ptr[int64](5)} }),
		"linux.resources.cpu.burst": resources(func(r *specs.LinuxResources) {
			r.CPU = &specs.LinuxCPU{Quota: ptr[int64](50000), Burst: ptr[uint64](60000)}
		}),
		"linux.resources.cpu.idle":       resources(func(r *specs.LinuxResources) { r.CPU = &specs.LinuxCPU{Idle: ptr[int64](2)} }),
		"linux.resources.cpu.cpus":       resources(func(r *specs.LinuxResources) { r.CPU = &specs.LinuxCPU{Cpus: "x"} }),
		"linux.resources.cpu.mems":       resources(func(r *specs.LinuxResources) { r.CPU = &specs.LinuxCPU{Mems: "3-1"} }),
		"linux.resources.pids.limit":     resources(func(r *specs.LinuxResources) { r.Pids = &specs.LinuxPids{Limit: ptr[int64](-5)} }),
		"linux.resources.blockIO.weight": resources(func(r *specs.LinuxResources) { r.BlockIO = &specs.LinuxBlockIO{Weight: ptr[uint16](5)} }),
		"linux.resources.blockIO.weightDevice[0]": resources(func(r *specs.LinuxResources) {
			r.BlockIO = &specs.LinuxBlockIO{WeightDevice: []specs.LinuxWeightDevice{{}}}
		}),
		"linux.resources.hugepageLimits[0].pageSize": resources(func(r *specs.LinuxResources) { r.HugepageLimits = []specs.LinuxHugepageLimit{{Pagesize: "2"}} }),
		"linux.resources.rdma[\"x\"]":                resources(func(r *specs.LinuxResources) { r.Rdma = map[string]specs.LinuxRdma{"x": {}} }),
		"linux.resources.unified[\"memory/x\"]":      resources(func(r *specs.LinuxResources) { r.Unified = map[string]string{"memory/x": "1"} }),
		"linux.resources.network.priorities[0].name": resources(func(r *specs.LinuxResources) {
			r.Network = &specs.LinuxNetwork{Priorities: []specs.LinuxInterfacePriority{{}}}
		}),
	} {
		if testing.Short() && !strings.HasPrefix(field, "linux.resources.") {
			continue // judged without a look at the machine, here as elsewhere
		}
		t.Run(field, func(t *testing.T) {
			testkit.WriteConfig(t, v.bundle, edit)
			v.t = t
			v.expectRefusal("config.json " + field + ": ")
		})
	}
}
