// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package facts_test

import (
	"testing"

	"github.com/coracle-oci/coracle/runtime/facts"
)

func TestAtLeast(t *testing.T) {
	for _, c := range []struct {
		kernel       string
		major, minor int
		want         bool
	}{
		{"6.18.44-fc-v669", 6, 15, true}, {"6.15", 6, 15, true}, {"6.15-rc1", 6, 15, true}, {"6.9.1", 6, 15, false},
		{"7.0.0", 6, 15, true}, {"5.14.0-427.el9.x86_64", 6, 15, false}, {"5.14.0", 5, 14, true}, {"6.1+deb", 6, 2, false},
		{"", 5, 14, false}, {"odd", 5, 14, false}, {"99999999999999999999.1", 5, 14, true},
	} {
		if got := (facts.Facts{Kernel: c.kernel}).AtLeast(c.major, c.minor); got != c.want {
			t.Errorf("%q at least %d.%d: %v", c.kernel, c.major, c.minor, got)
		}
	}
}
