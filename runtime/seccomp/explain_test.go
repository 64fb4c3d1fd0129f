// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

import (
	"testing"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// TestExplainAgrees: with all arguments known, the rule that decides is that of
// Decide; with some unknown, what Decide says of any values is among what may happen.
func TestExplainAgrees(t *testing.T) {
	r := testkit.Seed(t)
	decided, open := 0, 0
	for range 60 {
		p, err := Parse(randomProfile(r), "amd64", "")
		if err != nil {
			t.Fatal(err)
		}
		for range 60 {
			d := interesting(r, p)
			want := p.Decide(d)
			all := p.Explain(d, 0x3f)
			if got := all.outcomes(); len(got) != 1 || got[0] != want.Return {
				t.Fatalf("%+v of %+v: decided %+v, explained %+v", d, p, want, all)
			}
			if all.Else == nil {
				if i := all.decider(); i.Rule != want.Rule || i.Muxed != want.Muxed {
					t.Fatalf("%+v of %+v: decided %+v, explained %+v", d, p, want, all)
				}
				decided++
			} else if *all.Else != want {
				t.Fatalf("%+v of %+v: decided %+v, explained %+v", d, p, want, *all.Else)
			}
			some := p.Explain(d, uint8(r.IntN(64)))
			found := false
			for _, ret := range some.outcomes() {
				found = found || ret == want.Return
			}
			if !found {
				t.Fatalf("%+v of %+v: decided %+v, explained %+v", d, p, want, some)
			}
			if len(some.outcomes()) > 1 {
				open++
			}
		}
	}
	if decided < 100 || open < 20 {
		t.Errorf("only %d calls were decided by rules, and %d open", decided, open)
	}
}

// outcomes are the values that a filter may return.
func (e Explanation) outcomes() (list []uint32) {
	for _, j := range e.Rules {
		if j.Says == Decides || j.Says == MayDecide {
			list = append(list, j.Return)
		}
	}
	if e.Else != nil {
		list = append(list, e.Else.Return)
	}
	return list
}

func (e Explanation) decider() Judgement {
	for _, j := range e.Rules {
		if j.Says == Decides {
			return j
		}
	}
	return Judgement{Rule: -9}
}
