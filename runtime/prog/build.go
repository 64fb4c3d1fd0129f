// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package prog

import "encoding/binary"

// A Builder appends steps to a program. Its zero value is ready for use.
//
// A program of a container has some three hundred steps, and compiling it stands
// between the user and the container: what steps consist of is taken from a few
// large pieces of memory.
type Builder struct {
	p      Program
	shared map[string]Arg // items that nobody writes to, by their content
	from   string
	args   []Arg  // room for arguments
	bytes  []byte // room for items
}

// room returns n elements of a piece, and a new piece when that is used up.
func room[T any](piece *[]T, n, size int) []T {
	if len(*piece) < n {
		*piece = make([]T, max(n, size))
	}
	taken := (*piece)[:n:n]
	*piece = (*piece)[n:]
	return taken
}

// From names the config field on whose behalf the next steps are.
func (b *Builder) From(field string) { b.from = field }

// Field returns what [Builder.From] has said.
func (b *Builder) Field() string { return b.from }

// Input adds a descriptor that the process starts with.
func (b *Builder) Input(name string) Input {
	b.p.Inputs = append(b.p.Inputs, name)
	return Input(len(b.p.Inputs) - 1)
}

// Reg adds a register.
func (b *Builder) Reg(name string) Reg {
	if b.p.Regs == nil {
		b.p.Regs = make([]string, 0, 96)
	}
	b.p.Regs = append(b.p.Regs, name)
	return Reg(len(b.p.Regs))
}

// Do appends a step that must succeed and whose result nobody needs.
func (b *Builder) Do(doing string, call Syscall, args ...Arg) *Step {
	if b.p.Steps == nil {
		b.p.Steps = make([]Step, 0, 384)
	}
	own := room(&b.args, len(args), 512)
	copy(own, args) // so that the caller's need not be on the heap
	b.p.Steps = append(b.p.Steps, Step{Call: call, Args: own, Doing: doing, From: b.from})
	return &b.p.Steps[len(b.p.Steps)-1]
}

// Get appends a step that must succeed and returns the register of its result.
func (b *Builder) Get(name, doing string, call Syscall, args ...Arg) Reg {
	r := b.Reg(name)
	b.Do(doing, call, args...).Ret = r
	return r
}

// Try appends a step that may also fail with errno, which changes nothing: the
// program goes on with the next step either way.
func (b *Builder) Try(errno int, doing string, call Syscall, args ...Arg) {
	step := b.Do(doing, call, args...)
	l := b.Label()
	step.Branch = Branch{Result: -int64(errno), To: l}
	b.Place(l)
}

// Label makes a label that [Builder.Place] puts somewhere further down.
func (b *Builder) Label() Label {
	b.p.Labels = append(b.p.Labels, -1)
	return Label(len(b.p.Labels))
}

// Place puts the label before the next step.
func (b *Builder) Place(l Label) { b.p.Labels[l-1] = len(b.p.Steps) }

// Jump appends an unconditional jump: umask(2) cannot fail, and between the
// first step and the last the mask is 0, which is what it returns.
func (b *Builder) Jump(l Label) {
	b.Do("go on", Umask, Const(0, "")).Branch = Branch{Result: 0, To: l}
}

// Data adds an item.
func (b *Builder) Data(d Data) Arg {
	if b.p.Data == nil {
		b.p.Data = make([]Data, 0, 128)
	}
	b.p.Data = append(b.p.Data, d)
	return Arg{Kind: Address, Value: uint64(len(b.p.Data) - 1)}
}

// String adds a C string, once for all its users.
func (b *Builder) String(s string) Arg {
	if a, ok := b.shared[s]; ok {
		return a
	}
	bytes := room(&b.bytes, len(s)+1, 4096)
	copy(bytes, s)
	return b.share(s, Data{Bytes: bytes})
}

