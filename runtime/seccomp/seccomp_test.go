// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

import (
	"slices"
	"strconv"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/profile"
)

func ptr(n uint) *uint { return &n }

// valid allows read and write but for one descriptor.
func valid() *specs.LinuxSeccomp {
	return &specs.LinuxSeccomp{
		DefaultAction: specs.ActErrno,
		Architectures: []specs.Arch{specs.ArchX86_64, specs.ArchX32},
		Syscalls: []specs.LinuxSyscall{
			{Names: []string{"read"}, Action: specs.ActAllow},
			{Names: []string{"write"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Index: 0, Value: 7, Op: specs.OpNotEqual}}},
		},
	}
}

// TestBadInput: what is wrong has its place in an error, package profile knows what.
func TestBadInput(t *testing.T) {
	s := valid()
	s.Syscalls[1].Args[0].Op = "SCMP_CMP_EG"
	const want = `config.json linux.seccomp.syscalls[1].args[0].op: unknown operator "SCMP_CMP_EG"`
	if _, err := Parse(s, "amd64", "config.json linux.seccomp"); err == nil || err.Error() != want || fail.HintOf(err) != "did you mean SCMP_CMP_EQ?" {
		t.Errorf("got %v; %s", err, fail.HintOf(err))
	}
}

// TestWords: each word of package profile means something else here.
func TestWords(t *testing.T) {
	for i, name := range profile.Architectures() {
		if FindArch(name) != &archs[i] {
			t.Errorf("%s is not architecture %d", name, i)
		}
	}
	if n := len(profile.Architectures()); n != len(archs) {
		t.Errorf("%d architectures, not %d", n, len(archs))
	}
	flags, actions, operators := map[uint32]bool{}, map[uint32]bool{}, map[Operator]bool{}
	for _, name := range profile.Flags() {
		flags[flagBit(specs.LinuxSeccompFlag(name))] = true
	}
	for _, name := range profile.Actions() {
		actions[new(Profile).action(specs.LinuxSeccompAction(name), nil)] = true
	}
	for _, name := range profile.Operators() {
		operators[typedCondition(&specs.LinuxSeccompArg{Op: specs.LinuxSeccompOperator(name)}).Op] = true
	}
	// SCMP_ACT_KILL is SCMP_ACT_KILL_THREAD.
	if len(flags) != len(profile.Flags()) || len(actions) != len(profile.Actions())-1 || len(operators) != len(profile.Operators()) {
		t.Errorf("flags %v, actions %v, operators %v", flags, actions, operators)
	}
}

func TestOtherMachine(t *testing.T) {
	if _, err := Parse(valid(), "riscv64", "linux.seccomp"); err == nil {
		t.Error("no error")
	}
}

func verdict(t *testing.T, s *specs.LinuxSeccomp, goarch string, d Data) string {
	t.Helper()
	p, err := Parse(s, goarch, "")
	if err != nil {
		t.Fatal(err)
	}
	program, err := p.Compile("")
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := Run(program, d)
	if err != nil {
		t.Fatal(err)
	}
	if want := p.Decide(d).Return; got != want {
		t.Errorf("compiled %s, explained %s", ActionText(got), ActionText(want))
	}
	return ActionText(got)
}

