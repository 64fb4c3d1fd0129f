// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package netlink

import (
	"encoding/binary"

	"github.com/coracle-oci/coracle/internal/sys/linux"
)

// A writer puts attributes behind a family header.
//
//	 0        2      4
//	+--------+------+---------+---------+
//	| length | type | payload | padding |   length: header and payload
//	+--------+------+---------+---------+
type writer struct {
	b     []byte
	binds []Bind
}

// bytes writes an attribute with a payload as it is.
func (w *writer) bytes(kind uint16, payload []byte) {
	w.b = binary.NativeEndian.AppendUint16(w.b, uint16(4+len(payload)))
	w.b = binary.NativeEndian.AppendUint16(w.b, kind)
	w.b = pad(append(w.b, payload...))
}

func (w *writer) u8(kind uint16, v uint8) { w.bytes(kind, []byte{v}) }

func (w *writer) u32(kind uint16, v uint32) {
	w.bytes(kind, binary.NativeEndian.AppendUint32(nil, v))
}

// be32 is for nf_tables, whose numbers are big-endian.
func (w *writer) be32(kind uint16, v uint32) { w.bytes(kind, binary.BigEndian.AppendUint32(nil, v)) }

// text writes a string with its zero byte.
func (w *writer) text(kind uint16, s string) { w.bytes(kind, append([]byte(s), 0)) }

// link writes the index of a link that the sender will know.
func (w *writer) link(kind uint16, name string) {
	w.u32(kind, 0)
	w.binds = append(w.binds, Bind{len(w.b) - 4, name})
}

// nested writes an attribute that holds the attributes that inner writes.
func (w *writer) nested(kind uint16, inner func()) {
	start := len(w.b)
	w.bytes(kind|linux.NLA_F_NESTED, nil)
	inner()
	binary.NativeEndian.PutUint16(w.b[start:], uint16(len(w.b)-start))
}

// Attributes calls yield with type (flags taken off) and payload of each
// attribute of b. It stops at one whose length is impossible.
func Attributes(b []byte) func(yield func(uint16, []byte) bool) {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= 4 {
			length := int(binary.NativeEndian.Uint16(b))
			kind := binary.NativeEndian.Uint16(b[2:]) &^ (linux.NLA_F_NESTED | linux.NLA_F_NET_BYTEORDER)
			if length < 4 || length > len(b) || !yield(kind, b[4:length]) {
				return
			}
			b = b[min((length+3)&^3, len(b)):]
		}
	}
}

// text returns a payload as a string, without its zero byte.
func text(payload []byte) string {
	for i, c := range payload {
		if c == 0 {
			return string(payload[:i])
		}
	}
	return string(payload)
}

// number returns a payload of four bytes in the machine's order, 0 if it has
// another size.
func number(payload []byte) uint32 {
	if len(payload) != 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(payload)
}
