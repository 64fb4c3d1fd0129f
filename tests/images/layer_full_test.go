// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package images_test

import (
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// TestRootLayersDiskFull: one clear error, and nothing left, whether the limit
// is found before the disk is full or by it.
func TestRootLayersDiskFull(t *testing.T) {
	testkit.Need(t, testkit.Root)
	store, tree := filepath.Join(t.TempDir(), "store"), t.TempDir()
	noise := make([]byte, 12<<20)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b", "c"} {
		if err := os.WriteFile(filepath.Join(tree, name), noise, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	must(t, store, "import", tree, "big:1")
	small := mountTmpfs(t, "size=16m")
	for _, c := range []struct {
		name, say string
		args      []string
	}{
		{"found before", "that there is room for", nil},
		{"found by the disk", "(ENOSPC)", []string{"--max-size", "1G"}},
		{"limit given", "more than the 1048576 bytes", []string{"--max-size", "1M"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, e, err := imgmgr(t, store, append([]string{"unpack", "big:1", filepath.Join(small, "bundle")}, c.args...)...)
			text := strings.TrimSpace(e)
			last := text[strings.LastIndexByte(text, '\n')+1:]
			if err == nil || !strings.Contains(last, c.say) || strings.Count(text, "\n") > 1 {
				t.Errorf("%v, want one line with %q:\n%s", err, c.say, e)
			}
			onlyThese(t, small)
		})
	}
	// A store on a full disk: import and commit leave no blob behind.
	must(t, filepath.Join(small, "store"), "gc")
	_, e, err := imgmgr(t, filepath.Join(small, "store"), "import", tree, "big:1")
	if err == nil || !strings.Contains(e, "(ENOSPC)") {
		t.Errorf("import: %v\n%s", err, e)
	}
	var free syscall.Statfs_t
	if err := syscall.Statfs(small, &free); err != nil {
		t.Fatal(err)
	}
	if used := (free.Blocks - free.Bfree) * uint64(free.Bsize); used > 1<<20 {
		t.Errorf("after the failed import %d bytes are used", used)
	}
}

// TestRootLayersBomb: gigabytes of zeros in some megabytes take no room.
func TestRootLayersBomb(t *testing.T) {
	testkit.Need(t, testkit.Root)
	store, tree := filepath.Join(t.TempDir(), "store"), t.TempDir()
	if err := os.WriteFile(filepath.Join(tree, "zeros"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(tree, "zeros"), 1<<30); err != nil {
		t.Fatal(err)
	}
	must(t, store, "import", "--compress", "zstd", tree, "bomb:1")
	small := mountTmpfs(t, "size=16m")
	must(t, store, "unpack", "bomb:1", filepath.Join(small, "bundle"))
	info, err := os.Stat(filepath.Join(small, "bundle/rootfs/zeros"))
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); st.Size != 1<<30 || st.Blocks*512 > 1<<20 {
		t.Errorf("zeros has %d bytes in %d blocks", st.Size, st.Blocks)
	}
}

// mountTmpfs mounts a tmpfs for the test.
func mountTmpfs(t testing.TB, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestRootLayersMounts: what is mounted in a rootfs is not of the image, and a
// socket cannot be.
func TestRootLayersMounts(t *testing.T) {
	testkit.Need(t, testkit.Root)
	store, dir := filepath.Join(t.TempDir(), "store"), t.TempDir()
	smallImage(t, store, "small:1")
	bundle := filepath.Join(dir, "bundle")
	must(t, store, "unpack", "small:1", bundle)
	rootfs := filepath.Join(bundle, "rootfs")
	if err := syscall.Mount("tmpfs", rootfs+"/d1", "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Unmount(rootfs+"/d1", 0); err != nil {
			t.Error(err)
		}
	}()
	run(t, "sh", "-ec", `cd "$0"; echo secret >d1/secret; echo x >d2/new`, rootfs)
	if err := syscall.Mknod(rootfs+"/d2/socket", syscall.S_IFSOCK|0o600, 0); err != nil {
		t.Fatal(err)
	}
	_, e, err := imgmgr(t, store, "commit", bundle, "small:2")
	if err != nil || !strings.Contains(e, "socket left out") || !strings.Contains(e, "mounted") {
		t.Errorf("%v: %s", err, e)
	}
	second := filepath.Join(dir, "second")
	must(t, store, "unpack", "small:2", second)
	onlyThese(t, second+"/rootfs/d1", strings.Fields("f0 f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12 f13 f14 f15 f16 f17 f18 f19")...)
	if _, err := os.Stat(second + "/rootfs/d2/new"); err != nil {
		t.Error(err)
	}
	run(t, "touch", rootfs+"/.wh.evil")
	if _, e, err := imgmgr(t, store, "commit", bundle, "small:3"); err == nil || !strings.Contains(e, ".wh.evil") {
		t.Errorf("a file named .wh.evil: %v: %s", err, e)
	}
}

// TestRootLayersOverlay: an overlay has files with another st_dev than its
// directories (statx(2) and the kernel's overlayfs.rst); they are of its tree all the same.
func TestRootLayersOverlay(t *testing.T) {
	testkit.Need(t, testkit.Root)
	store, lower, memory := filepath.Join(t.TempDir(), "store"), t.TempDir(), t.TempDir()
	if err := syscall.Mount("tmpfs", memory, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	defer syscall.Unmount(memory, syscall.MNT_DETACH)
	run(t, "sh", "-ec", `cd "$0"; mkdir upper work merged; echo new >upper/above; echo old >"$1/below"`, memory, lower)
	merged := memory + "/merged"
	options := "lowerdir=" + lower + ",upperdir=" + memory + "/upper,workdir=" + memory + "/work"
	if err := syscall.Mount("overlay", merged, "overlay", 0, options); err != nil {
		t.Fatal(err)
	}
	defer syscall.Unmount(merged, syscall.MNT_DETACH)
	must(t, store, "import", merged, "merged:1")
	bundle := filepath.Join(t.TempDir(), "bundle")
	must(t, store, "unpack", "merged:1", bundle)
	onlyThese(t, bundle+"/rootfs", "above", "below")
}

// TestRootLayersRuntimes: the bundle's config.json is what other runtimes take.
func TestRootLayersRuntimes(t *testing.T) {
	testkit.Need(t, testkit.Root, testkit.Tool("runc"))
	store, dir := filepath.Join(t.TempDir(), "store"), t.TempDir()
	must(t, store, "import", "--env", "A=b", "--workdir", "/tmp", testkit.Rootfs(t), "busybox:1")
	bundle := filepath.Join(dir, "bundle")
	must(t, store, "unpack", "--pids", "20", "--memory", "64M", "--hostname", "box", "busybox:1", bundle, "--", "/bin/busybox", "sh", "-c", "hostname; echo $A; id -u; exit 7")
	for _, runtime := range []string{"runc", testkit.Bin(t, "coracle")} {
		c := exec.Command(runtime, "--root", filepath.Join(dir, "state"), "run", "-b", bundle, "coracle-layers-test")
		out, err := c.Output()
		if c.ProcessState.ExitCode() != 7 || string(out) != "box\nb\n0\n" {
			t.Errorf("%s: %v, printed %q", runtime, err, out)
		}
	}
}