// TestRules is how rules for the same call add up.
func TestRules(t *testing.T) {
	openat := func(action specs.LinuxSeccompAction, args ...specs.LinuxSeccompArg) specs.LinuxSyscall {
		return specs.LinuxSyscall{Names: []string{"openat", "a_call_of_the_future"}, Action: action, Args: args}
	}
	is := func(arg uint, value uint64) specs.LinuxSeccompArg {
		return specs.LinuxSeccompArg{Index: arg, Value: value, Op: specs.OpEqualTo}
	}
	above := func(arg uint, value uint64) specs.LinuxSeccompArg {
		return specs.LinuxSeccompArg{Index: arg, Value: value, Op: specs.OpGreaterThan}
	}
	below := func(arg uint, value uint64) specs.LinuxSeccompArg {
		return specs.LinuxSeccompArg{Index: arg, Value: value, Op: specs.OpLessThan}
	}
	for _, c := range []struct {
		name  string
		rules []specs.LinuxSyscall
		args  [6]uint64
		want  string
	}{
		{"none", nil, [6]uint64{}, "SCMP_ACT_ERRNO(1)"},
		{"one", []specs.LinuxSyscall{openat(specs.ActAllow)}, [6]uint64{}, "SCMP_ACT_ALLOW"},
		{"without conditions wins", []specs.LinuxSyscall{openat(specs.ActTrap, is(0, 1)), openat(specs.ActAllow)}, [6]uint64{1}, "SCMP_ACT_ALLOW"},
		{"the first without conditions wins", []specs.LinuxSyscall{openat(specs.ActTrap), openat(specs.ActAllow)}, [6]uint64{}, "SCMP_ACT_TRAP"},
		{"what repeats the default does not", []specs.LinuxSyscall{openat(specs.ActErrno), openat(specs.ActAllow, is(0, 1))}, [6]uint64{1}, "SCMP_ACT_ALLOW"},
		{"all conditions must hold", []specs.LinuxSyscall{openat(specs.ActAllow, is(0, 1), is(1, 2))}, [6]uint64{1, 3}, "SCMP_ACT_ERRNO(1)"},
		{"all hold", []specs.LinuxSyscall{openat(specs.ActAllow, is(0, 1), is(1, 2))}, [6]uint64{1, 2}, "SCMP_ACT_ALLOW"},
		{"several on one argument: between", []specs.LinuxSyscall{openat(specs.ActAllow, above(0, 5), below(0, 9))}, [6]uint64{7}, "SCMP_ACT_ALLOW"},
		{"several on one argument: below", []specs.LinuxSyscall{openat(specs.ActAllow, above(0, 5), below(0, 9))}, [6]uint64{5}, "SCMP_ACT_ERRNO(1)"},
		{"several on one argument: above", []specs.LinuxSyscall{openat(specs.ActAllow, above(0, 5), below(0, 9))}, [6]uint64{9}, "SCMP_ACT_ERRNO(1)"},
		{"several on one argument: never", []specs.LinuxSyscall{openat(specs.ActAllow, is(0, 5), is(0, 6))}, [6]uint64{5}, "SCMP_ACT_ERRNO(1)"},
		{"either of two rules", []specs.LinuxSyscall{openat(specs.ActAllow, is(0, 5)), openat(specs.ActAllow, is(0, 6))}, [6]uint64{6}, "SCMP_ACT_ALLOW"},
		{"the first that holds", []specs.LinuxSyscall{openat(specs.ActTrap, above(0, 5)), openat(specs.ActAllow, above(0, 2))}, [6]uint64{6}, "SCMP_ACT_TRAP"},
		{"the first that holds, second", []specs.LinuxSyscall{openat(specs.ActTrap, above(0, 5)), openat(specs.ActAllow, above(0, 2))}, [6]uint64{4}, "SCMP_ACT_ALLOW"},
		{"an exception of the default", []specs.LinuxSyscall{openat(specs.ActErrno, is(0, 6)), openat(specs.ActAllow, above(0, 2))}, [6]uint64{6}, "SCMP_ACT_ERRNO(1)"},
	} {
		s := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: append(c.rules, specs.LinuxSyscall{Names: []string{"openat2"}, Action: specs.ActAllow})}
		for _, goarch := range []string{"amd64", "arm64"} {
			a := Native(goarch)
			number, _ := a.Number("openat")
			if got := verdict(t, s, goarch, Data{Arch: a.Token, Number: number, Args: c.args}); got != c.want {
				t.Errorf("%s: got %s, want %s", c.name, got, c.want)
			}
		}
	}
}

