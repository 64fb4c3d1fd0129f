// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package profile reads seccomp profiles as people and engines write them, and
// judges them.
//
// A file is either the spec's linux.seccomp or what docker and podman take, which
// we call a template: rules may depend on the capabilities of the container, the
// machine and the kernel.
//
//	{"names": ["chroot"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_CHROOT"]}}
//
// [Parse] reads either, [Template.Resolve] makes a linux.seccomp of it. [Seccomp]
// decodes one in a config.json, and [Check] judges any. What its rules mean for a
// call is package seccomp's.
//
// Nothing here touches the system. All of coracle and imgmgr may call it.
package profile

import (
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/decode"
	"github.com/coracle-oci/coracle/internal/fail"
)

// A Template is a file, read and found good.
type Template struct {
	where   string
	common  specs.LinuxSeccomp // all but the rules, and the architectures if there is an archMap
	errno   string             // podman's name for defaultErrnoRet
	archMap []archFamily
	rules   []templateRule
}

// An archFamily is a kind of machine, and whose programs it runs besides its own.
type archFamily struct {
	native string
	others []string
}

// A templateRule is a rule, and when it is one.
type templateRule struct {
	specs.LinuxSyscall
	name               string // docker's old way to write names
	errno              string // podman's name for errnoRet
	includes, excludes condition
}

// A condition says which containers are meant. What is empty says nothing.
type condition struct {
	caps     []string
	machines []string // as templates call them
	kernel   version  // and newer
}

// Parse reads a profile of either form. where is what errors call it: the name of
// its file. An unknown property is an error: it may be what narrows a rule down.
func Parse(where string, data []byte) (*Template, error) {
	t := &Template{where: where}
	r := decode.New(where, data)
	r.Strict = true
	template(r, t)
	r.End()
	if r.Err != nil {
		return nil, r.Err
	}
	return t, t.judge()
}

// judge finds what is wrong with a template, for any container.
func (t *Template) judge() error {
	if len(t.common.Architectures) > 0 && len(t.archMap) > 0 {
		return fail.At(t.where+" archMap", "stands beside architectures: only one of them can count")
	}
	if err := t.named(" defaultErrno", t.errno, &t.common.DefaultErrnoRet); err != nil {
		return err
	}
	all := t.common
	for i := range t.rules {
		rule := &t.rules[i]
		path := index(" syscalls", i)
		if err := t.named(path+".errno", rule.errno, &rule.ErrnoRet); err != nil {
			return err
		}
		switch {
		case rule.name != "" && len(rule.Names) > 0:
			return fail.At(t.where+path+".name", "stands beside names: only one of them can count")
		case rule.name != "":
			rule.Names = []string{rule.name}
		}
		all.Syscalls = append(all.Syscalls, rule.LinuxSyscall)
	}
	if problems := Check(&all); len(problems) > 0 {
		first := problems[0]
		first.Path = first.Path[1:]
		return first.At(t.where + " ")
	}
	return nil
}

// named sets an errno that has a name beside its number, or in its place.
func (t *Template) named(path, name string, to **uint) error {
	if name == "" {
		return nil
	}
	number, ok := fail.ErrnoNumber(name)
	errno := uint(number)
	switch {
	case !ok:
		return fail.At(t.where+path, strconv.Quote(name)+" is no errno")
	case *to != nil && **to != errno:
		return fail.At(t.where+path, name+" is "+strconv.Itoa(number)+", but the number beside it is another")
	}
	*to = &errno
	return nil
}

// A Container is what rules may depend on.
type Container struct {
	Arch         string   // the machine's, as Go calls it
	Kernel       string   // its release, as uname(2) has it
	Capabilities []string // the bounding set
}

// Resolve returns the linux.seccomp of a container. Rule i of it is rule from[i]
// of the file.
func (t *Template) Resolve(c Container) (s *specs.LinuxSeccomp, from []int, err error) {
	m := slices.IndexFunc(machines[:], func(m machine) bool { return m.goarch == c.Arch && c.Arch != "" })
	if m < 0 {
		return nil, nil, fail.At(t.where, "is not for machines of the kind "+strconv.Quote(c.Arch))
	}
	kernel, _, ok := parseVersion(c.Kernel)
	resolved := t.common
	for _, f := range t.archMap {
		if f.native == machines[m].spec {
			resolved.Architectures = []specs.Arch{specs.Arch(f.native)}
			for _, name := range f.others {
				resolved.Architectures = append(resolved.Architectures, specs.Arch(name))
			}
			break
		}
	}
	has := func(name string) bool { return slices.Contains(c.Capabilities, name) }
	for i := range t.rules {
		in, out := &t.rules[i].includes, &t.rules[i].excludes
		if !ok && (in.kernel != version{} || out.kernel != version{}) {
			return nil, nil, fail.At(t.where+index(" syscalls", i), "depends on the kernel's version, and "+strconv.Quote(c.Kernel)+" tells none")
		}
		switch {
		case len(in.machines) > 0 && !slices.Contains(in.machines, machines[m].template):
		case slices.ContainsFunc(in.caps, func(name string) bool { return !has(name) }):
		case kernel.before(in.kernel):
		case slices.Contains(out.machines, machines[m].template):
		case slices.ContainsFunc(out.caps, has):
		case out.kernel != version{} && !kernel.before(out.kernel):
		default:
			resolved.Syscalls = append(resolved.Syscalls, t.rules[i].LinuxSyscall)
			from = append(from, i)
		}
	}
	return &resolved, from, nil
}

// A version of the kernel: its first two numbers.
type version struct{ major, minor int }

func (v version) before(o version) bool {
	return v.major < o.major || v.major == o.major && v.minor < o.minor
}

// parseVersion reads the first two numbers of a release. rest is what follows.
func parseVersion(release string) (v version, rest string, ok bool) {
	major, rest, _ := strings.Cut(release, ".")
	digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
	first, err1 := strconv.ParseUint(major, 10, 16)
	second, err2 := strconv.ParseUint(rest[:digits], 10, 16)
	v = version{int(first), int(second)}
	return v, rest[digits:], err1 == nil && err2 == nil && v != version{}
}
