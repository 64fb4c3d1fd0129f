// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package masq is our part of nf_tables as data: which packets of containers
// get the host's address. It builds messages and reads elements; package apply
// sends them.
//
// # The table
//
// There is one table for all networks of a machine. The first ADD that needs it
// makes it, in one transaction; nothing but elements changes afterwards, so an
// ADD or DEL costs the same with five attachments and with five thousand:
//
//	table inet coracle_cni {
//		set masq4 { type ipv4_addr }                 # addresses of containers that want masquerading
//		set masq6 { type ipv6_addr }
//		set home4 { type ipv4_addr . ifname }        # the same, with the bridge that they are at home on
//		set home6 { type ipv6_addr . ifname }
//		chain postrouting {
//			type nat hook postrouting priority srcnat; policy accept;
//			ip saddr . oifname @home4 return         # stays on its own bridge: br_netfilter shows us such packets too
//			ip daddr 224.0.0.0/4 return
//			ip saddr @masq4 masquerade
//			ip6 saddr . oifname @home6 return
//			ip6 daddr ff00::/8 return
//			ip6 saddr @masq6 masquerade
//		}
//	}
//
// The owner of every element stands in its comment, as nft list shows it:
//
//	network|container|interface
//
// DEL and GC find what to remove by that alone. They need neither the network
// namespace (it may be gone), nor prevResult, nor the lease. An element that is
// in the way of another owner's ADD (its DEL never came) changes hands: an
// address belongs to whom the ledger gave it last.
//
// A ruleset that was flushed by an administrator is made again by the next ADD;
// CHECK tells that the elements are missing. To see the table:
// nft list table inet coracle_cni. To remove it: nft delete table inet coracle_cni.
package masq

import (
	"bytes"
	"net/netip"

	"github.com/coracle-oci/coracle/internal/netlink"
	"github.com/coracle-oci/coracle/internal/sys/linux"
)

// Table is the table's name, of the family inet.
const Table netlink.Table = "coracle_cni"

// chain is the only one.
const chain = "postrouting"

// Sets returns all sets of the table.
func Sets() []netlink.Set {
	return []netlink.Set{masq(false), masq(true), home(false), home(true)}
}

// Create makes the table with its sets, chain and rules; it must not exist.
func Create() []netlink.Message {
	messages := []netlink.Message{Table.New("network|container|interface of an element stands in its comment")}
	for _, s := range Sets() {
		messages = append(messages, s.New())
	}
	messages = append(messages, Table.NewChain(chain, netlink.Hook{Type: "nat", Number: linux.NF_INET_POST_ROUTING, Priority: linux.NF_IP_PRI_NAT_SRC}))
	messages = append(messages, rules(family4)...)
	return append(messages, rules(family6)...)
}

// A family is where an IP header keeps what the rules look at.
type family struct {
	six            bool
	proto          uint8
	name           string
	saddr, daddr   uint32 // offsets in the header
	length         uint32 // of an address
	mask           []byte // of the multicast range
	multicast      []byte
	multicastRange string
}

var (
	family4 = family{false, linux.NFPROTO_IPV4, "ip", 12, 16, 4, []byte{0xf0, 0, 0, 0}, []byte{0xe0, 0, 0, 0}, "224.0.0.0/4"}
	family6 = family{true, linux.NFPROTO_IPV6, "ip6", 8, 24, 16, firstByte(0xff), firstByte(0xff), "ff00::/8"}
)

// rules is the three rules of a family. The registers of a concatenated key
// lie behind each other: the address, then the name.
func rules(f family) []netlink.Message {
	const source = netlink.Reg0
	name := source + netlink.Reg(f.length/4)
	is := []netlink.Expr{netlink.LoadNfproto(source), netlink.Equal(source, []byte{f.proto})}
	rule := func(text string, exprs ...netlink.Expr) netlink.Message {
		return Table.NewRule(chain, f.name+" "+text, append(append([]netlink.Expr(nil), is...), exprs...)...)
	}
	return []netlink.Message{
		rule("saddr . oifname @"+home(f.six).Name+" return",
			netlink.LoadNetwork(source, f.saddr, f.length), netlink.LoadOifname(name), netlink.In(source, home(f.six)), netlink.Return()),
		rule("daddr "+f.multicastRange+" return",
			netlink.LoadNetwork(source, f.daddr, f.length), netlink.Mask(source, f.mask), netlink.Equal(source, f.multicast), netlink.Return()),
		rule("saddr @"+masq(f.six).Name+" masquerade",
			netlink.LoadNetwork(source, f.saddr, f.length), netlink.In(source, masq(f.six)), netlink.Masquerade()),
	}
}

// An Entry is an element of one of the sets.
type Entry struct {
	Set     netlink.Set
	Element netlink.Element
}

// Entries returns what has to be in the sets for the addresses of one
// attachment: two elements for each.
func Entries(tag, bridge string, addresses []netip.Addr) (entries []Entry) {
	for _, a := range addresses {
		key := a.AsSlice()
		entries = append(entries,
			Entry{masq(a.Is6()), netlink.Element{Key: key, Comment: tag}},
			Entry{home(a.Is6()), netlink.Element{Key: append(append([]byte(nil), key...), netlink.IfnameKey(bridge)...), Comment: tag}})
	}
	return entries
}

// Add puts the entry into its set.
func (e Entry) Add() netlink.Message { return e.Set.Add(e.Element, e.text()) }

// Remove takes it out.
func (e Entry) Remove() netlink.Message { return e.Set.Remove(e.Element, e.text()) }

// Same tells whether both are the same element with the same owner.
func (e Entry) Same(other Entry) bool {
	return e.SameKey(other) && e.Element.Comment == other.Element.Comment
}

// SameKey tells whether both are the same element, whoever owns it.
func (e Entry) SameKey(other Entry) bool {
	return e.Set.Name == other.Set.Name && bytes.Equal(e.Element.Key, other.Element.Key)
}

// text is the key for people, and the owner.
func (e Entry) text() string {
	length := 4
	if e.Set.Key == netlink.IPv6 || e.Set.Key == netlink.IPv6Ifname {
		length = 16
	}
	if len(e.Element.Key) < length {
		return "?"
	}
	address, _ := netip.AddrFromSlice(e.Element.Key[:length])
	s := address.String()
	if name := bytes.TrimRight(e.Element.Key[length:], "\x00"); len(name) > 0 {
		s += " . " + string(name)
	}
	return s + " of " + e.Element.Comment
}

func masq(six bool) netlink.Set {
	if six {
		return netlink.Set{Table: Table, Name: "masq6", Key: netlink.IPv6, ID: 2}
	}
	return netlink.Set{Table: Table, Name: "masq4", Key: netlink.IPv4, ID: 1}
}

func home(six bool) netlink.Set {
	if six {
		return netlink.Set{Table: Table, Name: "home6", Key: netlink.IPv6Ifname, ID: 4}
	}
	return netlink.Set{Table: Table, Name: "home4", Key: netlink.IPv4Ifname, ID: 3}
}

// firstByte is an IPv6 address of one byte and zeros.
func firstByte(b byte) []byte {
	a := make([]byte, 16)
	a[0] = b
	return a
}
