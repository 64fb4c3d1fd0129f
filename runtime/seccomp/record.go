// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

import (
	"maps"
	"slices"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
)

// A Recording is of the calls that the processes of a container make, and makes of
// them the least profile that lets them happen again.
//
// A profile that the container has already stays in force: the kernel keeps refusing
// what it refused. It only asks instead of allowing, and instead of returning an
// errno of which it must be known later that somebody got it. So nobody gets more
// than before, neither now nor by the profile that comes out.
type Recording struct {
	Unnamed []string // calls that no profile can name, as package seccomp does not know them

	*Profile                     // that of the container, or one that allows everything
	spec     *specs.LinuxSeccomp // the same
	seen     map[string]deciders // by the names of calls
	archs    map[*Arch]bool      // whose calls were seen
}

// deciders are the rules that decided about a call: indexes of syscalls, or ByDefault.
type deciders map[int]bool

// Record begins a recording of a container that has a linux.seccomp, or none: nil.
// It refuses one that it could not hold what comes out against.
func Record(s *specs.LinuxSeccomp, goarch, where string) (*Recording, error) {
	if s == nil {
		s = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: runs(goarch)}
	}
	p, err := Parse(s, goarch, where)
	if err != nil {
		return nil, err
	}
	if p.Notifies {
		return nil, &fail.Error{Where: where + ".listenerPath", Doing: "record calls that an agent answers", Hint: "a process has one listener; remove the rules with SCMP_ACT_NOTIFY, or linux.seccomp"}
	}
	for i := range p.Rules {
		if r := &p.Rules[i]; allows(p.Default) && len(r.Conditions) > 0 && !allows(r.Return) {
			return nil, &fail.Error{Where: where + ".syscalls[" + strconv.Itoa(i) + "].args", Doing: "take something from what the default allows, which a list of what is allowed cannot say",
				Hint: "remove linux.seccomp to record without it"}
		}
	}
	return &Recording{Profile: p, spec: s, seen: map[string]deciders{}, archs: map[*Arch]bool{p.Archs[0]: true}}, nil
}

// runs are the architectures whose programs a machine may run.
func runs(goarch string) []specs.Arch {
	if goarch == "arm64" {
		return []specs.Arch{specs.ArchAARCH64, specs.ArchARM}
	}
	return []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32}
}

// handOver are the calls by which a process hands its listener over, and goes on.
var handOver = [...]string{"sendmsg", "read", "sendto"}

// Filter returns the linux.seccomp to load, which asks whoever listens at a socket.
// The calls that hand the listener over are allowed to whoever has ours in the sixth
// argument, where they take none.
func (r *Recording) Filter(socket string, ours uint64, flags ...specs.LinuxSeccompFlag) *specs.LinuxSeccomp {
	f := *r.spec
	f.ListenerPath, f.ListenerMetadata = socket, ""
	f.Flags = slices.Concat(f.Flags, flags)
	sixth := func(op specs.LinuxSeccompOperator) specs.LinuxSeccompArg {
		return specs.LinuxSeccompArg{Index: 5, Value: ours, Op: op}
	}
	f.Syscalls = []specs.LinuxSyscall{{Names: handOver[:], Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{sixth(specs.OpEqualTo)}}}
	if allows(r.Default) {
		f.DefaultAction, f.DefaultErrnoRet = specs.ActNotify, nil
		f.Syscalls = append(f.Syscalls, specs.LinuxSyscall{Names: r.newest(), Action: specs.ActNotify}) // or all newer than handOver were ENOSYS
	}
	for i, s := range r.spec.Syscalls {
		if r.asks(r.Rules[i].Return) {
			s.Action, s.ErrnoRet = specs.ActNotify, nil
		}
		all := s.Names
		s.Names = nil
		for _, name := range all {
			// Of the rules without conditions only the first counts. As it may say now what
			// the default says, and then counts for nothing, the others have to go.
			first := r.first(name)
			switch late := first >= 0 && first != i; {
			case !slices.Contains(handOver[:], name):
				if !late || len(s.Args) > 0 {
					s.Names = append(s.Names, name)
				}
			case !late && (len(s.Args) > 0 || first == i):
				f.Syscalls = append(f.Syscalls, specs.LinuxSyscall{Names: []string{name}, Action: s.Action, ErrnoRet: s.ErrnoRet,
					Args: append(slices.Clone(s.Args), sixth(specs.OpNotEqual))})
			}
			// With a condition a rule does not hold for what is called through another call.
			if m, ok := muxOf(name); ok && slices.Contains(handOver[:], name) && r.throughMux(&r.Rules[i]) {
				f.Syscalls = append(f.Syscalls, specs.LinuxSyscall{Names: []string{m.through()}, Action: s.Action, ErrnoRet: s.ErrnoRet,
					Args: []specs.LinuxSeccompArg{{Value: uint64(m.call), Op: specs.OpEqualTo}}})
			}
		}
		if len(s.Names) > 0 {
			f.Syscalls = append(f.Syscalls, s)
		}
	}
	return &f
}

