// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package netlink

import (
	"encoding/binary"

	"github.com/coracle-oci/coracle/internal/sys/linux"
)

// A Reply is one message of the kernel.
type Reply struct {
	Type   uint16
	Number uint32 // of the request that it answers
	Body   []byte
	Flags  uint16
}

// Replies splits a datagram into messages. It stops at one whose length is
// impossible.
func Replies(datagram []byte) func(yield func(Reply) bool) {
	return func(yield func(Reply) bool) {
		for len(datagram) >= HeaderLen {
			order := binary.NativeEndian
			length := int(order.Uint32(datagram))
			if length < HeaderLen || length > len(datagram) {
				return
			}
			r := Reply{Type: order.Uint16(datagram[4:]), Flags: order.Uint16(datagram[6:]), Number: order.Uint32(datagram[8:]), Body: datagram[HeaderLen:length]}
			if !yield(r) {
				return
			}
			datagram = datagram[min((length+3)&^3, len(datagram)):]
		}
	}
}

// Errno returns the errno of an NLMSG_ERROR (0: acknowledged) or of the
// NLMSG_DONE that ends a list, and what the kernel says about it in words.
func (r Reply) Errno() (errno int, words string) {
	if len(r.Body) < 4 {
		return 0, ""
	}
	errno = -int(int32(binary.NativeEndian.Uint32(r.Body)))
	// The request's header follows the errno; with NETLINK_CAP_ACK only that.
	if r.Type != linux.NLMSG_ERROR || r.Flags&linux.NLM_F_ACK_TLVS == 0 || len(r.Body) < 4+HeaderLen {
		return errno, ""
	}
	rest := r.Body[4+HeaderLen:]
	if r.Flags&linux.NLM_F_CAPPED == 0 {
		asked := int(binary.NativeEndian.Uint32(r.Body[4:])) - HeaderLen
		rest = rest[max(0, min((asked+3)&^3, len(rest))):]
	}
	for kind, payload := range Attributes(rest) {
		if kind == linux.NLMSGERR_ATTR_MSG {
			words = text(payload)
		}
	}
	return errno, words
}
