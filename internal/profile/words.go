// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package profile

// Actions returns the spec's names of all actions.
func Actions() []string {
	return []string{"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
		"SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP"}
}

// Operators returns the spec's names of all operators.
func Operators() []string {
	return []string{"SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"}
}

// Flags returns the spec's names of all flags of seccomp(2).
func Flags() []string {
	return []string{"SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"}
}

// Architectures returns the spec's names of all architectures, in its order.
func Architectures() []string {
	return []string{
		"SCMP_ARCH_X86", "SCMP_ARCH_X86_64", "SCMP_ARCH_X32", "SCMP_ARCH_ARM", "SCMP_ARCH_AARCH64",
		"SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32",
		"SCMP_ARCH_PPC", "SCMP_ARCH_PPC64", "SCMP_ARCH_PPC64LE", "SCMP_ARCH_S390", "SCMP_ARCH_S390X", "SCMP_ARCH_PARISC", "SCMP_ARCH_PARISC64",
		"SCMP_ARCH_RISCV64", "SCMP_ARCH_LOONGARCH64", "SCMP_ARCH_M68K", "SCMP_ARCH_SH", "SCMP_ARCH_SHEB",
	}
}

// A machine is what programs of one kind run on, as Go, templates and the spec
// call it. Go has no ports for some; that of N32 has two names in templates.
type machine struct{ goarch, template, spec string }

var machines = [...]machine{
	{"386", "x86", "SCMP_ARCH_X86"},
	{"amd64", "amd64", "SCMP_ARCH_X86_64"},
	{"", "x32", "SCMP_ARCH_X32"},
	{"arm", "arm", "SCMP_ARCH_ARM"},
	{"arm64", "arm64", "SCMP_ARCH_AARCH64"},
	{"mips", "mips", "SCMP_ARCH_MIPS"},
	{"mips64", "mips64", "SCMP_ARCH_MIPS64"},
	{"", "mips64n32", "SCMP_ARCH_MIPS64N32"},
	{"mipsle", "mipsel", "SCMP_ARCH_MIPSEL"},
	{"mips64le", "mipsel64", "SCMP_ARCH_MIPSEL64"},
	{"", "mipsel64n32", "SCMP_ARCH_MIPSEL64N32"},
	{"", "mips3l64n32", "SCMP_ARCH_MIPSEL64N32"},
	{"", "ppc", "SCMP_ARCH_PPC"},
	{"ppc64", "ppc64", "SCMP_ARCH_PPC64"},
	{"ppc64le", "ppc64le", "SCMP_ARCH_PPC64LE"},
	{"", "s390", "SCMP_ARCH_S390"},
	{"s390x", "s390x", "SCMP_ARCH_S390X"},
	{"", "parisc", "SCMP_ARCH_PARISC"},
	{"", "parisc64", "SCMP_ARCH_PARISC64"},
	{"riscv64", "riscv64", "SCMP_ARCH_RISCV64"},
	{"loong64", "loongarch64", "SCMP_ARCH_LOONGARCH64"},
	{"", "m68k", "SCMP_ARCH_M68K"},
	{"", "sh", "SCMP_ARCH_SH"},
	{"", "sheb", "SCMP_ARCH_SHEB"},
}

// machineNames returns what templates call machines.
func machineNames() []string {
	list := make([]string, len(machines))
	for i := range machines {
		list[i] = machines[i].template
	}
	return list
}
