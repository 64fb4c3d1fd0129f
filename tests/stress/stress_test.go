// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package stress_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coracle-oci/coracle/internal/testkit"
)

const atOnce = 50

// listLimit is what one container of a list may cost.
const listLimit = 100 * time.Microsecond

// TestStressLives: a thousand containers, fifty at a time, through their whole life.
// While all of them are there, list is measured.
func TestStressLives(t *testing.T) {
	f := newFleet(t)
	count := scaled(t, 1000)
	f.each("create", count, atOnce, func(n int) { f.must("create", "--bundle", f.bundle, f.id(n)) })
	tooSlow := f.measureList(count)
	f.each("start", count, atOnce, func(n int) { f.must("start", f.id(n)) })
	f.each("state", count, atOnce, func(n int) {
		if out := f.must("state", f.id(n)); !strings.Contains(out, `"status": "running"`) {
			t.Errorf("%s: %s", f.id(n), out)
		}
	})
	f.each("exec", count, atOnce, func(n int) { f.must("exec", f.id(n), "/bin/true") })
	f.each("kill", count, atOnce, func(n int) { f.must("kill", f.id(n), "KILL") })
	f.each("delete", count, atOnce, func(n int) { f.must("delete", "--force", f.id(n)) })
	f.empty()
	if tooSlow != "" { // told last, as a failure ends what is done for each
		t.Error(tooSlow)
	}
}

// measureList lists all of them several times. What is judged is the fastest: the
// others tell what else the machine had to do.
func (f *fleet) measureList(count int) (tooSlow string) {
	f.t.Helper()
	var took []time.Duration
	for range 9 {
		begin := time.Now()
		out := f.must("list")
		took = append(took, time.Since(begin))
		if lines := strings.Count(out, "\n"); lines != count+1 {
			f.t.Fatalf("list has %d lines", lines)
		}
	}
	slices.Sort(took)
	each := took[0] / time.Duration(count)
	f.t.Logf("list of %d: %.1f ms, %d µs each (median %.1f ms)", count, ms(took[0]), each.Microseconds(), ms(took[len(took)/2]))
	if count >= 500 && each > listLimit { // of few, the start of the program is the most
		return fmt.Sprintf("list takes %v for each container; %v are allowed", each, listLimit)
	}
	return ""
}

// TestStressExecs: ten thousand execs in one container, twelve at a time, the exit
// status of each its own.
func TestStressExecs(t *testing.T) {
	f := newFleet(t)
	f.must("run", "--detach", "--bundle", f.bundle, f.id(0))
	f.each("exec", scaled(t, 10_000), 12, func(n int) {
		out, err := f.run("exec", f.id(0), "/bin/sh", "-c", fmt.Sprint("exit ", n%250))
		status := 0
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			status = exit.ExitCode()
		}
		if status != n%250 {
			t.Errorf("exec %d: status %d: %s%v", n, status, out, err)
		}
	})
	if out := f.must("ps", "--format", "json", f.id(0)); strings.Contains(out, ",") {
		t.Errorf("left: %s", out)
	}
	f.must("delete", "--force", f.id(0))
	f.empty()
}

// TestStressPauses: two hundred containers are paused and resumed while they are
// killed. Each command does what it says or says why not, and all of them end.
func TestStressPauses(t *testing.T) {
	f := newFleet(t)
	count := scaled(t, 200)
	f.each("create and start", count, atOnce, func(n int) {
		f.must("create", "--bundle", f.bundle, f.id(n))
		f.must("start", f.id(n))
	})
	f.each("pause, resume, kill", count, atOnce, func(n int) {
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { f.refusable("pause", f.id(n)) })
			all.Go(func() { f.refusable("resume", f.id(n)) })
		}
		all.Go(func() { f.must("kill", "--all", f.id(n), "9") })
		all.Go(func() { f.refusable("kill", f.id(n), "KILL") })
		all.Wait()
	})
	f.each("wait", count, atOnce, func(n int) {
		out, err := f.run("wait", "--timeout", "20s", f.id(n))
		if code := exitedWith(err); code != 137 && !strings.Contains(out, "it has ended and was reaped") {
			t.Errorf("%s: %d %s", f.id(n), code, out)
		}
	})
	f.each("delete", count, atOnce, func(n int) { f.must("delete", "--force", f.id(n)) })
	f.empty()
}

// refusable runs a command that may come too early or too late, and must say so.
func (f *fleet) refusable(args ...string) {
	out, err := f.run(args...)
	if err != nil && !strings.Contains(out, "container not running") && !strings.Contains(out, "container not paused") {
		f.t.Errorf("coracle %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// usualCreate is how long a create takes that is alone.
func (f *fleet) usualCreate() time.Duration {
	var took []time.Duration
	for range 9 {
		begin := time.Now()
		f.must("create", "--bundle", f.bundle, f.id(0))
		took = append(took, time.Since(begin))
		f.must("delete", f.id(0))
	}
	slices.Sort(took)
	return took[len(took)/2]
}

// TestStressKilledCreates: create is killed at random moments. gc removes what is
// left, but for containers that were done.
func TestStressKilledCreates(t *testing.T) {
	f := newFleet(t)
	random := testkit.Seed(t)
	usual := f.usualCreate()
	count := scaled(t, 300)
	moments := make([]time.Duration, count)
	for i := range moments {
		moments[i] = time.Duration(random.Int64N(int64(usual + usual/4)))
	}
	var killed, done int
	for n, moment := range moments {
		cmd := exec.Command(f.coracle, "--root", f.root, "create", "--bundle", f.bundle, f.id(n))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(moment)
		cmd.Process.Kill()
		if err := cmd.Wait(); err == nil {
			done++
		} else if exitedWith(err) == -1 {
			killed++
		} else {
			t.Errorf("%v after %v", err, moment)
		}
	}
	collected := strings.Count(f.must("gc"), "\n")
	var left []string
	for _, id := range strings.Fields(f.must("list", "--quiet")) {
		if out := f.must("state", id); !strings.Contains(out, `"status": "created"`) {
			t.Errorf("gc left %s", out)
		}
		left = append(left, id)
	}
	t.Logf("%d creates of some %.1f ms: %d killed, %d done; gc removed %d, and %d had been created", count, ms(usual), killed, done, collected, len(left))
	if killed == 0 || len(left) < done {
		t.Errorf("%d were killed; %d were done, and %d are there", killed, done, len(left))
	}
	for _, id := range left {
		f.must("delete", id)
	}
	f.empty()
	if names, _ := os.ReadDir(f.bundle); len(names) != 2 {
		t.Error(fmt.Sprint("in the bundle: ", names))
	}
}
