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
	for _, what := range []string{"file", "timer", "goroutine", "loop", "garbage", "init", "signal", "fault", "heap", "globals", "clock", "environment", "stack", "streams"} {
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
		{"a line is gone", "runtime/time.go", "*timeTimer {", "*Timer {"},
		{"a line is there twice", "runtime/proc.go", "\nfunc newproc(", "\n\tmainStarted = true\nfunc newproc("},
		{"a file is gone", "runtime/vdso_linux.go", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			src, dir := t.TempDir(), t.TempDir()
			want := map[string]string{}
			for _, change := range changes() {
				for _, e := range change.edits {
					text, err := os.ReadFile(filepath.Join(source(t), e.file))
					if err != nil {
						t.Fatal(err)
					}
					to := filepath.Join(src, e.file)
					if !strings.HasPrefix(change.what, "no second thread") {
						want[to] = filepath.Join(dir, strings.ReplaceAll(strings.TrimSuffix(e.file, ".go"), "/", "-")+".txt")
					}
					if e.file == c.file {
						text = []byte(strings.Replace(string(text), c.old, c.new, 1))
					}
					if e.file == c.file && c.old == "" {
						continue
					}
					if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o700), os.WriteFile(to, text, 0o600)); err != nil {
						t.Fatal(err)
					}
				}
			}
			skipped, err := overlay(src, dir)
			if err != nil || len(skipped) != 1 || !strings.HasPrefix(skipped[0], "no second thread") {
				t.Errorf("left out: %q, %v", skipped, err)
			}
			got, err := os.ReadFile(filepath.Join(dir, "overlay.json"))
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
	return filepath.Join(strings.TrimSpace(string(goroot)), "src")
}

func run(t *testing.T, program, what, procs string) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, what)
	cmd.Env = append(os.Environ(), "GOMAXPROCS="+procs, "A=1", "B=2")
	out, err := cmd.CombinedOutput()
	return string(out), err
}
