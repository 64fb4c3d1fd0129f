// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"slices"

	kernel "github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// A constant is a name of the spec and the kernel's number for it.
type constant struct {
	name  string
	value int
}

// lookup returns the number of a name in a list.
func lookup(list []constant, name string) (int, bool) {
	for _, c := range list {
		if c.name == name {
			return c.value, true
		}
	}
	return 0, false
}

func names(list []constant) []string {
	var all []string
	for _, c := range list {
		all = append(all, c.name)
	}
	return all
}

// schedulerPolicies are those of sched(7) that the spec names.
var schedulerPolicies = []constant{
	{"SCHED_OTHER", kernel.SCHED_OTHER}, {"SCHED_FIFO", kernel.SCHED_FIFO}, {"SCHED_RR", kernel.SCHED_RR}, {"SCHED_BATCH", kernel.SCHED_BATCH},
	{"SCHED_ISO", kernel.SCHED_ISO}, {"SCHED_IDLE", kernel.SCHED_IDLE}, {"SCHED_DEADLINE", kernel.SCHED_DEADLINE},
}

// SchedulerPolicy returns the number of a policy such as "SCHED_FIFO".
func SchedulerPolicy(name specs.LinuxSchedulerPolicy) (int, bool) {
	return lookup(schedulerPolicies, string(name))
}

// schedulerFlags are those of sched_setattr(2).
var schedulerFlags = []constant{
	{"SCHED_FLAG_RESET_ON_FORK", kernel.SCHED_FLAG_RESET_ON_FORK}, {"SCHED_FLAG_RECLAIM", kernel.SCHED_FLAG_RECLAIM},
	{"SCHED_FLAG_DL_OVERRUN", kernel.SCHED_FLAG_DL_OVERRUN}, {"SCHED_FLAG_KEEP_POLICY", kernel.SCHED_FLAG_KEEP_POLICY},
	{"SCHED_FLAG_KEEP_PARAMS", kernel.SCHED_FLAG_KEEP_PARAMS}, {"SCHED_FLAG_UTIL_CLAMP_MIN", kernel.SCHED_FLAG_UTIL_CLAMP_MIN},
	{"SCHED_FLAG_UTIL_CLAMP_MAX", kernel.SCHED_FLAG_UTIL_CLAMP_MAX},
}

// SchedulerFlags returns the bits of flags such as "SCHED_FLAG_RESET_ON_FORK".
func SchedulerFlags(list []specs.LinuxSchedulerFlag) (bits int) {
	for _, name := range list {
		bit, _ := lookup(schedulerFlags, string(name))
		bits |= bit
	}
	return bits
}

// ioClasses are those of ioprio_set(2).
var ioClasses = []constant{
	{"IOPRIO_CLASS_RT", kernel.IOPRIO_CLASS_RT}, {"IOPRIO_CLASS_BE", kernel.IOPRIO_CLASS_BE}, {"IOPRIO_CLASS_IDLE", kernel.IOPRIO_CLASS_IDLE},
}

// IOClass returns the number of a class such as "IOPRIO_CLASS_BE".
func IOClass(name specs.IOPriorityClass) (int, bool) { return lookup(ioClasses, string(name)) }

// scheduler checks process.scheduler by what sched_setattr(2) says of each
// policy: a value that belongs to another one would be ignored by the kernel, or
// be a bare EINVAL.
func (v *validator) scheduler(s *specs.Scheduler) {
	if s == nil {
		return
	}
	v.oneOf(string(s.Policy), names(schedulerPolicies), path("process.scheduler.policy"), "policy")
	for i, f := range s.Flags {
		v.oneOf(string(f), names(schedulerFlags), path("process.scheduler.flags[%d]", i), "flag")
	}
	realtime := s.Policy == specs.SchedFIFO || s.Policy == specs.SchedRR
	deadline := s.Policy == specs.SchedDeadline
	if s.Nice < -20 || s.Nice > 19 {
		v.refuse(path("process.scheduler.nice"), "%d is not between -20 and 19", s.Nice)
	}
	switch {
	case realtime && (s.Priority < 1 || s.Priority > 99):
		v.refuse(path("process.scheduler.priority"), "%d is not between 1 and 99", s.Priority)
	case !realtime && s.Priority != 0:
		v.refuse(path("process.scheduler.priority"), "is for SCHED_FIFO and SCHED_RR only")
	}
	for _, t := range []struct {
		name  string
		value uint64
	}{{"runtime", s.Runtime}, {"deadline", s.Deadline}, {"period", s.Period}} {
		if !deadline && t.value != 0 {
			v.refuse(path("process.scheduler.%s", t.name), "is for SCHED_DEADLINE only")
		}
	}
	if deadline && (s.Runtime < 1024 || s.Runtime > s.Deadline || s.Period != 0 && s.Deadline > s.Period) {
		v.refuse(path("process.scheduler.runtime"), "SCHED_DEADLINE wants 1024 <= runtime <= deadline <= period, in nanoseconds: %d, %d, %d", s.Runtime, s.Deadline, s.Period)
	}
}

