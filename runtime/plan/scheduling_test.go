// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// lines are those of a plan of which all words are part, without spare spaces.
func lines(text string, words ...string) (found []string) {
	for line := range strings.Lines(text) {
		has := true
		for _, w := range words {
			has = has && strings.Contains(line, w)
		}
		if has {
			found = append(found, regexp.MustCompile(`^ *(\d+|host) +|\s{2,}`).ReplaceAllString(strings.TrimSpace(line), " "))
		}
	}
	return found
}

// planOf is the plan of an edited config on a machine that has all it names.
func planOf(t *testing.T, change func(*specs.Spec)) string {
	t.Helper()
	p, err := compileOn(edit(t, change), machine(t, "hybrid"), nil)
	if err != nil {
		t.Fatal(err)
	}
	sound(t, p)
	return p.Text()
}

func TestScheduling(t *testing.T) {
	text := planOf(t, func(s *specs.Spec) {
		s.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_DEADLINE", Flags: []specs.LinuxSchedulerFlag{"SCHED_FLAG_RECLAIM"}, Runtime: 1e6, Deadline: 2e6, Period: 3e6}
		s.Process.IOPriority = &specs.LinuxIOPriority{Class: "IOPRIO_CLASS_IDLE", Priority: 3}
		s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: "MPOL_BIND", Nodes: "0,65", Flags: []specs.MemoryPolicyFlagType{"MPOL_F_STATIC_NODES"}}
		s.Linux.Personality = &specs.LinuxPersonality{Domain: "LINUX32"}
	})
	for _, want := range []string{
		"sched_setattr(0, {SCHED_DEADLINE|SCHED_FLAG_RECLAIM, nice 0, priority 0, runtime 1000000, deadline 2000000, period 3000000}, 0) process.scheduler",
		"ioprio_set(IOPRIO_WHO_PROCESS, 0, IOPRIO_CLASS_IDLE|3) process.ioPriority",
		"set_mempolicy(MPOL_BIND|MPOL_F_STATIC_NODES, {nodes 0,65}, 129) linux.memoryPolicy",
		"personality(PER_LINUX32) linux.personality",
	} {
		if got := lines(text, " "+want[:11]); len(got) != 1 || strings.TrimSpace(got[0]) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestNetDevices: they are moved before hooks look, in the order of their names.
func TestNetDevices(t *testing.T) {
	text := planOf(t, func(s *specs.Spec) {
		s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"eth1": {}, "eth0": {Name: "net%d"}}
		s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/true"}}}
	})
	want := []string{` move link eth0 to the container as net%d, with its addresses, up linux.netDevices.eth0`,
		` move link eth1 to the container as eth1, with its addresses, up linux.netDevices.eth1`}
	if got := lines(text, "move link"); !slices.Equal(got, want) || strings.Index(text, "move link") > strings.Index(text, "hook ") {
		t.Errorf("got %q", got)
	}
}
