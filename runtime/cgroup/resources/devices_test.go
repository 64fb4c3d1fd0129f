// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package resources

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/testkit"
)

// A request is what a process wants of a device.
type request struct {
	kind         byte
	major, minor int64
	access       access
}

// allowed is the model: the definition of rule, word for word.
func allowed(rules []rule, q request) bool {
	for _, bit := range []access{mknod, read, write} {
		if q.access&bit == 0 {
			continue
		}
		ok := false
		for _, r := range rules {
			if (r.kind == 'a' || r.kind == q.kind) && (r.major == every || r.major == q.major) &&
				(r.minor == every || r.minor == q.minor) && r.access&bit != 0 {
				ok = r.allow
			}
		}
		if !ok {
			return false
		}
	}
	return true
}

// randomRules is full of rules that touch each other.
func randomRules(r *rand.Rand) []rule {
	numbers := []int64{every, 0, 1, 3, 1<<32 - 1}
	rules := make([]rule, r.IntN(9))
	for i := range rules {
		rules[i] = rule{
			allow: r.IntN(2) == 0, kind: "abc"[r.IntN(3)], access: 1 + access(r.IntN(7)), from: "rule",
			major: numbers[r.IntN(len(numbers))], minor: numbers[r.IntN(len(numbers))],
		}
		if r.IntN(8) == 0 {
			rules[i].kind, rules[i].major, rules[i].minor, rules[i].access = 'a', every, every, allAccess
		}
	}
	return rules
}

// requests is one for each way in which random rules can differ.
func requests() []request {
	var all []request
	for _, kind := range []byte{'b', 'c'} {
		for _, major := range []int64{0, 1, 3, 7, 1<<32 - 1} {
			for _, minor := range []int64{0, 1, 3, 7, 1<<32 - 1} {
				for a := access(1); a <= allAccess; a++ {
					all = append(all, request{kind, major, minor, a})
				}
			}
		}
	}
	return all
}

// TestDeviceProgram runs programs of random rules in an interpreter.
func TestDeviceProgram(t *testing.T) {
	random, all := testkit.Seed(t), requests()
	for range 300 {
		rules := randomRules(random)
		program := deviceProgram(rules)
		for _, q := range all {
			got, err := interpret(program, q)
			if err != nil {
				t.Fatalf("%v: %v", rules, err)
			}
			if got != allowed(rules, q) {
				t.Fatalf("%v: %v: got %v", rules, q, got)
			}
		}
	}
}

// TestDeviceProgramReachable proves what the kernel's verifier asks for first:
// that all instructions can be reached and all jumps stay inside.
func TestDeviceProgramReachable(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		rules := append(randomRules(random), defaultDevices()...)
		program := deviceProgram(rules)
		reached := make([]bool, len(program)/insnSize)
		for todo := []int{0}; len(todo) > 0; {
			pc := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if pc < 0 || pc >= len(reached) {
				t.Fatalf("%v: a jump leaves the program", rules)
			}
			if reached[pc] {
				continue
			}
			reached[pc] = true
			code, off := program[pc*insnSize], int(int16(binary.LittleEndian.Uint16(program[pc*insnSize+2:])))
			switch code {
			case opExit:
			case opJump:
				todo = append(todo, pc+1+off)
			case opJneK, opJsetK:
				todo = append(todo, pc+1, pc+1+off)
			default:
				todo = append(todo, pc+1)
			}
		}
		if slices.Contains(reached, false) {
			t.Fatalf("%v: dead code at instruction %d", rules, slices.Index(reached, false))
		}
	}
}

