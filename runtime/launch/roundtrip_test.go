// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package launch

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/coracle-oci/coracle/runtime/prog"
	"github.com/coracle-oci/coracle/runtime/prog/progtest"
)

// A symbols is what an image does not say about itself: how many steps and
// registers there are and how long each data item is, and so where things lie.
// It is reckoned here from the format's description alone.
type symbols struct {
	p          *prog.Program
	regs, data []int
}

func symbolsOf(p *prog.Program) symbols {
	s := symbols{p: p}
	at := 0x600410 + 80*len(p.Steps)
	for range p.Regs {
		s.regs = append(s.regs, at)
		at += 8
	}
	for _, d := range p.Data {
		s.data = append(s.data, at)
		for _, c := range d.Cells {
			s.regs[c.Reg-1] = at + c.Offset
		}
		at += (len(d.Bytes) + 7) / 8 * 8
	}
	return s
}

// arg tells what an argument of the image means.
func (s symbols) arg(value uint64, register bool) prog.Arg {
	if register {
		for i, at := range s.regs {
			if uint64(at) == value {
				return prog.Arg{Kind: prog.Register, Value: uint64(i + 1)}
			}
		}
	}
	first := uint64(s.p.FirstFD)
	if value >= first && value < first+uint64(len(s.p.Inputs)) {
		return prog.Arg{Kind: prog.InputFD, Value: value - first}
	}
	if value < progtest.MaxConstant {
		return prog.Arg{Value: value}
	}
	for i := len(s.data) - 1; i >= 0; i-- {
		if value >= uint64(s.data[i]) {
			return prog.Arg{Kind: prog.Address, Value: uint64(i), Offset: int32(int(value) - s.data[i])}
		}
	}
	return prog.Arg{Value: value}
}

// disassemble reads the steps and the data out of an image.
func (s symbols) disassemble(image []byte) (steps []prog.Step, starts []int, data []prog.Data) {
	le := binary.LittleEndian
	at := func(address int) []byte { return image[address-0x600000:] }
	calls := map[uint64]prog.Syscall{}
	for call, number := range numbers {
		calls[uint64(number)] = prog.Syscall(call)
	}
	for i := range s.p.Steps {
		b := at(0x600410 + 80*i)
		step := prog.Step{Call: calls[le.Uint64(b)]}
		for n := range 6 {
			step.Args = append(step.Args, s.arg(le.Uint64(b[8+8*n:]), le.Uint32(b[56:])&(1<<n) != 0))
		}
		if ret := int(le.Uint32(b[60:])); ret != 0 {
			step.Ret = prog.Reg(s.arg(uint64(ret), true).Value)
		}
		start := -1
		if target := int(le.Uint64(b[72:])); target != 0 {
			start = (target - 0x600410) / 80
			step.Branch.Result = int64(le.Uint64(b[64:]))
		}
		steps, starts = append(steps, step), append(starts, start)
	}
	for i, d := range s.p.Data {
		got := prog.Data{Bytes: append([]byte(nil), at(s.data[i])[:len(d.Bytes)]...)}
		for _, r := range d.Refs {
			to := s.arg(le.Uint64(got.Bytes[r.Offset:]), false)
			got.Refs = append(got.Refs, prog.Ref{Offset: r.Offset, To: int(to.Value)})
			copy(got.Bytes[r.Offset:], d.Bytes[r.Offset:r.Offset+8])
		}
		data = append(data, got)
	}
	return steps, starts, data
}

// TestRoundTrip disassembles what was assembled of random programs.
func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for n := range 500 {
		p := progtest.Random(r)
		image, err := Assemble(p)
		if err != nil {
			t.Fatal(err)
		}
		s := symbolsOf(p)
		for i, want := range s.data {
			if image.DataAddress(i) != want {
				t.Fatalf("program %d: item %d is at %#x, want %#x", n, i, image.DataAddress(i), want)
			}
		}
		steps, starts, data := s.disassemble(image.Bytes)
		for i, got := range steps {
			want, start := p.Steps[i], -1
			if want.Branch.To != 0 {
				start = p.Start(want.Branch.To)
			}
			for len(want.Args) < 6 {
				want.Args = append(want.Args, prog.Arg{})
			}
			want.Doing, want.From, want.Branch.To = "", "", 0
			if !reflect.DeepEqual(got, want) || starts[i] != start {
				t.Fatalf("program %d, step %d: got %+v → %d, want %+v → %d", n, i, got, starts[i], want, start)
			}
		}
		for i, got := range data {
			if want := p.Data[i]; string(got.Bytes) != string(want.Bytes) || !reflect.DeepEqual(got.Refs, want.Refs) {
				t.Fatalf("program %d, item %d: got %+v, want %+v", n, i, got, want)
			}
		}
		if got, want := int(binary.LittleEndian.Uint32(image.Bytes[0x408:])), p.FirstFD+int(p.Report); got != want {
			t.Fatalf("program %d reports to %d, want %d", n, got, want)
		}
	}
}

