// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

import "fmt"

// Data is what a filter is asked about: struct seccomp_data.
type Data struct {
	Number  uint32
	Arch    uint32 // a token
	Pointer uint64
	Args    [6]uint64
}

// word is what a load from an offset gives on the architecture of the data.
func (d *Data) word(offset uint32) (uint32, bool) {
	var v uint64
	switch {
	case offset%4 != 0 || offset >= 64:
		return 0, false
	case offset == offsetNumber:
		return d.Number, true
	case offset == offsetArch:
		return d.Arch, true
	case offset < offsetArgs:
		v = d.Pointer
	default:
		v = d.Args[(offset-offsetArgs)/8]
	}
	if low := offset%8 == 0; low == (d.Arch&tokenLittle != 0) {
		return uint32(v), true
	}
	return uint32(v >> 32), true
}

// Run runs a filter as the kernel does, and returns what it answers and how many
// instructions that took. It is an error if the kernel would have refused the
// program.
func Run(program []Instruction, d Data) (answer uint32, steps int, err error) {
	var a uint32
	for at := 0; at < len(program); steps++ {
		i := program[at]
		at++
		taken := false
		switch i.Code {
		case opLoad:
			var ok bool
			if a, ok = d.word(i.K); !ok {
				return 0, 0, fmt.Errorf("instruction %d loads from %d", at-1, i.K)
			}
			continue
		case opAnd:
			a &= i.K
			continue
		case opJump:
			if i.K > MaxInstructions {
				return 0, 0, fmt.Errorf("instruction %d jumps by %d", at-1, i.K)
			}
			at += int(i.K)
			continue
		case opRet:
			return i.K, steps + 1, nil
		case opJEQ:
			taken = a == i.K
		case opJGT:
			taken = a > i.K
		case opJGE:
			taken = a >= i.K
		case opJSet:
			taken = a&i.K != 0
		default:
			return 0, 0, fmt.Errorf("instruction %d has code %#x", at-1, i.Code)
		}
		if taken {
			at += int(i.True)
		} else {
			at += int(i.Else)
		}
	}
	return 0, 0, fmt.Errorf("the program runs over its end")
}
