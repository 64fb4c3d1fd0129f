// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package prog_test

import (
	"reflect"
	"testing"

	"github.com/coracle-oci/coracle/runtime/prog"
)

// walk is a program with a branch that is taken or not, a register that is
// passed on, and an end.
func walk() *prog.Program {
	var b prog.Builder
	in := b.Input("gate")
	second := b.Input("second")
	missing := b.Label()
	fd := b.Reg("fd")
	step := b.Do("open", prog.Openat, prog.Int(7), b.String("x"), second.Arg())
	step.Ret, step.Branch = fd, prog.Branch{Result: -2, To: missing}
	b.Do("use", prog.Fchdir, fd.Arg())
	b.Place(missing)
	b.Do("run", prog.Execve, b.String("y"))
	return b.Program(5, in)
}

// TestRun runs walk against kernels that answer each step as the case says.
func TestRun(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers map[int]int64
		steps   []int
		want    prog.End
	}{
		{"straight on", map[int]int64{0: 9}, []int{0, 1, 2}, prog.End{Step: 2}},
		{"branch", map[int]int64{0: -2}, []int{0, 2}, prog.End{Step: 2}},
		{"other failure", map[int]int64{0: -13}, []int{0}, prog.End{Step: 0, Errno: 13}},
		{"failure behind", map[int]int64{1: -20}, []int{0, 1}, prog.End{Step: 1, Errno: 20}},
		{"execve fails", map[int]int64{2: -8}, []int{0, 1, 2}, prog.End{Step: 2, Errno: 8}},
	} {
		var steps []int
		got := walk().Run(func(i int, args []uint64) int64 {
			steps = append(steps, i)
			if i == 0 && !reflect.DeepEqual(args, []uint64{7, 0, 6}) { // 6: the second of the inputs that begin at 5
				t.Errorf("%s: step 0 has %v", c.name, args)
			}
			if i == 1 && args[0] != uint64(c.answers[0]) {
				t.Errorf("%s: step 1 has %v", c.name, args)
			}
			return c.answers[i]
		})
		if got != c.want || !reflect.DeepEqual(steps, c.steps) {
			t.Errorf("%s: got %+v by %v, want %+v by %v", c.name, got, steps, c.want, c.steps)
		}
	}
}

// TestRunZeroIsNoBranch: the zero Branch does not branch on the result 0.
func TestRunZeroIsNoBranch(t *testing.T) {
	var b prog.Builder
	in := b.Input("gate")
	b.Label()
	b.Do("one", prog.Umask, prog.Int(0))
	b.Do("end", prog.Exit, prog.Int(0))
	steps := 0
	if end := b.Program(3, in).Run(func(int, []uint64) int64 { steps++; return 0 }); steps != 2 || end != (prog.End{Step: 1}) {
		t.Errorf("%+v after %d steps", end, steps)
	}
}
