// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package launch turns a launch program into a process.
//
// It assembles the program into a static ELF image (an interpreter of some
// sixty instructions, then the program as its data), writes it to a sealed
// memfd, starts it, and reads what it reports. It knows nothing of containers.
//
// The image, little-endian:
//
//	file     memory
//	0        0x400000  R X  ELF header, three program headers, interpreter, padding
//	0x400    0x600400  RW   header: u32 failed step, u32 errno, u32 report fd, u32 number of exit_group(2)
//	0x410    0x600410       steps, 80 bytes each
//	                        registers, 8 bytes each
//	                        data items, each aligned to 8 bytes
//
// A step: u64 number, u64 argument × 6, u32 which arguments are addresses of
// registers (bit n: argument n), u32 address of the result's register or 0,
// i64 result that branches, u64 address of the step to continue at or 0.
package launch

import (
	"encoding/binary"
	"fmt"

	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/prog"
)

const (
	textAddr   = 0x400000
	dataAddr   = 0x600000 // congruent to the file offset, modulo any page size up to 64 KiB
	dataOffset = 0x400
	header     = dataAddr + dataOffset
	headerSize = 16
	steps      = header + headerSize
	stepSize   = 80
	codeOffset = 64 + 3*56 // ELF header and program headers
)

// An Image is an assembled program.
type Image struct {
	Bytes []byte // of the ELF file
	data  []int  // addresses of the data items
}

// DataAddress returns where item i of the program's data lies in memory.
func (m *Image) DataAddress(i int) int { return m.data[i] }

// Assemble encodes a program that passes [prog.Program.Check] for the
// architecture that this binary is built for.
func Assemble(p *prog.Program) (*Image, error) {
	code := interpreter()
	if codeOffset+len(code) > dataOffset {
		return nil, fmt.Errorf("bug: the interpreter has %d bytes", len(code))
	}
	a := assembler{p: p}
	a.place()
	out := make([]byte, a.end-dataAddr)
	elfHeader(out, len(out))
	copy(out[codeOffset:], code)
	binary.LittleEndian.PutUint32(out[dataOffset+8:], uint32(p.FirstFD+int(p.Report)))
	binary.LittleEndian.PutUint32(out[dataOffset+12:], linux.SYS_EXIT_GROUP)
	for i := range p.Steps {
		if err := a.step(out[steps-dataAddr+i*stepSize:], &p.Steps[i]); err != nil {
			return nil, err
		}
	}
	for i, d := range p.Data {
		at := out[a.data[i]-dataAddr:]
		copy(at, d.Bytes)
		for _, r := range d.Refs {
			binary.LittleEndian.PutUint64(at[r.Offset:], uint64(a.data[r.To]+r.At))
		}
	}
	return &Image{Bytes: out, data: a.data}, nil
}

type assembler struct {
	p    *prog.Program
	regs []int // addresses; registers count from 1
	data []int
	end  int
}

// place gives every register and data item its address.
func (a *assembler) place() {
	a.regs, a.data = make([]int, len(a.p.Regs)+1), make([]int, len(a.p.Data))
	at := steps + len(a.p.Steps)*stepSize
	for i := range a.p.Regs {
		a.regs[i+1] = at
		at += 8
	}
	for i, d := range a.p.Data {
		a.data[i] = at
		for _, c := range d.Cells {
			a.regs[c.Reg] = at + c.Offset
		}
		at += (len(d.Bytes) + 7) &^ 7
	}
	a.end = at
}

func (a *assembler) step(out []byte, s *prog.Step) error {
	le := binary.LittleEndian
	number := numbers[s.Call]
	if number == 0 && s.Call != prog.Read {
		return fmt.Errorf("bug: %s has no number", s.Call)
	}
	le.PutUint64(out, uint64(number))
	var registers uint32
	for i, arg := range s.Args {
		value := arg.Value
		switch arg.Kind {
		case prog.Register:
			registers |= 1 << i
			value = uint64(a.regs[arg.Value])
		case prog.InputFD:
			value += uint64(a.p.FirstFD)
		case prog.Address:
			value = uint64(a.data[arg.Value] + int(arg.Offset))
		}
		le.PutUint64(out[8+8*i:], value)
	}
	le.PutUint32(out[56:], registers)
	if s.Ret != prog.Drop {
		le.PutUint32(out[60:], uint32(a.regs[s.Ret]))
	}
	if s.Branch.To != 0 {
		le.PutUint64(out[64:], uint64(s.Branch.Result))
		le.PutUint64(out[72:], uint64(steps+a.p.Start(s.Branch.To)*stepSize))
	}
	return nil
}

// elfHeader writes the ELF and program headers of a static executable, elf(5):
// text, data, and a stack that cannot be executed.
func elfHeader(out []byte, size int) {
	le := binary.LittleEndian
	copy(out, "\x7fELF\x02\x01\x01")
	le.PutUint16(out[16:], 2) // ET_EXEC
	le.PutUint16(out[18:], machine)
	le.PutUint32(out[20:], 1)
	le.PutUint64(out[24:], textAddr+codeOffset) // e_entry
	le.PutUint64(out[32:], 64)                  // e_phoff
	le.PutUint16(out[52:], 64)                  // e_ehsize
	le.PutUint16(out[54:], 56)                  // e_phentsize
	le.PutUint16(out[56:], 3)                   // e_phnum
	segment := func(n int, kind, flags uint32, offset, addr, size uint64) {
		ph := out[64+56*n:]
		le.PutUint32(ph, kind)
		le.PutUint32(ph[4:], flags)
		for i, v := range []uint64{offset, addr, addr, size, size, 0x10000} {
			le.PutUint64(ph[8+8*i:], v)
		}
	}
	const load, gnuStack, x, w, r = 1, 0x6474e551, 1, 2, 4
	segment(0, load, r|x, 0, textAddr, dataOffset)
	segment(1, load, r|w, dataOffset, header, uint64(size-dataOffset))
	segment(2, gnuStack, r|w, 0, 0, 0)
}
