// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

import (
	"slices"
	"strconv"

	"github.com/coracle-oci/coracle/internal/fail"
)

// Compile returns the filter of a profile:
//
//	ld arch
//	jeq x86_64 ? …
//	ld nr
//	    a balanced search; ranges of calls that fare alike are one leaf
//	jeq i386 ? …
//	    the same
//	ret kill
//
// Tests of arguments that several calls have, and returns, are shared where they
// are near enough for a jump. It is an error if the kernel would find it too long;
// where is the field to name then.
func (p *Profile) Compile(where string) ([]Instruction, error) {
	c := compiler{Profile: p}
	// Enough for engines' profiles. Fresh memory is what compiling takes longest for.
	c.out, c.segments, c.decisions = make([]Instruction, 0, 320), make([]segment, 0, 160), make([]decision, 0, 16)
	c.resolve()
	next := c.ret(retKillProcess)
	for i := len(p.Archs) - 1; i >= 0; i-- {
		a := p.Archs[i]
		if a.bit != 0 && c.shares(a) {
			continue // it is in the section of the other
		}
		next = c.branch(opJEQ, a.Token, c.section(a), next)
	}
	c.follow(next)
	c.put(Instruction{Code: opLoad, K: offsetArch})
	if c.tooLong {
		return nil, &fail.Error{Where: where, Doing: "needs more than the " + strconv.Itoa(MaxInstructions) + " instructions that the kernel takes",
			Hint: "use fewer conditions or fewer architectures"}
	}
	slices.Reverse(c.out)
	return c.out, nil
}

// A compiler is one run of Compile.
type compiler struct {
	*Profile
	emitter
	names     [count]named // what the rules say of each
	uses      []use
	decisions []decision // the first is the default
	segments  []segment  // of the section that is being made; the room serves the next one too
	little    bool       // which half of an argument lies first in that section
}

// A named is a name of calls, in the profile or not.
type named struct {
	uses    int32 // the index + 1 of the first of them with conditions; 0: there is none
	certain int32 // the index + 1 of the first rule that decides whatever arguments are
	through int32 // the index + 1 of the first that applies through socketcall and ipc
	fate    int16 // its decision
	weight  uint8 // see weigh
	known   bool  // some rule has the name
}

// A use is a name in a rule with conditions.
type use struct {
	rule int32
	next int32 // of the same name, in a later rule: index + 1
}

// A decision is what becomes of a call: the first of the tests that holds says,
// else ret.
type decision struct {
	ret   uint32
	tests []test
	made  [2]int // where it has been emitted, the high or low half first; 0: nowhere yet
}

// A test is a rule's conditions and its action.
type test struct {
	rule       int32
	ret        uint32
	conditions []Condition
}

func (t test) same(o test) bool {
	return t.ret == o.ret && slices.Equal(t.conditions, o.conditions)
}

// resolve looks up all names once, and decides about each. It goes from the last
// rule to the first, as that has the last word.
func (c *compiler) resolve() {
	c.plain(c.Default)
	for i := len(c.Rules) - 1; i >= 0; i-- {
		r := &c.Rules[i]
		through := c.throughMux(r)
		at := -1
		for _, name := range r.Names {
			if at++; at == count || nameAt(at) != name { // lists of engines are sorted
				at = indexOf(name)
			}
			if at < 0 {
				continue
			}
			n := &c.names[at]
			n.known = true
			if len(r.Conditions) > 0 {
				c.uses = append(c.uses, use{int32(i), n.uses})
				n.uses = int32(len(c.uses))
			} else if r.Return != c.Default {
				n.certain = int32(i + 1)
			}
			if through {
				n.through = int32(i + 1)
			}
		}
	}
	for i := range c.names {
		if n := &c.names[i]; n.certain != 0 {
			n.fate = c.plain(c.Rules[n.certain-1].Return)
		} else if n.uses != 0 {
			n.fate = c.decision(c.Default, c.conditional(n))
		}
	}
	c.testMuxed(indexOf("socketcall"), false, socketcalls[:])
	c.testMuxed(indexOf("ipc"), true, ipcs[:])
	c.often(frequent[:], 64)
	c.often(foremost[:], 128)
}

// conditional returns the tests of the rules that have a name.
func (c *compiler) conditional(n *named) (tests []test) {
	for at := n.uses; at != 0; at = c.uses[at-1].next {
		i := c.uses[at-1].rule
		tests = append(tests, test{i, c.Rules[i].Return, c.Rules[i].Conditions})
	}
	return tests
}

