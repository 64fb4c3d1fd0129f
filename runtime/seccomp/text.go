// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

import (
	"strconv"
	"strings"
)

// Text is a filter as people read it: one instruction a line, jumps with the line
// that they lead to, numbers with the names of what they are compared with.
func Text(program []Instruction) string {
	var b strings.Builder
	var l lister
	for at, i := range program {
		b.WriteString(pad(strconv.Itoa(at), 4) + "  " + l.line(at, i) + "\n")
	}
	return b.String()
}

func pad(s string, n int) string { return strings.Repeat(" ", max(0, n-len(s))) + s }

// A lister knows what the code in front of an instruction has found out: sections
// follow the test of their architecture, and end where the next is tested.
type lister struct {
	arch   *Arch
	loaded uint32 // the offset of the word that was loaded last
}

func (l *lister) line(at int, i Instruction) string {
	to := func(skip uint32) string { return strconv.Itoa(at + 1 + int(skip)) }
	switch i.Code {
	case opLoad:
		l.loaded = i.K
		return "load " + l.word()
	case opAnd:
		return "and 0x" + strconv.FormatUint(uint64(i.K), 16)
	case opJump:
		return "go to " + to(i.K)
	case opRet:
		return "return " + ActionText(i.K)
	}
	test := map[uint16]string{opJEQ: "==", opJGT: ">", opJGE: ">=", opJSet: "&"}[i.Code]
	if test == "" {
		return "unknown code 0x" + strconv.FormatUint(uint64(i.Code), 16)
	}
	return "if " + test + " " + l.value(i) + " then " + to(uint32(i.True)) + " else " + to(uint32(i.Else))
}

func (l *lister) word() string {
	switch {
	case l.loaded == offsetNumber:
		return "number"
	case l.loaded == offsetArch:
		return "arch"
	case l.loaded < offsetArgs:
		return "pointer"
	}
	half := ".low"
	if little := l.arch == nil || l.arch.little(); little == (l.loaded%8 != 0) {
		half = ".high"
	}
	return "arg" + strconv.Itoa(int(l.loaded-offsetArgs)/8) + half
}

// value is what the loaded word is compared with.
func (l *lister) value(i Instruction) string {
	text := "0x" + strconv.FormatUint(uint64(i.K), 16)
	switch {
	case l.loaded == offsetArch:
		for n := range archs {
			if archs[n].Token == i.K && archs[n].bit == 0 {
				l.arch = &archs[n]
				return archs[n].Name
			}
		}
	case l.loaded == offsetNumber:
		a := l.arch
		if a != nil && a.Token == x86_64Token && i.K&x32Bit != 0 {
			a = FindArch("SCMP_ARCH_X32")
		}
		if i.K != noNumber {
			text = strconv.FormatUint(uint64(i.K), 10)
		}
		if a != nil {
			if name := a.NameOf(i.K); name != "" {
				text += " (" + name + ")"
			}
		}
	}
	return text
}
