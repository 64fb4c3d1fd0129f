// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package main

import (
	"strings"
	"testing"
)

const skips = "# TestOther\troot\twhy\nTestListed\tcgroup v2\twhy\n"

func report(t *testing.T, events string) (*Report, string) {
	t.Helper()
	var out strings.Builder
	r := &Report{Out: &out, Skips: ParseSkips(skips)}
	if err := r.Read(strings.NewReader(events)); err != nil {
		t.Fatal(err)
	}
	return r, out.String()
}

func TestReport(t *testing.T) {
	for _, c := range []struct {
		name, events, text, verdict string
	}{
		{"pass prints the package and the seed only",
			`{"Action":"output","Package":"p","Test":"TestA","Output":"noise\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"  seed: TEST_SEED=7 repeats this run\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}
{"Action":"pass","Package":"p"}`,
			"TestA: seed: TEST_SEED=7 repeats this run\nok  \tp\t0.1s\n", ""},
		{"fail prints its output",
			`{"Action":"output","Package":"p","Test":"TestA","Output":"why\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`,
			"why\nFAIL\tp\t0.000s\n", "2 tests or packages failed"},
		{"a crash prints what had not ended",
			`{"Action":"output","Package":"p","Test":"TestA","Output":"panic\n"}
{"Action":"fail","Package":"p"}`,
			"FAIL\tp\t0.000s\npanic\n", "1 tests or packages failed"},
		{"of other packages nothing is shown",
			`{"Action":"output","Package":"q","Test":"TestQ","Output":"=== RUN TestQ\n"}
{"Action":"output","Package":"q","Test":"TestQ","Output":"noise of q\n"}
{"Action":"fail","Package":"p"}
{"Action":"fail","Package":"q"}`,
			"FAIL\tp\t0.000s\nFAIL\tq\t0.000s\nnoise of q\n", "2 tests or packages failed"},
		{"a slow test is named, once",
			`{"Action":"pass","Package":"p","Test":"TestA/sub","Elapsed":29}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":30}`,
			"slow: TestA took 30s\n", ""},
		{"a listed skip is fine, its subtests too",
			`{"Action":"skip","Package":"p","Test":"TestListed/sub"}
{"Action":"skip","Package":"p","Test":"TestListed"}`,
			"", ""},
		{"any other skip is not",
			`{"Action":"skip","Package":"p","Test":"TestListedNot"}
{"Action":"skip","Package":"p","Test":"TestOther"}`,
			"", "skipped, but not listed in tests/SKIPS: TestListedNot, TestOther"},
		{"a build that breaks is shown",
			`{"Action":"build-output","ImportPath":"p","Output":"x.go:1: no\n"}
{"Action":"fail","Package":"p"}`,
			"x.go:1: no\nFAIL\tp\t0.000s\n", "1 tests or packages failed"},
		{"a test binary alone has a line too",
			`{"Action":"output","Package":"vm/p","Output":"PASS\n"}
{"Action":"pass","Package":"vm/p","Elapsed":1.5}`,
			"ok  \tvm/p\t1.500s\n", ""},
		{"plain words pass through", "vm: booting\n", "vm: booting\n", ""},
	} {
		r, text := report(t, c.events)
		verdict := ""
		if err := r.Verdict(); err != nil {
			verdict = err.Error()
		}
		if text != c.text || verdict != c.verdict {
			t.Errorf("%s: printed %q, verdict %q", c.name, text, verdict)
		}
	}
}

func TestSummarize(t *testing.T) {
	var out strings.Builder
	err := Summarize(&out, []string{"pass\tp.A\nskip\tp.B\nskip\tp.C\n", "skip\tp.A\npass\tp.B\n"})
	want := "skipped everywhere: p.C\ntotal: 2 passed, 0 failed, 1 skipped\n"
	if err != nil || out.String() != want {
		t.Errorf("%v, printed %q", err, out.String())
	}
	if Summarize(&out, []string{"fail\tp.A\n", "pass\tp.A\n"}) == nil {
		t.Error("a pass elsewhere hides a failure")
	}
	if Summarize(&out, []string{"pass p.A\n"}) == nil {
		t.Error("a line that is no record is accepted")
	}
}
