// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package testkit

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// watched is a test that notes how it ended instead of ending this one.
type watched struct {
	testing.TB
	name            string
	skipped, failed bool
}

func (w *watched) Name() string          { return w.name }
func (w *watched) Helper()               {}
func (w *watched) Skipf(string, ...any)  { w.skipped = true; runtime.Goexit() }
func (w *watched) Fatalf(string, ...any) { w.failed = true; runtime.Goexit() }

// watch runs f as a test of that name does.
func watch(t *testing.T, name string, f func(t testing.TB)) *watched {
	w := &watched{TB: t, name: name}
	done := make(chan bool)
	go func() {
		defer close(done)
		f(w)
	}()
	<-done
	return w
}

func TestNeed(t *testing.T) {
	absent := Fact{"a thing", func() string { return "not here" }}
	present := Fact{"a thing", func() string { return "" }}
	if w := watch(t, "TestX", func(t testing.TB) { Need(t, present) }); w.skipped || w.failed {
		t.Error("a fact that holds ends the test")
	}
	if w := watch(t, "TestX", func(t testing.TB) { Need(t, present, absent) }); !w.failed || w.skipped {
		t.Error("a missing fact that tests/SKIPS does not list does not fail the test")
	}
}

func TestSkipListed(t *testing.T) {
	const list = "# TestC\troot\twhy\nTestA\troot\twhy\nTestB/sub\tcgroup v2\twhy\nTestD root why\n"
	for _, c := range []struct {
		test, fact string
		want       bool
	}{
		{"TestA", "root", true},
		{"TestA", "cgroup v2", false},
		{"TestA/sub", "root", true},
		{"TestAB", "root", false},
		{"TestB", "cgroup v2", false},
		{"TestB/sub", "cgroup v2", true},
		{"# TestC", "root", false},
		{"TestD", "root", false},
	} {
		if got := skipListed(list, c.test, c.fact); got != c.want {
			t.Errorf("%s for %q: %v", c.test, c.fact, got)
		}
	}
}

func TestFacts(t *testing.T) {
	for _, c := range []struct {
		fact  Fact
		holds bool
	}{
		{Tool("sh"), true},
		{Tool("no-such-program"), false},
		{KernelAtLeast(3, 0), true},
		{KernelAtLeast(99, 0), false},
		{Controller("no-such-controller"), false},
	} {
		if why := c.fact.missing(); (why == "") != c.holds {
			t.Errorf("%s: %q", c.fact.Name, why)
		}
	}
}

func TestTinyELF(t *testing.T) {
	path := TinyELF(t)
	if out, err := exec.Command(path).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %q", err, out)
	}
}

func TestTinyELFSegments(t *testing.T) {
	for arch, exit := range exitCode {
		if image := tinyELF(arch); len(image) != 120+len(exit.code) {
			t.Errorf("%s: %d bytes", arch, len(image))
		}
	}
}

func TestWriteConfig(t *testing.T) {
	dir := t.TempDir()
	WriteConfig(t, dir, Args("/bin/echo", "hi"))
	config, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil || !strings.Contains(string(config), `"/bin/echo"`) {
		t.Errorf("config.json: %v\n%s", err, config)
	}
}

func TestSeed(t *testing.T) {
	t.Setenv("TEST_SEED", "42")
	if a, b := Seed(t).Uint64(), Seed(t).Uint64(); a != b {
		t.Errorf("the same seed gives %d and %d", a, b)
	}
}

func TestSnapshotAdded(t *testing.T) {
	before := snapshot{"fd": {"a", "a"}, "file": {"gone"}}
	after := snapshot{"fd": {"a", "b", "a", "a"}, "file": nil}
	want := "fd: a|fd: b"
	if got := strings.Join(after.added(before), "|"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestLeaksSeen makes one leak of each kind that needs no privilege.
func TestLeaksSeen(t *testing.T) {
	dir := t.TempDir()
	known := namespaces()
	before := takeSnapshot(dir, []string{dir}, known)
	file, err := os.Create(filepath.Join(dir, "left"))
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "sleeper")
	copyFile(t, lookTool("sleep"), program)
	sleeper := exec.Command(program, "60")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	leaks := strings.Join(takeSnapshot(dir, []string{dir}, known).added(before), "\n")
	for _, want := range []string{"fd: " + file.Name(), "file: " + file.Name(), program + ": " + program + " 60"} {
		if !strings.Contains(leaks, want) {
			t.Errorf("%q is not noticed in:\n%s", want, leaks)
		}
	}
	_ = file.Close()
	_ = sleeper.Process.Kill()
	_ = sleeper.Wait()
	_ = os.Remove(file.Name())
	_ = os.Remove(program)
	// Other tests run on the same machine: only what is named after ours counts.
	leaks = strings.Join(takeSnapshot(dir, []string{dir}, known).added(before), "\n")
	if strings.Contains(leaks, dir) {
		t.Errorf("still noticed after it is gone:\n%s", leaks)
	}
}
