// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package seccomp compiles the spec's linux.seccomp into the BPF program that
// seccomp(2) takes.
//
// [Parse] turns a profile into typed rules, [Profile.Compile] those into a
// balanced search over system call numbers whose ends are shared. [Profile.Decide]
// says what the rules mean for one call without compiling anything, and [Run] what
// a program does: tests hold one against the other.
//
// How rules add up is libseccomp's way, and so that of all runtimes before us: a
// call that a rule without conditions names gets the action of the first of those,
// whatever else names it; else the first rule whose conditions hold decides, else
// the default. Rules without conditions that only repeat the default do not count.
// Unknown names are skipped. Calls of a newer kernel than the newest call that the
// profile names get ENOSYS, as libcs that try new calls first take no other errno
// for "use the old one".
//
// Nothing here touches the system. Packages config, plan and cli call it.
package seccomp

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/profile"
)

// A Profile is a linux.seccomp whose every value is known to be good.
type Profile struct {
	Archs    []*Arch // that of the machine first; no two are the same
	Flags    uint32  // for seccomp(2), but for what a listener adds
	Notifies bool    // some rule's action is SCMP_ACT_NOTIFY
	Default  uint32  // what a filter returns
	Rules    []Rule
}

// A Rule is one entry of linux.seccomp.syscalls.
type Rule struct {
	Names      []string
	Return     uint32 // what a filter returns
	Conditions []Condition
}

// A Condition compares one argument with a value.
type Condition struct {
	Arg   uint8
	Op    Operator
	Mask  uint64 // of MaskedEqual: the bits that are compared
	Value uint64
}

// An Operator compares unsigned numbers of 64 bits.
type Operator uint8

// The operators: SCMP_CMP_NE and so on.
const (
	NotEqual Operator = iota
	Less
	LessEqual
	Equal
	GreaterEqual
	Greater
	MaskedEqual
)

// Holds tells whether the condition holds for an argument.
func (c Condition) Holds(arg uint64) bool {
	switch c.Op {
	case NotEqual:
		return arg != c.Value
	case Less:
		return arg < c.Value
	case LessEqual:
		return arg <= c.Value
	case Equal:
		return arg == c.Value
	case GreaterEqual:
		return arg >= c.Value
	case Greater:
		return arg > c.Value
	}
	return arg&c.Mask == c.Value
}

// Parse judges and types a linux.seccomp for the kernel of a Go port. The first
// of what [profile.Check] finds is the error; where is what stands before its paths.
func Parse(s *specs.LinuxSeccomp, goarch, where string) (*Profile, error) {
	if problems := profile.Check(s); len(problems) > 0 {
		return nil, problems[0].At(where)
	}
	p := typed(s)
	native := Native(goarch)
	if native == nil {
		return nil, &fail.Error{Where: where, Doing: "compile a filter for " + goarch, Hint: "filters are made for amd64 and arm64"}
	}
	p.addArch(native)
	for i, a := range p.Archs {
		if a == native { // it is asked for first
			copy(p.Archs[1:], p.Archs[:i])
			p.Archs[0] = native
		}
	}
	return p, nil
}

// typed returns what a linux.seccomp that is good says.
func typed(s *specs.LinuxSeccomp) *Profile {
	p := &Profile{Rules: make([]Rule, len(s.Syscalls))}
	p.Default = p.action(s.DefaultAction, s.DefaultErrnoRet)
	for _, name := range s.Architectures {
		p.addArch(FindArch(string(name)))
	}
	for _, name := range s.Flags {
		p.Flags |= flagBit(name)
	}
	all := 0
	for i := range s.Syscalls {
		all += len(s.Syscalls[i].Args)
	}
	conditions := make([]Condition, 0, all) // of all rules
	for i := range s.Syscalls {
		from, first := &s.Syscalls[i], len(conditions)
		for n := range from.Args {
			conditions = append(conditions, typedCondition(&from.Args[n]))
		}
		p.Rules[i] = Rule{Names: from.Names, Return: p.action(from.Action, from.ErrnoRet), Conditions: slices.Clip(conditions[first:])}
	}
	return p
}

func (p *Profile) addArch(a *Arch) {
	for _, has := range p.Archs {
		if has == a {
			return
		}
	}
	p.Archs = append(p.Archs, a)
}

// action returns what a filter returns for an action. What is not known is for
// [profile.Check]; it kills.
func (p *Profile) action(action specs.LinuxSeccompAction, errno *uint) uint32 {
	data := uint32(1) // EPERM, says the spec
	if errno != nil {
		data = uint32(*errno) & retData
	}
	switch action {
	case specs.ActAllow:
		return retAllow
	case specs.ActErrno:
		return retErrno | data
	case specs.ActTrace:
		return retTrace | data
	case specs.ActTrap:
		return retTrap
	case specs.ActLog:
		return retLog
	case specs.ActNotify:
		p.Notifies = true
		return retNotify
	case specs.ActKillProcess:
		return retKillProcess
	}
	return retKillThread
}

func typedCondition(s *specs.LinuxSeccompArg) Condition {
	c := Condition{Arg: uint8(s.Index), Value: s.Value}
	switch s.Op {
	case specs.OpLessThan:
		c.Op = Less
	case specs.OpLessEqual:
		c.Op = LessEqual
	case specs.OpEqualTo:
		c.Op = Equal
	case specs.OpGreaterEqual:
		c.Op = GreaterEqual
	case specs.OpGreaterThan:
		c.Op = Greater
	case specs.OpMaskedEqual:
		c.Op, c.Mask, c.Value = MaskedEqual, s.Value, s.ValueTwo
	default:
		c.Op = NotEqual
	}
	return c
}
