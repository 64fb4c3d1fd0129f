// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// TestSchedulingFindings: one wrong value at least of each field.
func TestSchedulingFindings(t *testing.T) {
	scheduler := func(s specs.Scheduler) func(*Config) {
		return func(c *Config) { c.Process.Scheduler = &s }
	}
	memory := func(p specs.LinuxMemoryPolicy) func(*Config) {
		return func(c *Config) { c.Linux.MemoryPolicy = &p }
	}
	for _, c := range []struct {
		name string
		have func(*Config)
		want string
	}{
		{"no policy", scheduler(specs.Scheduler{}), "process.scheduler.policy: is missing"},
		{"policy", scheduler(specs.Scheduler{Policy: "SCHED_FIF0"}), `process.scheduler.policy: unknown policy "SCHED_FIF0"; hint: did you mean SCHED_FIFO?`},
		{"flag", scheduler(specs.Scheduler{Policy: "SCHED_OTHER", Flags: []specs.LinuxSchedulerFlag{"SCHED_FLAG_RECLAIM", "RECLAIM"}}),
			`process.scheduler.flags[1]: unknown flag "RECLAIM"; hint: did you mean SCHED_FLAG_RECLAIM?`},
		{"nice", scheduler(specs.Scheduler{Policy: "SCHED_BATCH", Nice: 20}), "process.scheduler.nice: 20 is not between -20 and 19"},
		{"no priority", scheduler(specs.Scheduler{Policy: "SCHED_RR"}), "process.scheduler.priority: 0 is not between 1 and 99"},
		{"priority", scheduler(specs.Scheduler{Policy: "SCHED_IDLE", Priority: 1}), "process.scheduler.priority: is for SCHED_FIFO and SCHED_RR only"},
		{"runtime", scheduler(specs.Scheduler{Policy: "SCHED_OTHER", Runtime: 1}), "process.scheduler.runtime: is for SCHED_DEADLINE only"},
		{"deadline", scheduler(specs.Scheduler{Policy: "SCHED_FIFO", Priority: 9, Deadline: 1}), "process.scheduler.deadline: is for SCHED_DEADLINE only"},
		{"period", scheduler(specs.Scheduler{Policy: "SCHED_OTHER", Period: 1}), "process.scheduler.period: is for SCHED_DEADLINE only"},
		{"no deadline", scheduler(specs.Scheduler{Policy: "SCHED_DEADLINE", Runtime: 5000}),
			"process.scheduler.runtime: SCHED_DEADLINE wants 1024 <= runtime <= deadline <= period, in nanoseconds: 5000, 0, 0"},

		{"class", func(c *Config) { c.Process.IOPriority = &specs.LinuxIOPriority{Class: "RT"} }, `process.ioPriority.class: unknown class "RT"; hint: did you mean IOPRIO_CLASS_RT?`},
		{"no class", func(c *Config) { c.Process.IOPriority = &specs.LinuxIOPriority{} }, "process.ioPriority.class: is missing"},
		{"I/O priority", func(c *Config) { c.Process.IOPriority = &specs.LinuxIOPriority{Class: "IOPRIO_CLASS_BE", Priority: 8} }, "process.ioPriority.priority: 8 is not between 0 and 7"},

		{"no mode", memory(specs.LinuxMemoryPolicy{Nodes: "0"}), "linux.memoryPolicy.mode: is missing"},
		{"mode", memory(specs.LinuxMemoryPolicy{Mode: "MPOL_BOUND", Nodes: "0"}), `linux.memoryPolicy.mode: unknown mode "MPOL_BOUND"; hint: did you mean MPOL_BIND?`},
		{"memory flag", memory(specs.LinuxMemoryPolicy{Mode: "MPOL_BIND", Nodes: "0", Flags: []specs.MemoryPolicyFlagType{"STATIC"}}), `linux.memoryPolicy.flags[0]: unknown flag "STATIC"`},
		{"flags exclude", memory(specs.LinuxMemoryPolicy{Mode: "MPOL_BIND", Nodes: "0", Flags: []specs.MemoryPolicyFlagType{specs.MpolFRelativeNodes, specs.MpolFStaticNodes}}),
			"linux.memoryPolicy.flags: MPOL_F_RELATIVE_NODES and MPOL_F_STATIC_NODES exclude each other"},
		{"nodes", memory(specs.LinuxMemoryPolicy{Mode: "MPOL_BIND", Nodes: "0-"}), `linux.memoryPolicy.nodes: "0-" is no list of nodes such as 0-3,7`},
		{"no nodes", memory(specs.LinuxMemoryPolicy{Mode: "MPOL_INTERLEAVE"}), "linux.memoryPolicy.nodes: is missing"},
		{"nodes of local", memory(specs.LinuxMemoryPolicy{Mode: "MPOL_LOCAL", Nodes: "0"}), "linux.memoryPolicy.nodes: MPOL_LOCAL takes no nodes"},

		{"domain", func(c *Config) { c.Linux.Personality = &specs.LinuxPersonality{Domain: "LINUX64"} }, `linux.personality.domain: unknown domain "LINUX64"; hint: did you mean LINUX?`},
		{"no domain", func(c *Config) { c.Linux.Personality = &specs.LinuxPersonality{} }, "linux.personality.domain: is missing"},
		{"personality flags", func(c *Config) {
			c.Linux.Personality = &specs.LinuxPersonality{Domain: "LINUX", Flags: []specs.LinuxPersonalityFlag{"ADDR_NO_RANDOMIZE"}}
		}, `linux.personality.flags[0]: unknown flag "ADDR_NO_RANDOMIZE": the spec defines none`},
	} {
		t.Run(c.name, func(t *testing.T) {
			have := valid()
			c.have(have)
			if got := texts(Findings(have)); !slices.Equal(got, []string{c.want}) {
				t.Errorf("\ngot  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestSchedulingValid(t *testing.T) {
	for _, s := range []specs.Scheduler{{Policy: "SCHED_OTHER", Nice: -20}, {Policy: "SCHED_BATCH", Nice: 19}, {Policy: "SCHED_ISO"}, {Policy: "SCHED_IDLE"},
		{Policy: "SCHED_FIFO", Priority: 1}, {Policy: "SCHED_RR", Priority: 99}, {Policy: "SCHED_DEADLINE", Runtime: 1e6, Deadline: 1e7},
		{Policy: "SCHED_DEADLINE", Runtime: 1e6, Deadline: 1e6, Period: 1e7, Flags: []specs.LinuxSchedulerFlag{"SCHED_FLAG_DL_OVERRUN"}}} {
		c := valid()
		c.Process.Scheduler = &s
		c.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: "MPOL_PREFERRED"}
		if err := Validate(c); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
}

func TestParseList(t *testing.T) {
	for _, c := range []struct {
		text string
		want []uint64
		ok   bool
	}{
		{"", nil, true}, {"0", []uint64{1}, true}, {"0-3,7", []uint64{0x8f}, true}, {"63-64", []uint64{1 << 63, 1}, true}, {"127", []uint64{0, 1 << 63}, true},
		{"128", nil, false}, {"-1", nil, false}, {"1-", nil, false}, {"2-1", nil, false}, {"1,", nil, false}, {"+1", nil, false}, {" 1", nil, false}, {"1-2-3", nil, false}, {"99999999999999999999", nil, false},
	} {
		if got, ok := ParseList(c.text, 128); ok != c.ok || !slices.Equal(got, c.want) {
			t.Errorf("%q: %#x %v", c.text, got, ok)
		}
	}
}
