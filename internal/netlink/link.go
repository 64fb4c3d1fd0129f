// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package netlink

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"

	"github.com/coracle-oci/coracle/internal/sys/linux"
)

// A MAC is an Ethernet address.
type MAC [6]byte

// String gives the usual form, 02:42:ac:11:00:02.
func (m MAC) String() string {
	const digits = "0123456789abcdef"
	b := make([]byte, 0, 17)
	for i, c := range m {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, digits[c>>4], digits[c&15])
	}
	return string(b)
}

// ParseMAC reads six pairs of hexadecimal digits with colons between them.
func ParseMAC(s string) (m MAC, ok bool) {
	if len(s) != 17 {
		return m, false
	}
	for i := range m {
		if i > 0 && s[i*3-1] != ':' {
			return m, false
		}
		b, err := hex.DecodeString(s[i*3 : i*3+2])
		if err != nil {
			return m, false
		}
		m[i] = b[0]
	}
	return m, true
}

// A Bridge is a bridge that is to be made, up.
type Bridge struct {
	Name          string
	MAC           MAC
	MTU           int // 0 leaves it to the kernel
	VlanFiltering bool
}

// NewBridge makes a bridge. Its address is set from the start: a bridge that
// takes its address from its ports changes it whenever a port comes or goes,
// and its neighbours talk to nobody until their caches expire.
func NewBridge(b Bridge) Message {
	w := linkHeader(linux.IFF_UP, linux.IFF_UP)
	w.text(linux.IFLA_IFNAME, b.Name)
	w.bytes(linux.IFLA_ADDRESS, b.MAC[:])
	if b.MTU != 0 {
		w.u32(linux.IFLA_MTU, uint32(b.MTU))
	}
	w.nested(linux.IFLA_LINKINFO, func() {
		w.text(linux.IFLA_INFO_KIND, "bridge")
		if b.VlanFiltering {
			w.nested(linux.IFLA_INFO_DATA, func() { w.u8(linux.IFLA_BR_VLAN_FILTERING, 1) })
		}
	})
	return w.message(linux.RTM_NEWLINK, linux.NLM_F_CREATE|linux.NLM_F_EXCL, "make bridge "+b.Name+" with address "+b.MAC.String()+", up")
}

// A Veth is a pair of links: one end here, up and a port of Master, the other
// in a network namespace that the sender holds open.
type Veth struct {
	Name   string
	MAC    MAC
	MTU    int
	Master string
	Peer   string
	PeerIn int // file descriptor of the peer's namespace
	PeerAt MAC
}

// NewVeth makes a pair with one request. The peer cannot be born up (ENOTCONN).
func NewVeth(v Veth) Message {
	w := linkHeader(linux.IFF_UP, linux.IFF_UP)
	w.text(linux.IFLA_IFNAME, v.Name)
	w.bytes(linux.IFLA_ADDRESS, v.MAC[:])
	w.mtu(v.MTU)
	w.oneQueue()
	w.link(linux.IFLA_MASTER, v.Master)
	w.nested(linux.IFLA_LINKINFO, func() {
		w.text(linux.IFLA_INFO_KIND, "veth")
		w.nested(linux.IFLA_INFO_DATA, func() {
			w.nested(linux.VETH_INFO_PEER, func() {
				w.b = append(w.b, make([]byte, linkHeaderLen)...)
				w.text(linux.IFLA_IFNAME, v.Peer)
				w.bytes(linux.IFLA_ADDRESS, v.PeerAt[:])
				w.mtu(v.MTU)
				w.oneQueue()
				w.u32(linux.IFLA_NET_NS_FD, uint32(v.PeerIn))
			})
		})
	})
	return w.message(linux.RTM_NEWLINK, linux.NLM_F_CREATE|linux.NLM_F_EXCL,
		"make veth "+v.Name+" ("+v.MAC.String()+"), port of "+v.Master+", up, its peer "+v.Peer+" ("+v.PeerAt.String()+") in the container"+mtuText(v.MTU))
}