// asks tells whether the kernel is to ask where the profile returns a value.
func (r *Recording) asks(ret uint32) bool {
	return allows(ret) || ret&retAction == retErrno && ret != r.Default
}

// first returns the rule that decides about calls of a name whatever their arguments
// are, -1 if there is none.
func (p *Profile) first(name string) int {
	return slices.IndexFunc(p.Rules, func(r Rule) bool {
		return len(r.Conditions) == 0 && r.Return != p.Default && slices.Contains(r.Names, name)
	})
}

// newest returns the names of the newest calls that are known.
func (p *Profile) newest() (list []string) {
	for _, a := range p.Archs {
		list = append(list, nameAt(a.newest(func(int) bool { return true }).name()))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Answer notes a call that the filter asks about, and says whether it happens, or
// else which errno it fails with.
func (r *Recording) Answer(d Data) (happens bool, errno uint32) {
	v := r.Decide(d)
	if a := r.archOf(d); a != nil {
		r.note(a, d, v)
	}
	switch {
	case allows(v.Return):
		return true, 0
	case v.Return&retAction == retErrno:
		return false, v.Return & retData
	}
	return false, 1 // EPERM; the kernel does not ask about what is to be killed
}

func (r *Recording) note(a *Arch, d Data, v Verdict) {
	r.archs[a] = true
	name := v.Muxed
	if name == "" {
		name = a.NameOf(d.Number)
	}
	switch {
	case name == "":
		if text := "call " + hex(uint64(d.Number)) + " of " + a.Name; !slices.Contains(r.Unnamed, text) {
			r.Unnamed = append(r.Unnamed, text)
		}
		return
	case v.Rule < 0:
		name = throughWhich(name, d.Args[0])
	}
	if r.seen[name] == nil {
		r.seen[name] = deciders{}
	}
	r.seen[name][v.Rule] = true
}

// throughWhich returns what socketcall and ipc are called for, which says more.
func throughWhich(name string, arg uint64) string {
	for i := range count {
		if m, ok := muxOf(nameAt(i)); ok && m.through() == name && m.condition().Holds(arg) {
			return nameAt(i)
		}
	}
	return name
}

// Ran tells whether a program has run: it has called something besides execve, and
// what a launch program that failed says before its end.
func (r *Recording) Ran() bool {
	for name := range r.seen {
		if name != "execve" && name != "sendto" && name != "exit_group" {
			return true
		}
	}
	return false
}

// Result returns the profile that allows what was seen, and more that others need
// who are to run the container, as far as it had that.
func (r *Recording) Result(more []string) *specs.LinuxSeccomp {
	out := &specs.LinuxSeccomp{DefaultAction: r.spec.DefaultAction, DefaultErrnoRet: r.spec.DefaultErrnoRet, Flags: r.spec.Flags}
	if allows(r.Default) {
		errno := uint(1) // EPERM
		out.DefaultAction, out.DefaultErrnoRet = specs.ActErrno, &errno
	}
	for _, a := range r.Archs {
		if r.archs[a] {
			out.Architectures = append(out.Architectures, specs.Arch(a.Name))
		}
	}
	seen := slices.Sorted(maps.Keys(r.seen))
	for i := range count {
		name := nameAt(i)
		if m, ok := muxOf(name); ok && r.seen[name] == nil && r.seen[m.through()] != nil {
			seen = append(seen, name) // it may have been called, or be refused
		}
	}
	// Of rules without conditions no two name the same call, so their order does not
	// count; but before and behind one for socketcall or ipc it may.
	together := !slices.ContainsFunc(r.spec.Syscalls, func(s specs.LinuxSyscall) bool {
		return len(s.Args) > 0 && (slices.Contains(s.Names, "socketcall") || slices.Contains(s.Names, "ipc"))
	})
	add(out, together, specs.LinuxSyscall{Action: r.spec.DefaultAction}, filtered(seen, func(name string) bool { return r.seen[name][ByDefault] }))
	for i := range r.Rules {
		add(out, together, r.spec.Syscalls[i], filtered(seen, func(name string) bool { return r.keeps(i, name) }))
	}
	more = filtered(more, func(name string) bool {
		return r.Allows(name, [6]uint64{}, 0) && !slices.ContainsFunc(out.Syscalls, func(s specs.LinuxSyscall) bool { return slices.Contains(s.Names, name) })
	})
	if len(more) > 0 {
		out.Syscalls = append(out.Syscalls, specs.LinuxSyscall{Names: more, Action: specs.ActAllow})
	}
	if marks := r.marks(out); len(marks) > 0 {
		out.Syscalls = append(out.Syscalls, specs.LinuxSyscall{Names: marks, Action: out.DefaultAction, ErrnoRet: out.DefaultErrnoRet})
	}
	return out
}

func filtered(list []string, keep func(string) bool) (kept []string) {
	for _, s := range list {
		if keep(s) {
			kept = append(kept, s)
		}
	}
	return kept
}

// keeps tells whether rule i is still needed for calls of a name.
func (r *Recording) keeps(i int, name string) bool {
	rule := &r.Rules[i]
	if !slices.Contains(rule.Names, name) || r.seen[name] == nil && allows(rule.Return) {
		return false
	}
	switch first := r.first(name); {
	case first >= 0:
		return first == i
	case len(rule.Conditions) == 0:
		return false // it only repeats the default
	}
	return r.seen[name][i] || !allows(rule.Return) // it may take something from the next
}

// add adds a rule for some names, if they may stand together to one that is there
// and says the same.
func add(out *specs.LinuxSeccomp, together bool, rule specs.LinuxSyscall, names []string) {
	if len(names) == 0 {
		return
	}
	slices.Sort(names)
	for i := range out.Syscalls {
		if s := &out.Syscalls[i]; together && len(s.Args)+len(rule.Args) == 0 && s.Action == rule.Action && same(s.ErrnoRet, rule.ErrnoRet) {
			s.Names = append(s.Names, names...)
			slices.Sort(s.Names)
			return
		}
	}
	rule.Names = names
	out.Syscalls = append(out.Syscalls, rule)
}

func same(a, b *uint) bool { return a == b || a != nil && b != nil && *a == *b }

// marks returns the newest calls that the container's profile names, where what
// came out names none as new: from where on calls are ENOSYS is to stay where it was.
func (r *Recording) marks(out *specs.LinuxSeccomp) (list []string) {
	if !r.enosys() {
		return nil
	}
	p := typed(out)
	for _, a := range p.Archs {
		was, named := r.last(a)
		if is, _ := p.last(a); named && was > is {
			list = append(list, a.NameOf(was))
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}
