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
	} {
		t.Run(field, func(t *testing.T) {
			testkit.WriteConfig(t, v.bundle, edit)
			v.t = t
			v.expectRefusal("config.json " + field + ": ")
		})
	}
}
