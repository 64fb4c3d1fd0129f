// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package specs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// numbers are those of the checklist: its parts, and how many items each has.
const numbers = "A9 B21 C14 D16 E7 F11 G12 H10 I9 J5 K7 L14"

// TestConformance: every item of the checklist has a row, and every row names tests
// that exist, or says why there is none.
func TestConformance(t *testing.T) {
	text, err := os.ReadFile("conformance.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	none := 0
	for line := range strings.Lines(string(text)) {
		if line[0] == '#' {
			continue
		}
		f := append(strings.Split(strings.TrimSuffix(line, "\n"), "\t"), "")
		if len(f) < 5 || !slices.Contains([]string{"M", "S", "-"}, f[1]) || f[2] == "" {
			t.Errorf("%q is no row", line)
			continue
		}
		seen = append(seen, f[0])
		if f[3] == "-" {
			none++
			if f[4] == "" {
				t.Errorf("%s has neither a test nor a reason", f[0])
			}
			continue
		}
		for name := range strings.FieldsSeq(f[3]) {
			if !exists(t, name) {
				t.Errorf("%s: there is no %s", f[0], name)
			}
		}
	}
	var want []string
	for part := range strings.FieldsSeq(numbers) {
		var n int
		fmt.Sscan(part[1:], &n)
		for i := range n {
			want = append(want, fmt.Sprintf("%s%d", part[:1], i+1))
		}
	}
	if !slices.Equal(seen, want) {
		t.Errorf("the rows are %v", seen)
	}
	t.Logf("%d of %d rows have no test", none, len(seen))
}

// exists tells whether a test is there: "tests/root:TestRootHooksOrder", or a file.
func exists(t *testing.T, name string) bool {
	t.Helper()
	dir, function, ok := strings.Cut(name, ":")
	if !ok {
		_, err := os.Stat(filepath.Join("..", name))
		return err == nil
	}
	return slices.Contains(testsOf(t, dir), function)
}

// testsOf returns the names of all tests of a package.
func testsOf(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatal(dir, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "func "); ok && (strings.HasPrefix(rest, "Test") || strings.HasPrefix(rest, "Fuzz")) {
				name, _, _ := strings.Cut(rest, "(")
				names = append(names, name)
			}
		}
	}
	return names
}
