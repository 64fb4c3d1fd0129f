// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

import "encoding/binary"

// An Instruction is one of classic BPF: struct sock_filter, linux/filter.h.
type Instruction struct {
	Code uint16
	True uint8 // of a branch: how many instructions are skipped
	Else uint8
	K    uint32
}

// The instructions that filters consist of.
const (
	opLoad = 0x20 // ld [k]: a word of seccomp_data
	opAnd  = 0x54 // and #k
	opJump = 0x05 // ja k
	opJEQ  = 0x15
	opJGT  = 0x25
	opJGE  = 0x35
	opJSet = 0x45
	opRet  = 0x06 // ret #k
)

// MaxInstructions is the kernel's limit: BPF_MAXINSNS.
const MaxInstructions = 4096

// Offsets in struct seccomp_data, linux/seccomp.h.
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16
)

// What filters return, linux/seccomp.h. The lower half is data.
const (
	retKillProcess = 0x80000000
	retKillThread  = 0x00000000
	retTrap        = 0x00030000
	retErrno       = 0x00050000
	retNotify      = 0x7fc00000
	retTrace       = 0x7ff00000
	retLog         = 0x7ffc0000
	retAllow       = 0x7fff0000

	retAction = 0xffff0000
	retData   = 0x0000ffff
)

// Encode returns the program as seccomp(2) takes it, little-endian.
func Encode(program []Instruction) []byte {
	out := make([]byte, 0, 8*len(program))
	for _, i := range program {
		out = binary.LittleEndian.AppendUint16(out, i.Code)
		out = append(out, i.True, i.Else)
		out = binary.LittleEndian.AppendUint32(out, i.K)
	}
	return out
}

// Decode reads what [Encode] wrote.
func Decode(raw []byte) []Instruction {
	var program []Instruction
	for ; len(raw) >= 8; raw = raw[8:] {
		program = append(program, Instruction{
			Code: binary.LittleEndian.Uint16(raw), True: raw[2], Else: raw[3], K: binary.LittleEndian.Uint32(raw[4:])})
	}
	return program
}
