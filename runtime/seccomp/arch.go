// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

import "slices"

// An Arch is one kind of system calls: an architecture of the kernel's, or one of
// the older ones whose programs it runs too.
type Arch struct {
	Name   string // SCMP_ARCH_X86_64
	Token  uint32 // AUDIT_ARCH_X86_64, linux/audit.h: what seccomp_data.arch says
	calls  []call
	bit    uint32 // what all numbers have set: x32 shares its token with x86_64
	enosys uint32 // where it is not 38
}

// Parts of tokens, linux/audit.h.
const (
	token64     = 0x80000000
	tokenLittle = 0x40000000
	tokenN32    = 0x20000000

	x32Bit = 0x40000000 // __X32_SYSCALL_BIT
)

// archs are those of the runtime-spec, in its order. Their token is the ELF
// machine, elf.h, with the bits above.
var archs = [...]Arch{
	{"SCMP_ARCH_X86", 3 | tokenLittle, x86Calls, 0, 0},
	{"SCMP_ARCH_X86_64", 62 | token64 | tokenLittle, x86_64Calls, 0, 0},
	{"SCMP_ARCH_X32", 62 | token64 | tokenLittle, x32Calls, x32Bit, 0},
	{"SCMP_ARCH_ARM", 40 | tokenLittle, armCalls, 0, 0},
	{"SCMP_ARCH_AARCH64", 183 | token64 | tokenLittle, aarch64Calls, 0, 0},
	{"SCMP_ARCH_MIPS", 8, mipsCalls, 0, 89},
	{"SCMP_ARCH_MIPS64", 8 | token64, mips64Calls, 0, 89},
	{"SCMP_ARCH_MIPS64N32", 8 | token64 | tokenN32, mips64n32Calls, 0, 89},
	{"SCMP_ARCH_MIPSEL", 8 | tokenLittle, mipsCalls, 0, 89},
	{"SCMP_ARCH_MIPSEL64", 8 | token64 | tokenLittle, mips64Calls, 0, 89},
	{"SCMP_ARCH_MIPSEL64N32", 8 | token64 | tokenLittle | tokenN32, mips64n32Calls, 0, 89},
	{"SCMP_ARCH_PPC", 20, ppcCalls, 0, 0},
	{"SCMP_ARCH_PPC64", 21 | token64, ppc64Calls, 0, 0},
	{"SCMP_ARCH_PPC64LE", 21 | token64 | tokenLittle, ppc64Calls, 0, 0},
	{"SCMP_ARCH_S390", 22, s390Calls, 0, 0},
	{"SCMP_ARCH_S390X", 22 | token64, s390xCalls, 0, 0},
	{"SCMP_ARCH_PARISC", 15, pariscCalls, 0, 251},
	{"SCMP_ARCH_PARISC64", 15 | token64, parisc64Calls, 0, 251},
	{"SCMP_ARCH_RISCV64", 243 | token64 | tokenLittle, riscv64Calls, 0, 0},
	{"SCMP_ARCH_LOONGARCH64", 258 | token64 | tokenLittle, loongarch64Calls, 0, 0},
	{"SCMP_ARCH_M68K", 4, m68kCalls, 0, 0},
	{"SCMP_ARCH_SH", 42 | tokenLittle, shCalls, 0, 0},
	{"SCMP_ARCH_SHEB", 42, shCalls, 0, 0},
}

// FindArch returns the architecture that the spec calls name, nil if there is none.
func FindArch(name string) *Arch {
	for i := range archs {
		if archs[i].Name == name {
			return &archs[i]
		}
	}
	return nil
}

// Native returns the architecture of a Go port: of a kernel whose containers we run.
func Native(goarch string) *Arch {
	switch goarch {
	case "amd64":
		return FindArch("SCMP_ARCH_X86_64")
	case "arm64":
		return FindArch("SCMP_ARCH_AARCH64")
	}
	return nil
}

// little tells how the halves of an argument lie in seccomp_data.
func (a *Arch) little() bool { return a.Token&tokenLittle != 0 }

// ENOSYS is the errno for a call that the kernel does not have.
func (a *Arch) ENOSYS() uint32 {
	if a.enosys != 0 {
		return a.enosys
	}
	return 38
}

// ordinary is where numbers end that are given in the order of time. ARM has calls
// of its own behind (tools/syscalls); what is newer than a profile is before.
func (a *Arch) ordinary() uint32 {
	if a.Name == "SCMP_ARCH_ARM" {
		return 0xf0000
	}
	return noNumber
}

// A call is one of an architecture's: its number, without the bit of x32, and the
// index of its name: number<<nameBits | index.
type call uint32

const nameBits = 10

func (c call) number() uint32 { return uint32(c >> nameBits) }
func (c call) name() int      { return int(c % (1 << nameBits)) }

// Number returns the number of a system call.
func (a *Arch) Number(name string) (uint32, bool) {
	if i := indexOf(name); i >= 0 {
		for _, c := range a.calls {
			if c.name() == i {
				return c.number() | a.bit, true
			}
		}
	}
	return 0, false
}

// Full is a number as programs give it to the kernel: that of x32 has a bit which
// people leave out.
func (a *Arch) Full(number uint32) uint32 { return number | a.bit }

// NameOf returns the name of a system call, "" if it has none.
func (a *Arch) NameOf(number uint32) string {
	for _, c := range a.calls {
		if c.number()|a.bit == number {
			return nameAt(c.name())
		}
	}
	return ""
}

// newest returns the newest call that some names are of, nil if there is none.
func (a *Arch) newest(named func(name int) bool) *call {
	for i := len(a.calls) - 1; i >= 0; i-- {
		if c := a.calls[i]; c.number() < a.ordinary() && named(c.name()) {
			return &a.calls[i]
		}
	}
	return nil
}

// count is how many names there are.
const count = len(ends) - 1

// nameAt returns one of names.
func nameAt(i int) string { return names[ends[i]:ends[i+1]] }

// indexOf returns the index of a name, -1 if no architecture has such a call.
func indexOf(name string) int {
	hash := uint32(0)
	for i := range len(name) {
		hash = hash*31 + uint32(name[i])
	}
	for ; ; hash++ {
		i := int(places[hash%uint32(len(places))]) - 1
		if i < 0 || nameAt(i) == name {
			return i
		}
	}
}

// Names returns the names of the calls that the architecture has, sorted.
func (a *Arch) Names() []string {
	has := make([]string, len(a.calls))
	for i, c := range a.calls {
		has[i] = nameAt(c.name())
	}
	slices.Sort(has)
	return has
}
