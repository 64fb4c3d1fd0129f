// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package prog

import (
	"fmt"
	"slices"
)

// Check proves what the interpreter relies on: labels resolve and lie further
// down, registers are set before use on every way through the program, indexes
// are in range, and the program ends in execve or exit_group.
func (p *Program) Check() error {
	if n := len(p.Steps); n == 0 || !p.Steps[n-1].final() {
		return fmt.Errorf("the program does not end in execve or exit_group")
	}
	if p.Early > len(p.Inputs) || int(p.Report) >= p.Early || p.Report < 0 {
		return fmt.Errorf("the report goes to input %d of %d, %d of them early", p.Report, len(p.Inputs), p.Early)
	}
	for i, d := range p.Data {
		if err := p.checkData(d); err != nil {
			return fmt.Errorf("data %d: %w", i, err)
		}
	}
	set := p.alwaysSet()
	for i, s := range p.Steps {
		if err := p.checkStep(i, s, set[i]); err != nil {
			return fmt.Errorf("step %d (%s): %w", i, s.Doing, err)
		}
		for _, a := range s.Args {
			if a.Kind == InputFD && i < p.received(int(a.Value)) {
				return fmt.Errorf("step %d (%s): uses input %s before it is received", i, s.Doing, p.Inputs[a.Value])
			}
		}
	}
	return nil
}

// received returns the first step that has an input.
func (p *Program) received(input int) int {
	end := len(p.Steps)
	for _, late := range slices.Backward(p.Late) {
		if input < late.Input {
			end = late.Step
			continue
		}
		for i := end - 1; i >= late.Step; i-- {
			if p.Steps[i].Call == Recvmsg {
				return i + 1
			}
		}
		return len(p.Steps)
	}
	return 0
}

func (s *Step) final() bool { return s.Call == Execve || s.Call == Exit }

func (p *Program) checkStep(i int, s Step, set []bool) error {
	switch {
	case len(s.Args) > 6:
		return fmt.Errorf("%d arguments", len(s.Args))
	case s.Call >= Syscalls:
		return fmt.Errorf("unknown system call %d", s.Call)
	case s.Ret < 0 || int(s.Ret) > len(p.Regs):
		return fmt.Errorf("no register %d", s.Ret)
	case s.Doing == "":
		return fmt.Errorf("it does not say what it is for")
	case s.Branch.To < 0 || int(s.Branch.To) > len(p.Labels):
		return fmt.Errorf("no label %d", s.Branch.To)
	case s.Branch.To != 0 && (p.Start(s.Branch.To) <= i || p.Start(s.Branch.To) >= len(p.Steps)):
		return fmt.Errorf("label %d is not further down", s.Branch.To)
	}
	for n, a := range s.Args {
		switch {
		case a.Kind == InputFD && a.Value >= uint64(len(p.Inputs)),
			a.Kind == Address && (a.Value >= uint64(len(p.Data)) || a.Offset < 0 || int(a.Offset) >= max(1, len(p.Data[a.Value].Bytes))),
			a.Kind == Register && (a.Value == 0 || a.Value > uint64(len(p.Regs))):
			return fmt.Errorf("argument %d is out of range", n)
		case a.Kind == Register && !set[a.Value]:
			return fmt.Errorf("reads unset register %s", p.Regs[a.Value-1])
		}
	}
	return nil
}

func (p *Program) checkData(d Data) error {
	for _, r := range d.Refs {
		if r.Offset < 0 || r.Offset+8 > len(d.Bytes) || r.To < 0 || r.To >= len(p.Data) || r.At < 0 || r.At > len(p.Data[r.To].Bytes) {
			return fmt.Errorf("pointer at %d to item %d is out of range", r.Offset, r.To)
		}
	}
	for _, c := range d.Cells {
		if c.Offset < 0 || c.Offset+8 > len(d.Bytes) || c.Reg <= 0 || int(c.Reg) > len(p.Regs) {
			return fmt.Errorf("cell at %d for register %d is out of range", c.Offset, c.Reg)
		}
	}
	return nil
}

// alwaysSet returns, for each step, which registers are set on every way to it.
// One pass is enough, as all jumps go forward. clone(2) and its like set the
// cells that the kernel writes; cells count as set from the start.
func (p *Program) alwaysSet() [][]bool {
	in := make([][]bool, len(p.Steps)+1)
	first := make([]bool, len(p.Regs)+1)
	for _, d := range p.Data {
		for _, c := range d.Cells {
			if c.Reg > 0 && int(c.Reg) < len(first) {
				first[c.Reg] = true
			}
		}
	}
	in[0] = first
	meet := func(to int, set []bool) {
		if to < 0 || to >= len(in) {
			return
		}
		if in[to] == nil {
			in[to] = append([]bool(nil), set...)
			return
		}
		for i := range set {
			in[to][i] = in[to][i] && set[i]
		}
	}
	for i, s := range p.Steps {
		if in[i] == nil { // no way leads here: nothing is set
			in[i] = make([]bool, len(p.Regs)+1)
			continue
		}
		out := append([]bool(nil), in[i]...)
		if s.Branch.To > 0 && int(s.Branch.To) <= len(p.Labels) {
			meet(p.Start(s.Branch.To), out) // a branch is on a failure or on 0: the result is no descriptor
		}
		if s.Ret > 0 && int(s.Ret) < len(out) {
			out[s.Ret] = true
		}
		if s.Call != Exit {
			meet(i+1, out)
		}
	}
	return in
}
