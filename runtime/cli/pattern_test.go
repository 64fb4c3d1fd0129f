// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// TestPatternsAgreeWithRegexp compares random patterns with the library's.
func TestPatternsAgreeWithRegexp(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"a", "b", "-", ".", "x*", "(a|b)", "[ab-]", "[^a]", "[a-c]+", "^", "$", "|", "(", ")", "?", `\.`, `\+`, "(ab)*", "w", "1"}
	words := []string{"", "a", "web-1", "ab.b", "aaab", "abab", "a+b", "x", "w1", "-"}
	valid, matched := 0, 0
	for range 20_000 {
		var b strings.Builder
		for range 1 + r.IntN(6) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		want, err := regexp.Compile(b.String())
		got, ourErr := compilePattern(b.String())
		if err != nil {
			continue // the library refuses more: "**"
		}
		if ourErr != nil {
			if !strings.Contains(b.String(), "??") && !strings.Contains(b.String(), "*?") && !strings.Contains(b.String(), "+?") {
				t.Fatalf("%q: %v", b.String(), ourErr)
			}
			continue // not greedy
		}
		valid++
		for _, word := range words {
			if got.matches(word) != want.MatchString(word) {
				t.Fatalf("%q on %q: got %v", b.String(), word, got.matches(word))
			}
			if got.matches(word) {
				matched++
			}
		}
	}
	if valid < 2000 || matched < 2000 {
		t.Errorf("%d valid and %d matches prove nothing", valid, matched)
	}
}

func TestBadPatterns(t *testing.T) {
	for _, text := range []string{"(", ")", "a)", "[", "[]", "*", "+a", "a|*", "a{2}", `\`, "a**"} {
		if _, err := compilePattern(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
