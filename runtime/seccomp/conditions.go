// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

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

// tests emits those of a decision, one after the other.
func (c *compiler) tests(d *decision) int {
	next := place(c.ret(d.ret))
	for i := len(d.tests) - 1; i >= 0 && !c.tooLong; i-- {
		t := &d.tests[i]
		yes := place(c.ret(t.ret))
		for n := len(t.conditions) - 1; n >= 0; n-- {
			yes = c.condition(&t.conditions[n], d.little, yes, next)
		}
		next = yes
	}
	return next.at
}

// condition emits one comparison of 64 bits: the low half is tested first where
// it decides in most cases, as arguments are mostly small.
func (c *compiler) condition(t *Condition, little bool, yes, no label) label {
	low := uint32(offsetArgs) + 8*uint32(t.Arg)
	high := low + 4
	if !little {
		low, high = high, low
	}
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
