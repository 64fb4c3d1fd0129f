// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package stress_test does what engines do, all at once and thousands of times,
// and looks whether anything is left: no process, cgroup, mount, descriptor or
// file more than before. It needs root, and prints its figures with -v; TEST_SCALE
// in percent makes it smaller.
package stress_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// A fleet is many containers of one bundle, below one directory of states.
type fleet struct {
	t       *testing.T
	coracle string
	root    string
	bundle  string
	prefix  string
}

// newFleet makes the bundle. Everything is in directories of the test, which are
// looked through for what is left behind.
func newFleet(t *testing.T, edits ...func(*specs.Spec)) *fleet {
	t.Helper()
	testkit.Need(t, testkit.Root)
	root := filepath.Join(t.TempDir(), "state")
	testkit.NoLeaks(t, root)
	edits = append([]func(*specs.Spec){testkit.Args("/bin/sleep", "1000"), func(s *specs.Spec) {
		limit := int64(20)
		s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: &limit}}
	}}, edits...)
	f := &fleet{t: t, coracle: testkit.Bin(t, "coracle"), root: root, bundle: testkit.Bundle(t, edits...), prefix: fmt.Sprintf("coracle-stress-%d-", os.Getpid())}
	t.Cleanup(func() { // what a failure has left
		ids, _ := os.ReadDir(root)
		for _, id := range ids {
			f.run("delete", "--force", id.Name())
		}
	})
	return f
}

func (f *fleet) id(n int) string { return f.prefix + strconv.Itoa(n) }

// run calls coracle. Output goes to a file: a container would hold a pipe open.
func (f *fleet) run(args ...string) (string, error) {
	out, err := os.CreateTemp("", "coracle-stress-out-")
	if err != nil {
		return "", err
	}
	defer out.Close()
	os.Remove(out.Name())
	cmd := exec.Command(f.coracle, append([]string{"--root", f.root}, args...)...)
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	text := make([]byte, 1<<20)
	n, _ := out.ReadAt(text, 0)
	return string(text[:n]), err
}

// must runs coracle, which must succeed.
func (f *fleet) must(args ...string) string {
	out, err := f.run(args...)
	if err != nil {
		f.t.Errorf("coracle %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}

// each does something for the numbers below count, so many at a time, and prints
// how long one takes.
func (f *fleet) each(what string, count, atOnce int, do func(n int)) {
	f.t.Helper()
	begin := time.Now()
	var next atomic.Int64
	var took []time.Duration
	var lock sync.Mutex
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= count || f.t.Failed() {
					return
				}
				start := time.Now()
				do(n)
				lock.Lock()
				took = append(took, time.Since(start))
				lock.Unlock()
			}
		})
	}
	all.Wait()
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	f.t.Logf("%-28s %6d, %d at a time: %8.1f s, %6.0f in a second; each %6.1f ms (median), %6.1f ms (longest)", what, count, atOnce,
		time.Since(begin).Seconds(), float64(len(took))/time.Since(begin).Seconds(), ms(took[len(took)/2]), ms(took[len(took)-1]))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// scaled is count, or less where the machine is slow: TEST_SCALE is in percent.
func scaled(t *testing.T, count int) int {
	t.Helper()
	text := os.Getenv("TEST_SCALE")
	if text == "" {
		return count
	}
	percent, err := strconv.Atoi(text)
	if err != nil || percent <= 0 {
		t.Fatalf("TEST_SCALE is %q, not a number of percent", text)
	}
	return max(1, count*percent/100)
}

// empty: no container is left, and nothing to be collected.
func (f *fleet) empty() {
	f.t.Helper()
	if out := f.must("gc"); out != "" {
		f.t.Errorf("gc found %d", strings.Count(out, "\n"))
	}
	if out := f.must("list", "--quiet"); out != "" {
		f.t.Errorf("%d containers are left", strings.Count(out, "\n"))
	}
	if entries, err := os.ReadDir(f.root); err != nil || len(entries) != 0 {
		f.t.Errorf("in the directory of states: %d entries, %v", len(entries), err)
	}
}

func exitedWith(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}
