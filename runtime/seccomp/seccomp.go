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
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
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
// of what [Check] finds is the error; where is what stands before its paths.
func Parse(s *specs.LinuxSeccomp, goarch, where string) (*Profile, error) {
	p, problems := parse(s)
	if len(problems) > 0 {
		first := problems[0]
		return nil, &fail.Error{Where: where + first.Path, Doing: first.What, Hint: first.Hint}
	}
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

// A Problem is a value that is wrong.
type Problem struct {
	Path string // below linux.seccomp: ".syscalls[3].action"
	What string
	Hint string
}

// Check returns everything that is wrong with a linux.seccomp, in its order.
func Check(s *specs.LinuxSeccomp) []Problem {
	_, problems := parse(s)
	return problems
}

// A parser is one run of parse.
type parser struct {
	*Profile
	problems []Problem
}

// most is how many problems are told: a profile can be wrong a million times.
const most = 100

func (p *parser) refuse(path, what, hint string) {
	if len(p.problems) < most {
		p.problems = append(p.problems, Problem{path, what, hint})
	}
}

func parse(s *specs.LinuxSeccomp) (*Profile, []Problem) {
	p := parser{Profile: &Profile{Rules: make([]Rule, 0, len(s.Syscalls))}}
	p.Default = p.action(".defaultAction", s.DefaultAction, ".defaultErrnoRet", s.DefaultErrnoRet)
	for i, name := range s.Architectures {
		if a := FindArch(string(name)); a != nil {
			p.addArch(a)
		} else {
			p.unknown(index(".architectures", i), "architecture", string(name), Architectures())
		}
	}
	for i, name := range s.Flags {
		if bit, ok := flagBit(string(name)); ok {
			p.Flags |= bit
		} else {
			p.unknown(index(".flags", i), "flag", string(name), Flags())
		}
	}
	for i := range s.Syscalls {
		p.rule(index(".syscalls", i), &s.Syscalls[i])
	}
	p.listener(s)
	return p.Profile, p.problems
}

// listener checks listenerPath and listenerMetadata.
func (p *parser) listener(s *specs.LinuxSeccomp) {
	switch {
	case s.ListenerPath == "" && s.ListenerMetadata != "":
		p.refuse(".listenerMetadata", "is set without listenerPath", "remove it, or set linux.seccomp.listenerPath")
	case s.ListenerPath == "" && p.Notifies:
		p.refuse(".listenerPath", "is missing: nobody would answer SCMP_ACT_NOTIFY", "name the socket of a seccomp agent")
	case p.Notifies && s.ListenerPath[0] != '/':
		p.refuse(".listenerPath", strconv.Quote(s.ListenerPath)+" is not an absolute path", "")
	case p.Notifies && len(s.ListenerPath) > 107: // sizeof(sun_path), unix(7)
		p.refuse(".listenerPath", "is longer than the 107 bytes of a socket's address", "")
	}
}

func (p *Profile) addArch(a *Arch) {
	for _, has := range p.Archs {
		if has == a {
			return
		}
	}
	p.Archs = append(p.Archs, a)
}

func (p *parser) rule(path string, s *specs.LinuxSyscall) {
	r := Rule{Names: s.Names}
	if len(s.Names) == 0 {
		p.refuse(path+".names", "is empty", "")
	}
	for i, name := range s.Names {
		if name == "" {
			p.refuse(index(path+".names", i), "is empty", "")
		}
	}
	r.Return = p.action(path+".action", s.Action, path+".errnoRet", s.ErrnoRet)
	if len(s.Args) > 0 {
		r.Conditions = make([]Condition, len(s.Args))
	}
	for i := range s.Args {
		r.Conditions[i] = p.condition(path, i, &s.Args[i])
	}
	p.Rules = append(p.Rules, r)
}

// action returns what a filter returns for an action.
func (p *parser) action(path string, action specs.LinuxSeccompAction, errnoPath string, errno *uint) uint32 {
	ret, data := uint32(0), uint32(0)
	switch action {
	case specs.ActKill, specs.ActKillThread:
		ret = retKillThread
	case specs.ActKillProcess:
		ret = retKillProcess
	case specs.ActTrap:
		ret = retTrap
	case specs.ActErrno:
		ret, data = retErrno, maxErrno
	case specs.ActTrace:
		ret, data = retTrace, retData
	case specs.ActAllow:
		ret = retAllow
	case specs.ActLog:
		ret = retLog
	case specs.ActNotify:
		ret, p.Notifies = retNotify, true
	default:
		p.unknown(path, "action", string(action), Actions())
		return 0
	}
	switch {
	case errno == nil && data != 0:
		return ret | 1 // EPERM, says the spec
	case errno == nil:
		return ret
	case data == 0:
		p.refuse(errnoPath, "is set, but "+string(action)+" returns no errno", "remove it; SCMP_ACT_ERRNO and SCMP_ACT_TRACE have one")
	case *errno > uint(data):
		p.refuse(errnoPath, strconv.FormatUint(uint64(*errno), 10)+" is more than "+strconv.Itoa(int(data)), "")
	}
	return ret | uint32(*errno)&retData
}

// maxErrno is the largest that the kernel returns: MAX_ERRNO, linux/err.h.
const maxErrno = 4095

func (p *parser) condition(path string, i int, s *specs.LinuxSeccompArg) Condition {
	c := Condition{Arg: uint8(s.Index), Value: s.Value}
	if s.Index > 5 {
		p.refuse(index(path+".args", i)+".index", strconv.FormatUint(uint64(s.Index), 10)+" is more than 5: calls have six arguments", "")
	}
	switch s.Op {
	case specs.OpNotEqual:
		c.Op = NotEqual
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
		p.unknown(index(path+".args", i)+".op", "operator", string(s.Op), Operators())
	}
	return c
}

// unknown refuses a word, and names the nearest that is known.
func (p *parser) unknown(path, kind, word string, known []string) {
	if word == "" {
		p.refuse(path, "is missing", "")
		return
	}
	p.refuse(path, "unknown "+kind+" "+strconv.Quote(word), fail.Nearest(word, known))
}

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
