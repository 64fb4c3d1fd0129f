// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/sys"
)

// TestPatience: every wait for the launch program has an end. One for a hook that
// the config gives none is told of, and goes on.
func TestPatience(t *testing.T) {
	now, limited := sys.Monotonic(), &specs.Hook{Timeout: new(50)}
	for _, c := range []struct {
		name       string
		watch      hookWatch
		from, most int
	}{
		{"without a limit", hookWatch{hook: &specs.Hook{}, began: now}, tellAfter - 1000, tellAfter},
		{"without a limit, and told of", hookWatch{hook: &specs.Hook{}, began: now, told: true}, -1, -1},
		{"with a limit", hookWatch{hook: limited, began: now}, 49_000, 50_000},
		{"its time is up", hookWatch{hook: limited, began: now - 50_001}, 0, 0},
		{"it was killed for that", hookWatch{hook: limited, began: 1, ended: "its time was up"}, patience, patience},
	} {
		if got := c.watch.timeLeft(); got < c.from || got > c.most {
			t.Errorf("%s: %d ms", c.name, got)
		}
	}
	s := State{ID: "web", dir: t.TempDir(), lock: -1}
	if err := s.acquire(Exclusive); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.locked(s.lock); !errors.Is(err, syscall.ETIMEDOUT) || !strings.HasPrefix(err.Error(), "web: process "+itoa(os.Getpid())+" (") || !strings.Contains(err.Error(), "has been at work on the container for 1m0s") {
		t.Error(err)
	}
	err := stuck(os.Getpid())
	if !errors.Is(err, syscall.ETIMEDOUT) || !strings.Contains(err.Error(), "process "+itoa(os.Getpid())+", which has said nothing for 120 s") {
		t.Error(err)
	}
	asks := &State{Agent: &Agent{Socket: "/run/agent"}}
	const want = "config.json linux.seccomp.listenerPath: wait for the seccomp agent at /run/agent, which has not answered for 120 s: connection timed out (ETIMEDOUT)"
	if err := asks.silent(1, true); err.Error() != want {
		t.Error(err)
	}
	for _, s := range []*State{asks, {}} {
		if err := s.silent(os.Getpid(), s != asks); !strings.Contains(err.Error(), "wait for the launch program") {
			t.Error(err)
		}
	}
}
