// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/coracle-oci/coracle/internal/sys"
)

// TestPatience: every wait for the launch program has an end, but for a hook that
// the config gives none.
func TestPatience(t *testing.T) {
	soon := sys.Monotonic() + 50_000
	for _, c := range []struct {
		name       string
		watch      hookWatch
		from, most int
	}{
		{"no hook", hookWatch{}, patience, patience},
		{"a hook without a limit", hookWatch{pidFD: 3}, -1, -1},
		{"a hook with a limit", hookWatch{pidFD: 3, deadline: soon}, 1, 50_000},
		{"a hook whose time is up", hookWatch{pidFD: 3, deadline: 1}, 0, 0},
		{"a hook that was killed for that", hookWatch{pidFD: 3, deadline: 1, expired: true}, patience, patience},
	} {
		if got := c.watch.timeLeft(); got < c.from || got > c.most {
			t.Errorf("%s: %d ms", c.name, got)
		}
	}
	err := stuck(os.Getpid())
	if !errors.Is(err, syscall.ETIMEDOUT) || !strings.Contains(err.Error(), "process "+itoa(os.Getpid())+", which has said nothing for 120 s") {
		t.Error(err)
	}
}
