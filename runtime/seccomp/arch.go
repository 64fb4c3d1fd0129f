// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

// An Arch is one kind of system calls: an architecture of the kernel's, or one of
// the older ones whose programs it runs too.
type Arch struct {
	Name   string // SCMP_ARCH_X86_64
	Token  uint32 // AUDIT_ARCH_X86_64, linux/audit.h: what seccomp_data.arch says
	table  *table
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
	{"SCMP_ARCH_X86", 3 | tokenLittle, &x86Table, 0, 0},
	{"SCMP_ARCH_X86_64", 62 | token64 | tokenLittle, &x86_64Table, 0, 0},
	{"SCMP_ARCH_X32", 62 | token64 | tokenLittle, &x32Table, x32Bit, 0},
	{"SCMP_ARCH_ARM", 40 | tokenLittle, &armTable, 0, 0},
	{"SCMP_ARCH_AARCH64", 183 | token64 | tokenLittle, &aarch64Table, 0, 0},
	{"SCMP_ARCH_MIPS", 8, &mipsTable, 0, 89},
	{"SCMP_ARCH_MIPS64", 8 | token64, &mips64Table, 0, 89},
	{"SCMP_ARCH_MIPS64N32", 8 | token64 | tokenN32, &mips64n32Table, 0, 89},
	{"SCMP_ARCH_MIPSEL", 8 | tokenLittle, &mipsTable, 0, 89},
	{"SCMP_ARCH_MIPSEL64", 8 | token64 | tokenLittle, &mips64Table, 0, 89},
	{"SCMP_ARCH_MIPSEL64N32", 8 | token64 | tokenLittle | tokenN32, &mips64n32Table, 0, 89},
	{"SCMP_ARCH_PPC", 20, &ppcTable, 0, 0},
	{"SCMP_ARCH_PPC64", 21 | token64, &ppc64Table, 0, 0},
	{"SCMP_ARCH_PPC64LE", 21 | token64 | tokenLittle, &ppc64Table, 0, 0},
	{"SCMP_ARCH_S390", 22, &s390Table, 0, 0},
	{"SCMP_ARCH_S390X", 22 | token64, &s390xTable, 0, 0},
	{"SCMP_ARCH_PARISC", 15, &pariscTable, 0, 251},
	{"SCMP_ARCH_PARISC64", 15 | token64, &parisc64Table, 0, 251},
	{"SCMP_ARCH_RISCV64", 243 | token64 | tokenLittle, &riscv64Table, 0, 0},
	{"SCMP_ARCH_LOONGARCH64", 258 | token64 | tokenLittle, &loongarch64Table, 0, 0},
	{"SCMP_ARCH_M68K", 4, &m68kTable, 0, 0},
	{"SCMP_ARCH_SH", 42 | tokenLittle, &shTable, 0, 0},
	{"SCMP_ARCH_SHEB", 42, &shTable, 0, 0},
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
	if a.table == &armTable {
		return 0xf0000
	}
	return noNumber
}

// Number returns the number of a system call.
func (a *Arch) Number(name string) (uint32, bool) {
	if i, ok := indexOf(name); ok {
		return a.number(i)
	}
	return 0, false
}

// number is that of names[i].
func (a *Arch) number(i int) (uint32, bool) {
	n := a.table[i]
	return uint32(n) | a.bit, n >= 0
}

// Full is a number as programs give it to the kernel: that of x32 has a bit which
// people leave out.
func (a *Arch) Full(number uint32) uint32 { return number | a.bit }

// NameOf returns the name of a system call, "" if it has none.
func (a *Arch) NameOf(number uint32) string {
	for i := range a.table {
		if n, ok := a.number(i); ok && n == number {
			return names[i]
		}
	}
	return ""
}

// indexOf finds a name in the sorted list.
func indexOf(name string) (int, bool) {
	low, high := 0, len(names)
	for low < high {
		middle := int(uint(low+high) / 2)
		switch {
		case names[middle] == name:
			return middle, true
		case names[middle] < name:
			low = middle + 1
		default:
			high = middle
		}
	}
	return 0, false
}

// indexNear is indexOf for a name that may stand close behind another, as in the
// sorted lists of engines.
func indexNear(at int, name string) (int, bool) {
	const near = 6
	for i := at; i < min(at+near, len(names)); i++ {
		if names[i] == name {
			return i, true
		}
	}
	return indexOf(name)
}

// Names returns the names of the calls that the architecture has, sorted.
func (a *Arch) Names() []string {
	var has []string
	for i, n := range a.table {
		if n >= 0 {
			has = append(has, names[i])
		}
	}
	return has
}
