// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/coracle-oci/coracle/internal/testkit"
	"github.com/coracle-oci/coracle/runtime/seccomp"
	other "github.com/coracle-oci/coracle/tests/seccomp"
)

// BenchmarkCompile is docker's default profile, from the decoded config on.
func BenchmarkCompile(b *testing.B) {
	s, err := other.Docker()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		p, err := seccomp.Parse(s, "amd64", "")
		if err == nil {
			_, err = p.Compile("")
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLibrary is the same by libseccomp, as it tells itself: its tree, which
// runc asks for, and its list, which crun does.
func BenchmarkLibrary(b *testing.B) {
	l := library(b)
	s, err := other.Docker()
	if err != nil {
		b.Fatal(err)
	}
	p, err := seccomp.Parse(s, "amd64", "")
	if err != nil {
		b.Fatal(err)
	}
	for optimize, name := range []string{1: "list", 2: "tree"} {
		if optimize == 0 {
			continue
		}
		b.Run(name, func(b *testing.B) {
			var total float64
			for b.Loop() {
				_, took, err := l.Compile(p, archsOf(s), optimize)
				if err != nil {
					b.Fatal(err)
				}
				total += float64(took.Nanoseconds())
			}
			b.ReportMetric(total/float64(b.N), "own-ns/op")
		})
	}
}

var tracedCall = regexp.MustCompile(`(?m)^\d+ +(\w+)\(([^)]*)\) += `)

// trace is the calls of real programs, with their arguments.
func trace(t *testing.T) (calls []seccomp.Data) {
	t.Helper()
	testkit.Need(t, testkit.Tool("strace"))
	log := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command("strace", "-f", "-e", "raw=all", "-o", log, "sh", "-c", "find . -name '*.go' | xargs -n 20 cat | sort | uniq -c | tail -n 1")
	cmd.Dir = testkit.Repo(t)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	a := seccomp.Native("amd64")
	for _, m := range tracedCall.FindAllStringSubmatch(string(text), -1) {
		d := seccomp.Data{Arch: a.Token}
		var ok bool
		if d.Number, ok = a.Number(m[1]); !ok {
			t.Fatalf("strace knows %s", m[1])
		}
		for i, arg := range strings.Split(m[2], ", ") {
			if i < len(d.Args) {
				d.Args[i], _ = strconv.ParseUint(arg, 0, 64)
			}
		}
		calls = append(calls, d)
	}
	return calls
}

// TestInstructions: a call takes at most half of the instructions that it takes in
// libseccomp's filters.
func TestInstructions(t *testing.T) {
	l := library(t)
	s, err := other.Docker()
	if err != nil {
		t.Fatal(err)
	}
	calls := trace(t)
	if len(calls) < 500 {
		t.Fatalf("only %d calls were traced", len(calls))
	}
	for optimize, name := range []string{1: "list", 2: "tree"} {
		if optimize == 0 {
			continue
		}
		p := compilePair(t, l, s, archsOf(s), optimize)
		ours, theirs := 0, 0
		for _, d := range calls {
			_, n, err := seccomp.Run(p.ours, d)
			if err != nil {
				t.Fatal(err)
			}
			ours += n
			if _, n, err = seccomp.Run(p.theirs, d); err != nil {
				t.Fatal(err)
			}
			theirs += n
		}
		n := float64(len(calls))
		t.Logf("%d calls: %.1f instructions, libseccomp's %s %.1f: %.2f", len(calls), float64(ours)/n, name, float64(theirs)/n, float64(ours)/float64(theirs))
		if 2*ours > theirs {
			t.Errorf("%d instructions in all, libseccomp's %s %d", ours, name, theirs)
		}
	}
}
