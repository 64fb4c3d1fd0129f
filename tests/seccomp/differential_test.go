// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp_test

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/testkit"
	"github.com/coracle-oci/coracle/runtime/seccomp"
	other "github.com/coracle-oci/coracle/tests/seccomp"
)

func library(t testing.TB) *other.Library {
	t.Helper()
	testkit.Need(t, testkit.Tool("cc"))
	l, err := other.Start(testkit.Repo(t), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func known(names ...string) (list []*seccomp.Arch) {
	for _, n := range names {
		list = append(list, seccomp.FindArch(n))
	}
	return list
}

var bothSided = known("SCMP_ARCH_X86", "SCMP_ARCH_X86_64", "SCMP_ARCH_X32", "SCMP_ARCH_ARM", "SCMP_ARCH_AARCH64", "SCMP_ARCH_MIPSEL",
	"SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_RISCV64")

// oneSided are compiled by us alone: what libseccomp 2.5.4 exports for machines of
// the other byte order is not consistent in itself, and some calls of ppc64le it
// takes for i386's. Package runtime/seccomp's own tests compare filters for them
// with the rules.
var oneSided = known("SCMP_ARCH_PPC64LE", "SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32", "SCMP_ARCH_PPC", "SCMP_ARCH_PPC64", "SCMP_ARCH_S390", "SCMP_ARCH_S390X",
	"SCMP_ARCH_PARISC", "SCMP_ARCH_PARISC64")

// wide tells whether libseccomp compares 64 bits. Those of x32 it does not,
// although the kernel shows them all.
func wide(a *seccomp.Arch) bool {
	return a.Token&0x80000000 != 0 && !strings.HasSuffix(a.Name, "32")
}

// TestNumbers holds our tables against libseccomp's. What it does not know is newer.
func TestNumbers(t *testing.T) {
	l := library(t)
	compared := 0
	for _, a := range slices.Concat(bothSided, oneSided) {
		for _, name := range a.Names() {
			want, err := l.Number(a, name)
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := a.Number(name); want >= 0 && int(got) != want {
				t.Errorf("%s %s is %d, libseccomp says %d", a.Name, name, got, want)
			} else if want >= 0 {
				compared++
			}
		}
	}
	if compared < 6000 {
		t.Errorf("only %d numbers were compared", compared)
	}
}

// A pair is a profile as both compile it.
type pair struct {
	t            *testing.T
	profile      *seccomp.Profile
	ours, theirs []seccomp.Instruction
	calls        int
}

func compile(t *testing.T, s *specs.LinuxSeccomp) (p *seccomp.Profile, program []seccomp.Instruction) {
	t.Helper()
	p, err := seccomp.Parse(s, "amd64", "")
	if err == nil {
		program, err = p.Compile("")
	}
	if err != nil {
		t.Fatal(err)
	}
	return p, program
}

func compilePair(t *testing.T, l *other.Library, s *specs.LinuxSeccomp, archs []*seccomp.Arch, optimize int) *pair {
	t.Helper()
	p, ours := compile(t, s)
	theirs, _, err := l.Compile(p, archs, optimize)
	if err != nil {
		t.Fatal(err)
	}
	return &pair{t: t, profile: p, ours: ours, theirs: theirs}
}

// same compares the verdicts for one call.
func (p *pair) same(a *seccomp.Arch, d seccomp.Data) bool {
	p.t.Helper()
	p.calls++
	got, _, err := seccomp.Run(p.ours, d)
	if err != nil {
		p.t.Fatal(err)
	}
	want, _, err := seccomp.Run(p.theirs, d)
	if err != nil {
		p.t.Fatal(err)
	}
	if got != want {
		p.t.Errorf("%s %s (%d) %#x: got %s, libseccomp says %s", a.Name, a.NameOf(d.Number), d.Number, d.Args, seccomp.ActionText(got), seccomp.ActionText(want))
	}
	return got == want
}

// values are arguments at and around all that a profile compares with.
func values(p *seccomp.Profile, a *seccomp.Arch) []uint64 {
	list := []uint64{0, 1, 0x7fffffff, 0xffffffff, 1 << 32, 1<<64 - 1}
	for _, r := range p.Rules {
		for _, c := range r.Conditions {
			list = append(list, c.Value, c.Value+1, c.Value-1, c.Value|1<<32, c.Mask, c.Value|^c.Mask)
		}
	}
	if !wide(a) { // the kernel fills the upper halves with zeros
		for i := range list {
			list[i] &= 0xffffffff
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// all compares every call that both know, up to the newest that the profile
// names, with many arguments: one of step that could be interesting.
func (p *pair) all(l *other.Library, archs []*seccomp.Arch, r *rand.Rand, step int) {
	p.t.Helper()
	for _, a := range archs {
		values := values(p.profile, a)
		newest := newest(p.profile, a)
		for _, name := range a.Names() {
			number, _ := a.Number(name)
			if number > newest || slices.Contains(quirks, a.Name+" "+name) || !knows(p.t, l, a, name) || len(muxed[name]) > 0 && conditional(p.profile, name) {
				continue
			}
			d := seccomp.Data{Number: number, Arch: a.Token}
			ok := p.same(a, d)
			for i := 0; ok && i < 6*len(values); i += step {
				for n := range d.Args {
					d.Args[n] = values[r.IntN(len(values))]
				}
				d.Args[i%6] = values[i/6]
				if name == "ipc" {
					d.Args[0] &= 0xffff // behind is a version, which the kernel ignores and libseccomp does not
				}
				ok = p.same(a, d)
			}
			if p.t.Failed() {
				return
			}
		}
	}
}

// quirks are calls that libseccomp 2.5.4 does not always apply rules to.
var quirks = []string{"SCMP_ARCH_ARM restart_syscall"}

// knows tells whether libseccomp knows a call, and can be told of it on this machine.
func knows(t *testing.T, l *other.Library, a *seccomp.Arch, name string) bool {
	t.Helper()
	there, err := l.Number(a, name)
	if err != nil {
		t.Fatal(err)
	}
	here, err := l.Number(seccomp.Native("amd64"), name)
	if err != nil {
		t.Fatal(err)
	}
	const unknown = -1 // __NR_SCMP_ERROR; others below zero stand for calls that only other machines have
	return there >= 0 && here != unknown
}

// conditional tells whether a profile has conditions for a call that may also be
// asked for through another: there we differ, RATIONALE.md.
func conditional(p *seccomp.Profile, through string) bool {
	for _, r := range p.Rules {
		for _, name := range r.Names {
			if len(r.Conditions) > 0 && slices.Contains(muxed[through], name) {
				return true
			}
		}
	}
	return false
}

var muxed = map[string][]string{
	"socketcall": strings.Fields("socket bind connect listen accept accept4 getsockname getpeername socketpair send recv sendto recvfrom shutdown setsockopt getsockopt sendmsg recvmsg recvmmsg sendmmsg"),
	"ipc":        strings.Fields("semop semget semctl semtimedop msgsnd msgrcv msgget msgctl shmat shmdt shmget shmctl"),
}

func newest(p *seccomp.Profile, a *seccomp.Arch) (newest uint32) {
	for _, r := range p.Rules {
		for _, name := range r.Names {
			if n, ok := a.Number(name); ok && n&0xbfffffff < 0xf0000 {
				newest = max(newest, n)
			}
		}
	}
	return newest
}

func archsOf(s *specs.LinuxSeccomp) (list []*seccomp.Arch) {
	for _, name := range s.Architectures {
		list = append(list, seccomp.FindArch(string(name)))
	}
	return list
}

// TestDefaultProfiles: docker's for this machine, podman's for three.
func TestDefaultProfiles(t *testing.T) {
	l := library(t)
	docker, err := other.Docker()
	if err != nil {
		t.Fatal(err)
	}
	profiles := map[string]*specs.LinuxSeccomp{"docker": docker}
	for _, goarch := range []string{"amd64", "arm64", "mips64le"} {
		if profiles["podman "+goarch], err = other.Podman(goarch, other.Capabilities); err != nil {
			t.Fatal(err)
		}
	}
	r := testkit.Seed(t)
	for name, s := range profiles {
		for _, optimize := range []int{1, 2} {
			p := compilePair(t, l, s, archsOf(s), optimize)
			p.all(l, archsOf(s), r, 1)
			t.Logf("%s: %d instructions, libseccomp %d; %d calls", name, len(p.ours), len(p.theirs), p.calls)
			if p.calls < 1000 || len(p.ours) >= len(p.theirs) {
				t.Errorf("%s: %d calls, %d instructions", name, p.calls, len(p.ours))
			}
		}
	}
}

// TestRandomProfiles compares a hundred and twenty. They have what libseccomp 2.5.4
// gets right: where several rules for one call have several conditions, or such as
// are the reverse of each other, its tree allows calls that no rule matches.
// Package runtime/seccomp's own tests compare such rules with what they say.
func TestRandomProfiles(t *testing.T) {
	l := library(t)
	r := testkit.Seed(t)
	for i := range 120 {
		randomPair(t, l, r, 1+i%2, 1)
	}
}

// FuzzDifferential is the same for profiles of the fuzzer's choice.
func FuzzDifferential(f *testing.F) {
	l := library(f)
	f.Add(uint64(1), false)
	f.Fuzz(func(t *testing.T, seed uint64, tree bool) {
		optimize := 1
		if tree {
			optimize = 2
		}
		randomPair(t, l, rand.New(rand.NewPCG(seed, 2)), optimize, 53)
	})
}

func randomPair(t *testing.T, l *other.Library, r *rand.Rand, optimize, step int) {
	t.Helper()
	archs := slices.Clone(bothSided)
	r.Shuffle(len(archs), func(i, j int) { archs[i], archs[j] = archs[j], archs[i] })
	archs = archs[:1+r.IntN(3)]
	s := random(r, archs)
	if compilePair(t, l, s, archs, optimize).all(l, archs, r, step); t.Failed() {
		text, _ := json.Marshal(s)
		t.Fatalf("%s", text)
	}
}

// random makes a profile that libseccomp takes.
func random(r *rand.Rand, archs []*seccomp.Arch) *specs.LinuxSeccomp {
	actions := []specs.LinuxSeccompAction{specs.ActAllow, specs.ActErrno, specs.ActKillProcess, specs.ActKillThread, specs.ActLog, specs.ActTrap, specs.ActTrace}
	action := func() specs.LinuxSeccompAction { return actions[r.IntN(len(actions))] }
	s := &specs.LinuxSeccomp{DefaultAction: action()}
	narrow := false
	for _, a := range archs {
		s.Architectures = append(s.Architectures, specs.Arch(a.Name))
		narrow = narrow || !wide(a)
	}
	names := archs[0].Names()
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for len(names) > 300 {
		rule := specs.LinuxSyscall{Action: action()}
		n := 1 + r.IntN(8)
		rule.Names, names = names[:n], names[n:]
		kind := r.IntN(3)
		if kind > 0 {
			// Beside rules for what may be asked for through these, libseccomp refuses some
			// conditions on them and takes the later of two rules for others.
			rule.Names = slices.DeleteFunc(rule.Names, func(name string) bool { return muxed[name] != nil })
			if len(rule.Names) == 0 {
				continue
			}
		}
		switch kind {
		case 0: // without conditions
			s.Syscalls = append(s.Syscalls, rule)
		case 1: // all of several
			for _, arg := range r.Perm(6)[:1+r.IntN(3)] {
				rule.Args = append(rule.Args, condition(r, uint(arg), narrow))
			}
			s.Syscalls = append(s.Syscalls, rule)
		case 2: // one of several
			arg := uint(r.IntN(6))
			for range 2 + r.IntN(3) {
				c := condition(r, arg, narrow)
				c.Op, c.ValueTwo = specs.OpEqualTo, 0
				rule.Args = []specs.LinuxSeccompArg{c}
				s.Syscalls = append(s.Syscalls, rule)
			}
		}
	}
	return s
}

var operators = []specs.LinuxSeccompOperator{specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpEqualTo, specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpMaskedEqual}

func condition(r *rand.Rand, arg uint, narrow bool) specs.LinuxSeccompArg {
	value := func() uint64 {
		v := []uint64{0, 1, 5, 0x80000000, 0xffffffff, 1 << 32, 5<<32 | 5, 1<<63 | 1, r.Uint64(), uint64(r.Uint32())}[r.IntN(10)]
		if narrow {
			v &= 0xffffffff
		}
		return v
	}
	c := specs.LinuxSeccompArg{Index: arg, Value: value(), Op: operators[r.IntN(len(operators))]}
	for c.Value == 0 || c.Value == 0xffffffff || c.Value == 1<<64-1 { // some conditions would always or never hold
		c.Value = value()
	}
	if c.Op == specs.OpMaskedEqual {
		c.ValueTwo = value() & c.Value
	}
	return c
}
