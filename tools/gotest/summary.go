// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Summarize prints the totals of the records of several runs, each a text of
// "action<TAB>test" lines. A test that one batch skipped and another ran counts
// as what it was where it ran.
func Summarize(out io.Writer, records []string) error {
	// The worst that happened to a test wins, and a skip is the least of all.
	rank := map[string]int{"skip": 1, "pass": 2, "fail": 3}
	ended := map[string]string{}
	for _, record := range records {
		for line := range strings.Lines(record) {
			action, test, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			if !ok || rank[action] == 0 {
				return fmt.Errorf("bad record %q", line)
			}
			if rank[action] > rank[ended[test]] {
				ended[test] = action
			}
		}
	}
	count := map[string]int{}
	for _, test := range slices.Sorted(maps.Keys(ended)) {
		count[ended[test]]++
		if ended[test] == "skip" {
			fmt.Fprintln(out, "skipped everywhere:", test)
		}
	}
	fmt.Fprintf(out, "total: %d passed, %d failed, %d skipped\n", count["pass"], count["fail"], count["skip"])
	if count["fail"] > 0 {
		return fmt.Errorf("%d tests failed", count["fail"])
	}
	return nil
}