// TestSets: rules that only differ in the value that an argument is to have are one
// search. What it says of each value is compared with the rules.
func TestSets(t *testing.T) {
	is := func(op specs.LinuxSeccompOperator, value uint64) specs.LinuxSyscall {
		return specs.LinuxSyscall{Names: []string{"socket"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Index: 0, Value: value, Op: op}}}
	}
	for name, c := range map[string]struct {
		rules []specs.LinuxSyscall
		most  int // instructions more than for one value
	}{
		"scattered":        {[]specs.LinuxSyscall{is(specs.OpEqualTo, 40), is(specs.OpEqualTo, 2), is(specs.OpEqualTo, 0), is(specs.OpEqualTo, 16), is(specs.OpEqualTo, 8)}, 5},
		"a row":            {[]specs.LinuxSyscall{is(specs.OpEqualTo, 3), is(specs.OpEqualTo, 5), is(specs.OpEqualTo, 4), is(specs.OpEqualTo, 5)}, 1},
		"from the start":   {[]specs.LinuxSyscall{is(specs.OpLessThan, 3), is(specs.OpLessEqual, 3), is(specs.OpEqualTo, 7)}, 1},
		"the edges":        {[]specs.LinuxSyscall{is(specs.OpEqualTo, 0xffffffff), is(specs.OpEqualTo, 0xfffffffe), is(specs.OpEqualTo, 0)}, 2},
		"all words":        {[]specs.LinuxSyscall{is(specs.OpLessThan, 1<<32), is(specs.OpEqualTo, 9)}, 0},
		"never":            {[]specs.LinuxSyscall{is(specs.OpLessThan, 0), is(specs.OpEqualTo, 9), is(specs.OpEqualTo, 1)}, 5},
		"wide ones beside": {[]specs.LinuxSyscall{is(specs.OpEqualTo, 5), is(specs.OpEqualTo, 7), is(specs.OpEqualTo, 1<<32|5), is(specs.OpGreaterThan, 1<<40)}, 10},
	} {
		one, s := valid(), valid()
		one.Syscalls, s.Syscalls = append(one.Syscalls, is(specs.OpEqualTo, 1)), append(s.Syscalls, c.rules...)
		if got, one := program(t, s), program(t, one); len(got) > len(one)+c.most {
			t.Errorf("%s: %d instructions, for one %d\n%s", name, len(got), len(one), Text(got))
		}
		number, _ := Native("amd64").Number("socket")
		for _, r := range c.rules {
			for _, arg := range []uint64{r.Args[0].Value, r.Args[0].Value + 1, r.Args[0].Value - 1, r.Args[0].Value | 1<<32, r.Args[0].Value ^ 1<<63} {
				verdict(t, s, "amd64", Data{Arch: x86_64Token, Number: number, Args: [6]uint64{arg}})
			}
		}
	}
}

func program(t *testing.T, s *specs.LinuxSeccomp) []Instruction {
	t.Helper()
	p, err := Parse(s, "amd64", "")
	if err != nil {
		t.Fatal(err)
	}
	program, err := p.Compile("")
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// TestOperators compares 64 bits at the places where comparing 32 would differ.
func TestOperators(t *testing.T) {
	values := []uint64{0, 1, 5, 0x7fffffff, 0x80000000, 0xffffffff, 1 << 32, 1<<32 + 5, 5<<32 + 5, 5 << 32, 5<<32 + 0xffffffff, 1<<63 + 5, 1<<64 - 1}
	number, _ := Native("amd64").Number("lseek")
	for _, op := range profile.Operators() {
		for _, value := range values {
			for _, two := range values {
				if two != 0 && op != string(specs.OpMaskedEqual) {
					break
				}
				s := valid()
				s.Syscalls[0] = specs.LinuxSyscall{Names: []string{"lseek"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Index: 1, Value: value, ValueTwo: two, Op: specs.LinuxSeccompOperator(op)}}}
				for _, arg := range values {
					var holds bool
					switch specs.LinuxSeccompOperator(op) {
					case specs.OpNotEqual:
						holds = arg != value
					case specs.OpLessThan:
						holds = arg < value
					case specs.OpLessEqual:
						holds = arg <= value
					case specs.OpEqualTo:
						holds = arg == value
					case specs.OpGreaterEqual:
						holds = arg >= value
					case specs.OpGreaterThan:
						holds = arg > value
					case specs.OpMaskedEqual:
						holds = arg&value == two
					}
					want := "SCMP_ACT_ERRNO(1)"
					if holds {
						want = "SCMP_ACT_ALLOW"
					}
					if got := verdict(t, s, "amd64", Data{Arch: x86_64Token, Number: number, Args: [6]uint64{^arg, arg, ^arg}}); got != want {
						t.Fatalf("%#x %s %#x %#x: got %s", arg, op, value, two, got)
					}
				}
			}
		}
	}
}

