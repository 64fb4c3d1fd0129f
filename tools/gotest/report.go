// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// An event is what go test -json prints for each thing that happens
// (go doc test2json).
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64
}

// An Outcome is how one test ended.
type Outcome struct {
	Action string // "pass", "fail" or "skip"
	Test   string // "package.TestName/sub"
}

// slow is how long a test may take, in seconds, without being named for it: a run
// that grows too long should say where.
const slow = 20

// A Report turns events into text, and keeps what the verdict depends on.
type Report struct {
	Out      io.Writer
	Skips    []string // the test names that tests/SKIPS lists
	Outcomes []Outcome
	Failed   int // tests and packages

	badSkips []string
	output   map[string]map[string][]string // lines of tests that have not ended, by package and test
	closed   map[string]bool                // by package: its own closing line was printed
}

// Read prints events until they end.
func (r *Report) Read(events io.Reader) error {
	r.output, r.closed = map[string]map[string][]string{}, map[string]bool{}
	lines := bufio.NewScanner(events)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(r.Out, lines.Text()) // not an event: somebody's plain words
			continue
		}
		r.handle(e)
	}
	return lines.Err()
}

func (r *Report) handle(e event) {
	switch {
	case e.Action == "build-output":
		fmt.Fprint(r.Out, e.Output)
	case e.Test == "":
		r.handlePackage(e)
	default:
		r.handleTest(e)
	}
}

// handlePackage prints a line per package, as go test does. A test binary that
// ran without go test says only PASS or FAIL: its line is made here.
func (r *Report) handlePackage(e event) {
	switch e.Action {
	case "output":
		if strings.HasPrefix(e.Output, "ok  \t") || strings.HasPrefix(e.Output, "FAIL\t") {
			r.closed[e.Package] = true
		}
		if e.Output != "PASS\n" && e.Output != "FAIL\n" && !strings.HasSuffix(e.Output, "[no test files]\n") {
			fmt.Fprint(r.Out, e.Output)
		}
	case "pass":
		r.close("ok  ", e)
	case "fail":
		r.Failed++
		r.close("FAIL", e)
		// What had not ended when the package did (a time-out, a crash) tells why.
		for _, lines := range r.output[e.Package] {
			fmt.Fprint(r.Out, strings.Join(lines, ""))
		}
		delete(r.output, e.Package)
	}
}

func (r *Report) close(verdict string, e event) {
	if !r.closed[e.Package] {
		fmt.Fprintf(r.Out, "%s\t%s\t%.3fs\n", verdict, e.Package, e.Elapsed)
	}
}

func (r *Report) handleTest(e event) {
	tests := r.output[e.Package]
	if tests == nil {
		tests = map[string][]string{}
		r.output[e.Package] = tests
	}
	switch e.Action {
	case "output":
		if !strings.HasPrefix(e.Output, "=== ") { // RUN, PAUSE, CONT, NAME
			tests[e.Test] = append(tests[e.Test], e.Output)
		}
		return
	case "pass":
		for _, line := range tests[e.Test] {
			if strings.Contains(line, "TEST_SEED=") {
				fmt.Fprintf(r.Out, "%s: %s\n", e.Test, strings.TrimSpace(line))
			}
		}
	case "skip":
		fmt.Fprint(r.Out, strings.Join(tests[e.Test], ""))
		if !r.listed(e.Test) {
			r.badSkips = append(r.badSkips, e.Test)
		}
	case "fail":
		r.Failed++
		fmt.Fprint(r.Out, strings.Join(tests[e.Test], ""))
	default: // "run", "pause", "cont"
		return
	}
	if e.Elapsed > slow && !strings.Contains(e.Test, "/") {
		fmt.Fprintf(r.Out, "slow: %s took %.0fs\n", e.Test, e.Elapsed)
	}
	delete(tests, e.Test)
	r.Outcomes = append(r.Outcomes, Outcome{e.Action, e.Package + "." + e.Test})
}

// listed reports whether tests/SKIPS has the test, or one that contains it.
func (r *Report) listed(test string) bool {
	return slices.ContainsFunc(r.Skips, func(s string) bool {
		return test == s || strings.HasPrefix(test, s+"/")
	})
}

// Verdict returns an error if a test or package failed, or if a test was skipped
// that may not be.
func (r *Report) Verdict() error {
	var all []error
	if r.Failed > 0 {
		all = append(all, fmt.Errorf("%d tests or packages failed", r.Failed))
	}
	if len(r.badSkips) > 0 {
		all = append(all, fmt.Errorf("skipped, but not listed in %s: %s", skipsFile, strings.Join(r.badSkips, ", ")))
	}
	return errors.Join(all...)
}

// ParseSkips returns the test names of the text of tests/SKIPS.
func ParseSkips(text string) []string {
	var names []string
	for line := range strings.Lines(text) {
		name, _, ok := strings.Cut(line, "\t")
		if ok && !strings.HasPrefix(line, "#") {
			names = append(names, name)
		}
	}
	return names
}