// Shared adds bytes that no step and no call writes to, once for all that have
// the same text, which therefore says all that is in them.
func (b *Builder) Shared(text string, words ...uint64) Arg {
	key := "\x00" + text
	if a, ok := b.shared[key]; ok {
		return a
	}
	bytes := room(&b.bytes, 8*len(words), 4096)
	for i, w := range words {
		binary.LittleEndian.PutUint64(bytes[8*i:], w)
	}
	return b.share(key, Data{Bytes: bytes, Text: text})
}

func (b *Builder) share(key string, d Data) Arg {
	if b.shared == nil {
		b.shared = make(map[string]Arg, 192)
	}
	a := b.Data(d)
	b.shared[key] = a
	return a
}

// Struct adds bytes that are shown to people as text.
func (b *Builder) Struct(text string, bytes []byte) Arg {
	return b.Data(Data{Bytes: bytes, Text: text})
}

// Vector adds a null-terminated array of C strings, as execve(2) takes it.
func (b *Builder) Vector(text string, items []string) Arg {
	d := Data{Bytes: make([]byte, 8*(len(items)+1)), Text: text}
	for i, s := range items {
		d.Refs = append(d.Refs, Ref{Offset: 8 * i, To: int(b.String(s).Value)})
	}
	return b.Data(d)
}

// Append adds one more pointer to a vector: to a place inside another item.
func (b *Builder) Append(vector, item Arg, at int) {
	d := &b.p.Data[vector.Value]
	d.Refs = append(d.Refs, Ref{Offset: len(d.Bytes) - 8, To: int(item.Value), At: at})
	d.Bytes = append(d.Bytes, make([]byte, 8)...)
}

// Resize gives an item that nothing has been written to n bytes.
func (b *Builder) Resize(item Arg, n int) { b.p.Data[item.Value].Bytes = make([]byte, n) }

// Put writes a 64-bit word of an item.
func (b *Builder) Put(item Arg, index int, word uint64) {
	binary.LittleEndian.PutUint64(b.p.Data[item.Value].Bytes[8*index:], word)
}

// Inside is the address offset bytes into an item.
func (b *Builder) Inside(item Arg, offset int) Arg {
	item.Offset = int32(offset)
	return item
}

// Late says that the process does not start with the inputs that are added from
// here on: the next steps receive them.
func (b *Builder) Late() {
	b.p.Late = append(b.p.Late, Late{len(b.p.Inputs), len(b.p.Steps)})
}

// Program ends the building. Report is where a failing step is told about.
func (b *Builder) Program(firstFD int, report Input) *Program {
	b.p.Early = len(b.p.Inputs)
	if len(b.p.Late) > 0 {
		b.p.Early = b.p.Late[0].Input
	}
	b.p.FirstFD, b.p.Report = firstFD, report
	p := b.p
	return &p
}

// Const is a constant argument; text is what people read in its place.
func Const(v uint64, text string) Arg { return Arg{Value: v, Text: text} }

// Int is a constant that people read as a number.
func Int(v int) Arg { return Arg{Value: uint64(int64(v))} }

// Arg makes the register an argument.
func (r Reg) Arg() Arg { return Arg{Kind: Register, Value: uint64(r)} }

// Arg makes the descriptor an argument.
func (i Input) Arg() Arg { return Arg{Kind: InputFD, Value: uint64(i)} }

// Words encodes 64-bit little-endian words: the layout of most kernel structures.
func Words(words ...uint64) []byte {
	out := make([]byte, 0, 8*len(words))
	for _, w := range words {
		out = binary.LittleEndian.AppendUint64(out, w)
	}
	return out
}

// RegName returns the name of a register.
func (b *Builder) RegName(r Reg) string { return b.p.Regs[r-1] }

// Step returns a step that was appended before.
func (b *Builder) Step(i int) *Step { return &b.p.Steps[i] }

// Last returns the step that was appended last.
func (b *Builder) Last() *Step { return &b.p.Steps[len(b.p.Steps)-1] }

// Len returns the number of steps so far.
func (b *Builder) Len() int { return len(b.p.Steps) }

// Inputs returns the names of the descriptors so far.
func (b *Builder) Inputs() []string { return b.p.Inputs }
