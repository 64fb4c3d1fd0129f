// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp_test

import (
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

// TestInstructions: a call takes at most half of the instructions that it takes in
// libseccomp's filters.
func TestInstructions(t *testing.T) {
	l := library(t)
	s, err := other.Docker()
	if err != nil {
		t.Fatal(err)
	}
	testkit.Need(t, testkit.Tool("strace"))
	calls, err := other.Trace(testkit.Repo(t), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for optimize, name := range []string{1: "list", 2: "tree"} {
		if optimize == 0 {
			continue
		}
		p := compilePair(t, l, s, archsOf(s), optimize)
		ours, err := other.Steps(p.ours, calls)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := other.Steps(p.theirs, calls)
		if err != nil {
			t.Fatal(err)
		}
		n := float64(len(calls))
		t.Logf("%d calls: %.1f instructions, libseccomp's %s %.1f: %.2f", len(calls), float64(ours)/n, name, float64(theirs)/n, float64(ours)/float64(theirs))
		if 2*ours > theirs {
			t.Errorf("%d instructions in all, libseccomp's %s %d", ours, name, theirs)
		}
	}
}
