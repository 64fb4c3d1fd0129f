// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// agrees holds the compiled filter of a profile against what its rules mean.
func agrees(t *testing.T, s *specs.LinuxSeccomp, goarch string, r *rand.Rand, calls int) {
	t.Helper()
	p, err := Parse(s, goarch, "")
	if err != nil {
		t.Fatal(err)
	}
	program, err := p.Compile("")
	if err != nil {
		return // too long; TestTooLong looks at that
	}
	for range calls {
		d := interesting(r, p)
		want := p.Decide(d)
		got, _, err := Run(program, d)
		if err != nil {
			t.Fatal(err)
		}
		if got != want.Return {
			text, _ := json.MarshalIndent(s, "", " ")
			t.Fatalf("%s %#x %#x: number %d: got %s, want %s by rule %d\n%s\n%s", d.name(p), d.Arch, d.Args, d.Number, ActionText(got), ActionText(want.Return), want.Rule, text, Text(program))
		}
	}
}

func (d Data) name(p *Profile) string {
	if a := p.archOf(d); a != nil {
		return a.Name + " " + a.NameOf(d.Number)
	}
	return "foreign"
}

func TestRandomProfiles(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range 100 {
		agrees(t, randomProfile(r), []string{"amd64", "arm64"}[i%2], r, 400)
	}
}

func FuzzCompile(f *testing.F) {
	f.Add(uint64(1), false)
	f.Fuzz(func(t *testing.T, seed uint64, arm bool) {
		r := rand.New(rand.NewPCG(seed, 1))
		goarch := "amd64"
		if arm {
			goarch = "arm64"
		}
		agrees(t, randomProfile(r), goarch, r, 200)
	})
}
