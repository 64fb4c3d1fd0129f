// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package specs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCVEs: each row of cves.tsv names a test that exists or says why there is
// none; and each test of an attack is in the table.
func TestCVEs(t *testing.T) {
	files, err := filepath.Glob("../tests/root/*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatal(len(files), err)
	}
	exists := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (TestRoot\w+)\(t \*testing\.T\)`).FindAllStringSubmatch(string(text), -1) {
			exists[m[1]] = true
		}
	}
	table, err := os.ReadFile("cves.tsv")
	if err != nil {
		t.Fatal(err)
	}
	named, rows := map[string]bool{}, []string{}
	for line := range strings.Lines(string(table)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		switch {
		case len(f) < 4 || !regexp.MustCompile(`^CVE-20\d\d-\d{4,6}$`).MatchString(f[0]) || slices.Contains(f, ""):
			t.Errorf("no row: %q", line)
			continue
		case f[3] == "-" && len(f) != 5:
			t.Errorf("%s has neither a test nor a reason for none", f[0])
		case f[3] != "-" && (len(f) != 4 || !exists[f[3]]):
			t.Errorf("%s: there is no test %s", f[0], f[3])
		}
		named[f[3]] = true
		rows = append(rows, line)
	}
	if len(rows) < 30 {
		t.Errorf("%d rows", len(rows))
	}
	for name := range exists {
		if strings.HasPrefix(name, "TestRootCVE") && !named[name] {
			t.Errorf("%s is in no row", name)
		}
	}
}
