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
	c.out, c.segments, c.leaves = make([]Instruction, 0, 320), make([]segment, 0, 160), make([]leaf, 0, 128)
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
	uses      []use // all names of all rules, in their order
	decisions []decision
	// Of the section that is being made; the room serves the next one too.
	numbers  []uint64
	segments []segment
	leaves   []leaf
	tests    []test // of the decision that is being made
}

// A use is one name in one rule.
type use struct {
	rule int32
	name int16 // an index of names; -1: no architecture has such a call
	mux  muxed // how else the call may be asked for, if the rule applies there
}

// A decision is what becomes of a call: the first of the tests that holds says,
// else ret.
type decision struct {
	ret    uint32
	tests  []test
	little bool // which half of an argument lies first
	made   int  // where it has been emitted; 0: nowhere yet
}

// A test is a rule's conditions and its action.
type test struct {
	conditions []Condition
	ret        uint32
}

func (t test) same(o test) bool {
	return t.ret == o.ret && slices.Equal(t.conditions, o.conditions)
}

// resolve looks up all names once.
func (c *compiler) resolve() {
	n := 0
	for i := range c.Rules {
		n += len(c.Rules[i].Names)
	}
	c.uses = make([]use, 0, n)
	for i := range c.Rules {
		r := &c.Rules[i]
		through := c.throughMux(r)
		at, ok := 0, false
		for _, name := range r.Names {
			u := use{name: -1, rule: int32(i)}
			if at, ok = indexNear(at, name); ok {
				u.name = int16(at)
			}
			if through {
				u.mux, _ = muxOf(name)
			}
			if u.name >= 0 || u.mux.call != 0 {
				c.uses = append(c.uses, u)
			}
		}
	}
}

// decision returns the index of a decision; those that are the same are one.
func (c *compiler) decision(ret uint32, tests []test, little bool) int {
	for i := range c.decisions {
		d := &c.decisions[i]
		if d.ret == ret && (len(tests) == 0 || d.little == little) && slices.EqualFunc(d.tests, tests, test.same) {
			return i
		}
	}
	c.decisions = append(c.decisions, decision{ret: ret, tests: slices.Clone(tests), little: little})
	return len(c.decisions) - 1
}

// plain is the decision for calls whose arguments do not count.
func (c *compiler) plain(ret uint32) int { return c.decision(ret, nil, false) }

// shares tells whether the profile has the architecture that a shares its token with.
func (c *compiler) shares(a *Arch) bool {
	return slices.ContainsFunc(c.Archs, func(o *Arch) bool { return o != a && o.Token == a.Token })
}

// section emits the search of all calls with the token of an architecture.
func (c *compiler) section(a *Arch) int {
	c.segments = c.segments[:0]
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
	c.follow(c.search(c.leaves))
	return c.put(Instruction{Code: opLoad, K: offsetNumber})
}

// A segment is a range of numbers, up to the next one's, that fare alike.
type segment struct {
	from     uint32
	weight   int32
	decision int32
}

// cover appends a segment, unless the one before says the same.
func (c *compiler) cover(from uint32, decision int) {
	if n := len(c.segments); n == 0 || int(c.segments[n-1].decision) != decision {
		c.segments = append(c.segments, segment{from, 1, int32(decision)})
	}
}

// cut appends the segments of one architecture.
func (c *compiler) cut(a *Arch) {
	last := c.sort(a)
	byNumber := c.numbers
	f := filler{compiler: c, next: uint64(a.bit), last: last, limit: uint64(a.ordinary()), known: c.plain(c.Default)}
	f.newer = f.known
	if c.enosys() && last >= 0 {
		f.newer = c.plain(retErrno | a.ENOSYS())
	}
	for len(byNumber) > 0 {
		number, n := byNumber[0]>>32, 1
		for n < len(byNumber) && byNumber[n]>>32 == number {
			n++
		}
		if d := c.decide(a, uint32(number), byNumber[:n]); d >= 0 {
			f.fill(number)
			c.cover(uint32(number), d)
			f.next = number + 1
		}
		byNumber = byNumber[n:]
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
	known, newer int    // decisions
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

// sort lists the uses of calls that an architecture has, by number and then by
// rule: number<<32 | index of uses. last is the newest call.
func (c *compiler) sort(a *Arch) (last int64) {
	list := slices.Grow(c.numbers[:0], len(c.uses))
	last = -1
	socketcall, hasSocketcall := a.Number("socketcall")
	ipc, hasIPC := a.Number("ipc")
	for i := range c.uses {
		u := &c.uses[i]
		if u.name >= 0 {
			if n, ok := a.number(int(u.name)); ok {
				list = append(list, uint64(n)<<32|uint64(i))
				if n < a.ordinary() {
					last = max(last, int64(n))
				}
			}
		}
		switch {
		case u.mux.call == 0:
		case u.mux.ipc && hasIPC:
			list = append(list, uint64(ipc)<<32|uint64(i))
		case !u.mux.ipc && hasSocketcall:
			list = append(list, uint64(socketcall)<<32|uint64(i))
		}
	}
	slices.Sort(list)
	c.numbers = list
	return last
}

// decide returns the decision for a call from the uses of its number, -1 for the
// default.
func (c *compiler) decide(a *Arch, number uint32, uses []uint64) int {
	tests := c.tests[:0]
	for _, packed := range uses {
		u := &c.uses[uint32(packed)]
		r := &c.Rules[u.rule]
		direct := false
		if u.name >= 0 {
			n, ok := a.number(int(u.name))
			direct = ok && n == number
		}
		switch {
		case !direct:
			tests = append(tests, test{conditions: []Condition{u.mux.condition()}, ret: r.Return})
		case len(r.Conditions) > 0:
			tests = append(tests, test{conditions: r.Conditions, ret: r.Return})
		case r.Return != c.Default:
			return c.plain(r.Return)
		}
	}
	c.tests = tests
	// What says the same as the default need not be asked at the end.
	for len(tests) > 0 && tests[len(tests)-1].ret == c.Default {
		tests = tests[:len(tests)-1]
	}
	if len(tests) == 0 {
		return -1
	}
	return c.decision(c.Default, tests, a.little())
}
