// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package resources

// Registers of the device program.
const (
	result  = 0 // 1 allows the request, 0 denies it
	context = 1 // struct bpf_cgroup_dev_ctx { __u32 access_type, major, minor; }
	pending = 2 // requested operations that no rule has decided yet
	kind    = 3
	major   = 4
	minor   = 5
)

// deviceProgram compiles rules to a BPF_PROG_TYPE_CGROUP_DEVICE.
//
// It goes through the rules from the last to the first. A rule that allows
// strikes its operations out of what is pending, and the request is allowed
// when nothing is left; a rule that denies something pending ends it.
//
//	for each rule, backwards:
//	    if the device is not the rule's: next
//	    allow:  pending &^= access; if pending == 0: return 1
//	    deny:   if pending & access != 0: return 0
//	return 0
func deviceProgram(rules []rule) []byte {
	var a assembler
	a.load(pending, context, 0)
	a.move(kind, pending)
	a.and(kind, 0xffff)
	a.shiftRight(pending, 16)
	a.load(major, context, 4)
	a.load(minor, context, 8)
	for i := len(rules) - 1; i >= 0; i-- {
		if rules[i].total() {
			// Nothing may follow: the verifier refuses dead code.
			a.exit(rules[i].allow)
			return a.code
		}
		a.rule(rules[i])
	}
	a.exit(false)
	return a.code
}

// rule adds one rule, with jumps to the next one.
func (a *assembler) rule(r rule) {
	var decide assembler
	if r.allow {
		decide.and(pending, ^uint32(r.access))
		decide.skipUnless(pending, 0, 2)
		decide.exit(true)
	} else {
		decide.skipIfAny(pending, uint32(r.access), 1)
		decide.skip(2)
		decide.exit(false)
	}
	n := decide.len()
	var match assembler // from the last test to the first: each must know how far to jump
	for _, t := range []struct {
		register int
		want     int64
	}{{minor, r.minor}, {major, r.major}, {kind, kindNumber(r.kind)}} {
		if t.want != every {
			var test assembler
			test.skipUnless(t.register, uint32(t.want), n)
			match.code = append(test.code, match.code...)
			n++
		}
	}
	a.code = append(append(a.code, match.code...), decide.code...)
}

// kindNumber returns BPF_DEVCG_DEV_BLOCK or _CHAR.
func kindNumber(kind byte) int64 {
	switch kind {
	case 'b':
		return 1
	case 'c':
		return 2
	}
	return every
}
