// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package images_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// TestRootTransferDiskFull: a pull onto a full disk is one clear error, at once,
// and leaves neither a name nor the bytes that fill the disk.
func TestRootTransferDiskFull(t *testing.T) {
	testkit.Need(t, testkit.Root)
	store, _ := noiseStore(t, 4, 1<<20)
	address, _ := serve(t, store)
	back := filepath.Join(mountTmpfs(t, "size=3m"), "store")
	exits(t, 1, "(ENOSPC)", back, "pull", "--insecure", "--jobs", "1", address+"/app:1")
	emptyIngest(t, back)
	if got := must(t, back, "ls"); strings.Contains(got, "app") {
		t.Errorf("it has a name: %s", got)
	}
	must(t, back, "gc")
	if n := len(blobs(t, back)); n != 0 {
		t.Errorf("%d blobs after gc", n)
	}
	file := filepath.Join(filepath.Dir(back), "app.tar")
	exits(t, 1, "(ENOSPC)", store, "export", "app:1", file)
	if entries, err := os.ReadDir(filepath.Dir(file)); err != nil || len(entries) != 1 {
		t.Errorf("export left %v, %v", entries, err)
	}
}
