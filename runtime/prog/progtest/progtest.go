// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package progtest makes random launch programs for the tests of packages that
// take any program: prog, and launch.
package progtest

import (
	"math/rand/v2"
	"strconv"

	"github.com/coracle-oci/coracle/runtime/prog"
)

// MaxConstant is greater than all constants of [Random]: what a test finds above
// it in an assembled program is an address.
const MaxConstant = 1 << 20

// Random returns a program that passes Check, with every kind of argument, data
// with pointers and cells, and branches. What its steps would do makes no sense.
func Random(r *rand.Rand) *prog.Program {
	g := generator{Rand: r}
	for i := range 1 + r.IntN(4) {
		g.inputs = append(g.inputs, g.b.Input("in"+strconv.Itoa(i)))
	}
	for range r.IntN(6) {
		g.item()
	}
	for range 1 + r.IntN(40) {
		g.step()
	}
	for _, l := range g.open {
		g.b.Place(l)
	}
	g.b.Do("exit", prog.Exit, prog.Int(100+r.IntN(156)))
	return g.b.Program(3+r.IntN(5), g.inputs[r.IntN(len(g.inputs))])
}

type generator struct {
	*rand.Rand
	b      prog.Builder
	inputs []prog.Input
	items  []item
	set    []prog.Reg // on every way that leads here
	open   []prog.Label
}

type item struct {
	arg  prog.Arg
	size int
}

// item adds data: text, or words with a pointer and a cell among them.
func (g *generator) item() {
	if g.IntN(2) == 0 {
		text := make([]byte, g.IntN(20))
		for i := range text {
			text[i] = byte('a' + g.IntN(26))
		}
		g.items = append(g.items, item{g.b.String(string(text)), len(text) + 1})
		return
	}
	n := 2 + g.IntN(6)
	d := prog.Data{Bytes: make([]byte, 8*n), Text: "item"}
	for i := range d.Bytes {
		d.Bytes[i] = byte(g.Uint32())
	}
	if len(g.items) > 0 && g.IntN(2) == 0 {
		d.Refs = []prog.Ref{{Offset: 0, To: int(g.items[g.IntN(len(g.items))].arg.Value)}}
		clear(d.Bytes[:8])
	}
	if g.IntN(2) == 0 {
		cell := g.b.Reg("cell")
		d.Cells = []prog.Cell{{Offset: 8, Reg: cell}}
		g.set = append(g.set, cell)
	}
	g.items = append(g.items, item{g.b.Data(d), len(d.Bytes)})
}

func (g *generator) step() {
	if len(g.open) > 0 && g.IntN(3) == 0 {
		g.b.Place(g.open[0])
		g.open = g.open[1:]
	}
	args := make([]prog.Arg, g.IntN(7))
	for i := range args {
		args[i] = g.arg()
	}
	step := g.b.Do("do something", prog.Syscall(g.IntN(int(prog.Syscalls))), args...)
	if step.Call == prog.Exit || step.Call == prog.Execve { // nothing would lead to what follows
		step.Call = prog.Umask
	}
	if g.IntN(4) == 0 {
		l := g.b.Label()
		g.open = append(g.open, l)
		step.Branch = prog.Branch{Result: int64(g.IntN(300)) - 200, To: l}
	}
	// A label further up may be one that is placed below: a register counts as
	// set only where no branch is open, as that could lead past this step.
	if g.IntN(2) == 0 {
		step.Ret = g.b.Reg("r" + strconv.Itoa(g.b.Len()))
		if len(g.open) == 0 {
			g.set = append(g.set, step.Ret)
		}
	}
}

func (g *generator) arg() prog.Arg {
	switch kind := g.IntN(4); {
	case kind == 0 && len(g.set) > 0:
		return g.set[g.IntN(len(g.set))].Arg()
	case kind == 1:
		return g.inputs[g.IntN(len(g.inputs))].Arg()
	case kind == 2 && len(g.items) > 0:
		it := g.items[g.IntN(len(g.items))]
		return g.b.Inside(it.arg, g.IntN(it.size))
	}
	return prog.Int(100 + g.IntN(MaxConstant-100)) // no descriptor of an input has such a number
}