// ioPriority checks process.ioPriority: ioprio_set(2).
func (v *validator) ioPriority(p *specs.LinuxIOPriority) {
	if p == nil {
		return
	}
	v.oneOf(string(p.Class), names(ioClasses), path("process.ioPriority.class"), "class")
	if p.Priority < 0 || p.Priority > 7 {
		v.refuse(path("process.ioPriority.priority"), "%d is not between 0 and 7", p.Priority)
	}
}

// memoryModes and memoryFlags are those of set_mempolicy(2).
var (
	memoryModes = []constant{
		{"MPOL_DEFAULT", kernel.MPOL_DEFAULT}, {"MPOL_BIND", kernel.MPOL_BIND}, {"MPOL_INTERLEAVE", kernel.MPOL_INTERLEAVE},
		{"MPOL_WEIGHTED_INTERLEAVE", kernel.MPOL_WEIGHTED_INTERLEAVE}, {"MPOL_PREFERRED", kernel.MPOL_PREFERRED},
		{"MPOL_PREFERRED_MANY", kernel.MPOL_PREFERRED_MANY}, {"MPOL_LOCAL", kernel.MPOL_LOCAL},
	}
	memoryFlags = []constant{
		{"MPOL_F_NUMA_BALANCING", kernel.MPOL_F_NUMA_BALANCING}, {"MPOL_F_RELATIVE_NODES", kernel.MPOL_F_RELATIVE_NODES},
		{"MPOL_F_STATIC_NODES", kernel.MPOL_F_STATIC_NODES},
	}
)

// MemoryModes returns the modes of linux.memoryPolicy.
func MemoryModes() []string { return names(memoryModes) }

// MemoryFlags returns the flags of linux.memoryPolicy.
func MemoryFlags() []string { return names(memoryFlags) }

// MemoryMode returns what set_mempolicy(2) takes as its mode: the mode and its flags.
func MemoryMode(p *specs.LinuxMemoryPolicy) int {
	mode, _ := lookup(memoryModes, string(p.Mode))
	for _, name := range p.Flags {
		flag, _ := lookup(memoryFlags, string(name))
		mode |= flag
	}
	return mode
}

// MostNodes is more than any kernel has NUMA nodes: MAX_NUMNODES.
const MostNodes = 1024

// memoryPolicy checks linux.memoryPolicy as set_mempolicy(2) would, whose answer
// is a bare EINVAL.
func (v *validator) memoryPolicy(p *specs.LinuxMemoryPolicy) {
	if p == nil {
		return
	}
	v.oneOf(string(p.Mode), names(memoryModes), path("linux.memoryPolicy.mode"), "mode")
	for i, f := range p.Flags {
		v.oneOf(string(f), names(memoryFlags), path("linux.memoryPolicy.flags[%d]", i), "flag")
	}
	if slices.Contains(p.Flags, specs.MpolFRelativeNodes) && slices.Contains(p.Flags, specs.MpolFStaticNodes) {
		v.refuse(path("linux.memoryPolicy.flags"), "MPOL_F_RELATIVE_NODES and MPOL_F_STATIC_NODES exclude each other")
	}
	if _, ok := ParseList(p.Nodes, MostNodes); !ok {
		v.refuse(path("linux.memoryPolicy.nodes"), "%q is no list of nodes such as 0-3,7", p.Nodes)
	}
	none := p.Mode == specs.MpolDefault || p.Mode == specs.MpolLocal
	switch {
	case none && p.Nodes != "":
		v.refuse(path("linux.memoryPolicy.nodes"), "%s takes no nodes", p.Mode)
	case !none && p.Nodes == "" && p.Mode != specs.MpolPreferred:
		v.refuse(path("linux.memoryPolicy.nodes"), "is missing")
	}
}

// personalities are the domains of linux.personality: personality(2).
var personalities = []constant{{string(specs.PerLinux), kernel.PER_LINUX}, {string(specs.PerLinux32), kernel.PER_LINUX32}}

// Personality returns the number of a domain, "LINUX" or "LINUX32".
func Personality(p *specs.LinuxPersonality) int {
	n, _ := lookup(personalities, string(p.Domain))
	return n
}

// personality checks linux.personality. The spec has room for flags and no flag.
func (v *validator) personality(p *specs.LinuxPersonality) {
	if p == nil {
		return
	}
	v.oneOf(string(p.Domain), names(personalities), path("linux.personality.domain"), "domain")
	if len(p.Flags) > 0 {
		v.refuse(path("linux.personality.flags[0]"), "unknown flag %q: the spec defines none", p.Flags[0])
	}
}