// SetPort sets how a bridge treats its port: hairpin sends frames back where
// they came from, isolated ports cannot talk to each other. It also writes
// down whose port it is: the kernel ignores IFLA_IFALIAS in the request that
// makes a link.
func SetPort(name, alias string, hairpin, isolated bool) Message {
	w := linkHeader(0, 0)
	w.text(linux.IFLA_IFNAME, name)
	w.bytes(linux.IFLA_IFALIAS, []byte(alias))
	w.nested(linux.IFLA_LINKINFO, func() {
		w.text(linux.IFLA_INFO_SLAVE_KIND, "bridge")
		w.nested(linux.IFLA_INFO_SLAVE_DATA, func() {
			w.u8(linux.IFLA_BRPORT_MODE, bit(hairpin))
			w.u8(linux.IFLA_BRPORT_ISOLATED, bit(isolated))
		})
	})
	return w.message(linux.RTM_NEWLINK, 0, "tag port "+name+" with "+alias+", hairpin "+onOff(hairpin)+", isolated "+onOff(isolated))
}

// SetUp brings a link up or down.
func SetUp(name string, up bool) Message {
	var flags uint32
	doing := "set " + name + " down"
	if up {
		flags, doing = linux.IFF_UP, "set "+name+" up"
	}
	w := linkHeader(flags, linux.IFF_UP)
	w.text(linux.IFLA_IFNAME, name)
	return w.message(linux.RTM_NEWLINK, 0, doing)
}

// MoveLink moves a link to the network namespace that the sender holds open, and
// gives it a name there: with "%d" in it the first that is free. It takes what
// the link had with it but its addresses, and leaves it down.
func MoveLink(name, to string, ns int) Message {
	w := linkHeader(0, 0)
	w.binds = []Bind{{4, name}} // by name it could not get another one
	w.u32(linux.IFLA_NET_NS_FD, uint32(ns))
	w.text(linux.IFLA_IFNAME, to)
	return w.message(linux.RTM_NEWLINK, 0, "move link "+name+" to the other namespace as "+to)
}

// GetLinks asks for all links.
func GetLinks() Message {
	w := linkHeader(0, 0)
	w.u32(linux.IFLA_EXT_MASK, linux.RTEXT_FILTER_SKIP_STATS)
	return w.message(linux.RTM_GETLINK, linux.NLM_F_DUMP, "list the links")
}

// SetPromisc switches promiscuous mode on.
func SetPromisc(name string) Message {
	w := linkHeader(linux.IFF_PROMISC, linux.IFF_PROMISC)
	w.text(linux.IFLA_IFNAME, name)
	return w.message(linux.RTM_NEWLINK, 0, "set "+name+" promiscuous")
}

// DelLink removes a link, and with one end of a pair the other.
func DelLink(name string) Message {
	w := linkHeader(0, 0)
	w.text(linux.IFLA_IFNAME, name)
	return w.message(linux.RTM_DELLINK, 0, "remove link "+name)
}

// GetLink asks for one link by name, without its counters.
func GetLink(name string) Message {
	w := linkHeader(0, 0)
	w.text(linux.IFLA_IFNAME, name)
	w.u32(linux.IFLA_EXT_MASK, linux.RTEXT_FILTER_SKIP_STATS)
	return w.message(linux.RTM_GETLINK, 0, "look up link "+name)
}

// Settle is a question whose answer does not matter. That the other end of a
// pair came up reaches the bridge by a worker of the kernel, some time later,
// and until then a port drops frames; since Linux 6.9 to ask for a link does
// that work at once.
func Settle(name string) Message {
	m := GetLink(name)
	m.Doing = "let the carrier of " + name + " settle"
	return m
}

