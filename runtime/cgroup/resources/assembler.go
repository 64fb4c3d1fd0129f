// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package resources

import "encoding/binary"

// insnSize is the size of a struct bpf_insn:
//
//	 0        8    12   16       32                64
//	+--------+----+----+--------+-----------------+
//	| code   | dst| src| off    | imm             |
//	+--------+----+----+--------+-----------------+
const insnSize = 8

// An assembler collects eBPF instructions on 32-bit registers: linux/bpf.h and
// the kernel's Documentation/bpf/standardization/instruction-set.rst. Distances
// of jumps are in instructions, from the one that follows.
type assembler struct{ code []byte }

// Operation codes: class, source of the operand (x: register, k: constant), operation.
const (
	opLoad    = 0x61 // BPF_LDX | BPF_MEM | BPF_W
	opMoveX   = 0xbc // BPF_ALU | BPF_X | BPF_MOV
	opMoveK64 = 0xb7 // BPF_ALU64 | BPF_K | BPF_MOV
	opAndK    = 0x54 // BPF_ALU | BPF_K | BPF_AND
	opRshK    = 0x74 // BPF_ALU | BPF_K | BPF_RSH
	opJump    = 0x05 // BPF_JMP | BPF_JA
	opJneK    = 0x56 // BPF_JMP32 | BPF_K | BPF_JNE
	opJsetK   = 0x46 // BPF_JMP32 | BPF_K | BPF_JSET
	opExit    = 0x95 // BPF_JMP | BPF_EXIT
)

func (a *assembler) emit(code byte, dst, src, off int, imm uint32) {
	a.code = append(a.code, code, byte(src<<4|dst))
	a.code = binary.LittleEndian.AppendUint16(a.code, uint16(off))
	a.code = binary.LittleEndian.AppendUint32(a.code, imm)
}

func (a *assembler) len() int { return len(a.code) / insnSize }

// load sets dst to the 32 bits at offset off of what src points to.
func (a *assembler) load(dst, src, off int) { a.emit(opLoad, dst, src, off, 0) }

func (a *assembler) move(dst, src int) { a.emit(opMoveX, dst, src, 0, 0) }

func (a *assembler) and(dst int, mask uint32) { a.emit(opAndK, dst, 0, 0, mask) }

func (a *assembler) shiftRight(dst, bits int) { a.emit(opRshK, dst, 0, 0, uint32(bits)) }

// skip jumps over n instructions.
func (a *assembler) skip(n int) { a.emit(opJump, 0, 0, n, 0) }

// skipUnless jumps over n instructions if the register is not value.
func (a *assembler) skipUnless(register int, value uint32, n int) {
	a.emit(opJneK, register, 0, n, value)
}

// skipIfAny jumps over n instructions if the register has a bit of mask.
func (a *assembler) skipIfAny(register int, mask uint32, n int) {
	a.emit(opJsetK, register, 0, n, mask)
}

// exit ends the program with 1 or 0.
func (a *assembler) exit(allow bool) {
	value := uint32(0)
	if allow {
		value = 1
	}
	a.emit(opMoveK64, result, 0, 0, value)
	a.emit(opExit, 0, 0, 0, 0)
}
