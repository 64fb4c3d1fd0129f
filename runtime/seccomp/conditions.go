// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

import (
	"cmp"
	"slices"
)

// A label is a place that tests begin at. Where the first thing done there is to
// load a word, a jump from where that is loaded already may skip it.
type label struct {
	at     int
	word   uint32 // the offset of the word that is loaded first; 0: none
	loaded int    // the place behind the load
}

func place(at int) label { return label{at: at} }

// from is where to jump to with a word loaded; 0: it is not known which.
func (l label) from(word uint32) int {
	if word != 0 && word == l.word {
		return l.loaded
	}
	return l.at
}

// test emits the tests of a decision, one after the other.
func (c *compiler) test(d *decision) int {
	next := place(c.ret(d.ret))
	for i := len(d.tests); i > 0 && !c.tooLong; {
		yes := place(c.ret(d.tests[i-1].ret))
		if arg, list := spans(d.tests[:i]); len(list) > 1 {
			i -= len(list)
			next = c.among(arg, c.little, union(list), yes, next)
			continue
		}
		i--
		conditions := d.tests[i].conditions
		for n := len(conditions) - 1; n >= 0; n-- {
			yes = c.condition(&conditions[n], c.little, yes, next)
		}
		next = yes
	}
	return next.at
}

// A span is a range of words.
type span struct{ first, last uint32 }

// spanOf is what a test asks for, where that is whether an argument is in a span,
// its upper half being zero, and no more.
func spanOf(t *test) (arg uint8, s span, ok bool) {
	if len(t.conditions) != 1 {
		return 0, s, false
	}
	c := &t.conditions[0]
	first, last := uint64(0), c.Value
	switch c.Op {
	case Equal:
		first = c.Value
	case Less:
		last-- // of 0 it is too large
	case LessEqual:
	default:
		return 0, s, false
	}
	return c.Arg, span{uint32(first), uint32(last)}, last < 1<<32
}

// spans are those of the tests at the end that have the same result, and ask for
// the same argument: engines allow families of sockets, and personalities, one by one.
func spans(tests []test) (arg uint8, list []span) {
	last := &tests[len(tests)-1]
	for i := len(tests) - 1; i >= 0; i-- {
		of, s, ok := spanOf(&tests[i])
		if !ok || len(list) > 0 && (of != arg || tests[i].ret != last.ret) {
			break
		}
		arg, list = of, append(list, s)
	}
	return arg, list
}

// union sorts spans, and makes those one that overlap or touch.
func union(list []span) []span {
	slices.SortFunc(list, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	n := 0
	for _, s := range list {
		if n > 0 && uint64(s.first) <= uint64(list[n-1].last)+1 {
			list[n-1].last = max(list[n-1].last, s.last)
			continue
		}
		list[n] = s
		n++
	}
	return list[:n]
}

// among emits the test whether an argument is in one of some spans.
func (c *compiler) among(arg uint8, little bool, list []span, yes, no label) label {
	low, high := halves(arg, little)
	lows := c.load(low, c.within(list, yes.from(low), no.from(low)))
	return c.load(high, c.branch(opJEQ, 0, lows.at, no.from(high)))
}

// within emits the search of a word among spans.
func (c *compiler) within(list []span, yes, no int) int {
	const few = 3
	if len(list) > few {
		middle := len(list) / 2
		above := c.within(list[middle:], yes, no)
		below := c.within(list[:middle], yes, no)
		return c.branch(opJGE, list[middle].first, above, below)
	}
	for i := len(list) - 1; i >= 0; i-- {
		s := list[i]
		switch {
		case s.first == s.last:
			no = c.branch(opJEQ, s.first, yes, no)
		case s.first == 0:
			no = c.branch(opJGT, s.last, no, yes)
		default:
			no = c.branch(opJGE, s.first, c.branch(opJGT, s.last, no, yes), no)
		}
	}
	return no
}

// halves are where those of an argument lie.
func halves(arg uint8, little bool) (low, high uint32) {
	low = offsetArgs + 8*uint32(arg)
	if little {
		return low, low + 4
	}
	return low + 4, low
}

// condition emits one comparison of 64 bits: the low half is tested first where
// it decides in most cases, as arguments are mostly small.
func (c *compiler) condition(t *Condition, little bool, yes, no label) label {
	low, high := halves(t.Arg, little)
	top, bottom := uint32(t.Value>>32), uint32(t.Value)
	switch t.Op {
	case Equal:
		yes = c.bits(high, ^uint32(0), top, yes, no)
		return c.bits(low, ^uint32(0), bottom, yes, no)
	case NotEqual:
		no = c.bits(high, ^uint32(0), top, no, yes)
		return c.bits(low, ^uint32(0), bottom, no, yes)
	case MaskedEqual:
		yes = c.bits(high, uint32(t.Mask>>32), top, yes, no)
		return c.bits(low, uint32(t.Mask), bottom, yes, no)
	case GreaterEqual:
		return c.above(opJGE, low, high, t.Value, yes, no)
	case Less:
		return c.above(opJGE, low, high, t.Value, no, yes)
	case Greater:
		return c.above(opJGT, low, high, t.Value, yes, no)
	default: // LessEqual
		return c.above(opJGT, low, high, t.Value, no, yes)
	}
}

// load emits a load before the instruction at next.
func (c *compiler) load(word uint32, next int) label {
	c.follow(next)
	return label{at: c.put(Instruction{Code: opLoad, K: word}), word: word, loaded: next}
}

// bits emits the test whether some bits of a word have a value.
func (c *compiler) bits(word, mask, value uint32, yes, no label) label {
	switch {
	case value&^mask != 0:
		return no
	case mask == 0:
		return yes
	case mask == ^uint32(0):
		return c.load(word, c.branch(opJEQ, value, yes.from(word), no.from(word)))
	case value == 0:
		return c.load(word, c.branch(opJSet, mask, no.from(word), yes.from(word)))
	case value == mask && mask&(mask-1) == 0:
		return c.load(word, c.branch(opJSet, mask, yes.from(word), no.from(word)))
	}
	test := c.branch(opJEQ, value, yes.at, no.at)
	c.follow(test)
	return c.load(word, c.put(Instruction{Code: opAnd, K: mask}))
}

// above emits a comparison of size: arg >= value with opJGE, arg > value with opJGT.
func (c *compiler) above(op uint16, low, high uint32, value uint64, yes, no label) label {
	top, bottom := uint32(value>>32), uint32(value)
	lows := c.load(low, c.branch(op, bottom, yes.from(low), no.from(low)))
	if top == 0 {
		return c.load(high, c.branch(opJEQ, 0, lows.at, yes.from(high)))
	}
	equal := c.branch(opJEQ, top, lows.at, no.from(high))
	return c.load(high, c.branch(opJGT, top, yes.from(high), equal))
}
