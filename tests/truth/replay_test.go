// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package truth_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/launch"
	"github.com/coracle-oci/coracle/runtime/plan"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// A replay runs the model of the launch program against a trace: the kernel's
// answers are those of the trace, and each call must be the one that the model
// makes, with the same arguments.
type replay struct {
	t     testing.TB
	calls []call
	plan  *plan.Plan
	image *launch.Image
	seen  map[int]bool // steps that ran
	known map[int]bool // processes that are followed
}

// replayInit follows the launch program through all its processes, and returns
// the steps that ran.
func replayInit(t testing.TB, calls []call, p *plan.Plan) map[int]bool {
	t.Helper()
	image, err := launch.Assemble(p.Init)
	if err != nil {
		t.Fatal(err)
	}
	r := &replay{t: t, calls: calls, plan: p, image: image, seen: map[int]bool{}, known: map[int]bool{}}
	start := r.spawned()
	r.follow(calls[start].pid, start+1, nil)
	if !r.seen[p.Execve] || !r.seen[p.Accept] {
		t.Errorf("the trace does not reach execve")
	}
	t.Logf("%d of %d steps ran, in %d processes, as the model says", len(r.seen), len(p.Init.Steps), len(r.known))
	return r.seen
}

// spawned returns the call in which the first process executes the launch
// program: the first execve of a child, but for what has user namespaces for
// mappings of ids, which may start while a thread starts the process.
func (r *replay) spawned() int {
	others := r.threads()
	for i, c := range r.calls {
		if strings.HasPrefix(c.name, "execve") && c.pid != r.calls[0].pid && !others[c.pid] && c.ret == 0 && !c.open {
			return i
		}
	}
	r.t.Fatal("nothing is executed")
	return 0
}

// follow compares the calls of a process, from index from on, with a model run
// whose first answers are given: what its parents did before it was cloned.
func (r *replay) follow(pid, from int, before []int64) {
	r.t.Helper()
	r.known[pid] = true
	given := len(before)
	answers := slices.Clone(before)
	n, at := 0, from
	type child struct {
		pid, from int
		before    []int64
	}
	var children []child
	broken := false
	end := r.plan.Init.Run(func(step int, args []uint64) int64 {
		if n++; n <= given {
			return before[n-1]
		}
		i := r.next(pid, at)
		if i < 0 {
			r.t.Errorf("process %d ends before step %d: %s", pid, step, r.plan.Init.Steps[step].Doing)
			broken = true
			return -1 << 20
		}
		at = i + 1
		r.seen[step] = true
		c := &r.calls[i]
		if !r.same(step, args, c) {
			broken = true
			return -1 << 20
		}
		if c.name == "clone" {
			if p, first := r.newcomer(at); first >= 0 {
				children = append(children, child{p, first, append(slices.Clone(answers), 0)})
			} else {
				r.t.Errorf("%s: no process appears", c.text)
			}
		}
		answers = append(answers, c.ret)
		return c.ret
	})
	if broken {
		return
	}
	if end.Errno != 0 {
		r.t.Errorf("step %d fails with %d: %s", end.Step, end.Errno, r.plan.Init.Steps[end.Step].Doing)
	}
	if r.plan.Init.Steps[end.Step].Call == prog.Exit && r.next(pid, at) >= 0 {
		r.t.Errorf("process %d makes calls after its end", pid)
	}
	for _, c := range children {
		r.follow(c.pid, c.from, c.before)
	}
}

// next is the next call of a process. Calls that a signal interrupted, and that
// the kernel restarts, count when they are restarted.
func (r *replay) next(pid, from int) int {
	for i := from; i < len(r.calls); i++ {
		c := &r.calls[i]
		if c.pid == pid && !(c.open && c.name != "exit_group") {
			return i
		}
	}
	return -1
}

// newcomer is the first call of a process that has made none before: the one
// that has just been cloned, as the parent waits meanwhile or makes none itself.
func (r *replay) newcomer(from int) (pid, first int) {
	old := r.threads()
	for _, c := range r.calls[:from] {
		old[c.pid] = true
	}
	for i := from; i < len(r.calls); i++ {
		if c := r.calls[i]; !old[c.pid] && !r.known[c.pid] {
			return c.pid, i
		}
	}
	return 0, -1
}

// threads are those of the parent's, which Go makes when it likes, and what has
// user namespaces for mappings of ids.
func (r *replay) threads() map[int]bool {
	const cloneThread = 0x10000
	found := map[int]bool{}
	for i := range r.calls {
		if c := &r.calls[i]; c.name == "clone" && c.ret > 0 && c.raw(r.t)[0]&(cloneThread|linux.CLONE_NEWUSER) != 0 {
			found[int(c.ret)] = true
		}
	}
	return found
}

// same compares a traced call with a step.
func (r *replay) same(step int, args []uint64, c *call) bool {
	r.t.Helper()
	s := &r.plan.Init.Steps[step]
	ret, line, branch := r.plan.Init.Line(step, func(int) string { return "" })
	if c.name != s.Call.String() {
		r.t.Errorf("step %d (%s) is %s = %s %s, the trace has %s", step, s.Doing, line, ret, branch, c.text)
		return false
	}
	got := c.raw(r.t)
	for n := range max(len(got), len(args)) {
		var want, have uint64
		if n < len(args) {
			want = args[n]
			if a := s.Args[n]; a.Kind == prog.Address {
				want = uint64(r.image.DataAddress(int(a.Value)) + int(a.Offset))
			}
		}
		if n < len(got) {
			have = got[n]
		} else if want == 0 || want == plan.Ours {
			continue // strace prints no more than the call has
		}
		if want != have {
			r.t.Errorf("step %d (%s) is %s, the trace has %s: argument %d is %#x, not %#x", step, s.Doing, line, c.text, n, have, want)
			return false
		}
	}
	return true
}
