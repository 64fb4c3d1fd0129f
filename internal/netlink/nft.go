// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package netlink

import (
	"encoding/binary"

	"github.com/coracle-oci/coracle/internal/sys/linux"
)

// A Table is an nf_tables table of the family inet.
type Table string

// Begin and End enclose a transaction: all messages between them happen, or none.
func Begin() Message { return batch(linux.NFNL_MSG_BATCH_BEGIN, "begin") }

// End commits the transaction.
func End() Message { return batch(linux.NFNL_MSG_BATCH_END, "commit") }

// BeginAt is Begin for a transaction that is refused (ERESTART) if anybody has
// changed any table since generation.
func BeginAt(generation uint32) Message {
	w := nftHeader(linux.AF_UNSPEC)
	binary.BigEndian.PutUint16(w.b[2:], linux.NFNL_SUBSYS_NFTABLES)
	w.be32(linux.NFNL_BATCH_GENID, generation)
	return w.message(linux.NFNL_MSG_BATCH_BEGIN, 0, "begin if nothing has changed")
}

// GetGeneration asks for the generation of all tables.
func GetGeneration() Message {
	return nftHeader(linux.AF_UNSPEC).nft(linux.NFT_MSG_GETGEN, 0, "get the generation of the tables")
}

// ParseGeneration reads the answer.
func ParseGeneration(body []byte) (uint32, bool) {
	if len(body) < nftHeaderLen {
		return 0, false
	}
	for kind, payload := range Attributes(body[nftHeaderLen:]) {
		if kind == linux.NFTA_GEN_ID && len(payload) == 4 {
			return binary.BigEndian.Uint32(payload), true
		}
	}
	return 0, false
}

// New makes the table; it must not exist. The comment is for people.
func (t Table) New(comment string) Message {
	w := nftHeader(linux.NFPROTO_INET)
	w.text(linux.NFTA_TABLE_NAME, string(t))
	w.be32(linux.NFTA_TABLE_FLAGS, 0)
	w.bytes(nftaTableUserdata, userdata(comment))
	return w.nft(linux.NFT_MSG_NEWTABLE, linux.NLM_F_CREATE|linux.NLM_F_EXCL, "make table inet "+string(t))
}

// Delete removes the table with all that is in it.
func (t Table) Delete() Message {
	w := nftHeader(linux.NFPROTO_INET)
	w.text(linux.NFTA_TABLE_NAME, string(t))
	return w.nft(linux.NFT_MSG_DELTABLE, 0, "remove table inet "+string(t))
}

// A Hook is where a base chain sits.
type Hook struct {
	Type     string // "nat", "filter"
	Number   uint32 // NF_INET_…
	Priority int32
}

// NewChain makes a base chain that accepts what its rules do not decide.
func (t Table) NewChain(name string, h Hook) Message {
	w := nftHeader(linux.NFPROTO_INET)
	w.text(linux.NFTA_CHAIN_TABLE, string(t))
	w.text(linux.NFTA_CHAIN_NAME, name)
	w.nested(linux.NFTA_CHAIN_HOOK, func() {
		w.be32(linux.NFTA_HOOK_HOOKNUM, h.Number)
		w.be32(linux.NFTA_HOOK_PRIORITY, uint32(h.Priority))
	})
	w.be32(linux.NFTA_CHAIN_POLICY, 1) // NF_ACCEPT
	w.text(linux.NFTA_CHAIN_TYPE, h.Type)
	return w.nft(linux.NFT_MSG_NEWCHAIN, linux.NLM_F_CREATE, "make chain "+name)
}

// A KeyType is the type of a set's keys, in the numbers of nft(8): the kernel
// only keeps them, nft prints addresses with their help.
type KeyType struct {
	Number uint32
	Len    uint32
	Text   string
}

// A concatenation is its parts' numbers in six bits each, and each part is
// padded to four bytes (an interface's name has sixteen).
const (
	nftIPv4   = 7
	nftIPv6   = 8
	nftIfname = 41
)

// The types of keys that we use.
var (
	IPv4       = KeyType{nftIPv4, 4, "ipv4_addr"}
	IPv6       = KeyType{nftIPv6, 16, "ipv6_addr"}
	IPv4Ifname = KeyType{nftIPv4<<6 | nftIfname, 20, "ipv4_addr . ifname"}
	IPv6Ifname = KeyType{nftIPv6<<6 | nftIfname, 32, "ipv6_addr . ifname"}
)

// A Set is a set of a table. ID is any number that no other set of the same
// transaction has: rules of that transaction find the set by it.
type Set struct {
	Table Table
	Name  string
	Key   KeyType
	ID    uint32
}

// New makes the set, empty.
func (s Set) New() Message {
	w := nftHeader(linux.NFPROTO_INET)
	w.text(linux.NFTA_SET_TABLE, string(s.Table))
	w.text(linux.NFTA_SET_NAME, s.Name)
	w.be32(linux.NFTA_SET_FLAGS, 0)
	w.be32(linux.NFTA_SET_KEY_TYPE, s.Key.Number)
	w.be32(linux.NFTA_SET_KEY_LEN, s.Key.Len)
	w.be32(linux.NFTA_SET_ID, s.ID)
	return w.nft(linux.NFT_MSG_NEWSET, linux.NLM_F_CREATE, "make set "+s.Name+" of "+s.Key.Text)
}

