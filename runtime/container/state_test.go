// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/launch"
	"github.com/coracle-oci/coracle/runtime/plan"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// keepState makes a container of a state.json, stopped long ago.
func keepState(t *testing.T, text string) Store {
	t.Helper()
	s := Store{Root: t.TempDir()}
	dir := filepath.Join(s.Root, "old")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{stateFile: text, "config.json": "{}"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestOldStates: what an earlier coracle has written is understood, whole, and its
// containers can be deleted. A file is added to testdata/states whenever the state
// changes; none is ever changed.
func TestOldStates(t *testing.T) {
	files, err := filepath.Glob("testdata/states/*.json")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		s := keepState(t, string(text))
		state, err := s.Open("old", Shared)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		state.Close()
		again, err := state.encode()
		if err != nil || string(again) != string(text) {
			t.Errorf("%s: lost on the way:\n%s\n%s %v", name, text, again, err)
		}
		if now := state.Now(); now != Stopped {
			t.Errorf("%s: %s", name, now)
		}
		state.Hooks = nil
		if exit, err := s.Wait("old", 0); strings.Contains(name, "exit") != (err == nil) {
			t.Errorf("%s: %v %v", name, exit, err)
		}
		if err := s.Delete("old", false, t.Logf); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.Open("old", Unlocked); !errors.Is(err, ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOldPrograms: what the launch program of an earlier coracle, that still waits for
// start, says then has not changed its meaning.
func TestOldPrograms(t *testing.T) {
	for number, want := range map[byte]prog.Mark{7: plan.HookRuns, 8: plan.HookEnded, 10: plan.AboutToRun, 12: plan.Listening} {
		if r, err := launch.DecodeReport([]byte{number, 0, 0, 0, 5, 0, 0, 0}); err != nil || r.Step >= 0 || r.Mark != want || r.Value != 5 {
			t.Errorf("%d: %+v %v, want mark %d", number, r, err, want)
		}
	}
	// Step 3, which is named by its address, has failed with ENOENT.
	if r, err := launch.DecodeReport([]byte{0x00, 0x05, 0x60, 0x00, 2, 0, 0, 0}); err != nil || r.Step != 3 || r.Errno != 2 {
		t.Errorf("%+v %v", r, err)
	}
}

// TestHugeState: a file that nobody can have written is damaged, and is not read.
func TestHugeState(t *testing.T) {
	s := keepState(t, `{"version":1,"id":"old","status":"created","cgroups":[]}`)
	if err := os.Truncate(filepath.Join(s.Root, "old", stateFile), 1<<40); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open("old", Shared); !errors.Is(err, errUnreadable) || !errors.Is(err, syscall.EFBIG) {
		t.Error(err)
	}
	if l, err := s.List(nil); len(l) != 0 || err != nil {
		t.Error(l, err)
	}
}

// TestMistypedState: the value that is wrong is named.
func TestMistypedState(t *testing.T) {
	for text, want := range map[string]string{
		`{"version":1,"id":"old","pid":"x"}`:        "/pid has the wrong type",
		`{"version":1,"id":"old","bundle":5}`:       "/bundle has the wrong type",
		`{"version":1,"id":"old","cgroups":[true]}`: "/cgroups/0 has the wrong type",
		`[]`: "all of it has the wrong type",
	} {
		if _, err := keepState(t, text).Open("old", Unlocked); !errors.Is(err, errUnreadable) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestFIFOState: nobody waits for whom a FIFO may come from.
func TestFIFOState(t *testing.T) {
	s := keepState(t, `{"version":1,"id":"old","status":"created","cgroups":[]}`)
	for _, name := range []string{stateFile, config.Name} {
		file := filepath.Join(s.Root, "old", name)
		_ = os.Remove(file)
		if err := syscall.Mkfifo(file, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan error)
	go func() {
		_, err := s.Open("old", Unlocked)
		ended <- err
		_, err = (&State{ID: "old", dir: filepath.Join(s.Root, "old")}).keptConfig()
		ended <- err
	}()
	for _, want := range []string{"state.json is damaged", "config.json"} {
		select {
		case err := <-ended:
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, not %s", err, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: it waits", want)
		}
	}
}

// TestNewStates: a key that is not known is no matter; a version that is not, is.
func TestNewStates(t *testing.T) {
	s := keepState(t, `{"version":1,"id":"old","status":"created","cgroups":[],"future":{"x":1}}`)
	if _, err := s.Open("old", Shared); err != nil {
		t.Error(err)
	}
	s = keepState(t, `{"version":2,"id":"old","status":"created"}`)
	for _, err := range []error{s.Start("old", ""), s.Kill("old", 9, true), s.Delete("old", true, t.Logf), s.Pause("old"), s.Resume("old")} {
		if err == nil || !strings.Contains(err.Error(), "newer coracle: version 2") {
			t.Error(err)
		}
	}
	if l, err := s.List(nil); len(l) != 0 || err != nil {
		t.Error(l, err)
	}
	warned := ""
	if l, err := s.GC(false, func(format string, args ...any) { warned += format }); len(l) != 0 || err != nil || warned == "" {
		t.Error(l, err, warned)
	}
}
