// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package profile

import (
	"slices"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
)

// A Problem is a value that is wrong.
type Problem struct {
	Path string // below linux.seccomp: ".syscalls[3].action"
	What string
	Hint string
}

// At returns the problem as an error; where is what stands before its path.
func (p Problem) At(where string) error {
	return &fail.Error{Where: where + p.Path, Doing: p.What, Hint: p.Hint}
}

// Check returns everything that is wrong with a linux.seccomp, in its order.
func Check(s *specs.LinuxSeccomp) []Problem {
	c := checker{rule: -1}
	c.action(s.DefaultAction, s.DefaultErrnoRet, ".defaultAction", ".defaultErrnoRet")
	for i, name := range s.Architectures {
		if known := Architectures(); !slices.Contains(known, string(name)) {
			c.unknown(index(".architectures", i), "architecture", string(name), known)
		}
	}
	for i, name := range s.Flags {
		if known := Flags(); !slices.Contains(known, string(name)) {
			c.unknown(index(".flags", i), "flag", string(name), known)
		}
	}
	for i := range s.Syscalls {
		c.rule = i
		c.syscall(&s.Syscalls[i])
	}
	c.rule = -1
	c.listener(s)
	return c.problems
}

// A checker is one run of Check.
type checker struct {
	rule     int // whose turn it is: an index of syscalls; -1: none's
	notifies bool
	problems []Problem
}

// most is how many problems are told: a profile can be wrong a million times.
const most = 100

// refuse notes a problem of a rule, or of what is no rule.
func (c *checker) refuse(field, what, hint string) {
	if len(c.problems) >= most {
		return
	}
	if c.rule >= 0 {
		field = index(".syscalls", c.rule) + field
	}
	c.problems = append(c.problems, Problem{field, what, hint})
}

// unknown refuses a word, and names the nearest that is known.
func (c *checker) unknown(field, kind, word string, known []string) {
	if word == "" {
		c.refuse(field, "is missing", "")
		return
	}
	c.refuse(field, "unknown "+kind+" "+strconv.Quote(word), fail.Nearest(word, known))
}

func (c *checker) syscall(s *specs.LinuxSyscall) {
	if len(s.Names) == 0 {
		c.refuse(".names", "is empty", "")
	}
	for i, name := range s.Names {
		if name == "" {
			c.refuse(index(".names", i), "is empty", "")
		}
	}
	c.action(s.Action, s.ErrnoRet, ".action", ".errnoRet")
	for i := range s.Args {
		a := &s.Args[i]
		if a.Index > 5 {
			c.refuse(index(".args", i)+".index", strconv.FormatUint(uint64(a.Index), 10)+" is more than 5: calls have six arguments", "")
		}
		switch a.Op {
		case specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpEqualTo, specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpMaskedEqual:
		default:
			c.unknown(index(".args", i)+".op", "operator", string(a.Op), Operators())
		}
	}
}

func (c *checker) action(action specs.LinuxSeccompAction, errno *uint, field, errnoField string) {
	var most uint // of what an errno may be; 0: there is none
	switch action {
	case specs.ActErrno:
		most = maxErrno
	case specs.ActTrace:
		most = maxData
	case specs.ActNotify:
		c.notifies = true
	case specs.ActAllow, specs.ActLog, specs.ActTrap, specs.ActKill, specs.ActKillThread, specs.ActKillProcess:
	default:
		c.unknown(field, "action", string(action), Actions())
		return
	}
	switch {
	case errno == nil:
	case most == 0:
		c.refuse(errnoField, "is set, but "+string(action)+" returns no errno", "remove it; SCMP_ACT_ERRNO and SCMP_ACT_TRACE have one")
	case *errno > most:
		c.refuse(errnoField, strconv.FormatUint(uint64(*errno), 10)+" is more than "+strconv.Itoa(int(most)), "")
	}
}

const (
	maxErrno = 4095  // the largest that the kernel returns: MAX_ERRNO, linux/err.h
	maxData  = 65535 // SECCOMP_RET_DATA, linux/seccomp.h
)

// listener checks listenerPath and listenerMetadata.
func (c *checker) listener(s *specs.LinuxSeccomp) {
	switch {
	case s.ListenerPath == "" && s.ListenerMetadata != "":
		c.refuse(".listenerMetadata", "is set without listenerPath", "remove it, or set linux.seccomp.listenerPath")
	case s.ListenerPath == "" && c.notifies:
		c.refuse(".listenerPath", "is missing: nobody would answer SCMP_ACT_NOTIFY", "name the socket of a seccomp agent")
	case c.notifies && s.ListenerPath[0] != '/':
		c.refuse(".listenerPath", strconv.Quote(s.ListenerPath)+" is not an absolute path", "")
	case c.notifies && len(s.ListenerPath) > 107: // sizeof(sun_path), unix(7)
		c.refuse(".listenerPath", "is longer than the 107 bytes of a socket's address", "")
	}
}

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