// GetPorts asks for the ports of a bridge.
func GetPorts(bridge string) Message {
	w := linkHeader(0, 0)
	w.link(linux.IFLA_MASTER, bridge)
	w.u32(linux.IFLA_EXT_MASK, linux.RTEXT_FILTER_SKIP_STATS)
	return w.message(linux.RTM_GETLINK, linux.NLM_F_DUMP, "list the ports of "+bridge)
}

// A Link is what the kernel says of one.
type Link struct {
	Index   uint32
	Flags   uint32
	Name    string
	MTU     int
	MAC     MAC
	Master  uint32 // index of the bridge, 0 if it is no port
	Peer    uint32 // IFLA_LINK: index of the other end, in its own namespace
	Kind    string // "bridge", "veth", …
	Alias   string
	Hairpin bool
}

// Up tells whether the link is up.
func (l Link) Up() bool { return l.Flags&linux.IFF_UP != 0 }

// Running tells whether the link is up and has a carrier.
func (l Link) Running() bool { return l.Flags&linux.IFF_RUNNING != 0 }

// Promisc tells whether the link takes frames for anybody.
func (l Link) Promisc() bool { return l.Flags&linux.IFF_PROMISC != 0 }

// ParseLink reads the body of an RTM_NEWLINK.
func ParseLink(body []byte) (l Link, ok bool) {
	if len(body) < linkHeaderLen {
		return l, false
	}
	l.Index, l.Flags = binary.NativeEndian.Uint32(body[4:]), binary.NativeEndian.Uint32(body[8:])
	for kind, payload := range Attributes(body[linkHeaderLen:]) {
		switch kind {
		case linux.IFLA_IFNAME:
			l.Name = text(payload)
		case linux.IFLA_MTU:
			l.MTU = int(number(payload))
		case linux.IFLA_ADDRESS:
			copy(l.MAC[:], payload)
		case linux.IFLA_MASTER:
			l.Master = number(payload)
		case linux.IFLA_LINK:
			l.Peer = number(payload)
		case linux.IFLA_IFALIAS:
			l.Alias = text(payload)
		case linux.IFLA_LINKINFO:
			l.info(payload)
		}
	}
	return l, true
}

// info reads IFLA_LINKINFO.
func (l *Link) info(payload []byte) {
	for kind, inner := range Attributes(payload) {
		switch kind {
		case linux.IFLA_INFO_KIND:
			l.Kind = text(inner)
		case linux.IFLA_INFO_SLAVE_DATA:
			for option, value := range Attributes(inner) {
				if option == linux.IFLA_BRPORT_MODE && len(value) == 1 {
					l.Hairpin = value[0] == 1
				}
			}
		}
	}
}

// linkHeaderLen is the size of struct ifinfomsg: family, type, index, flags
// and the mask of the flags to change.
const linkHeaderLen = 16

func linkHeader(flags, change uint32) *writer {
	w := &writer{b: make([]byte, linkHeaderLen, 256)}
	binary.NativeEndian.PutUint32(w.b[8:], flags)
	binary.NativeEndian.PutUint32(w.b[12:], change)
	return w
}

func (w *writer) mtu(mtu int) {
	if mtu != 0 {
		w.u32(linux.IFLA_MTU, uint32(mtu))
	}
}

// oneQueue asks for one queue in each direction. Without it the kernel makes
// one for each processor and then, as a veth uses but one, takes the others back:
// objects in sysfs that come and go, and an RCU grace period for each link.
func (w *writer) oneQueue() {
	w.u32(linux.IFLA_NUM_TX_QUEUES, 1)
	w.u32(linux.IFLA_NUM_RX_QUEUES, 1)
}

func (w *writer) message(kind, flags uint16, doing string) Message {
	return Message{Type: kind, Flags: flags, Body: w.b, Binds: w.binds, Doing: doing}
}

func bit(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

func mtuText(mtu int) string {
	if mtu == 0 {
		return ""
	}
	return ", mtu " + strconv.Itoa(mtu)
}
