// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/coracle-oci/coracle/internal/testkit"
	"github.com/coracle-oci/coracle/runtime/seccomp"
	other "github.com/coracle-oci/coracle/tests/seccomp"
)

func kernel(t testing.TB) *other.Kernel {
	t.Helper()
	testkit.Need(t, testkit.Tool("cc"))
	k, err := other.StartKernel(testkit.Repo(t), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

// harmless are calls that do nothing to others and do not wait, whatever their
// arguments are.
var harmless = strings.Fields(`access capget clock_getres close dup dup2 dup3 fgetxattr getcpu getegid geteuid getgid getgroups getpgid getpgrp getpid
	getppid getpriority getresgid getresuid getrlimit getrusage getsid gettid gettimeofday getuid getxattr lgetxattr lseek lstat mincore personality
	readlink rt_sigpending sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getparam sched_getscheduler stat statfs sysinfo times
	umask uname`)

// ownErrno is the first of those that no call of the kernel returns.
const ownErrno = 600

// outcome is what a verdict does to a call, in the words of testdata/kernel.c; with
// ALLOW and LOG it is the call's own business.
func outcome(verdict uint32, d seccomp.Data) (text string, own bool) {
	name, data, _ := strings.Cut(strings.TrimSuffix(seccomp.ActionText(verdict), ")"), "(")
	switch specs.LinuxSeccompAction(name) {
	case specs.ActErrno:
		return "returned -" + data, false
	case specs.ActTrap:
		return fmt.Sprintf("trapped 0 %d %d", d.Number, d.Arch), false
	case specs.ActKillThread:
		return "thread killed", false
	case specs.ActKillProcess:
		return "process killed", false
	case specs.ActTrace, specs.ActNotify: // and nobody is there
		return fmt.Sprintf("returned -%d", int(unix.ENOSYS)), false
	}
	return "", true
}

// happens makes calls under a filter, and compares what becomes of them with what
// the model says of it.
func happens(t *testing.T, k *other.Kernel, program []seccomp.Instruction, calls []seccomp.Data) {
	t.Helper()
	if err := k.Filter(program); err != nil {
		t.Fatal(err)
	}
	for _, d := range calls {
		verdict, _, err := seccomp.Run(program, d)
		if err != nil {
			t.Fatal(err)
		}
		got, err := k.Call(d)
		if err != nil {
			t.Fatal(err)
		}
		var n int
		_, err = fmt.Sscanf(got, "returned %d", &n)
		if want, own := outcome(verdict, d); own && (err != nil || n <= -ownErrno && n >= -4095) || !own && got != want {
			t.Errorf("call %d of %#x with %#x: it %s, the filter says %s", d.Number, d.Arch, d.Args, got, seccomp.ActionText(verdict))
		}
	}
}

// TestKernel loads filters into the running kernel, ours and libseccomp's, and makes
// calls under them: the verdict is the model's, and that of the rules.
func TestKernel(t *testing.T) {
	k, l, r := kernel(t), library(t), testkit.Seed(t)
	abis := known("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32") // as libseccomp's filters are for amd64
	if runtime.GOARCH != "amd64" {
		t.Fatal("the calls are those of amd64")
	}
	profiles := 60
	if testing.Short() {
		profiles = 10
	}
	seen := map[string]int{}
	for range profiles {
		archs := slices.Clone(abis[:1+r.IntN(3)])
		s := someRules(r, archs, r.IntN(2) == 0)
		p, ours, theirs := compileBoth(t, l, s, archs)
		var calls []seccomp.Data
		for range 40 {
			a := abis[r.IntN(len(abis))]
			values := values(p, a)
			d := seccomp.Data{Arch: a.Token}
			for ok := false; !ok; {
				d.Number, ok = a.Number(harmless[r.IntN(len(harmless))])
			}
			for i := range d.Args {
				d.Args[i] = values[r.IntN(len(values))]
			}
			verdict, _, err := seccomp.Run(ours, d)
			if want := p.Decide(d).Return; err != nil || verdict != want {
				t.Fatalf("call %d of %s with %#x: %s, the rules say %s; %v", d.Number, a.Name, d.Args, seccomp.ActionText(verdict), seccomp.ActionText(want), err)
			}
			name, _, _ := strings.Cut(seccomp.ActionText(verdict), "(")
			seen[name]++
			calls = append(calls, d)
		}
		happens(t, k, ours, calls)
		if theirs != nil {
			happens(t, k, theirs, calls)
		}
		if t.Failed() {
			text, _ := json.Marshal(s)
			t.Fatalf("%s", text)
		}
	}
	t.Log(seen)
	if len(seen) < 7 {
		t.Errorf("not all actions were seen: %v", seen)
	}
}

// compileBoth compiles a profile, and has libseccomp do so unless it would refuse.
func compileBoth(t *testing.T, l *other.Library, s *specs.LinuxSeccomp, archs []*seccomp.Arch) (p *seccomp.Profile, ours, theirs []seccomp.Instruction) {
	t.Helper()
	p, ours = compile(t, s)
	for _, r := range p.Rules {
		for i, c := range r.Conditions {
			if slices.ContainsFunc(r.Conditions[:i], func(o seccomp.Condition) bool { return o.Arg == c.Arg }) {
				return p, ours, nil
			}
		}
	}
	theirs, _, err := l.Compile(p, archs, 1+len(ours)%2)
	if err != nil {
		t.Fatal(err)
	}
	return p, ours, theirs
}

// someRules makes rules for harmless calls, and in some of them several conditions
// on one argument if that is asked for.
func someRules(r *rand.Rand, archs []*seccomp.Arch, several bool) *specs.LinuxSeccomp {
	errno := uint(ownErrno)
	action := func() (specs.LinuxSeccompAction, *uint) {
		errno++
		e := errno
		a := []specs.LinuxSeccompAction{specs.ActAllow, specs.ActErrno, specs.ActErrno, specs.ActKillProcess, specs.ActKillThread, specs.ActLog, specs.ActTrap, specs.ActTrace}[r.IntN(8)]
		if a != specs.ActErrno {
			return a, nil
		}
		return a, &e
	}
	s := &specs.LinuxSeccomp{}
	s.DefaultAction, s.DefaultErrnoRet = action()
	for _, a := range archs {
		s.Architectures = append(s.Architectures, specs.Arch(a.Name))
	}
	for _, i := range r.Perm(len(harmless)) {
		rule := specs.LinuxSyscall{Names: []string{harmless[i]}}
		rule.Action, rule.ErrnoRet = action()
		args := r.Perm(6)[:r.IntN(3)]
		for _, arg := range args {
			c := condition(r, uint(arg), len(archs) > 1)
			rule.Args = append(rule.Args, c)
			if several && r.IntN(2) == 0 {
				rule.Args = append(rule.Args, condition(r, uint(arg), len(archs) > 1))
			}
		}
		if rule.Action == s.DefaultAction {
			continue // libseccomp takes no rule that repeats the default
		}
		s.Syscalls = append(s.Syscalls, rule)
	}
	return s
}

// TestKernelNewer: a call that the kernel has and the profile is too old for does
// not exist, whatever the default is.
func TestKernelNewer(t *testing.T) {
	k := kernel(t)
	a := seccomp.Native("amd64")
	number := func(name string) uint32 {
		n, ok := a.Number(name)
		if !ok {
			t.Fatal(name)
		}
		return n
	}
	// Of Linux 5.3, 5.9 and 5.13; with these arguments they do nothing.
	calls := []seccomp.Data{{Number: number("pidfd_open"), Args: [6]uint64{1 << 31}}, {Number: number("close_range"), Args: [6]uint64{9, 8}},
		{Number: number("landlock_create_ruleset"), Args: [6]uint64{0, 0, 1}}, {Number: 5000}}
	for _, standard := range []specs.LinuxSeccompAction{specs.ActErrno, specs.ActKill, specs.ActKillProcess, specs.ActTrap, specs.ActAllow, specs.ActLog} {
		s := &specs.LinuxSeccomp{DefaultAction: standard, Syscalls: []specs.LinuxSyscall{{Names: []string{"getcpu"}, Action: specs.ActTrace}}}
		_, program := compile(t, s)
		if err := k.Filter(program); err != nil {
			t.Fatal(err)
		}
		for _, d := range calls {
			d.Arch = a.Token
			got, err := k.Call(d)
			if err != nil {
				t.Fatal(err)
			}
			allowed := standard == specs.ActAllow || standard == specs.ActLog
			const enosys = "returned -38"
			if (got == enosys) != (!allowed || d.Number == 5000) || !strings.HasPrefix(got, "returned ") {
				t.Errorf("default %s, call %d: it %s", standard, d.Number, got)
			}
		}
	}
}
