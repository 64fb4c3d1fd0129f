// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package profile

import (
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
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

func TestCheck(t *testing.T) {
	for want, have := range map[string]func(s *specs.LinuxSeccomp){
		`.defaultAction: is missing`: func(s *specs.LinuxSeccomp) { s.DefaultAction = "" },
		`.defaultAction: unknown action "SCMP_ACT_ALOW"; did you mean SCMP_ACT_ALLOW?`:              func(s *specs.LinuxSeccomp) { s.DefaultAction = "SCMP_ACT_ALOW" },
		`.defaultErrnoRet: is set, but SCMP_ACT_ALLOW returns no errno; remove it; …`:               func(s *specs.LinuxSeccomp) { s.DefaultAction, s.DefaultErrnoRet = specs.ActAllow, ptr(1) },
		`.defaultErrnoRet: 4096 is more than 4095`:                                                  func(s *specs.LinuxSeccomp) { s.DefaultErrnoRet = ptr(4096) },
		`.architectures[1]: unknown architecture "SCMP_ARCH_X33"; did you mean SCMP_ARCH_X32?`:      func(s *specs.LinuxSeccomp) { s.Architectures[1] = "SCMP_ARCH_X33" },
		`.flags[0]: unknown flag "SECCOMP_FILTER_FLAG_LOGS"; did you mean SECCOMP_FILTER_FLAG_LOG?`: func(s *specs.LinuxSeccomp) { s.Flags = append(s.Flags, "SECCOMP_FILTER_FLAG_LOGS") },
		`.syscalls[0].names: is empty`:                                                              func(s *specs.LinuxSeccomp) { s.Syscalls[0].Names = nil },
		`.syscalls[0].names[1]: is empty`:                                                           func(s *specs.LinuxSeccomp) { s.Syscalls[0].Names = []string{"read", ""} },
		`.syscalls[1].action: is missing`:                                                           func(s *specs.LinuxSeccomp) { s.Syscalls[1].Action = "" },
		`.syscalls[1].errnoRet: is set, but SCMP_ACT_KILL returns no errno; remove it; …`: func(s *specs.LinuxSeccomp) {
			s.Syscalls[1].Action, s.Syscalls[1].ErrnoRet = specs.ActKill, ptr(0)
		},
		`.syscalls[1].errnoRet: 65536 is more than 65535`: func(s *specs.LinuxSeccomp) {
			s.Syscalls[1].Action, s.Syscalls[1].ErrnoRet = specs.ActTrace, ptr(65536)
		},
		`.syscalls[1].args[0].index: 6 is more than 5: calls have six arguments`:                 func(s *specs.LinuxSeccomp) { s.Syscalls[1].Args[0].Index = 6 },
		`.syscalls[1].args[0].op: unknown operator "SCMP_CMP_EG"; did you mean SCMP_CMP_EQ?`:     func(s *specs.LinuxSeccomp) { s.Syscalls[1].Args[0].Op = "SCMP_CMP_EG" },
		`.syscalls[1].args[0].op: is missing`:                                                    func(s *specs.LinuxSeccomp) { s.Syscalls[1].Args[0].Op = "" },
		`.listenerMetadata: is set without listenerPath; remove it, or …`:                        func(s *specs.LinuxSeccomp) { s.ListenerMetadata = "x" },
		`.listenerPath: is missing: nobody would answer SCMP_ACT_NOTIFY; name the socket of a …`: func(s *specs.LinuxSeccomp) { s.Syscalls[0].Action = specs.ActNotify },
		`.listenerPath: "agent" is not an absolute path`: func(s *specs.LinuxSeccomp) {
			s.Syscalls[0].Action, s.ListenerPath = specs.ActNotify, "agent"
		},
		`.listenerPath: is longer than the 107 bytes of a socket's address`: func(s *specs.LinuxSeccomp) {
			s.Syscalls[0].Action, s.ListenerPath = specs.ActNotify, "/"+strings.Repeat("a", 107)
		},
	} {
		s := valid()
		have(s)
		var got []string
		for _, p := range Check(s) {
			text := p.Path + ": " + p.What
			if p.Hint != "" {
				text += "; " + p.Hint
			}
			got = append(got, text)
		}
		prefix, shortened := strings.CutSuffix(want, "…")
		if len(got) != 1 || got[0] != want && !(shortened && strings.HasPrefix(got[0], prefix)) {
			t.Errorf("want %q\n got %q", want, got)
		}
	}
}

// TestIgnored: the spec says that a listenerPath that nothing is sent to is ignored.
func TestIgnored(t *testing.T) {
	s := valid()
	s.ListenerPath, s.ListenerMetadata = "nowhere", "x"
	if problems := Check(s); problems != nil {
		t.Error(problems)
	}
}

// TestManyProblems: a list of errors for people has an end.
func TestManyProblems(t *testing.T) {
	s := valid()
	s.Syscalls = make([]specs.LinuxSyscall, 1_000_000)
	if n := len(Check(s)); n != most {
		t.Errorf("got %d", n)
	}
}