// interpret runs the few instructions of eBPF that the assembler knows.
func interpret(program []byte, q request) (bool, error) {
	kinds := map[byte]uint32{'b': 1, 'c': 2}
	ctx := []uint32{uint32(q.access)<<16 | kinds[q.kind], uint32(q.major), uint32(q.minor)}
	var reg [11]uint64
	for pc, steps := 0, 0; steps < 10_000; steps++ {
		if pc < 0 || (pc+1)*insnSize > len(program) {
			return false, errors.New("left the program")
		}
		i := program[pc*insnSize : (pc+1)*insnSize]
		dst, src, off := i[1]&15, i[1]>>4, int(int16(binary.LittleEndian.Uint16(i[2:])))
		imm := binary.LittleEndian.Uint32(i[4:])
		pc++
		switch i[0] {
		case 0x61: // ldxw
			reg[dst] = uint64(ctx[off/4])
			if src != 1 {
				return false, errors.New("load from something else than the context")
			}
		case 0xbc: // mov32 register
			reg[dst] = uint64(uint32(reg[src]))
		case 0xb7: // mov64 constant
			reg[dst] = uint64(int64(int32(imm)))
		case 0x54: // and32
			reg[dst] = uint64(uint32(reg[dst]) & imm)
		case 0x74: // rsh32
			reg[dst] = uint64(uint32(reg[dst]) >> imm)
		case 0x05: // ja
			pc += off
		case 0x56: // jne32
			if uint32(reg[dst]) != imm {
				pc += off
			}
		case 0x46: // jset32
			if uint32(reg[dst])&imm != 0 {
				pc += off
			}
		case 0x95: // exit
			return reg[0] == 1, nil
		default:
			return false, errors.New("unknown instruction")
		}
	}
	return false, errors.New("does not end")
}

// decide is how security/device_cgroup.c reads what was written.
func (l whitelist) decide(q request) bool {
	for _, e := range l.exceptions {
		if e.kind != q.kind || e.major != every && e.major != q.major || e.minor != every && e.minor != q.minor {
			continue
		}
		if l.allow && e.access&q.access != 0 {
			return false
		}
		if !l.allow && q.access&^e.access == 0 {
			return true
		}
	}
	return l.allow
}

// TestResolve compares the list for v1 with the model. The list may deny what
// the rules allow only where no single entry covers all that is requested, which
// v1 cannot say; it never allows more.
func TestResolve(t *testing.T) {
	random, all := testkit.Seed(t), requests()
	resolved := 0
	for range 3000 {
		rules := randomRules(random)
		list, err := resolve(rules)
		if err != nil {
			if _, ok := err.(*fail.Error); !ok {
				t.Fatal(err)
			}
			continue
		}
		resolved++
		for _, q := range all {
			got, want := list.decide(q), allowed(rules, q)
			single := q.access&(q.access-1) == 0
			if got && !want || single && got != want {
				t.Fatalf("%v: %v: got %v of %v", rules, q, got, list)
			}
		}
	}
	if resolved < 300 {
		t.Errorf("only %d lists could be resolved", resolved)
	}
}

// TestDefaultDevices: no rule takes away what each container has.
func TestDefaultDevices(t *testing.T) {
	rules := append([]rule{{allow: false, kind: 'a', major: every, minor: every, access: allAccess}}, defaultDevices()...)
	for _, c := range []struct {
		q    request
		want bool
	}{
		{request{'c', 1, 3, read | write}, true}, {request{'c', 1, 5, read}, true}, {request{'c', 1, 7, allAccess}, true},
		{request{'c', 1, 8, read}, true}, {request{'c', 1, 9, read}, true}, {request{'c', 5, 0, write}, true},
		{request{'c', 5, 1, read | write}, true}, {request{'c', 5, 2, read | write}, true}, {request{'c', 136, 77, read | write}, true},
		{request{'b', 8, 0, mknod}, true}, {request{'b', 8, 0, read}, false}, {request{'c', 1, 1, read}, false}, {request{'c', 10, 200, read}, false},
	} {
		got, err := interpret(deviceProgram(rules), c.q)
		if err != nil || got != c.want {
			t.Errorf("%v: got %v %v", c.q, got, err)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		if _, err := Compile("c1", "/default/c1", nil, machines["v1"]); err != nil {
			b.Fatal(err)
		}
	}
}
