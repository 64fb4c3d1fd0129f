// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

import (
	"math/rand/v2"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/profile"
)

// randomProfile makes a profile of calls, conditions and actions at random.
func randomProfile(r *rand.Rand) *specs.LinuxSeccomp {
	s := &specs.LinuxSeccomp{ListenerPath: "/run/agent"}
	s.DefaultAction, s.DefaultErrnoRet = randomAction(r)
	for _, a := range archs {
		if r.IntN(6) == 0 {
			s.Architectures = append(s.Architectures, specs.Arch(a.Name))
		}
	}
	few := 1 + r.IntN(count) // so that several rules speak of the same call
	for range r.IntN(40) {
		call := specs.LinuxSyscall{}
		call.Action, call.ErrnoRet = randomAction(r)
		for range 1 + r.IntN(30) {
			call.Names = append(call.Names, nameAt(r.IntN(few)))
		}
		if r.IntN(2) == 0 {
			for range r.IntN(4) {
				call.Args = append(call.Args, randomCondition(r))
			}
		}
		s.Syscalls = append(s.Syscalls, call)
		if r.IntN(4) == 0 {
			s.Syscalls = append(s.Syscalls, randomFamily(r, call)...)
		}
	}
	return s
}

// randomFamily makes rules that differ from one in the values of an argument alone.
func randomFamily(r *rand.Rand, call specs.LinuxSyscall) (family []specs.LinuxSyscall) {
	arg := uint(r.IntN(6))
	for range 1 + r.IntN(12) {
		op := []specs.LinuxSeccompOperator{specs.OpEqualTo, specs.OpEqualTo, specs.OpEqualTo, specs.OpLessThan, specs.OpLessEqual}[r.IntN(5)]
		call.Args = []specs.LinuxSeccompArg{{Index: arg, Value: randomValue(r), Op: op}}
		family = append(family, call)
	}
	return family
}

func randomAction(r *rand.Rand) (action specs.LinuxSeccompAction, errno *uint) {
	action = specs.LinuxSeccompAction(profile.Actions()[r.IntN(len(profile.Actions()))])
	if (action == specs.ActErrno || action == specs.ActTrace) && r.IntN(2) == 0 {
		n := uint(r.IntN(200))
		errno = &n
	}
	return action, errno
}

func randomCondition(r *rand.Rand) specs.LinuxSeccompArg {
	a := specs.LinuxSeccompArg{Index: uint(r.IntN(6)), Value: randomValue(r), Op: specs.LinuxSeccompOperator(profile.Operators()[r.IntN(len(profile.Operators()))])}
	if a.Op == specs.OpMaskedEqual {
		a.ValueTwo = randomValue(r)
		if r.IntN(4) > 0 {
			a.ValueTwo &= a.Value
		}
	}
	if r.IntN(2) == 0 {
		a.Index = 0
	}
	return a
}

// randomValue prefers the edges of both halves.
func randomValue(r *rand.Rand) uint64 {
	half := func() uint64 {
		switch r.IntN(6) {
		case 0:
			return 0
		case 1:
			return 0xffffffff
		case 2:
			return 0x80000000
		case 3:
			return uint64(r.Uint32())
		}
		return uint64(r.IntN(12))
	}
	low := half()
	if r.IntN(2) == 0 {
		return low
	}
	return half()<<32 | low
}

// interesting are numbers and arguments at and around all that a profile speaks of.
func interesting(r *rand.Rand, p *Profile) Data {
	d := Data{Pointer: r.Uint64()}
	a := p.Archs[r.IntN(len(p.Archs))]
	d.Arch = a.Token
	switch r.IntN(12) {
	case 0:
		d.Number = r.Uint32()
	case 1:
		d.Number = uint32(r.IntN(8)) - 4 // and around -1
	case 2:
		d.Number = a.bit ^ x32Bit + uint32(r.IntN(600))
	case 3:
		d.Number, _ = a.Number([]string{"socketcall", "ipc", "set_tls"}[r.IntN(3)])
	case 4:
		last, _ := p.last(a)
		d.Number = last + uint32(r.IntN(5)) - 2
	case 5:
		d.Arch = archs[r.IntN(len(archs))].Token
		d.Number = uint32(r.IntN(500))
	default:
		d.Number = a.bit + uint32(r.IntN(500))
		if len(p.Rules) > 0 {
			rule := &p.Rules[r.IntN(len(p.Rules))]
			if n, ok := a.Number(rule.Names[r.IntN(len(rule.Names))]); ok {
				d.Number = n
			}
		}
	}
	var near []uint64
	for i := range p.Rules {
		for _, c := range p.Rules[i].Conditions {
			near = append(near, c.Value, c.Value+1, c.Value-1, c.Value^1<<32, c.Mask, c.Value|^c.Mask)
		}
	}
	for i := range d.Args {
		if len(near) > 0 && r.IntN(3) > 0 {
			d.Args[i] = near[r.IntN(len(near))]
		} else {
			d.Args[i] = randomValue(r)
		}
	}
	return d
}
