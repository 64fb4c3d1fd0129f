// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

// An emitter writes a program from its end to its beginning: all jumps of BPF lead
// forward, so every target is there before the jump to it. Places are indexes of
// out, where the last instruction stands first.
type emitter struct {
	out     []Instruction
	rets    []int // where returns stand, the latest of each
	tooLong bool
}

// reach is how far a conditional jump may lead, with room for the jumps that
// branch may have to put between.
const reach = 250

// put writes the instruction that stands before all so far.
func (e *emitter) put(i Instruction) int {
	if len(e.out) >= MaxInstructions {
		e.tooLong = true
	} else {
		e.out = append(e.out, i)
	}
	return len(e.out) - 1
}

// far tells whether a place is out of reach of the instruction to be put next.
func (e *emitter) far(at int) bool { return len(e.out)-at > reach }

// follow makes sure that the instruction put next runs on to a place.
func (e *emitter) follow(at int) int {
	switch n := len(e.out); {
	case at == n-1:
		return at
	case e.out[at].Code == opRet:
		return e.put(e.out[at]) // as long as a jump, and one step less
	default:
		return e.put(Instruction{Code: opJump, K: uint32(n - 1 - at)})
	}
}

// branch writes a conditional jump.
func (e *emitter) branch(op uint16, k uint32, yes, no int) int {
	if yes == no {
		return yes
	}
	if e.far(yes) {
		yes = e.follow(yes)
	}
	if e.far(no) {
		no = e.follow(no)
	}
	n := len(e.out)
	return e.put(Instruction{Code: op, True: uint8(n - 1 - yes), Else: uint8(n - 1 - no), K: k})
}

// ret returns the place of a return, one that is in reach if there is one.
func (e *emitter) ret(v uint32) int {
	for i, at := range e.rets {
		if e.out[at].K == v {
			if e.far(at) {
				e.rets[i] = e.put(Instruction{Code: opRet, K: v})
			}
			return e.rets[i]
		}
	}
	at := e.put(Instruction{Code: opRet, K: v})
	if !e.tooLong {
		e.rets = append(e.rets, at)
	}
	return at
}
