// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

// An Explanation is what becomes of a call of which not all arguments need be known.
type Explanation struct {
	Rules []Judgement // on all rules that name the call, in the profile's order
	Else  *Verdict    // what becomes of the call if no rule decides; nil: one does
}

// A Judgement says what one rule has to do with a call.
type Judgement struct {
	Rule       int // its index in syscalls
	Return     uint32
	Says       Say
	Muxed      string // the name in the rule, if the call asks for that through socketcall or ipc
	Conditions []Judged
}

// A Judged condition holds or does not, if its argument is known.
type Judged struct {
	Condition
	Known bool
	Holds bool
}

// A Say is what a rule says to a call.
type Say uint8

// What rules say.
const (
	Decides   Say = iota
	MayDecide     // a condition is not known to hold
	Fails         // a condition does not hold
	Repeats       // it has no conditions, and only says what the default does: so it counts for nothing
	Late          // another rule comes first
)

// Explain says of each rule that names a call what it has to do with it: [Decide]
// for people, who may not know all arguments. Bit n of known tells whether
// argument n is.
func (p *Profile) Explain(d Data, known uint8) Explanation {
	var e Explanation
	a := p.archOf(d)
	if a == nil {
		v := p.Decide(d)
		return Explanation{Else: &v}
	}
	first := p.unconditional(a, d.Number)
	decided := false
	for i := range p.Rules {
		for _, j := range p.judge(i, a, d, known) {
			switch {
			case i == first && j.Muxed == "":
				j.Says = Decides
			case j.Says == Repeats:
			case first >= 0 || decided:
				j.Says = Late
			}
			decided = decided || j.Says == Decides
			if j.Says != Late || j.Muxed == "" { // there may be a score of them
				e.Rules = append(e.Rules, j)
			}
		}
	}
	if !decided {
		v := p.otherwise(a, d.Number)
		e.Else = &v
	}
	return e
}

// judge returns what a rule says to a call, for each way in which it names it.
func (p *Profile) judge(rule int, a *Arch, d Data, known uint8) (list []Judgement) {
	r := &p.Rules[rule]
	add := func(muxed string, conditions []Condition) {
		j := Judgement{Rule: rule, Return: r.Return, Muxed: muxed}
		if len(conditions) == 0 && r.Return == p.Default {
			j.Says = Repeats
		}
		for _, c := range conditions {
			one := Judged{Condition: c, Known: known>>c.Arg&1 != 0, Holds: c.Holds(d.Args[c.Arg])}
			j.Conditions = append(j.Conditions, one)
			switch {
			case one.Known && !one.Holds:
				j.Says = Fails
			case !one.Known && j.Says == Decides:
				j.Says = MayDecide
			}
		}
		list = append(list, j)
	}
	if r.names(a, d.Number) {
		add("", r.Conditions)
	}
	if !p.throughMux(r) {
		return list
	}
	for _, name := range r.Names {
		m, ok := muxOf(name)
		if n, has := a.Number(m.through()); !ok || !has || n != d.Number || known&1 != 0 && !m.condition().Holds(d.Args[0]) {
			continue
		}
		add(name, []Condition{m.condition()})
	}
	return list
}
