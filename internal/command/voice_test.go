// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package command

import (
	"testing"

	"github.com/coracle-oci/coracle/internal/fail"
)

func TestLine(t *testing.T) {
	err := &fail.Error{Where: "--bundle", Doing: "is missing", Hint: "give a directory"}
	for _, c := range []struct {
		name     string
		err      error
		terminal bool
		want     string
	}{
		{"pipe", err, false, "p: --bundle: is missing; hint: give a directory\n"},
		{"terminal", err, true, "p: --bundle: is missing\np: hint: give a directory\n"},
		{"no hint", fail.At("x", "is bad"), true, "p: x: is bad\n"},
	} {
		if got := Line("p", c.err, c.terminal); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