const ebadf = 9 // errno(3)

// TestInterpreterIsTheModel runs random programs of calls that Go can answer as
// the kernel does, and compares what came of them with the model's run.
func TestInterpreterIsTheModel(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for n := range 100 {
		p := arithmetic(r)
		mask := uint64(0)
		var status uint64
		end := p.Run(func(i int, args []uint64) int64 {
			switch p.Steps[i].Call {
			case prog.Umask:
				old := mask
				mask = args[0] & 0o777
				return int64(old)
			case prog.Exit:
				status = args[0] & 0xff
				return 0
			}
			return -ebadf
		})
		rd, w := pipe(t)
		code, _ := runImage(t, p, w)
		w.Close()
		if end.Errno == 0 {
			if code != int(status) {
				t.Fatalf("program %d: exit status %d, the model has %d", n, code, status)
			}
			rd.Close()
			continue
		}
		buf := make([]byte, 8)
		got, _ := rd.Read(buf)
		rd.Close()
		report, err := DecodeReport(buf[:got])
		if err != nil || code != 1 || report.Step != end.Step || report.Errno != int(end.Errno) {
			t.Fatalf("program %d: exit status %d, report %+v, %v; the model has %+v", n, code, report, err, end)
		}
	}
}

// arithmetic makes a program of umask and of calls on a descriptor that is not
// open, with branches on what they may return.
func arithmetic(r *rand.Rand) *prog.Program {
	b := builder()
	b.Do("begin", prog.Umask, prog.Int(0))
	last := b.Reg("last")
	b.Do("begin", prog.Umask, prog.Int(r.IntN(8))).Ret = last
	var open []prog.Label
	for range r.IntN(30) {
		if len(open) > 0 && r.IntN(3) == 0 {
			b.Place(open[0])
			open = open[1:]
		}
		var step *prog.Step
		switch r.IntN(10) {
		case 0:
			step = b.Do("fail", prog.Lseek, prog.Int(999), prog.Int(0), prog.Int(0))
		case 1, 2, 3:
			step = b.Do("pass on", prog.Umask, last.Arg())
		default:
			step = b.Do("set", prog.Umask, prog.Int(r.IntN(8)))
			step.Ret = last
		}
		if r.IntN(2) == 0 || step.Call == prog.Lseek && r.IntN(4) != 0 {
			l := b.Label()
			open = append(open, l)
			step.Branch = prog.Branch{Result: int64(r.IntN(8)), To: l}
			if step.Call == prog.Lseek {
				step.Branch.Result = -ebadf
			}
		}
	}
	for _, l := range open {
		b.Place(l)
	}
	b.Do("end", prog.Exit, last.Arg())
	return b.Program(3, 0)
}

// TestGoldenImage is the image of one small program, byte by byte: what changes
// here changes what runs in containers.
func TestGoldenImage(t *testing.T) {
	b := builder()
	end := b.Label()
	fd := b.Get("fd", "dup", prog.Dup3, prog.Input(0).Arg(), prog.Int(9), prog.Int(0))
	b.Do("say", prog.Sendto, fd.Arg(), b.String("hi"), prog.Int(2)).Branch = prog.Branch{Result: -32, To: end}
	b.Place(end)
	exit(b, 7)
	image, err := Assemble(b.Program(3, 0))
	if err != nil {
		t.Fatal(err)
	}
	got := dump(image.Bytes)
	file := "testdata/tiny_" + runtime.GOARCH + ".hex"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; UPDATE=1 go test rewrites it:\n%s", file, got)
	}
}

// dump is bytes as xxd writes them, without lines of zeros.
func dump(b []byte) string {
	var out strings.Builder
	for i, line := range strings.Split(strings.TrimSuffix(hex.Dump(b), "\n"), "\n") {
		if end := min(len(b), 16*i+16); strings.Trim(string(b[16*i:end]), "\x00") != "" {
			out.WriteString(line + "\n")
		}
	}
	return out.String()
}
