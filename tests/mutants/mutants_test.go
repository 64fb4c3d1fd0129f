// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package mutants_test keeps the second of the three truths: every step is
// needed. It leaves each step and each host step of several plans out in turn,
// runs the container, and looks at it from inside and outside. What nobody can
// see the lack of must stand in a table, with the reason.
package mutants_test

import (
	"fmt"
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
			p := w.plan()
			base := w.baseline()
			mutants := mutantsOf(p)
			if n, err := strconv.Atoi(os.Getenv("TEST_SAMPLE")); err == nil {
				random.Shuffle(len(mutants), func(i, j int) { mutants[i], mutants[j] = mutants[j], mutants[i] })
				mutants = mutants[:min(n, len(mutants))]
			}
			noticed, excused, began := 0, 0, time.Now()
			for _, m := range mutants {
				how := w.notice(base, m.drop)
				reason := excuse(c.Name, m)
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
			if how := w.notice(base, ""); how != "" {
				t.Errorf("without a mutation it is no longer as it was: %s", how)
			}
			t.Logf("%d mutants: %d noticed, %d excused by the table, in %.0f s", len(mutants), noticed, excused, time.Since(began).Seconds())
			if len(mutants) == 0 || noticed == 0 {
				t.Error("nothing was tried")
			}
		})
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
func (w *world) baseline() sight {
	w.t.Helper()
	base, err := w.live("")
	if err != nil {
		w.t.Fatalf("without a mutation: %v", err)
	}
	for range 2 {
		again, err := w.live("")
		if err != nil {
			w.t.Fatalf("without a mutation: %v", err)
		}
		for _, key := range differences(base, again) {
			w.t.Errorf("%s is not the same each time: %q, %q", key, base[key], again[key])
			delete(base, key)
		}
	}
	return base
}

// notice runs one mutant and says how its lack is noticed; "" if it is not.
func (w *world) notice(base sight, drop string) string {
	seen, err := w.live(drop)
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
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "CapBnd:"); ok {
			bits, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
			number, known := config.CapabilityNumber(name)
			return err == nil && known && bits&(1<<number) == 0
		}
	}
	return false
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
