// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package netlink

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"github.com/coracle-oci/coracle/internal/sys/linux"
)

// NewAddr gives a link an address, which has its network's length with it.
//
// With nodad an IPv6 address is usable at once; without it the kernel first
// asks for a second or two whether somebody else has it. An address that comes
// from a ledger need not be asked for.
func NewAddr(link string, address netip.Prefix, nodad bool) Message {
	w := addrMessage(link, address)
	if address.Addr().Is4() && address.Bits() < 31 {
		broadcast := lastAddr(address).As4()
		w.bytes(linux.IFA_BROADCAST, broadcast[:])
	}
	if address.Addr().Is6() && nodad {
		w.u32(linux.IFA_FLAGS, linux.IFA_F_NODAD)
	}
	return w.message(linux.RTM_NEWADDR, linux.NLM_F_CREATE|linux.NLM_F_EXCL, "add address "+address.String()+" to "+link)
}

// DelAddr takes an address from a link.
func DelAddr(link string, address netip.Prefix) Message {
	return addrMessage(link, address).message(linux.RTM_DELADDR, 0, "remove address "+address.String()+" from "+link)
}

// GetAddrs asks for all addresses of one link.
func GetAddrs(link string) Message {
	w := &writer{b: make([]byte, addrHeaderLen)}
	w.binds = []Bind{{4, link}}
	return w.message(linux.RTM_GETADDR, linux.NLM_F_DUMP, "list the addresses of "+link)
}

// KeepAddr makes the request that gives a link the address that an RTM_NEWADDR
// tells of the link with the index, if it is permanent and of global scope: what a
// link loses when it goes to another namespace and is to have there again. That
// nobody else has an IPv6 address was found out before.
func KeepAddr(body []byte, index uint32, link string) (Message, bool) {
	if len(body) < addrHeaderLen || binary.NativeEndian.Uint32(body[4:]) != index || body[3] != linux.RT_SCOPE_UNIVERSE {
		return Message{}, false
	}
	w := &writer{b: make([]byte, addrHeaderLen, 64), binds: []Bind{{4, link}}}
	copy(w.b, body[:4])
	w.b[2] = 0
	bits := uint32(body[2])
	for kind, payload := range Attributes(body[addrHeaderLen:]) {
		switch kind {
		case linux.IFA_ADDRESS, linux.IFA_LOCAL, linux.IFA_BROADCAST, linux.IFA_RT_PRIORITY:
			w.bytes(kind, payload)
		case linux.IFA_FLAGS:
			bits = number(payload)
		}
	}
	if bits&linux.IFA_F_PERMANENT == 0 {
		return Message{}, false
	}
	bits &= linux.IFA_F_NOPREFIXROUTE
	if body[0] == linux.AF_INET6 {
		bits |= linux.IFA_F_NODAD
	}
	w.u32(linux.IFA_FLAGS, bits)
	address, _ := ParseAddr(body)
	return w.message(linux.RTM_NEWADDR, linux.NLM_F_CREATE|linux.NLM_F_EXCL, "keep address "+address.String()+" of "+link), true
}

// ParseAddr reads the body of an RTM_NEWADDR: the address with the length of
// its network.
func ParseAddr(body []byte) (netip.Prefix, bool) {
	if len(body) < addrHeaderLen {
		return netip.Prefix{}, false
	}
	var address, local netip.Addr
	for kind, payload := range Attributes(body[addrHeaderLen:]) {
		switch kind {
		case linux.IFA_ADDRESS:
			address, _ = netip.AddrFromSlice(payload)
		case linux.IFA_LOCAL: // the own address, where IFA_ADDRESS is the peer's
			local, _ = netip.AddrFromSlice(payload)
		}
	}
	if local.IsValid() {
		address = local
	}
	return netip.PrefixFrom(address, int(body[1])), address.IsValid()
}

// A Route is one way out of a container.
type Route struct {
	Dst      netip.Prefix
	GW       netip.Addr // not valid: on the link
	MTU      int
	AdvMSS   int
	Priority int
	Table    *int // nil: main
	Scope    *int // nil: universe with a gateway, link without
}

// String is as ip(8) would say it.
func (r Route) String() string {
	s := r.Dst.String()
	if r.GW.IsValid() {
		s += " via " + r.GW.String()
	}
	if r.Table != nil {
		s += " table " + strconv.Itoa(*r.Table)
	}
	return s
}

