// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package main

import (
	"strings"
	"testing"

	"github.com/coracle-oci/coracle/runtime/seccomp"
)

// TestTables: the tables of runtime/seccomp are those of the golang.org/x/sys of
// go.mod. That fails when x/sys learns a new call: make the tables anew then.
func TestTables(t *testing.T) {
	for i, table := range modules() {
		s := sources[i]
		arch := seccomp.FindArch("SCMP_ARCH_" + strings.ToUpper(s.name))
		bit, _ := arch.Number("read") // x32 has a bit in all of its numbers
		bit &= 1 << 30
		for name, want := range table {
			if got, ok := arch.Number(name); !ok || int(got&^bit) != want {
				t.Errorf("%s %s: got %d %v, want %d", s.name, name, got, ok, want)
			}
		}
		if len(table) == 0 {
			t.Errorf("%s: no calls", s.name)
		}
		if s.goarch == "" {
			continue // the others come from headers
		}
		for _, name := range arch.Names() {
			if _, ok := table[name]; !ok {
				t.Errorf("%s has %s, x/sys has not", s.name, name)
			}
		}
	}
}
