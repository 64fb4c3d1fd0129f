// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package prog_test

import (
	"reflect"
	"strconv"
	"testing"

	"github.com/coracle-oci/coracle/runtime/prog"
)

func TestBuilderSharesStrings(t *testing.T) {
	var b prog.Builder
	one, two, again := b.String("one"), b.String("two"), b.String("one")
	if one.Value != again.Value || one.Value == two.Value {
		t.Errorf("items %d, %d, %d", one.Value, two.Value, again.Value)
	}
	if p := b.Program(3, 0); len(p.Data) != 2 || string(p.Data[0].Bytes) != "one\x00" {
		t.Errorf("%+v", p.Data)
	}
}

func TestBuilderVector(t *testing.T) {
	var b prog.Builder
	v := b.Vector("argv", []string{"a", "b", "a"})
	p := b.Program(3, 0)
	d := p.Data[v.Value]
	if len(d.Bytes) != 32 || d.Text != "argv" {
		t.Errorf("%+v", d)
	}
	want := []prog.Ref{{Offset: 0, To: 0}, {Offset: 8, To: 1}, {Offset: 16, To: 0}} // and NULL
	if !reflect.DeepEqual(d.Refs, want) {
		t.Errorf("got %v, want %v", d.Refs, want)
	}
	var empty prog.Builder
	e := empty.Vector("env", nil)
	if d := empty.Program(3, 0).Data[e.Value]; len(d.Bytes) != 8 || d.Refs != nil {
		t.Errorf("%+v", d)
	}
}

func TestBuilderTry(t *testing.T) {
	var b prog.Builder
	in := b.Input("gate")
	b.From("field")
	b.Try(17, "make it", prog.Mkdirat, prog.Int(1))
	b.Do("end", prog.Exit, prog.Int(0))
	p := b.Program(3, in)
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	if s := p.Steps[0]; s.Branch.Result != -17 || p.Start(s.Branch.To) != 1 || s.From != "field" {
		t.Errorf("%+v", s)
	}
}

func TestBuilderNames(t *testing.T) {
	var b prog.Builder
	r := b.Reg("root")
	if b.RegName(r) != "root" || b.Len() != 0 {
		t.Error(b.RegName(r), b.Len())
	}
	b.Do("end", prog.Exit, prog.Int(0))
	if b.Len() != 1 || b.Last().Doing != "end" {
		t.Error(b.Len(), b.Last())
	}
}

func TestEncodings(t *testing.T) {
	if got := string(prog.Words(1, 1<<56)); got != "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" {
		t.Errorf("%q", got)
	}
	if got := string(prog.MarkBytes(3, 0x01020304)); got != "\x03\x00\x00\x00\x04\x03\x02\x01" {
		t.Errorf("%q", got)
	}
	if got := prog.Int(-100); got.Value != 0xffffffffffffff9c {
		t.Errorf("%x", got.Value)
	}
}

func TestLine(t *testing.T) {
	var b prog.Builder
	in := b.Input("gate")
	fd := b.Reg("fd")
	item := b.Struct("{flags}", make([]byte, 16))
	end := b.Label()
	names := func(n int) string {
		if n == 2 {
			return "ENOENT"
		}
		return ""
	}
	step := b.Do("open", prog.Openat, prog.Const(1<<64-100, "AT_FDCWD"), b.String("a \"b\""), prog.Int(-1), in.Arg(), item, b.Inside(item, 8))
	step.Ret, step.Branch = fd, prog.Branch{Result: -2, To: end}
	b.Do("use", prog.Fchdir, fd.Arg()).Branch = prog.Branch{Result: 0, To: end}
	b.Do("use", prog.Fchdir, fd.Arg()).Branch = prog.Branch{Result: -9, To: end}
	b.Place(end)
	b.Do("end", prog.Exit)
	p := b.Program(3, in)
	for i, want := range [][3]string{
		{"fd", `openat(AT_FDCWD, "a \"b\"", -1, gate, {flags}, &{flags}[8])`, "ENOENT → 3"},
		{"", "fchdir(fd)", "0 → 3"},
		{"", "fchdir(fd)", "-9 → 3"},
		{"", "exit_group()", ""},
	} {
		ret, call, branch := p.Line(i, names)
		if got := [3]string{ret, call, branch}; got != want {
			t.Errorf("step %d: got %q, want %q", i, got, want)
		}
	}
}

func TestSyscallNames(t *testing.T) {
	seen := map[string]bool{}
	for s := range prog.Syscalls {
		name := s.String()
		if name == "" || name == "unknown" || seen[name] {
			t.Errorf("call %d is %q", s, name)
		}
		seen[name] = true
	}
	for s, want := range map[prog.Syscall]string{prog.Accept4: "accept4", prog.Exit: "exit_group", prog.MoveMount: "move_mount", prog.Umask: "umask", prog.Write: "write", prog.Syscalls: "unknown"} {
		if s.String() != want {
			t.Errorf("%s: want %s", strconv.Quote(s.String()), want)
		}
	}
}
