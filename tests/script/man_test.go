// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package script

import (
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// TestManPages: groff has nothing to say against what "make man" writes.
func TestManPages(t *testing.T) {
	dir := t.TempDir()
	run := exec.Command("go", "run", "./tools/man", dir)
	run.Dir = "../.."
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	pages, _ := filepath.Glob(filepath.Join(dir, "man/man8/*.8"))
	if len(pages) < 10 {
		t.Errorf("%d pages", len(pages))
	}
	for _, name := range []string{"coracle-run", "imgmgr", "imgmgr-unpack", "cninet", "cninet-create"} {
		if !slices.Contains(pages, filepath.Join(dir, "man/man8", name+".8")) {
			t.Error("there is no page", name)
		}
	}
	for _, program := range []string{"coracle", "imgmgr", "cninet"} {
		script := filepath.Join(dir, "bash-completion/completions", program)
		if out, err := exec.Command("bash", "-c", `source "$1" && complete -p "$2"`, "bash", script, program).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
	}
	for _, page := range pages {
		if out, err := exec.Command("groff", "-man", "-ww", "-z", "-Tutf8", page).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", filepath.Base(page), err, out)
		}
	}
}
