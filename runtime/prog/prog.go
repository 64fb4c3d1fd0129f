// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package prog defines the launch program: the flat list of system calls that
// turns a freshly started process into a container.
//
// A program is data. Package plan compiles it, "coracle plan" prints it, and
// package launch assembles and runs it. Nothing here touches the system.
//
// Steps run in order. A step whose result equals its branch's continues at a
// label further down; any other negative result stops the program and is
// reported. As jumps only go forward, every program ends.
package prog

// A Program is immutable once [Builder.Program] has made it.
type Program struct {
	FirstFD int      // number of the first of Inputs
	Inputs  []string // names of the descriptors that the parent opens, from FirstFD on
	Early   int      // how many of Inputs the process starts with
	Late    []Late   // how the others come
	Report  Input    // the descriptor that is told which step failed
	Regs    []string // names of the registers
	Steps   []Step
	Labels  []int // label → index of a step, or len(Steps)
	Data    []Data
}

// A Late says that the inputs from Input on, up to those of the next one, are brought
// by what is received from step Step on.
type Late struct{ Input, Step int }

// A Step is one system call of a launch program.
type Step struct {
	Call   Syscall // which system call
	Args   []Arg   // at most six; the rest is zero
	Ret    Reg     // register that keeps the result; Drop if nobody needs it
	Branch Branch  // where to continue on one expected result
	Doing  string  // in the imperative: "mount proc on /proc"
	From   string  // the config.json field that asked for it: "mounts[0]"
}

// A Branch continues at To when the step's result equals Result. The zero
// Branch is none.
type Branch struct {
	Result int64
	To     Label
}

// Label names a place further down; labels count from 1, so 0 is none.
type Label int

// Reg is a register: eight bytes that keep a result. Registers count from 1;
// they hold descriptors and process ids, never decisions.
type Reg int

// Drop is the register of results that nobody needs.
const Drop Reg = 0

// Input is a descriptor that the parent opens: an index of Inputs.
type Input int

// An Arg is one argument of a system call.
type Arg struct {
	Kind   Kind
	Offset int32  // into the data item
	Value  uint64 // the constant; the number of the register, input or data item
	Text   string // of a constant, for people: "O_PATH|O_CLOEXEC"
}

// Kind says what an Arg's value means.
type Kind uint8

// The kinds of arguments.
const (
	Constant Kind = iota
	Register
	InputFD
	Address // of a data item
)

// A Data item is memory that steps point to. It is writable: the kernel puts
// its answers there too.
type Data struct {
	Bytes []byte
	Text  string // for people; empty: Bytes is a C string and is quoted
	Refs  []Ref  // pointers inside Bytes to other items
	Cells []Cell // registers that live inside Bytes
}

// A Ref asks for the address of item To in the eight bytes at Offset.
type Ref struct {
	Offset int
	To     int
	At     int // where in that item it points to
}

// A Cell makes the eight bytes at Offset the storage of a register, so that a
// result becomes part of a structure (the descriptor in a control message).
type Cell struct {
	Offset int
	Reg    Reg
}

// Start returns the index of the step that label stands before.
func (p *Program) Start(l Label) int { return p.Labels[l-1] }