// An Element is a key of a set with a comment that nft(8) shows. The comment
// has at most [CommentMax] bytes.
type Element struct {
	Key     []byte
	Comment string
}

// CommentMax is the longest comment in bytes: type, length, text and the zero
// byte share NFT_USERDATA_MAXLEN, and the length is one byte.
const CommentMax = linux.NFT_USERDATA_MAXLEN - 4

// Add puts an element into the set; it must not be there (EEXIST).
func (s Set) Add(e Element, doing string) Message {
	return s.elements(linux.NFT_MSG_NEWSETELEM, linux.NLM_F_CREATE|linux.NLM_F_EXCL, e, "add to set "+s.Name+": "+doing)
}

// Remove takes an element out; it must be there (ENOENT).
func (s Set) Remove(e Element, doing string) Message {
	return s.elements(linux.NFT_MSG_DELSETELEM, 0, Element{Key: e.Key}, "remove from set "+s.Name+": "+doing)
}

// List asks for all elements.
func (s Set) List() Message {
	w := nftHeader(linux.NFPROTO_INET)
	w.text(linux.NFTA_SET_ELEM_LIST_TABLE, string(s.Table))
	w.text(linux.NFTA_SET_ELEM_LIST_SET, s.Name)
	return w.nft(linux.NFT_MSG_GETSETELEM, linux.NLM_F_DUMP, "list set "+s.Name)
}

func (s Set) elements(kind, flags uint16, e Element, doing string) Message {
	w := nftHeader(linux.NFPROTO_INET)
	w.text(linux.NFTA_SET_ELEM_LIST_TABLE, string(s.Table))
	w.text(linux.NFTA_SET_ELEM_LIST_SET, s.Name)
	w.nested(linux.NFTA_SET_ELEM_LIST_ELEMENTS, func() {
		w.nested(linux.NFTA_LIST_ELEM, func() {
			w.nested(linux.NFTA_SET_ELEM_KEY, func() { w.bytes(linux.NFTA_DATA_VALUE, e.Key) })
			if e.Comment != "" {
				w.bytes(linux.NFTA_SET_ELEM_USERDATA, userdata(e.Comment))
			}
		})
	})
	return w.nft(kind, flags, doing)
}

// ParseElements reads the body of an answer to [Set.List]; one answer holds
// many elements.
func ParseElements(body []byte) (all []Element) {
	if len(body) < nftHeaderLen {
		return nil
	}
	for kind, list := range Attributes(body[nftHeaderLen:]) {
		if kind != linux.NFTA_SET_ELEM_LIST_ELEMENTS {
			continue
		}
		for _, element := range Attributes(list) {
			all = append(all, parseElement(element))
		}
	}
	return all
}

func parseElement(payload []byte) (e Element) {
	for kind, inner := range Attributes(payload) {
		switch kind {
		case linux.NFTA_SET_ELEM_KEY:
			for kind, key := range Attributes(inner) {
				if kind == linux.NFTA_DATA_VALUE {
					e.Key = append([]byte(nil), key...)
				}
			}
		case linux.NFTA_SET_ELEM_USERDATA:
			if len(inner) > 2 && inner[0] == linux.NFTNL_UDATA_COMMENT {
				e.Comment = text(inner[2:])
			}
		}
	}
	return e
}

// userdata is a comment as libnftnl writes it: type, length, text, zero byte.
func userdata(comment string) []byte {
	comment = comment[:min(len(comment), CommentMax)]
	return append(append([]byte{linux.NFTNL_UDATA_COMMENT, uint8(len(comment) + 1)}, comment...), 0)
}

// IfnameKey is an interface's name as a key: sixteen bytes.
func IfnameKey(name string) []byte {
	key := make([]byte, linux.IFNAMSIZ)
	copy(key[:len(key)-1], name)
	return key
}

// nftHeaderLen is the size of struct nfgenmsg: family, version, resource.
const nftHeaderLen = 4

// nftaTableUserdata is missing in golang.org/x/sys/unix.
const nftaTableUserdata = 6

func nftHeader(family uint8) *writer {
	w := &writer{b: make([]byte, nftHeaderLen, 160)}
	w.b[0], w.b[1] = family, linux.NFNETLINK_V0
	return w
}

func (w *writer) nft(kind, flags uint16, doing string) Message {
	return w.message(linux.NFNL_SUBSYS_NFTABLES<<8|kind, flags, doing)
}

func batch(kind uint16, doing string) Message {
	w := nftHeader(linux.AF_UNSPEC)
	binary.BigEndian.PutUint16(w.b[2:], linux.NFNL_SUBSYS_NFTABLES)
	return w.message(kind, 0, doing)
}
