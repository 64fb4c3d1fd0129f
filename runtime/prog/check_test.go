// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package prog_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/coracle-oci/coracle/runtime/prog"
	"github.com/coracle-oci/coracle/runtime/prog/progtest"
)

// sound returns a program that uses everything that Check looks at.
func sound() *prog.Program {
	var b prog.Builder
	in := b.Input("gate")
	fd := b.Get("fd", "open a file", prog.Openat, prog.Int(-100), b.String("file"), prog.Int(0))
	cell := b.Reg("pid")
	item := b.Data(prog.Data{Text: "item", Bytes: make([]byte, 16), Refs: []prog.Ref{{Offset: 0, To: 0}}, Cells: []prog.Cell{{Offset: 8, Reg: cell}}})
	end := b.Label()
	b.Do("tell it", prog.Sendto, in.Arg(), item, prog.Int(16), fd.Arg(), cell.Arg(), prog.Int(0)).Branch = prog.Branch{Result: -32, To: end}
	b.Do("close it", prog.CloseRange, fd.Arg(), fd.Arg(), prog.Int(0))
	b.Place(end)
	b.Do("end", prog.Exit, prog.Int(0))
	return b.Program(3, in)
}

// TestCheckReceived: an input that comes later is there behind the message that
// brings it, and no sooner.
func TestCheckReceived(t *testing.T) {
	for place := range 5 {
		for _, which := range []string{"early", "first", "second"} {
			var b prog.Builder
			inputs := map[string]prog.Input{"early": b.Input("early")}
			n := 0
			step := func(late bool) {
				if n == place {
					b.Do("use it", prog.Write, prog.Arg{Kind: prog.InputFD, Value: map[string]uint64{"early": 0, "first": 1, "second": 2}[which]})
				}
				if n++; late {
					b.Do("receive", prog.Recvmsg, inputs["early"].Arg())
				}
			}
			step(false)
			b.Late()
			step(true)
			inputs["first"] = b.Input("first")
			step(false)
			b.Late()
			step(true)
			inputs["second"] = b.Input("second")
			step(false)
			b.Do("end", prog.Exit, prog.Int(0))
			want := map[string]int{"early": 0, "first": 2, "second": 4}[which]
			if err := b.Program(3, 0).Check(); (err == nil) != (place >= want) {
				t.Errorf("%s at place %d: %v", which, place, err)
			}
		}
	}
}

