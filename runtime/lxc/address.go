// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package lxc

import (
	"fmt"
	"strconv"
	"strings"
)

// An address is an IPv4 or IPv6 address: 4 or 16 bytes. Package net/netip is left
// out because it takes time at every start of the program.
type address []byte

func parseAddress(text string) (address, bool) {
	if strings.Contains(text, ":") {
		return parseIPv6(text)
	}
	parts := strings.Split(text, ".")
	a := make(address, 4)
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 8)
		if err != nil || i > 3 {
			return nil, false
		}
		a[i] = byte(n)
	}
	return a, len(parts) == 4
}

// parseIPv6 reads RFC 4291's form, without an IPv4 address at the end.
func parseIPv6(text string) (address, bool) {
	head, tail, short := strings.Cut(text, "::")
	front, ok1 := groups(head)
	back, ok2 := groups(tail)
	n := len(front) + len(back)
	if !ok1 || !ok2 || short && n > 14 || !short && n != 16 {
		return nil, false
	}
	return append(append(front, make(address, 16-n)...), back...), true
}

func groups(text string) (address, bool) {
	var a address
	if text == "" {
		return a, true
	}
	for part := range strings.SplitSeq(text, ":") {
		n, err := strconv.ParseUint(part, 16, 16)
		if err != nil {
			return nil, false
		}
		a = append(a, byte(n>>8), byte(n))
	}
	return a, true
}

// parsePrefix reads "10.0.3.5/24".
func parsePrefix(text string) (a address, bits int, ok bool) {
	before, length, given := strings.Cut(text, "/")
	a, ok = parseAddress(before)
	bits, err := strconv.Atoi(length)
	return a, bits, ok && given && err == nil && bits >= 0 && bits <= 8*len(a)
}

// network returns the address with all but the first bits zero.
func (a address) network(bits int) address {
	n := make(address, len(a))
	for i := range a {
		if keep := bits - 8*i; keep >= 8 {
			n[i] = a[i]
		} else if keep > 0 {
			n[i] = a[i] &^ (0xff >> keep)
		}
	}
	return n
}

func (a address) String() string {
	if len(a) == 4 {
		return fmt.Sprintf("%d.%d.%d.%d", a[0], a[1], a[2], a[3])
	}
	var parts []string
	for i := 0; i < len(a); i += 2 {
		parts = append(parts, strconv.FormatUint(uint64(a[i])<<8|uint64(a[i+1]), 16))
	}
	return strings.Join(parts, ":")
}