// NewRoute adds a route over a link.
func NewRoute(link string, r Route) Message {
	w := &writer{b: make([]byte, routeHeaderLen, 96)}
	w.b[0], w.b[1] = family(r.Dst.Addr()), uint8(r.Dst.Bits())
	w.b[5], w.b[6], w.b[7] = linux.RTPROT_BOOT, r.scope(), linux.RTN_UNICAST
	w.b[4] = linux.RT_TABLE_MAIN
	if r.Table != nil {
		w.b[4] = linux.RT_TABLE_UNSPEC // RTA_TABLE holds numbers above 255 too
		w.u32(linux.RTA_TABLE, uint32(*r.Table))
	}
	if r.Dst.Bits() > 0 {
		w.bytes(linux.RTA_DST, r.Dst.Masked().Addr().AsSlice())
	}
	if r.GW.IsValid() {
		w.bytes(linux.RTA_GATEWAY, r.GW.AsSlice())
	}
	w.link(linux.RTA_OIF, link)
	if r.Priority != 0 {
		w.u32(linux.RTA_PRIORITY, uint32(r.Priority))
	}
	if r.MTU != 0 || r.AdvMSS != 0 {
		w.nested(linux.RTA_METRICS, func() {
			if r.MTU != 0 {
				w.u32(linux.RTAX_MTU, uint32(r.MTU))
			}
			if r.AdvMSS != 0 {
				w.u32(linux.RTAX_ADVMSS, uint32(r.AdvMSS))
			}
		})
	}
	return w.message(linux.RTM_NEWROUTE, linux.NLM_F_CREATE|linux.NLM_F_EXCL, "add route "+r.String()+" over "+link)
}

// GetRoutes asks for the routes of one family over one link, of all tables.
func GetRoutes(link string, of netip.Addr) Message {
	w := &writer{b: make([]byte, routeHeaderLen, 32)}
	w.b[0] = family(of)
	w.link(linux.RTA_OIF, link)
	return w.message(linux.RTM_GETROUTE, linux.NLM_F_DUMP, "list the routes over "+link)
}

// ParseRoute reads the body of an RTM_NEWROUTE; only Dst, GW and Table are
// told. ok is false for what is no unicast route.
func ParseRoute(body []byte) (r Route, ok bool) {
	if len(body) < routeHeaderLen || body[7] != linux.RTN_UNICAST {
		return r, false
	}
	table := int(body[4])
	dst := netip.IPv4Unspecified()
	if body[0] == linux.AF_INET6 {
		dst = netip.IPv6Unspecified()
	}
	for kind, payload := range Attributes(body[routeHeaderLen:]) {
		switch kind {
		case linux.RTA_DST:
			dst, _ = netip.AddrFromSlice(payload)
		case linux.RTA_GATEWAY:
			r.GW, _ = netip.AddrFromSlice(payload)
		case linux.RTA_TABLE:
			table = int(number(payload))
		}
	}
	r.Dst, r.Table = netip.PrefixFrom(dst, int(body[1])), &table
	return r, dst.IsValid()
}

// addrHeaderLen and routeHeaderLen are the sizes of struct ifaddrmsg (family,
// length, flags, scope, index) and struct rtmsg (family, lengths, tos, table,
// protocol, scope, type, flags).
const (
	addrHeaderLen  = 8
	routeHeaderLen = 12
)

func addrMessage(link string, address netip.Prefix) *writer {
	w := &writer{b: make([]byte, addrHeaderLen, 64), binds: []Bind{{4, link}}}
	w.b[0], w.b[1] = family(address.Addr()), uint8(address.Bits())
	if address.Addr().IsLoopback() {
		w.b[3] = linux.RT_SCOPE_HOST
	}
	raw := address.Addr().AsSlice()
	w.bytes(linux.IFA_LOCAL, raw)
	w.bytes(linux.IFA_ADDRESS, raw)
	return w
}

func (r Route) scope() uint8 {
	switch {
	case r.Scope != nil:
		return uint8(*r.Scope)
	case !r.GW.IsValid() && r.Dst.Addr().Is4():
		return linux.RT_SCOPE_LINK // IPv6 routes have no scope
	default:
		return linux.RT_SCOPE_UNIVERSE
	}
}

func family(a netip.Addr) uint8 {
	if a.Is4() {
		return linux.AF_INET
	}
	return linux.AF_INET6
}

// lastAddr returns the last address of an IPv4 network.
func lastAddr(p netip.Prefix) netip.Addr {
	a := p.Masked().Addr().As4()
	n := binary.BigEndian.Uint32(a[:]) | ^uint32(0)>>p.Bits()
	binary.BigEndian.PutUint32(a[:], n)
	return netip.AddrFrom4(a)
}
