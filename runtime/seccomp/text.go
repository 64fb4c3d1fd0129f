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
	l := lister{from: make([]*known, len(program)+1)}
	for at, i := range program {
		b.WriteString(pad(strconv.Itoa(at), 4) + "  " + l.line(at, i) + "\n")
	}
	return b.String()
}

func pad(s string, n int) string { return strings.Repeat(" ", max(0, n-len(s))) + s }

// known is what has been found out where an instruction is reached.
type known struct {
	arch   *Arch
	loaded uint32 // the offset of the word that was loaded last
}

// A lister goes through a program from its beginning: jumps only lead forward, so
// it has seen the way to an instruction before that.
type lister struct {
	known
	from []*known // for each instruction, that of the first that leads to it
}

// leads notes that an instruction is reached with what is known by now.
func (l *lister) leads(to int, k known) {
	if to < len(l.from) && l.from[to] == nil {
		l.from[to] = &k
	}
}

func (l *lister) line(at int, i Instruction) string {
	if l.from[at] != nil {
		l.known = *l.from[at]
	}
	to := func(skip uint32) int { return at + 1 + int(min(skip, MaxInstructions)) }
	switch i.Code {
	case opLoad:
		l.loaded = i.K
		l.leads(at+1, l.known)
		return "load " + l.word()
	case opAnd:
		l.leads(at+1, l.known)
		return "and 0x" + strconv.FormatUint(uint64(i.K), 16)
	case opJump:
		l.leads(to(i.K), l.known)
		return "go to " + strconv.Itoa(to(i.K))
	case opRet:
		return "return " + ActionText(i.K)
	}
	test := map[uint16]string{opJEQ: "==", opJGT: ">", opJGE: ">=", opJSet: "&"}[i.Code]
	if test == "" {
		return "unknown code 0x" + strconv.FormatUint(uint64(i.Code), 16)
	}
	l.leads(to(uint32(i.Else)), l.known)
	value := l.value(i)
	l.leads(to(uint32(i.True)), l.known)
	return "if " + test + " " + value + " then " + strconv.Itoa(to(uint32(i.True))) + " else " + strconv.Itoa(to(uint32(i.Else)))
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

// value is what the loaded word is compared with. If it is the architecture, that
// is known where the two are equal.
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
