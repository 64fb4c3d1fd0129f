// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"strconv"
	"strings"
)

// ParseList reads a list of numbers below most in the format of cpuset(7),
// "0-3,7", as a mask of bits: number n is bit n%64 of word n/64. An empty text
// is an empty list.
func ParseList(text string, most int) (mask []uint64, ok bool) {
	if text == "" {
		return nil, true
	}
	for item := range strings.SplitSeq(text, ",") {
		from, to, ranged := strings.Cut(item, "-")
		if !ranged {
			to = from
		}
		first, ok1 := number10(from, most)
		last, ok2 := number10(to, most)
		if !ok1 || !ok2 || first > last {
			return nil, false
		}
		for n := first; n <= last; n++ {
			for len(mask) <= n/64 {
				mask = append(mask, 0)
			}
			mask[n/64] |= 1 << (n % 64)
		}
	}
	return mask, true
}

// number10 reads digits and nothing else: strconv would take a sign.
func number10(text string, most int) (int, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n < most
}