// TestNewer: a libc that tries a call of the future hears that there is none.
func TestNewer(t *testing.T) {
	a := Native("amd64")
	newest, _ := a.Number("openat2")
	for _, c := range []struct {
		name   string
		action specs.LinuxSeccompAction
		number uint32
		want   string
	}{
		{"named", specs.ActErrno, newest, "SCMP_ACT_ALLOW"},
		{"older", specs.ActErrno, newest - 1, "SCMP_ACT_ERRNO(1)"},
		{"newer", specs.ActErrno, newest + 1, "SCMP_ACT_ERRNO(38)"},
		{"of no kernel yet", specs.ActErrno, 9999, "SCMP_ACT_ERRNO(38)"},
		{"newer, kill", specs.ActKillProcess, newest + 1, "SCMP_ACT_ERRNO(38)"},
		{"newer, trap", specs.ActTrap, newest + 1, "SCMP_ACT_ERRNO(38)"},
		{"newer, allowed", specs.ActAllow, newest + 1, "SCMP_ACT_ALLOW"},
		{"newer, logged", specs.ActLog, newest + 1, "SCMP_ACT_LOG"},
		{"newer, traced", specs.ActTrace, newest + 1, "SCMP_ACT_TRACE(1)"},
		{"x32, not named", specs.ActErrno, x32Bit | 9999, "SCMP_ACT_ERRNO(38)"},
		{"skipped by a tracer", specs.ActErrno, noNumber, "SCMP_ACT_ERRNO(1)"},
	} {
		s := valid()
		s.DefaultAction = c.action
		s.Syscalls[0].Names = []string{"openat2"}
		if c.action == specs.ActAllow {
			s.Syscalls[0].Action = specs.ActLog
		}
		if got := verdict(t, s, "amd64", Data{Arch: x86_64Token, Number: c.number}); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestForeignArchitecture(t *testing.T) {
	s := valid()
	s.Architectures = nil
	for number, want := range map[uint32]string{0: "SCMP_ACT_ALLOW", x32Bit: "SCMP_ACT_KILL_PROCESS", noNumber: "SCMP_ACT_ERRNO(1)"} {
		if got := verdict(t, s, "amd64", Data{Arch: x86_64Token, Number: number}); got != want {
			t.Errorf("number %d: got %s", number, got)
		}
	}
	if got := verdict(t, s, "amd64", Data{Arch: FindArch("SCMP_ARCH_X86").Token}); got != "SCMP_ACT_KILL_PROCESS" {
		t.Errorf("i386: got %s", got)
	}
}

// TestMuxed: on i386 socket(2) is also a function of socketcall(2), whose
// arguments no filter can see.
func TestMuxed(t *testing.T) {
	i386 := FindArch("SCMP_ARCH_X86")
	socketcall, _ := i386.Number("socketcall")
	vsock := []specs.LinuxSeccompArg{{Index: 0, Value: 40, Op: specs.OpEqualTo}}
	for _, c := range []struct {
		name     string
		standard specs.LinuxSeccompAction
		rule     specs.LinuxSyscall
		call     uint64
		want     string
	}{
		{"allowed", specs.ActErrno, specs.LinuxSyscall{Names: []string{"socket"}, Action: specs.ActAllow}, 1, "SCMP_ACT_ALLOW"},
		{"another", specs.ActErrno, specs.LinuxSyscall{Names: []string{"socket"}, Action: specs.ActAllow}, 2, "SCMP_ACT_ERRNO(1)"},
		{"allowed with conditions", specs.ActErrno, specs.LinuxSyscall{Names: []string{"socket"}, Action: specs.ActAllow, Args: vsock}, 1, "SCMP_ACT_ERRNO(1)"},
		{"refused", specs.ActAllow, specs.LinuxSyscall{Names: []string{"socket"}, Action: specs.ActErrno}, 1, "SCMP_ACT_ERRNO(1)"},
		{"refused with conditions", specs.ActAllow, specs.LinuxSyscall{Names: []string{"socket"}, Action: specs.ActErrno, Args: vsock}, 1, "SCMP_ACT_ERRNO(1)"},
	} {
		s := &specs.LinuxSeccomp{DefaultAction: c.standard, Architectures: []specs.Arch{specs.ArchX86},
			Syscalls: []specs.LinuxSyscall{c.rule, {Names: []string{"mseal"}, Action: specs.ActLog}}}
		if got := verdict(t, s, "amd64", Data{Arch: i386.Token, Number: socketcall, Args: [6]uint64{c.call}}); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// TestTooLong: the kernel takes 4,096 instructions, and a million rules are no
// reason to take long to say so.
func TestTooLong(t *testing.T) {
	s := valid()
	for i := range 1_000_000 {
		s.Syscalls = append(s.Syscalls, specs.LinuxSyscall{Names: []string{"read", "prctl"}, Action: specs.ActAllow,
			Args: []specs.LinuxSeccompArg{{Index: 1, Value: uint64(2 * i), Op: specs.OpEqualTo}}})
	}
	s.Syscalls = s.Syscalls[1:]
	p, err := Parse(s, "amd64", "")
	if err != nil {
		t.Fatal(err)
	}
	const want = "config.json linux.seccomp: needs more than the 4096 instructions that the kernel takes"
	if _, err := p.Compile("config.json linux.seccomp"); err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	// Rules that say the same take no room.
	for i := range s.Syscalls {
		s.Syscalls[i] = specs.LinuxSyscall{Names: []string{nameAt(i % count)}, Action: specs.ActAllow}
	}
	if p, err = Parse(s, "amd64", ""); err != nil {
		t.Fatal(err)
	}
	if program, err := p.Compile(""); err != nil || len(program) > 100 {
		t.Errorf("%d instructions, %v", len(program), err)
	}
}

// TestTables: some numbers that everybody knows, and the order that lookups rely on.
func TestTables(t *testing.T) {
	for i := range count {
		if i > 0 && nameAt(i-1) >= nameAt(i) {
			t.Errorf("%s stands before %s", nameAt(i-1), nameAt(i))
		}
		if indexOf(nameAt(i)) != i {
			t.Errorf("%s is found at %d, not %d", nameAt(i), indexOf(nameAt(i)), i)
		}
	}
	for _, name := range []string{"", "reads", "rea", "READ"} {
		if i := indexOf(name); i >= 0 {
			t.Errorf("%q is found to be %s", name, nameAt(i))
		}
	}
	for _, list := range [][]string{socketcalls[1:], ipcs[1:], frequent[:], foremost[:]} {
		for _, name := range list {
			if name != "" && indexOf(name) < 0 {
				t.Errorf("no architecture has %s", name)
			}
		}
	}
	for i := range archs {
		for n, calls := 1, archs[i].calls; n < len(calls); n++ {
			if calls[n-1].number() >= calls[n].number() {
				t.Errorf("%s: %d stands before %d", archs[i].Name, calls[n-1].number(), calls[n].number())
			}
		}
	}
	if len(archs) != 23 {
		t.Errorf("%d architectures, the spec has 23", len(archs))
	}
	for _, c := range []struct {
		arch, name string
		want       int
	}{
		{"SCMP_ARCH_X86_64", "read", 0}, {"SCMP_ARCH_X86_64", "clone3", 435}, {"SCMP_ARCH_X86", "socketcall", 102},
		{"SCMP_ARCH_X32", "read", x32Bit}, {"SCMP_ARCH_X32", "execve", x32Bit + 520}, {"SCMP_ARCH_AARCH64", "openat", 56},
		{"SCMP_ARCH_ARM", "set_tls", 0xf0005}, {"SCMP_ARCH_MIPS", "read", 4003}, {"SCMP_ARCH_MIPSEL64", "read", 5000}, {"SCMP_ARCH_MIPS64N32", "read", 6000},
		{"SCMP_ARCH_S390", "openat", 288}, {"SCMP_ARCH_PARISC", "mseal", 462}, {"SCMP_ARCH_M68K", "cacheflush", 123}, {"SCMP_ARCH_SH", "mseal", 462},
		{"SCMP_ARCH_AARCH64", "open", -1}, {"SCMP_ARCH_X86_64", "socketcall", -1}, {"SCMP_ARCH_X86_64", "nonsense", -1}, {"SCMP_ARCH_X86_64", "", -1},
	} {
		got, ok := FindArch(c.arch).Number(c.name)
		if ok != (c.want >= 0) || ok && int(got) != c.want {
			t.Errorf("%s %s: got %d, %v", c.arch, c.name, got, ok)
		}
		if ok && FindArch(c.arch).NameOf(got) != c.name {
			t.Errorf("%s %d is %s", c.arch, got, FindArch(c.arch).NameOf(got))
		}
	}
	for i := range archs {
		if n := len(archs[i].Names()); n < 300 || n > 480 {
			t.Errorf("%s has %d calls", archs[i].Name, n)
		}
		for _, name := range archs[i].Names() {
			if n, ok := archs[i].Number(name); !ok || n&^archs[i].bit > 0xfffff {
				t.Errorf("%s %s: got %d", archs[i].Name, name, n)
			}
		}
	}
}

// TestText is the listing of a small filter: what people see of it.
func TestText(t *testing.T) {
	p, err := Parse(valid(), "amd64", "")
	if err != nil {
		t.Fatal(err)
	}
	program, err := p.Compile("")
	if err != nil {
		t.Fatal(err)
	}
	const want = `   0  load arch
   1  if == SCMP_ARCH_X86_64 then 2 else 16
   2  load number
   3  if >= 2 (open) then 5 else 4
   4  if >= 1 (write) then 8 else 12
   5  if >= 1073741824 (read) then 6 else 14
   6  if >= 1073741826 (open) then 13 else 7
   7  if >= 1073741825 (write) then 8 else 12
   8  load arg0.low
   9  if == 0x7 then 10 else 12
  10  load arg0.high
  11  if == 0x0 then 15 else 12
  12  return SCMP_ACT_ALLOW
  13  if >= 0xffffffff then 15 else 14
  14  return SCMP_ACT_ERRNO(38)
  15  return SCMP_ACT_ERRNO(1)
  16  return SCMP_ACT_KILL_PROCESS
`
	if got := Text(program); got != want {
		t.Errorf("got\n%s", got)
	}
	raw := Encode(program)
	if len(raw) != 8*len(program) || !slices.Equal(Decode(raw), program) {
		t.Error("encoding differs")
	}
}

// TestModelRefuses what the kernel would not load.
func TestModelRefuses(t *testing.T) {
	for i, program := range [][]Instruction{
		{}, {{Code: opLoad, K: 1}}, {{Code: opLoad, K: 64}, {Code: opRet}}, {{Code: 0x99}}, {{Code: opJump, K: 1}, {Code: opRet}},
		{{Code: opJEQ, True: 1, Else: 1}, {Code: opRet}}, {{Code: opJump, K: 1 << 31}}, {{Code: opAnd}},
	} {
		if _, _, err := Run(program, Data{}); err == nil {
			t.Errorf("program %d ran", i)
		}
	}
}

func TestLoadFlags(t *testing.T) {
	for _, c := range []struct {
		flags  []specs.LinuxSeccompFlag
		notify bool
		want   string
	}{
		{nil, false, ""},
		{[]specs.LinuxSeccompFlag{specs.LinuxSeccompFlagLog, specs.LinuxSeccompFlagSpecAllow}, false, "LOG|SPEC_ALLOW"},
		{[]specs.LinuxSeccompFlag{"SECCOMP_FILTER_FLAG_TSYNC", specs.LinuxSeccompFlagWaitKillableRecv}, false, "TSYNC"},
		{[]specs.LinuxSeccompFlag{specs.LinuxSeccompFlagWaitKillableRecv}, true, "NEW_LISTENER|WAIT_KILLABLE_RECV"},
		{[]specs.LinuxSeccompFlag{"SECCOMP_FILTER_FLAG_TSYNC"}, true, "TSYNC|NEW_LISTENER|TSYNC_ESRCH"},
	} {
		s := valid()
		s.Flags = c.flags
		if c.notify {
			s.Syscalls[0].Action, s.ListenerPath = specs.ActNotify, "/run/agent"
		}
		p, err := Parse(s, "amd64", "")
		if err != nil {
			t.Fatal(err)
		}
		if _, got := p.LoadFlags(); got != c.want {
			t.Errorf("%q: got %q, want %q", c.flags, got, c.want)
		}
	}
}

func TestConditionText(t *testing.T) {
	for want, c := range map[string]Condition{
		"arg0 == 7":                {Op: Equal, Value: 7},
		"(arg1 & 0x7e020000) == 0": {Arg: 1, Op: MaskedEqual, Mask: 0x7e020000},
		"arg2 >= 0x" + strconv.FormatUint(1<<40, 16): {Arg: 2, Op: GreaterEqual, Value: 1 << 40},
	} {
		if c.String() != want {
			t.Errorf("got %s, want %s", c, want)
		}
	}
}
