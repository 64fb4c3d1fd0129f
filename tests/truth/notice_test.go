// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package truth_test

import (
	"runtime"
	"slices"
	"testing"

	"github.com/coracle-oci/coracle/runtime/plan"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// A verdict is a test that only notes whether it has failed.
type verdict struct {
	testing.TB
	failed bool
}

func (v *verdict) Helper()               {}
func (v *verdict) Logf(string, ...any)   {}
func (v *verdict) Errorf(string, ...any) { v.failed = true }
func (v *verdict) Fatal(...any)          { v.failed = true; runtime.Goexit() }
func (v *verdict) Fatalf(string, ...any) { v.failed = true; runtime.Goexit() }

func fails(t *testing.T, check func(testing.TB)) bool {
	v := &verdict{TB: t}
	done := make(chan struct{})
	go func() { defer close(done); check(v) }()
	<-done
	return v.failed
}

// eachStepMatters proves that the comparison can fail: with any step that ran
// changed, the trace no longer equals the plan.
func eachStepMatters(t *testing.T, calls []call, p *plan.Plan, seen map[int]bool) {
	t.Helper()
	for i, s := range p.Init.Steps {
		if !seen[i] {
			continue
		}
		changed, init := *p, *p.Init
		init.Steps = slices.Clone(p.Init.Steps)
		init.Steps[i].Call = (s.Call + 1) % prog.Syscalls
		if init.Steps[i].Call == prog.Exit || init.Steps[i].Call == prog.Execve {
			init.Steps[i].Call++
		}
		changed.Init = &init
		if !fails(t, func(t testing.TB) { replayInit(t, calls, &changed) }) {
			t.Errorf("the trace equals a plan in which step %d (%s) is another call", i, s.Doing)
		}
	}
}

// eachHostStepMatters is the same of the host steps: with any of them left out,
// what coracle does is more than the plan says.
func eachHostStepMatters(t *testing.T, created, started []event, p *plan.Plan, pid string) {
	t.Helper()
	for i, h := range p.Host {
		switch h.Do {
		case plan.FindProgram, plan.RaiseLimit, plan.StateFile, plan.OutputFile: // they read, or depend on the caller's limits, or are memory
			continue
		}
		changed := *p
		changed.Host = slices.Delete(slices.Clone(p.Host), i, i+1)
		if !fails(t, func(t testing.TB) { matchCreate(t, created, &changed, pid); matchStart(t, started, &changed, pid) }) {
			t.Errorf("what coracle does equals a plan without the host step %d: %s", i, h.Doing)
		}
	}
}
