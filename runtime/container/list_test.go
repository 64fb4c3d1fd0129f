// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// keepMany makes containers, some of which cannot be read, and returns the ids of
// those that can, and of those whose state is damaged.
func keepMany(t *testing.T, count int) (s Store, readable, damaged []string) {
	t.Helper()
	s = Store{Root: t.TempDir()}
	for n := range count {
		id := fmt.Sprintf("c%04d", n)
		dir := filepath.Join(s.Root, id)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		text := `{"version":1,"id":"` + id + `","status":"created","cgroups":[],"steps":[]}`
		switch n % 7 {
		case 3: // damaged
			text = text[:len(text)-1]
			damaged = append(damaged, id)
		case 5: // that of another one
			text = `{"version":1,"id":"other","status":"created"}`
			damaged = append(damaged, id)
		case 6: // never made
			continue
		default:
			readable = append(readable, id)
		}
		if err := os.WriteFile(filepath.Join(dir, stateFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s, readable, damaged
}

// TestEach: each container that can be read is looked at once and comes back in its
// place, however many look at them. The last of many goes away meanwhile: the first two
// are looked at at once, and wait for each other and for that. Of those whose state is
// damaged a warning tells, in their order.
func TestEach(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	for _, count := range []int{0, 1, worthAnother, 10*worthAnother + 1} {
		s, want, damaged := keepMany(t, count)
		many := count > worthAnother
		met, gone := make(chan bool), make(chan bool)
		await := func(c chan bool) {
			select {
			case <-c:
			case <-time.After(20 * time.Second):
				t.Errorf("of %d: only one looks", count)
			}
		}
		var looks atomic.Int64
		var warned []string
		got, err := Each(s, func(state *State) *string {
			looks.Add(1)
			switch {
			case many && state.ID == "c0000":
				await(met)
				if err := os.RemoveAll(filepath.Join(s.Root, want[len(want)-1])); err != nil {
					t.Error(err)
				}
				close(gone)
			case many && state.ID == "c0001":
				close(met)
				await(gone)
			}
			return &state.ID
		}, func(format string, args ...any) {
			id, _, _ := strings.Cut(fmt.Sprintf(format, args...), ": read its state: ")
			warned = append(warned, id)
		})
		if many {
			want = want[:len(want)-1]
		}
		var ids []string
		for _, id := range got {
			ids = append(ids, *id)
		}
		if err != nil || !slices.Equal(ids, want) || int(looks.Load()) != len(want) {
			t.Errorf("of %d: %d looks: %q %v, want %q", count, looks.Load(), ids, err, want)
		}
		if !slices.Equal(warned, damaged) {
			t.Errorf("of %d: warned of %q, want %q", count, warned, damaged)
		}
	}
}
