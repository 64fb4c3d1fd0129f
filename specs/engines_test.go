// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package specs

import (
	"os"
	"strings"
	"testing"
)

// TestEngines: every rule of the engines names tests that exist, or says why there
// is none; and each test that is there for a rule stands in the table.
func TestEngines(t *testing.T) {
	text, err := os.ReadFile("engines.tsv")
	if err != nil {
		t.Fatal(err)
	}
	seen, sections, none := map[string]bool{}, map[string]int{}, 0
	for line := range strings.Lines(string(text)) {
		if line[0] == '#' {
			continue
		}
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) < 3 || len(f) > 4 || f[1] == "" || seen[f[0]] {
			t.Errorf("%q is no row", line)
			continue
		}
		seen[f[0]] = true
		section, _, _ := strings.Cut(f[0], ".")
		sections[section]++
		if f[2] == "-" {
			none++
			if len(f) != 4 || f[3] == "" {
				t.Errorf("%s has neither a test nor a reason", f[0])
			}
			continue
		}
		for name := range strings.FieldsSeq(f[2]) {
			if !exists(t, name) {
				t.Errorf("%s: there is no %s", f[0], name)
			}
		}
	}
	for section, least := range map[string]int{"0": 13, "1": 40, "2": 7, "3": 3, "4": 5, "5": 9, "6": 12} {
		if sections[section] < least {
			t.Errorf("part %s has %d rows, not %d", section, sections[section], least)
		}
	}
	for _, dir := range []string{"tests/engines", "tests/root", "tests/gorunc"} {
		for _, name := range testsOf(t, dir) {
			ours := dir == "tests/gorunc" || strings.HasPrefix(name, "TestRule") || strings.HasPrefix(name, "TestRootEngine")
			if ours && !strings.Contains(string(text), dir+":"+name) {
				t.Errorf("%s:%s is in no row", dir, name)
			}
		}
	}
	t.Logf("%d of %d rows have no test", none, len(seen))
}
