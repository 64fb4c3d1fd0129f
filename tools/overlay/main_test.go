// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package main

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestThisGo fails when a new Go no longer has the lines that the changes are made to.
func TestThisGo(t *testing.T) {
	dir := t.TempDir()
	skipped, err := overlay(source(t), dir)
	if err != nil || len(skipped) > 0 {
		t.Fatalf("left out: %q, %v", skipped, err)
	}
	program := filepath.Join(dir, "alone")
	build := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-trimpath", "-o", program, "./testdata/alone")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, what := range []string{"file", "timer", "goroutine", "loop", "garbage", "init", "signal", "fault"} {
		for _, procs := range []string{"1", "2"} {
			if out, err := run(t, program, what, procs); err != nil || out != "" {
				t.Errorf("%s with GOMAXPROCS=%s: %v, %s", what, procs, err, out)
			}
		}
	}
	if out, err := run(t, program, "deadlock", "2"); err == nil || !strings.Contains(out, "all goroutines are asleep - deadlock!") {
		t.Errorf("deadlock: %v, %s", err, out)
	}
}

func TestOtherGo(t *testing.T) {
	for _, c := range []struct{ name, file, old, new string }{
		{"a line is gone", "time.go", "*timeTimer {", "*Timer {"},
		{"a line is there twice", "mgc.go", "\nfunc gcenable", "\n\t<-c\n\t<-c\n\tmemstats.enablegc = true\nfunc gcenable"},
		{"a file is gone", "proc.go", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			runtime, dir := t.TempDir(), t.TempDir()
			for _, file := range []string{"cgroup_linux.go", "proc.go", "time.go", "mgc.go", "signal_unix.go", "malloc.go"} {
				text, err := os.ReadFile(filepath.Join(source(t), file))
				if err != nil {
					t.Fatal(err)
				}
				if file == c.file {
					text = []byte(strings.Replace(string(text), c.old, c.new, 1))
				}
				if file == c.file && c.old == "" {
					continue
				}
				if err := os.WriteFile(filepath.Join(runtime, file), text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			skipped, err := overlay(runtime, dir)
			if err != nil || len(skipped) != 1 || !strings.HasPrefix(skipped[0], "no second thread") {
				t.Errorf("left out: %q, %v", skipped, err)
			}
			got, err := os.ReadFile(filepath.Join(dir, "overlay.json"))
			want := map[string]string{}
			for _, file := range []string{"cgroup_linux", "malloc", "signal_unix"} {
				want[filepath.Join(runtime, file+".go")] = filepath.Join(dir, file+".txt")
			}
			var file struct{ Replace map[string]string }
			if err = errors.Join(err, json.Unmarshal(got, &file)); err != nil || !maps.Equal(file.Replace, want) {
				t.Errorf("%v, got %s\nwant %s", err, got, want)
			}
		})
	}
}

func source(t *testing.T) string {
	t.Helper()
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(goroot)), "src/runtime")
}

func run(t *testing.T, program, what, procs string) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, what)
	cmd.Env = append(os.Environ(), "GOMAXPROCS="+procs)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