// testMuxed decides about a call through which others are asked for.
func (c *compiler) testMuxed(name int, ipc bool, others []string) {
	n := &c.names[name]
	if n.certain != 0 {
		return
	}
	tests := c.conditional(n)
	for call, other := range others {
		if other == "" {
			continue
		}
		if rule := c.names[indexOf(other)].through - 1; rule >= 0 {
			tests = append(tests, test{rule, c.Rules[rule].Return, []Condition{muxed{ipc, uint8(call)}.condition()}})
		}
	}
	slices.SortStableFunc(tests, func(a, b test) int { return int(a.rule - b.rule) })
	n.fate = c.decision(c.Default, tests)
}

// decision returns the index of a decision; those that are the same are one.
func (c *compiler) decision(ret uint32, tests []test) int16 {
	// What says the same as the default need not be asked at the end.
	for len(tests) > 0 && tests[len(tests)-1].ret == ret {
		tests = tests[:len(tests)-1]
	}
	for i := range c.decisions {
		if d := &c.decisions[i]; d.ret == ret && len(d.tests) == len(tests) && slices.EqualFunc(d.tests, tests, test.same) {
			return int16(i)
		}
	}
	c.decisions = append(c.decisions, decision{ret: ret, tests: tests})
	return int16(len(c.decisions) - 1)
}

// plain is the decision for calls whose arguments do not count.
func (c *compiler) plain(ret uint32) int16 { return c.decision(ret, nil) }

// shares tells whether the profile has the architecture that a shares its token with.
func (c *compiler) shares(a *Arch) bool {
	return slices.ContainsFunc(c.Archs, func(o *Arch) bool { return o != a && o.Token == a.Token })
}

// section emits the search of all calls with the token of an architecture.
func (c *compiler) section(a *Arch) int {
	c.segments, c.little = c.segments[:0], a.little()
	if a.bit != 0 {
		c.cover(0, c.plain(retKillProcess))
	}
	c.cut(a)
	if a.Token == x86_64Token {
		x32 := FindArch("SCMP_ARCH_X32")
		switch {
		case a == x32:
		case slices.Contains(c.Archs, x32):
			c.cut(x32)
		default:
			c.cover(x32Bit, c.plain(retKillProcess))
		}
		c.cover(noNumber, c.plain(c.Default))
	}
	c.weigh(a)
	c.join()
	c.follow(c.search(c.segments))
	return c.put(Instruction{Code: opLoad, K: offsetNumber})
}

// A segment is a range of numbers, up to the next one's, that fare alike, but for
// one of them if there is an exception.
type segment struct {
	from      uint32
	number    uint32 // of the exception
	weight    int32
	decision  int16
	exception int16 // the decision for number; -1: there is none
}

// cover appends a segment, unless the one before says the same.
func (c *compiler) cover(from uint32, decision int16) {
	if n := len(c.segments); n == 0 || c.segments[n-1].decision != decision {
		c.segments = append(c.segments, segment{from: from, weight: 1, decision: decision, exception: -1})
	}
}

// cut appends the segments of one architecture.
func (c *compiler) cut(a *Arch) {
	f := filler{compiler: c, next: uint64(a.bit), last: -1, limit: uint64(a.ordinary()), known: c.plain(c.Default)}
	f.newer = f.known
	if newest := a.newest(func(name int) bool { return c.names[name].known }); newest != nil {
		f.last = int64(newest.number() | a.bit)
		if c.enosys() {
			f.newer = c.plain(retErrno | a.ENOSYS())
		}
	}
	for _, call := range a.calls {
		if fate := c.names[call.name()].fate; fate != 0 {
			number := call.number() | a.bit
			f.fill(uint64(number))
			c.cover(number, fate)
			f.next = uint64(number) + 1
		}
	}
	if a.Token == x86_64Token && a.bit == 0 {
		f.fill(x32Bit)
	} else {
		f.fill(1 << 32)
	}
}

// A filler covers the numbers that no rule names.
type filler struct {
	*compiler
	next         uint64 // the first that is not covered
	last         int64  // of the newest call that the profile names
	limit        uint64 // where numbers begin that are never newer
	known, newer int16  // decisions
}

// fill covers all up to a number.
func (f *filler) fill(to uint64) {
	if f.next < to && int64(f.next) <= f.last {
		f.cover(uint32(f.next), f.known)
		f.next = min(to, uint64(f.last)+1)
	}
	if f.next < min(to, f.limit) {
		f.cover(uint32(f.next), f.newer)
		f.next = min(to, f.limit)
	}
	if f.next < to {
		f.cover(uint32(f.next), f.known)
		f.next = to
	}
}
