// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package lxc

import (
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// seccomp converts a policy of version 2, lxc.container.conf(5), "SECCOMP CONFIGURATION":
//
//	2
//	denylist [ACTION]                   for what no rule is about
//	[all]                               or one architecture
//	NAME [ACTION] [[INDEX,VALUE,OP]…]   ACTION: kill, allow, trap, errno N, notify
func (c *converter) seccomp(file string) {
	c.spec.Linux.Seccomp = nil
	if file == "" {
		return
	}
	text, err := c.Read(file)
	if err != nil {
		c.bad("cannot be read: " + err.Error())
		return
	}
	lines := strings.Split(text, "\n")
	if len(lines) < 2 || strings.TrimSpace(lines[0]) != "2" {
		c.without("only policies of version 2 are converted, as those of version 1 have numbers for names: the container runs without a filter of system calls")
		return
	}
	p := &policy{converter: c, file: file, here: true}
	p.begin(lines[1])
	for i, line := range lines[2:] {
		p.number = i + 3
		p.add(line)
	}
	c.spec.Linux.Seccomp = &p.filter
}

// A policy is one that is being converted.
type policy struct {
	*converter
	file   string
	number int // of the line
	filter specs.LinuxSeccomp
	rule   action // where a rule says nothing
	here   bool   // the section is about this machine
}

// An action is what becomes of a call.
type action struct {
	name  specs.LinuxSeccompAction
	errno *uint
}

func (p *policy) wrong(what string) {
	p.bad(p.file + ":" + strconv.Itoa(p.number) + ": " + what)
}

// begin reads what kind of list it is.
func (p *policy) begin(line string) {
	p.number = 2
	kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	other := action{name: specs.ActAllow}
	switch kind {
	case "denylist", "blacklist":
		p.rule.name = specs.ActKill
	case "allowlist", "whitelist":
		p.rule.name, other.name = specs.ActAllow, specs.ActKill
	default:
		p.wrong(kind + " is neither denylist nor allowlist")
	}
	other = p.action(rest, other)
	p.filter.DefaultAction, p.filter.DefaultErrnoRet = other.name, other.errno
	p.filter.Architectures = []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32}
	if p.Arch == "arm64" {
		p.filter.Architectures = []specs.Arch{specs.ArchAARCH64, specs.ArchARM}
	}
}

// add reads a rule, or which architecture those that follow are about. LXC then
// applies them to all that the machine can run, and so does linux.seccomp.
func (p *policy) add(line string) {
	line, _, _ = strings.Cut(line, "#")
	if line = strings.TrimSpace(line); line == "" {
		return
	}
	if line[0] == '[' {
		section := strings.ToUpper(strings.Trim(line, "[]"))
		p.here = section == "ALL" || slices.Contains(p.filter.Architectures, "SCMP_ARCH_"+specs.Arch(strings.Replace(section, "ARM64", "AARCH64", 1)))
		return
	}
	if !p.here {
		return
	}
	name, rest, _ := strings.Cut(line, " ")
	if name == "reject_force_umount" {
		const force = 1   // MNT_FORCE, umount2(2)
		errno := uint(13) // EACCES
		p.filter.Syscalls = append(p.filter.Syscalls, specs.LinuxSyscall{Names: []string{"umount2"}, Action: specs.ActErrno, ErrnoRet: &errno,
			Args: []specs.LinuxSeccompArg{{Index: 1, Value: force, ValueTwo: force, Op: specs.OpMaskedEqual}}})
		return
	}
	rest, conditions, _ := strings.Cut(rest, "[")
	a := p.action(rest, p.rule)
	rule := specs.LinuxSyscall{Names: []string{name}, Action: a.name, ErrnoRet: a.errno}
	for text := range strings.SplitSeq(conditions, "[") {
		if text = strings.TrimSpace(text); text != "" {
			rule.Args = append(rule.Args, p.condition(strings.TrimSuffix(text, "]")))
		}
	}
	p.filter.Syscalls = append(p.filter.Syscalls, rule)
}

// action reads what is to happen, which may be left out.
func (p *policy) action(text string, otherwise action) action {
	word, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	switch word {
	case "":
		return otherwise
	case "kill":
		return action{name: specs.ActKill}
	case "allow":
		return action{name: specs.ActAllow}
	case "trap":
		return action{name: specs.ActTrap}
	case "errno":
		n, err := strconv.ParseUint(strings.TrimSpace(rest), 10, 12)
		if err != nil {
			p.wrong("errno " + rest + " is no errno")
		}
		errno := uint(n)
		return action{specs.ActErrno, &errno}
	case "notify":
		p.without(p.file + ":" + strconv.Itoa(p.number) + ": asks a program outside; the call fails with ENOSYS, as it does in LXC while nobody answers")
		enosys := uint(38)
		return action{specs.ActErrno, &enosys}
	}
	p.wrong("unknown action " + word)
	return otherwise
}

// condition reads "INDEX,VALUE,OP" or "INDEX,VALUE,&=,MASK".
func (p *policy) condition(text string) specs.LinuxSeccompArg {
	var index, value, mask uint64
	var op specs.LinuxSeccompOperator
	f := strings.Split(text, ",")
	ok := len(f) == 3 || len(f) == 4
	for i, word := range f {
		word = strings.TrimSpace(word)
		var err error
		switch i {
		case 0:
			index, err = strconv.ParseUint(word, 0, 64)
		case 1:
			value, err = strconv.ParseUint(word, 0, 64)
		case 2:
			op = operator(word)
		case 3:
			mask, err = strconv.ParseUint(word, 0, 64)
		}
		ok = ok && err == nil
	}
	if !ok || op == "" || index > 5 {
		p.wrong("[" + text + "] is not [INDEX,VALUE,OP] or [INDEX,VALUE,OP,MASK]")
	}
	if op == specs.OpMaskedEqual {
		value, mask = mask, value // linux.seccomp has the mask first
	}
	return specs.LinuxSeccompArg{Index: uint(index), Value: value, ValueTwo: mask, Op: op}
}

func operator(word string) specs.LinuxSeccompOperator {
	switch op := specs.LinuxSeccompOperator(word); op {
	case specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpEqualTo, specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpMaskedEqual:
		return op
	}
	switch word {
	case "!=":
		return specs.OpNotEqual
	case "<":
		return specs.OpLessThan
	case "<=":
		return specs.OpLessEqual
	case "==":
		return specs.OpEqualTo
	case ">=":
		return specs.OpGreaterEqual
	case ">":
		return specs.OpGreaterThan
	case "&=":
		return specs.OpMaskedEqual
	}
	return ""
}
