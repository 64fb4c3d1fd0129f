// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package netlink is messages of rtnetlink and nf_tables as data: built here,
// printed, compared, and sent by package conn. Nothing here talks to a kernel.
//
// A message may name a link whose index nobody knows yet (the container's end
// of a pair that the message before it makes); such places are kept as
// [Message.Binds] and filled by the sender. So a whole job can be written down
// before its first step is done.
//
// Layouts: netlink(7), rtnetlink(7), linux/if_link.h, linux/netfilter/nf_tables.h.
package netlink

import (
	"encoding/binary"
	"strings"

	"github.com/coracle-oci/coracle/internal/sys/linux"
)

// HeaderLen is the size of struct nlmsghdr in bytes.
const HeaderLen = 16

// A Message is one netlink request without its header's length and sequence
// number, which belong to the sender.
type Message struct {
	Type  uint16 // RTM_…, or subsystem<<8 | NFT_MSG_…
	Flags uint16 // NLM_F_… besides NLM_F_REQUEST
	Body  []byte // the family header and the attributes
	Binds []Bind // where indexes of links are still missing
	Doing string // in the imperative: "add address 10.1.0.2/24 to eth0"
}

// A Bind is four bytes of a body that get the index of a link, in the byte
// order of the machine.
type Bind struct {
	Offset int
	Link   string
}

// Append adds the message to a datagram, with its header.
//
//	 0        4      6       8        12     16
//	+--------+------+-------+--------+------+------
//	| length | type | flags | number | 0    | body …
//	+--------+------+-------+--------+------+------
func (m Message) Append(datagram []byte, number uint32) []byte {
	order := binary.NativeEndian
	datagram = order.AppendUint32(datagram, uint32(HeaderLen+len(m.Body)))
	datagram = order.AppendUint16(datagram, m.Type)
	datagram = order.AppendUint16(datagram, m.Flags|linux.NLM_F_REQUEST)
	datagram = order.AppendUint32(datagram, number)
	datagram = order.AppendUint32(datagram, 0) // to the kernel
	return pad(append(datagram, m.Body...))
}

// AppendBound is Append with the indexes of the message's links filled in.
func (m Message) AppendBound(datagram []byte, number uint32, index map[string]uint32) []byte {
	body := len(datagram) + HeaderLen
	datagram = m.Append(datagram, number)
	for _, b := range m.Binds {
		binary.NativeEndian.PutUint32(datagram[body+b.Offset:], index[b.Link])
	}
	return datagram
}

// String is one line: the message's type, its flags, and what it is for.
func (m Message) String() string {
	return TypeName(m.Type) + " " + flagNames(m) + m.Doing
}

// TypeName returns the kernel's name of a message type.
func TypeName(t uint16) string {
	if t>>8 == linux.NFNL_SUBSYS_NFTABLES {
		return nftTypes()[t&0xff]
	}
	return routeTypes()[t]
}

// routeTypes and nftTypes are functions, not variables: building the maps is
// only for those who print.
func routeTypes() map[uint16]string {
	return map[uint16]string{
		linux.RTM_NEWLINK: "RTM_NEWLINK", linux.RTM_DELLINK: "RTM_DELLINK", linux.RTM_GETLINK: "RTM_GETLINK", linux.RTM_SETLINK: "RTM_SETLINK",
		linux.RTM_NEWADDR: "RTM_NEWADDR", linux.RTM_DELADDR: "RTM_DELADDR", linux.RTM_GETADDR: "RTM_GETADDR",
		linux.RTM_NEWROUTE: "RTM_NEWROUTE", linux.RTM_DELROUTE: "RTM_DELROUTE", linux.RTM_GETROUTE: "RTM_GETROUTE",
	}
}

func nftTypes() map[uint16]string {
	return map[uint16]string{
		linux.NFT_MSG_NEWTABLE: "NFT_MSG_NEWTABLE", linux.NFT_MSG_DELTABLE: "NFT_MSG_DELTABLE", linux.NFT_MSG_NEWCHAIN: "NFT_MSG_NEWCHAIN",
		linux.NFT_MSG_NEWRULE: "NFT_MSG_NEWRULE", linux.NFT_MSG_NEWSET: "NFT_MSG_NEWSET", linux.NFT_MSG_NEWSETELEM: "NFT_MSG_NEWSETELEM",
		linux.NFT_MSG_GETSETELEM: "NFT_MSG_GETSETELEM", linux.NFT_MSG_DELSETELEM: "NFT_MSG_DELSETELEM",
		linux.NFT_MSG_GETGEN: "NFT_MSG_GETGEN",
	}
}

// flagNames gives the flags that matter to a reader; those of requests to make
// something share their bits with those of questions.
func flagNames(m Message) string {
	var names []string
	for _, f := range []struct {
		bit  uint16
		name string
	}{{linux.NLM_F_CREATE, "create"}, {linux.NLM_F_EXCL, "excl"}, {linux.NLM_F_REPLACE, "replace"}, {linux.NLM_F_APPEND, "append"}} {
		if strings.Contains(TypeName(m.Type), "_NEW") && m.Flags&f.bit != 0 {
			names = append(names, f.name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "(" + strings.Join(names, ",") + ") "
}

// pad fills b up to the next multiple of four, as netlink wants everything.
func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}
