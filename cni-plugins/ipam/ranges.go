// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package ipam is the arithmetic of the host-local plugin: ranges of addresses,
// which one comes next, which one a container asked for. Package ledger keeps
// on disk who has what.
package ipam

import (
	"net/netip"
	"strconv"
)

// A Range is addresses of one network that may be given away.
type Range struct {
	Subnet  netip.Prefix
	Start   netip.Addr // the first address
	End     netip.Addr // the last address
	Gateway netip.Addr // never given away
}

// A Set is ranges of one family; a container gets one address of each set.
type Set []Range

// String names the ranges for people.
func (s Set) String() string {
	text := ""
	for i, r := range s {
		if i > 0 {
			text += ", "
		}
		text += r.Start.String() + "-" + r.End.String() + " (" + r.Subnet.String() + ")"
	}
	return text
}

// Contains returns the range that may give a away; the gateway's address and
// addresses outside belong to none.
func (s Set) Contains(a netip.Addr) (Range, bool) {
	for _, r := range s {
		if r.Start.Compare(a) <= 0 && a.Compare(r.End) <= 0 && a != r.Gateway {
			return r, true
		}
	}
	return Range{}, false
}

// A Lease is an address with its network and gateway.
type Lease struct {
	Address netip.Prefix
	Gateway netip.Addr
}

// Lease returns a's lease.
func (r Range) Lease(a netip.Addr) Lease {
	return Lease{netip.PrefixFrom(a, r.Subnet.Bits()), r.Gateway}
}

// After calls yield with the addresses of the set, each once: from the one
// after last to the end, and then from the beginning. So an address rests
// after its use as long as possible: neighbours remember who had it.
func (s Set) After(last netip.Addr) func(yield func(netip.Addr, Range) bool) {
	return func(yield func(netip.Addr, Range) bool) {
		first := s.position(last)
		for i := range len(s) + 1 {
			r := s[(first+i)%len(s)]
			from, to := r.Start, r.End
			switch {
			case i == 0 && r.has(last):
				from = last.Next()
			case i == len(s) && r.has(last):
				to = last
			case i == len(s):
				return // the first range was done from its start
			}
			for a := from; a.IsValid() && a.Compare(to) <= 0; a = a.Next() {
				if a != r.Gateway && !yield(a, r) {
					return
				}
			}
		}
	}
}

// position is the index of the range that has last, 0 if none has.
func (s Set) position(last netip.Addr) int {
	for i, r := range s {
		if r.has(last) {
			return i
		}
	}
	return 0
}

func (r Range) has(a netip.Addr) bool {
	return a.IsValid() && r.Start.Compare(a) <= 0 && a.Compare(r.End) <= 0
}

// overlaps tells whether two ranges have an address in common.
func (r Range) overlaps(other Range) bool {
	return r.has(other.Start) || other.has(r.Start)
}

// last returns the last address of a network.
func last(p netip.Prefix) netip.Addr {
	bytes := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(bytes)*8; i++ {
		bytes[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(bytes)
	return a
}

func item(name string, i int) string { return name + "[" + strconv.Itoa(i) + "]" }
