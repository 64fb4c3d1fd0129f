// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package mutants_test keeps the second of the three truths: every step is
// needed. It leaves each step and each host step of several plans out in turn,
// runs the container, and looks at it from inside and outside. What nobody can
// see the lack of must stand in a table, with the reason.
package mutants_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coracle-oci/coracle/internal/testkit"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/plan"
	"github.com/coracle-oci/coracle/tests/truth/cases"
)

func TestRootMutants(t *testing.T) {
	testkit.Need(t, testkit.Root, testkit.Tool("unshare"), testkit.Tool("busybox"))
	binary, prober := build(t)
	random := testkit.Seed(t)
	for _, c := range cases.All {
		t.Run(c.Name, func(t *testing.T) {
			testkit.NoLeaks(t)
			w := newWorld(t, c, binary, prober)
			tryAll(t, random, c.Name, mutantsOf(w.plan()), w.live)
		})
	}
}

// tryAll leaves out each step in turn, or of TEST_SAMPLE many. live runs a
// container without a step ("" for none), and returns what was seen.
func tryAll(t *testing.T, random *rand.Rand, name string, mutants []mutant, live func(drop string) (sight, error)) {
	base := baseline(t, live)
	if n, err := strconv.Atoi(os.Getenv("TEST_SAMPLE")); err == nil {
		random.Shuffle(len(mutants), func(i, j int) { mutants[i], mutants[j] = mutants[j], mutants[i] })
		mutants = mutants[:min(n, len(mutants))]
	}
	noticed, excused, began := 0, 0, time.Now()
	for _, m := range mutants {
		how := notice(base, m.drop, live)
		reason := excuse(name, m)
		switch {
		case how == "" && reason == "":
			t.Errorf("nobody notices that %s is left out: %s (%s)", m.drop, m.doing, m.from)
		case how == "":
			excused++
		default:
			noticed++
			if os.Getenv("TEST_VERBOSE") != "" {
				t.Logf("%s (%s): %s", m.drop, m.doing, how)
			}
		}
	}
	// What others do to the machine meanwhile must not be taken for a notice.
	if how := notice(base, "", live); how != "" {
		t.Errorf("without a mutation it is no longer as it was: %s", how)
	}
	t.Logf("%d mutants: %d noticed, %d excused by the table, in %.0f s", len(mutants), noticed, excused, time.Since(began).Seconds())
	if len(mutants) == 0 || noticed == 0 {
		t.Error("nothing was tried")
	}
}

// build builds coracle so that it can leave a step out, and the probe.
func build(t *testing.T) (binary, prober string) {
	t.Helper()
	dir := t.TempDir()
	for _, b := range [][]string{{"-tags", "mutants", "-o", filepath.Join(dir, "coracle"), "./runtime/cmd/coracle"}, {"-o", filepath.Join(dir, "probe"), "./tests/mutants/probe"}} {
		cmd := exec.Command("go", append([]string{"build", "-trimpath", "-ldflags=-s -w"}, b...)...)
		cmd.Dir, cmd.Env = testkit.Repo(t), append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return filepath.Join(dir, "coracle"), filepath.Join(dir, "probe")
}

// A mutant is a plan with one step less.
type mutant struct{ drop, doing, from string }

func mutantsOf(p *plan.Plan) []mutant {
	var list []mutant
	for i, s := range p.Init.Steps {
		list = append(list, mutant{fmt.Sprint("step ", i), s.Doing, s.From})
	}
	for i, h := range p.Host {
		doing, from := h.Doing, h.From
		if h.Op != nil {
			doing, from = h.Op.String(), h.Op.From
		}
		list = append(list, mutant{fmt.Sprint("host ", i), doing, from})
	}
	return list
}

// baseline is what is seen of a container without a mutation. What differs
// between its lives proves nothing, and must be little.
func baseline(t *testing.T, live func(string) (sight, error)) sight {
	t.Helper()
	base, err := live("")
	if err != nil {
		t.Fatalf("without a mutation: %v", err)
	}
	for range 2 {
		again, err := live("")
		if err != nil {
			t.Fatalf("without a mutation: %v", err)
		}
		for _, key := range differences(base, again) {
			t.Errorf("%s is not the same each time: %q, %q", key, base[key], again[key])
			delete(base, key)
		}
	}
	return base
}

// notice runs one mutant and says how its lack is noticed; "" if it is not.
func notice(base sight, drop string, live func(string) (sight, error)) string {
	seen, err := live(drop)
	if err != nil {
		return err.Error()
	}
	if d := differences(base, seen); len(d) > 0 {
		return fmt.Sprintf("%s: %q, not %q", d[0], seen[d[0]], base[d[0]])
	}
	return ""
}

func differences(a, b sight) []string {
	var keys []string
	for key, value := range a {
		if other, ok := b[key]; !ok || other != value {
			keys = append(keys, key)
		}
	}
	for key := range b {
		if _, ok := a[key]; !ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// missing tells whether the test itself could never have a capability.
func missing(name string) bool {
	status, _ := os.ReadFile("/proc/self/status")
	bits, err := strconv.ParseUint(field(string(status), "CapBnd"), 16, 64)
	number, known := config.CapabilityNumber(name)
	return err == nil && known && bits&(1<<number) == 0
}

// field is the value behind "name:" in a file of /proc.
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// excuse is why nobody can notice the lack of a step, if nobody can.
func excuse(name string, m mutant) string {
	if name, ok := strings.CutPrefix(m.doing, "drop "); ok && missing(name) {
		return "this machine's own bounding set lacks it"
	}
	for _, e := range excuses {
		if (e.in == "" || strings.Contains(" "+e.in+" ", " "+name+" ")) && strings.HasPrefix(m.doing, e.doing) && (e.from == "" || e.from == m.from) {
			return e.reason
		}
	}
	return ""
}
