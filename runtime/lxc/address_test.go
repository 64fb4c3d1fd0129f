// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package lxc

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

// TestAddressesAgreeWithNetip on addresses, on networks, and on what is neither.
func TestAddressesAgreeWithNetip(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	texts := []string{"", ".", "1.2.3", "1.2.3.4.5", "1.2.3.256", "::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:9", "1::2::3", ":1", "fd00:3::17", "x::", "12345::", "1:2:3:4:5:6:7"}
	for range 2000 {
		var b [16]byte
		for i := range b {
			if r.IntN(3) > 0 {
				b[i] = byte(r.Uint32())
			}
		}
		texts = append(texts, netip.AddrFrom16(b).WithZone("").String(), netip.AddrFrom4([4]byte(b[:4])).String())
	}
	for _, text := range texts {
		want, err := netip.ParseAddr(text)
		got, ok := parseAddress(text)
		if want.Is4In6() || strings.Contains(text, ":") && strings.Contains(text, ".") {
			continue
		}
		if ok != (err == nil) {
			t.Errorf("%q: %v, %v", text, ok, err)
			continue
		}
		if !ok {
			continue
		}
		if again, err := netip.ParseAddr(got.String()); err != nil || again != want {
			t.Errorf("%q: got %v", text, got)
		}
		bits := r.IntN(8*len(got) + 1)
		if again, err := netip.ParseAddr(got.network(bits).String()); err != nil || again != netip.PrefixFrom(want, bits).Masked().Addr() {
			t.Errorf("%q/%d: got %v", text, bits, got.network(bits))
		}
	}
	for _, text := range []string{"10.0.0.1", "10.0.0.1/", "10.0.0.1/33", "10.0.0.1/-1", "::/129", "x/8"} {
		if _, _, ok := parsePrefix(text); ok {
			t.Errorf("%q is taken", text)
		}
	}
}
