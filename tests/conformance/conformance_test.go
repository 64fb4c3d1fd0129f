// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package conformance_test runs the validation suite of
// github.com/opencontainers/runtime-tools with the built coracle. The suite is
// fetched as a Go module and built here. What fails must be excused in EXCUSES,
// where the reason stands, and runc has to do there what the row says.
package conformance_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// suite is the last commit of the suite that the module proxy has.
const suite = "github.com/opencontainers/runtime-tools@v0.9.1-0.20221107090550-2e043c6bd626"

// racy are tests of the suite that race against the program in the container, and
// get two more tries: killsig kills a shell that may not have set its trap yet.
var racy = []string{"killsig"}

type excuse struct{ runc, reason string }

func TestRootConformance(t *testing.T) {
	testkit.Need(t, testkit.Root, testkit.Tool("runc"))
	testkit.NoLeaks(t)
	t.Cleanup(removeParents)
	excuses := readExcuses(t)
	source := fetch(t)
	coracle := runtime(t, testkit.Bin(t, "coracle"))
	runc := runtime(t, "runc")
	names := tests(t, source)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			program := build(t, source, "./validation/"+name)
			problems := run(t, source, program, coracle)
			e, excused := excuses[name]
			for try := 0; try < 2 && problems != "" && !excused && slices.Contains(racy, name); try++ {
				problems = run(t, source, program, coracle)
			}
			switch {
			case problems == "" && excused:
				t.Error("it passes: take it out of EXCUSES")
			case problems != "" && !excused:
				t.Error(problems)
			case problems != "":
				if said := run(t, source, program, runc); (said != "") != (e.runc == "fails") {
					t.Errorf("runc %s by EXCUSES, but here: %q", e.runc, said)
				}
			}
		})
	}
	for name := range excuses {
		if !slices.Contains(names, name) {
			t.Errorf("EXCUSES has %s, and the suite has not", name)
		}
	}
}

// removeParents removes what lies above the cgroups of the suite, which runc and
// coracle make and do not take away: they cannot know who else counts on it.
func removeParents() {
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasSuffix(path, "/testdir/cgrouptest") {
			_ = os.Remove(path)
			_ = os.Remove(filepath.Dir(path))
			return fs.SkipDir
		}
		return nil
	})
}

func readExcuses(t *testing.T) map[string]excuse {
	t.Helper()
	text, err := os.ReadFile("EXCUSES")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]excuse{}
	for line := range strings.Lines(string(text)) {
		if line[0] == '#' {
			continue
		}
		f := strings.Split(strings.TrimSpace(line), "\t")
		if len(f) != 3 || f[1] != "fails" && f[1] != "passes" {
			t.Fatalf("%q is no row", line)
		}
		all[f[0]] = excuse{f[1], f[2]}
	}
	return all
}

// fetch returns a copy of the suite that can be built in, with the program that
// its containers run.
func fetch(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("go", "mod", "download", "-json", suite)
	cmd.Dir = t.TempDir()
	out, err := cmd.Output()
	var module struct{ Dir, Error string }
	if jerr := json.Unmarshal(out, &module); err != nil || jerr != nil || module.Dir == "" {
		t.Fatalf("fetch %s: %v %v %s", suite, err, jerr, module.Error)
	}
	source := filepath.Join(t.TempDir(), "suite")
	must(t, "cp", "-r", module.Dir, source)
	must(t, "chmod", "-R", "u+w", source)
	must(t, "rm", "-rf", filepath.Join(source, "vendor"))
	must(t, "mv", build(t, source, "./cmd/runtimetest"), filepath.Join(source, "runtimetest"))
	return source
}

func must(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

func build(t *testing.T, source, program string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), filepath.Base(program))
	cmd := exec.Command("go", "build", "-mod=mod", "-o", out, program)
	cmd.Dir, cmd.Env = source, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", program, err, text)
	}
	return out
}

func tests(t *testing.T, source string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(source, "validation"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && e.Name() != "util" {
			names = append(names, e.Name())
		}
	}
	return names
}

// runtime is a script that calls a runtime with a directory of states of its own,
// which is emptied in the end: some tests of the suite leave containers.
func runtime(t *testing.T, program string) string {
	t.Helper()
	dir := t.TempDir()
	script, state := filepath.Join(dir, "runtime"), filepath.Join(dir, "state")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexec "+program+" --root "+state+" \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ids, _ := exec.Command(script, "list", "-q").Output()
		for _, id := range strings.Fields(string(ids)) {
			_ = exec.Command(script, "delete", "--force", id).Run()
		}
	})
	return script
}

// run runs one test of the suite, which speaks the Test Anything Protocol, and
// returns what is not ok.
func run(t *testing.T, source, program, runtime string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	// One test makes runc mount things on the host: they end with this namespace.
	cmd := exec.CommandContext(ctx, "unshare", "--mount", program)
	cmd.Dir, cmd.Env = source, append(os.Environ(), "RUNTIME="+runtime, "TMPDIR="+t.TempDir())
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	var problems []string
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "not ok") {
			problems = append(problems, strings.TrimSpace(line))
		}
	}
	if err != nil {
		problems = append(problems, err.Error()+": "+said.String())
	}
	return strings.Join(problems, "\n")
}