// TestCheckRules breaks each rule of Check once, in a program that is sound.
func TestCheckRules(t *testing.T) {
	if err := sound().Check(); err != nil {
		t.Fatal(err)
	}
	reg := func(n int) prog.Arg { return prog.Arg{Kind: prog.Register, Value: uint64(n)} }
	for _, c := range []struct {
		name   string
		damage func(*prog.Program)
		want   string
	}{
		{"no steps", func(p *prog.Program) { p.Steps = nil }, "does not end in execve or exit_group"},
		{"no end", func(p *prog.Program) { p.Steps = p.Steps[:2] }, "does not end in execve or exit_group"},
		{"report to nobody", func(p *prog.Program) { p.Report = 1 }, "the report goes to input 1 of 1"},
		{"report below the inputs", func(p *prog.Program) { p.Report = -1 }, "the report goes to input -1"},
		{"seven arguments", func(p *prog.Program) { p.Steps[1].Args = append(p.Steps[1].Args, prog.Int(0)) }, "step 1 (tell it): 7 arguments"},
		{"unknown call", func(p *prog.Program) { p.Steps[1].Call = prog.Syscalls }, "unknown system call"},
		{"result below the registers", func(p *prog.Program) { p.Steps[1].Ret = -1 }, "no register -1"},
		{"result above the registers", func(p *prog.Program) { p.Steps[1].Ret = 3 }, "no register 3"},
		{"no purpose", func(p *prog.Program) { p.Steps[1].Doing = "" }, "does not say what it is for"},
		{"label below the labels", func(p *prog.Program) { p.Steps[1].Branch.To = -1 }, "no label -1"},
		{"label above the labels", func(p *prog.Program) { p.Steps[1].Branch.To = 2 }, "no label 2"},
		{"label placed nowhere", func(p *prog.Program) { p.Labels[0] = -1 }, "label 1 is not further down"},
		{"jump to itself", func(p *prog.Program) { p.Labels[0] = 1 }, "label 1 is not further down"},
		{"jump back", func(p *prog.Program) { p.Labels[0] = 0 }, "label 1 is not further down"},
		{"jump past the end", func(p *prog.Program) { p.Labels[0] = 4 }, "label 1 is not further down"},
		{"no such input", func(p *prog.Program) { p.Steps[1].Args[0].Value = 1 }, "argument 0 is out of range"},
		{"no such item", func(p *prog.Program) { p.Steps[1].Args[1].Value = 2 }, "argument 1 is out of range"},
		{"before an item", func(p *prog.Program) { p.Steps[1].Args[1].Offset = -1 }, "argument 1 is out of range"},
		{"behind an item", func(p *prog.Program) { p.Steps[1].Args[1].Offset = 16 }, "argument 1 is out of range"},
		{"register 0", func(p *prog.Program) { p.Steps[2].Args[0] = reg(0) }, "argument 0 is out of range"},
		{"no such register", func(p *prog.Program) { p.Steps[2].Args[0] = reg(3) }, "argument 0 is out of range"},
		{"register that nothing sets", func(p *prog.Program) { p.Steps[0].Ret = prog.Drop }, "step 1 (tell it): reads unset register fd"},
		{"register of its own result", func(p *prog.Program) { p.Steps[0].Args[0] = reg(1) }, "step 0 (open a file): reads unset register fd"},
		{"pointer across the end", func(p *prog.Program) { p.Data[1].Refs[0].Offset = 9 }, "data 1: pointer at 9"},
		{"pointer before the start", func(p *prog.Program) { p.Data[1].Refs[0].Offset = -8 }, "data 1: pointer at -8"},
		{"pointer to nothing", func(p *prog.Program) { p.Data[1].Refs[0].To = 2 }, "to item 2 is out of range"},
		{"pointer to less than nothing", func(p *prog.Program) { p.Data[1].Refs[0].To = -1 }, "to item -1 is out of range"},
		{"cell across the end", func(p *prog.Program) { p.Data[1].Cells[0].Offset = 9 }, "data 1: cell at 9"},
		{"cell before the start", func(p *prog.Program) { p.Data[1].Cells[0].Offset = -1 }, "data 1: cell at -1"},
		{"cell of no register", func(p *prog.Program) { p.Data[1].Cells[0].Reg = prog.Drop }, "for register 0 is out of range"},
		{"cell of a missing register", func(p *prog.Program) { p.Data[1].Cells[0].Reg = 3 }, "for register 3 is out of range"},
	} {
		p := sound()
		c.damage(p)
		if err := p.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

// TestCheckFollowsEveryWay: a register that is set on one way only is unset.
func TestCheckFollowsEveryWay(t *testing.T) {
	build := func(otherToo, jumpOver bool) *prog.Program {
		var b prog.Builder
		in := b.Input("gate")
		fd := b.Reg("fd")
		other, end := b.Label(), b.Label()
		b.Do("try", prog.Umask, prog.Int(0)).Branch = prog.Branch{Result: -2, To: other}
		b.Do("open", prog.Umask, prog.Int(0)).Ret = fd
		b.Jump(end)
		if !jumpOver {
			b.Last().Branch = prog.Branch{}
		}
		b.Place(other)
		if otherToo {
			b.Do("open", prog.Umask, prog.Int(0)).Ret = fd
		} else {
			b.Do("do without", prog.Umask, prog.Int(0))
		}
		b.Place(end)
		b.Do("use", prog.Fchdir, fd.Arg())
		b.Do("end", prog.Exit, prog.Int(0))
		return b.Program(3, in)
	}
	for _, c := range []struct{ otherToo, jumpOver, want bool }{{true, true, true}, {true, false, true}, {false, true, false}, {false, false, false}} {
		if err := build(c.otherToo, c.jumpOver).Check(); (err == nil) != c.want {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestCheckBehindExit: nothing leads there, so nothing is set there.
func TestCheckBehindExit(t *testing.T) {
	var b prog.Builder
	in := b.Input("gate")
	fd := b.Get("fd", "open", prog.Umask, prog.Int(0))
	b.Do("end", prog.Exit, prog.Int(0))
	b.Do("use", prog.Fchdir, fd.Arg())
	b.Do("end", prog.Exit, prog.Int(0))
	if err := b.Program(3, in).Check(); err == nil {
		t.Error("a register counts as set behind exit_group")
	}
}

// TestCheckRandom: random sound programs pass, and of each, a copy with one step
// less that another step needs does not.
func TestCheckRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 500 {
		p := progtest.Random(r)
		if err := p.Check(); err != nil {
			t.Fatalf("program %d: %v", n, err)
		}
		for i, s := range p.Steps {
			if s.Ret == prog.Drop || !reads(p, s.Ret) || inCell(p, s.Ret) {
				continue
			}
			cut := *p
			cut.Steps = slices.Clone(p.Steps)
			cut.Steps[i].Ret = prog.Drop
			if cut.Check() == nil {
				t.Errorf("program %d passes without the result of step %d", n, i)
			}
		}
	}
}

func reads(p *prog.Program, r prog.Reg) bool {
	for _, s := range p.Steps {
		for _, a := range s.Args {
			if a.Kind == prog.Register && a.Value == uint64(r) {
				return true
			}
		}
	}
	return false
}

func inCell(p *prog.Program, r prog.Reg) bool {
	for _, d := range p.Data {
		for _, c := range d.Cells {
			if c.Reg == r {
				return true
			}
		}
	}
	return false
}
