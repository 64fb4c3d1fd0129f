// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package images_test

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// serve starts our registry over a store, on a free port of loopback.
func serve(t testing.TB, store string) (address string, stop func()) {
	t.Helper()
	c := exec.Command(testkit.Bin(t, "imgmgr"), "--store", store, "serve", "--listen", "127.0.0.1:0")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		if err := c.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := c.Wait(); err != nil {
			t.Errorf("serve ends with %v", err)
		}
	}
	t.Cleanup(stop)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line), stop
}

// The phases of a pull, as an observer sees them in the store.
const (
	pullNothing = "nothing fetched yet"
	pullFirst   = "first blobs on the way"
	pullSome    = "some blobs whole, no name"
	pullDone    = "named"
)

// pullPhase tells how far a pull is, or was when it was killed.
func pullPhase(store string) string {
	index, _ := os.ReadFile(filepath.Join(store, "index.json"))
	if strings.Contains(string(index), "app:1") {
		return pullDone
	}
	whole, _ := os.ReadDir(filepath.Join(store, "blobs", "sha256"))
	parts, _ := os.ReadDir(filepath.Join(store, ".imgmgr", "ingest"))
	switch {
	case len(whole) > 0:
		return pullSome
	case len(parts) > 0:
		return pullFirst
	}
	return pullNothing
}

// TestTransferKill kills pull in every phase, at random moments in it. The next
// call works whatever was left, and gc leaves no partial blob.
func TestTransferKill(t *testing.T) {
	random := testkit.Seed(t)
	store, root := noiseStore(t, 4, 1<<20)
	address, _ := serve(t, store)
	name := address + "/app:1"
	back, hit := filepath.Join(t.TempDir(), "store"), map[string]int{}
	all := []string{pullNothing, pullFirst, pullSome, pullDone}
	least := func() string {
		return slices.MinFunc(all, func(a, b string) int { return hit[a] - hit[b] })
	}
	started, kills, resumed := time.Now(), 0, 0
	for ; kills < 40 || hit[least()] < 5; kills++ {
		if time.Since(started) > killTime {
			t.Fatalf("after %d kills not every phase was hit five times: %v", kills, hit)
		}
		if err := os.RemoveAll(back); err != nil {
			t.Fatal(err)
		}
		c := exec.Command(testkit.Bin(t, "imgmgr"), "--store", back, "pull", "--insecure", "--all", "--jobs", "2", name)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		// Wait for the phase that was hit least, and a random moment longer. The
		// polling sets the moment: there is nothing that could be waited for.
		want := least()
		for want != pullNothing && pullPhase(back) != want && pullPhase(back) != pullDone {
			if time.Since(started) > killTime {
				break
			}
		}
		if want != pullDone {
			time.Sleep(time.Duration(random.IntN(4000)) * time.Microsecond)
		}
		_ = c.Process.Kill() // it may have ended
		_ = c.Wait()
		hit[pullPhase(back)]++
		if parts, _ := os.ReadDir(filepath.Join(back, ".imgmgr", "ingest")); len(parts) > 0 {
			resumed++
		}
		if random.IntN(3) == 0 { // sometimes the garbage goes first
			must(t, back, "gc")
			emptyIngest(t, back)
		}
		if got := last(must(t, back, "pull", "--insecure", "--all", name)); got != string(root.Digest) {
			t.Fatalf("after a kill, pulled %s, want %s", got, root.Digest)
		}
		must(t, back, "gc")
		emptyIngest(t, back)
		if got, want := blobs(t, back), blobs(t, store); !slices.Equal(got, want) {
			t.Fatalf("blobs %v, want %v", got, want)
		}
	}
	t.Logf("%d kills, %d with partial blobs: %v", kills, resumed, hit)
	if resumed < 5 {
		t.Errorf("only %d kills left a partial blob", resumed)
	}
}

func emptyIngest(t testing.TB, store string) {
	t.Helper()
	if _, err := os.Stat(store); errors.Is(err, fs.ErrNotExist) {
		return // killed before there was a store
	}
	onlyThese(t, filepath.Join(store, ".imgmgr", "ingest"))
}
