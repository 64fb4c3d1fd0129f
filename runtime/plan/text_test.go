// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestFit: a narrow terminal gets all that the table has, and no line that it would
// break.
func TestFit(t *testing.T) {
	files, err := filepath.Glob("testdata/configs/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	together := strings.NewReplacer(" ", "", "\n", "")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p, err := compile(parse(t, data), machine(t, "hybrid"))
		if err != nil {
			continue // not for this machine
		}
		var all strings.Builder
		for _, l := range p.Lines() {
			if l.Result != "" {
				l.Result += "="
			}
			all.WriteString(l.Result + l.Call + l.Branch + l.From)
		}
		for _, columns := range []int{80, 61} {
			text := p.Fit(columns)
			for line := range strings.Lines(text) {
				if n := utf8.RuneCountInString(line) - 1; n > columns {
					t.Errorf("%s: %d columns: %s", file, n, line)
				}
			}
			var got strings.Builder
			for line := range strings.Lines(text) {
				got.WriteString(line[6:]) // behind the number
			}
			if together.Replace(got.String()) != together.Replace(all.String()) {
				t.Errorf("%s: %d columns lose something:\n%s", file, columns, text)
			}
		}
		if p.Fit(0) != p.Text() || p.Fit(10000) != p.Text() {
			t.Errorf("%s: the table is not what a wide terminal gets", file)
		}
	}
}
