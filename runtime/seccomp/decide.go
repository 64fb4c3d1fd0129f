// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

import "slices"

// A Verdict is what the rules mean for one call.
type Verdict struct {
	Return uint32
	Rule   int    // the index in syscalls of the rule that decided, or one of the following
	Newer  bool   // decided: the call is newer than all that the profile names
	Muxed  string // the name in that rule, where it was asked for through socketcall or ipc
}

// What decides if no rule does.
const (
	ByDefault = -1
	ByArch    = -2 // the architecture is not the profile's
)

// Decide says what the rules mean for a call. It is written without a view to
// the compiler, for people (coracle seccomp explain) and for tests.
func (p *Profile) Decide(d Data) Verdict {
	a := p.archOf(d)
	if a == nil {
		if d.Arch == x86_64Token && d.Number == noNumber && p.hasToken(d.Arch) {
			return Verdict{Return: p.Default, Rule: ByDefault}
		}
		return Verdict{Return: retKillProcess, Rule: ByArch}
	}
	if i := p.unconditional(a, d.Number); i >= 0 {
		return Verdict{Return: p.Rules[i].Return, Rule: i}
	}
	for i := range p.Rules {
		r := &p.Rules[i]
		if len(r.Conditions) > 0 && r.names(a, d.Number) && r.hold(d) {
			return Verdict{Return: r.Return, Rule: i}
		}
		if name, ok := r.muxes(a, d); ok && p.throughMux(r) {
			return Verdict{Return: r.Return, Rule: i, Muxed: name}
		}
	}
	return p.otherwise(a, d.Number)
}

// unconditional returns the index of the rule that decides about a call whatever
// its arguments are, -1 if there is none.
func (p *Profile) unconditional(a *Arch, number uint32) int {
	for i := range p.Rules {
		r := &p.Rules[i]
		if len(r.Conditions) == 0 && r.Return != p.Default && r.names(a, number) {
			return i
		}
	}
	return -1
}

// otherwise is the verdict on a call that no rule decides about.
func (p *Profile) otherwise(a *Arch, number uint32) Verdict {
	if last, ok := p.last(a); ok && p.enosys() && number > last && number < a.ordinary() {
		return Verdict{Return: retErrno | a.ENOSYS(), Rule: ByDefault, Newer: true}
	}
	return Verdict{Return: p.Default, Rule: ByDefault}
}

// noNumber is what a tracer sets to have a call skipped; libseccomp lets x86 take
// the default action for it, not that of a foreign architecture.
const (
	noNumber    = 0xffffffff
	x86_64Token = 62 | token64 | tokenLittle
)

func (p *Profile) archOf(d Data) *Arch {
	for _, a := range p.Archs {
		if a.Token != d.Arch || d.Arch == x86_64Token && (d.Number == noNumber || (d.Number >= x32Bit) != (a.bit != 0)) {
			continue
		}
		return a
	}
	return nil
}

func (p *Profile) hasToken(token uint32) bool {
	for _, a := range p.Archs {
		if a.Token == token {
			return true
		}
	}
	return false
}

// names tells whether a rule names a call.
func (r *Rule) names(a *Arch, number uint32) bool {
	name := a.NameOf(number)
	return name != "" && slices.Contains(r.Names, name)
}

func (r *Rule) hold(d Data) bool {
	for _, c := range r.Conditions {
		if !c.Holds(d.Args[c.Arg]) {
			return false
		}
	}
	return true
}

// muxes tells whether a call asks through socketcall or ipc for one that the rule names.
func (r *Rule) muxes(a *Arch, d Data) (string, bool) {
	for _, name := range r.Names {
		if m, ok := muxOf(name); ok {
			if n, ok := a.Number(m.through()); ok && n == d.Number && m.condition().Holds(d.Args[0]) {
				return name, true
			}
		}
	}
	return "", false
}

// throughMux tells whether a rule applies to calls through socketcall and ipc. Its
// conditions cannot be tested there: it does if what it says is stricter than
// the default, so that nobody gets round it.
func (p *Profile) throughMux(r *Rule) bool {
	return r.Return != p.Default && (len(r.Conditions) == 0 || rank(r.Return) < rank(p.Default))
}

// rank orders actions as the kernel does: the least is the strictest.
func rank(ret uint32) int32 { return int32(ret & retAction) }

// enosys tells whether newer calls get ENOSYS: not if they are allowed anyway, or
// a tracer is to emulate them.
func (p *Profile) enosys() bool {
	switch p.Default & retAction {
	case retAllow, retLog, retTrace:
		return false
	}
	return true
}

// last returns the number of the newest call that the profile names.
func (p *Profile) last(a *Arch) (last uint32, ok bool) {
	c := a.newest(func(name int) bool {
		return slices.ContainsFunc(p.Rules, func(r Rule) bool { return slices.Contains(r.Names, nameAt(name)) })
	})
	if c == nil {
		return 0, false
	}
	return c.number() | a.bit, true
}

// Allows tells whether the machine's own programs may make a call, whatever those of
// its arguments are that are not known: bit n tells that argument n is.
func (p *Profile) Allows(name string, args [6]uint64, known uint8) bool {
	a := p.Archs[0]
	number, ok := a.Number(name)
	if !ok {
		return false
	}
	e := p.Explain(Data{Arch: a.Token, Number: number, Args: args}, known)
	for i := range e.Rules {
		if j := &e.Rules[i]; (j.Says == Decides || j.Says == MayDecide) && !allows(j.Return) {
			return false
		}
	}
	return e.Else == nil || allows(e.Else.Return)
}

// allows tells whether a call happens.
func allows(ret uint32) bool { return ret&retAction == retAllow || ret&retAction == retLog }
