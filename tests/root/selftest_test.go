// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/coracle-oci/coracle/internal/testkit"
	"github.com/coracle-oci/coracle/runtime/selftest"
)

// TestRootSelftest: what every container needs works here; what does not work
// says why, and nothing is left.
func TestRootSelftest(t *testing.T) {
	testkit.Need(t, testkit.Root)
	testkit.NoLeaks(t)
	tmp := t.TempDir()
	if err := os.Chmod(tmp, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(testkit.Bin(t, "coracle"), "selftest", "--format", "json")
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var all []selftest.Result
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) < 30 {
		t.Errorf("%d checks", len(all))
	}
	for _, r := range all {
		if r.Result != "ok" && r.Why == "" || r.Basic && r.Result != "ok" {
			t.Errorf("%+v", r)
		}
	}
	if left, _ := os.ReadDir(tmp); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestRootSelftestSeesFailures: a machine that lacks something is told so: here, a
// runtime without CAP_SYS_ADMIN.
func TestRootSelftestSeesFailures(t *testing.T) {
	testkit.Need(t, testkit.Root, testkit.Tool("setpriv"))
	testkit.NoLeaks(t)
	cmd := exec.Command("setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-all", testkit.Bin(t, "coracle"), "selftest")
	out, err := cmd.Output()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 1 {
		t.Errorf("got %v", err)
	}
	lines := strings.Split(string(out), "\n")
	if !slices.ContainsFunc(lines, func(l string) bool {
		return strings.HasPrefix(l, "NO  run a program in new namespaces: ") && strings.Contains(l, "EPERM")
	}) {
		t.Errorf("got\n%s", out)
	}
}
