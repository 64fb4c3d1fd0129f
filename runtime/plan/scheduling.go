// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"strconv"

	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// scheduling is how the process gets CPU time, disks and memory. It comes when
// all is mounted, as it may slow the process down, after the last clone, as a
// process with SCHED_DEADLINE has no children, and before the capabilities go.
func (c *compiler) scheduling() {
	c.affinity()
	c.scheduler()
	c.ioPriority()
	c.memoryPolicy()
	c.personality()
}

// affinity lets the process run wherever its cpuset lets it: that of the caller
// is no part of the config, and would stay when the cpuset is widened.
func (c *compiler) affinity() {
	if a := c.spec.Process.ExecCPUAffinity; c.container != nil && a != nil && a.Final != "" {
		c.runOn(a.Final, "process.execCPUAffinity.final", "run on CPUs "+a.Final)
		return
	}
	b := &c.b
	all := make([]uint64, config.MostCPUs/64)
	for i := range all {
		all[i] = ^uint64(0)
	}
	b.From("")
	b.Do("run on all CPUs that the cpuset has", prog.SchedSetaffinity, prog.Int(0), prog.Int(config.MostCPUs/8), b.Shared("all", all...))
}

// scheduler is sched_setattr(2) with the structure of Linux 5.3, which has the
// clamps that two of the flags speak of.
func (c *compiler) scheduler() {
	s := c.spec.Process.Scheduler
	if s == nil {
		return
	}
	const size = 56
	policy, _ := config.SchedulerPolicy(s.Policy)
	attr := prog.Words(size|uint64(policy)<<32, uint64(config.SchedulerFlags(s.Flags)), uint64(uint32(s.Nice))|uint64(uint32(s.Priority))<<32,
		s.Runtime, s.Deadline, s.Period, 0)
	text := "{" + string(s.Policy)
	for _, f := range s.Flags {
		text += "|" + string(f)
	}
	text += ", nice " + strconv.Itoa(int(s.Nice)) + ", priority " + strconv.Itoa(int(s.Priority))
	if s.Runtime != 0 {
		text += ", runtime " + strconv.FormatUint(s.Runtime, 10) + ", deadline " + strconv.FormatUint(s.Deadline, 10) + ", period " + strconv.FormatUint(s.Period, 10)
	}
	c.b.From("process.scheduler")
	c.b.Do("set the scheduler to "+string(s.Policy), prog.SchedSetattr, prog.Int(0), c.b.Struct(text+"}", attr), prog.Int(0))
}

func (c *compiler) ioPriority() {
	p := c.spec.Process.IOPriority
	if p == nil {
		return
	}
	class, _ := config.IOClass(p.Class)
	c.b.From("process.ioPriority")
	c.b.Do("set the I/O priority", prog.IoprioSet, flags(linux.IOPRIO_WHO_PROCESS, "IOPRIO_WHO_PROCESS"), prog.Int(0),
		flags(class<<linux.IOPRIO_CLASS_SHIFT|p.Priority, string(p.Class)+"|"+strconv.Itoa(p.Priority)))
}

func (c *compiler) memoryPolicy() {
	p := c.spec.Linux.MemoryPolicy
	if p == nil {
		return
	}
	mode := string(p.Mode)
	for _, f := range p.Flags {
		mode += "|" + string(f)
	}
	c.b.From("linux.memoryPolicy")
	nodes, bits := prog.Int(0), 0
	if mask, _ := config.ParseList(p.Nodes, config.MostNodes); len(mask) > 0 {
		// The kernel takes one bit less than it is told: get_nodes() in mm/mempolicy.c.
		nodes, bits = c.b.Struct("{nodes "+p.Nodes+"}", prog.Words(mask...)), 64*len(mask)+1
	}
	c.b.Do("set the memory policy", prog.SetMempolicy, flags(config.MemoryMode(p), mode), nodes, prog.Int(bits))
}

// personality comes before a seccomp filter, which may forbid it.
func (c *compiler) personality() {
	p := c.spec.Linux.Personality
	if p == nil {
		return
	}
	c.b.From("linux.personality")
	c.b.Do("set the personality", prog.Personality, flags(config.Personality(p), "PER_"+string(p.Domain)))
}
