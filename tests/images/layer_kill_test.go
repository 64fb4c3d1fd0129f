// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package images_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// killTime is for all kills of a test: a busy machine needs many for the short phases.
const killTime = 5 * time.Minute

// smallImage imports an image of some hundred files.
func smallImage(t testing.TB, store, name string) {
	t.Helper()
	tree := t.TempDir()
	for d := range 20 {
		dir := filepath.Join(tree, fmt.Sprintf("d%d", d))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for f := range 20 {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%d", f)), make([]byte, f*500), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	must(t, store, "import", "--cmd", "/bin/sh", tree, name)
}

// phases of unpack as an observer sees them in the directory of the bundle.
const (
	phaseNothing = "nothing made yet"
	phaseTree    = "writing the tree"
	phaseFiles   = "writing the bundle's files"
	phaseDone    = "in its place"
)

// phase tells how far an unpack is, or was when it was killed.
func phase(dir, bundle string) string {
	if _, err := os.Lstat(bundle); err == nil {
		return phaseDone
	}
	stages, _ := filepath.Glob(filepath.Join(dir, ".imgmgr-unpack-*"))
	if len(stages) == 0 {
		return phaseNothing
	}
	if _, err := os.Lstat(filepath.Join(stages[0], "config.json")); err == nil {
		return phaseFiles
	}
	return phaseTree
}

// TestRootLayersKill kills unpack in every phase, at random moments in it. The
// target is whole or not there, and the next unpack works and tidies up.
func TestRootLayersKill(t *testing.T) {
	testkit.Need(t, testkit.Root)
	random := testkit.Seed(t)
	store, dir := filepath.Join(t.TempDir(), "store"), t.TempDir()
	smallImage(t, store, "small:1")
	whole := filepath.Join(t.TempDir(), "whole")
	must(t, store, "unpack", "small:1", whole)

	hit := map[string]int{}
	all := []string{phaseNothing, phaseTree, phaseFiles, phaseDone}
	least := func() string {
		low := all[0]
		for _, p := range all {
			if hit[p] < hit[low] {
				low = p
			}
		}
		return low
	}
	started, kills := time.Now(), 0
	for ; kills < 60 || hit[least()] < 5; kills++ {
		if time.Since(started) > killTime {
			t.Fatalf("after %d kills not every phase was hit five times: %v", kills, hit)
		}
		bundle := filepath.Join(dir, "bundle")
		c := exec.Command(testkit.Bin(t, "imgmgr"), "--store", store, "unpack", "small:1", bundle)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		// Wait for the phase that was hit least, then a random moment longer. The
		// polling is what sets the moment: there is nothing that could be waited for.
		want := least()
		for want != phaseNothing && phase(dir, bundle) != want && phase(dir, bundle) != phaseDone {
			if time.Since(started) > killTime {
				break
			}
		}
		switch want {
		case phaseNothing, phaseTree:
			time.Sleep(time.Duration(random.IntN(6000)) * time.Microsecond)
		}
		_ = c.Process.Signal(syscall.SIGKILL) // it may have ended
		_ = c.Wait()
		was := phase(dir, bundle)
		hit[was]++
		if was == phaseDone {
			sameTree(t, filepath.Join(bundle, "rootfs"), filepath.Join(whole, "rootfs"))
			for _, name := range []string{"config.json", "imgmgr.json", "imgmgr.index"} {
				if _, err := os.Stat(filepath.Join(bundle, name)); err != nil {
					t.Fatalf("the bundle is not whole: %v", err)
				}
			}
			if err := os.RemoveAll(bundle); err != nil {
				t.Fatal(err)
			}
		}
		if kills%10 == 0 {
			must(t, store, "unpack", "small:1", bundle)
			onlyThese(t, dir, "bundle")
			sameTree(t, filepath.Join(bundle, "rootfs"), filepath.Join(whole, "rootfs"))
			if err := os.RemoveAll(bundle); err != nil {
				t.Fatal(err)
			}
		}
	}
	must(t, store, "unpack", "small:1", filepath.Join(dir, "last"))
	onlyThese(t, dir, "last")
	t.Logf("%d kills: %v", kills, hit)
}

// TestRootLayersConcurrent: two unpacks beside each other leave each other's
// work alone, and of two for one target one wins.
func TestRootLayersConcurrent(t *testing.T) {
	testkit.Need(t, testkit.Root)
	store, dir := filepath.Join(t.TempDir(), "store"), t.TempDir()
	smallImage(t, store, "small:1")
	type result struct {
		stderr string
		err    error
	}
	results := make(chan result)
	for i := range 8 {
		go func() {
			_, e, err := imgmgr(t, store, "unpack", "small:1", filepath.Join(dir, fmt.Sprintf("b%d", i/2)))
			results <- result{e, err}
		}()
	}
	failed := 0
	for range 8 {
		if r := <-results; r.err != nil {
			failed++
			if !strings.Contains(r.stderr, "(EEXIST)") {
				t.Errorf("%v: %s", r.err, r.stderr)
			}
		}
	}
	if failed != 4 {
		t.Errorf("%d of 8 failed, want one of each pair", failed)
	}
	onlyThese(t, dir, "b0", "b1", "b2", "b3")
}
