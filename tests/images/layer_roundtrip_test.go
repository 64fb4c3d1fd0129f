// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package images_test

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// TestRootLayersDebian: a Debian and all that is odd goes into an image, out of
// it, is changed, committed and comes out again, the same each time.
func TestRootLayersDebian(t *testing.T) {
	testkit.Need(t, testkit.Root)
	dir := t.TempDir()
	store, tree := filepath.Join(dir, "store"), filepath.Join(dir, "tree")
	run(t, "cp", "-a", testkit.Debian(t), tree)
	oddities(t, filepath.Join(tree, "odd"))

	for _, c := range []struct{ compress, tree string }{{"gzip", tree}, {"zstd", tree + "/odd"}, {"none", tree + "/odd"}} {
		first := must(t, store, "import", "--compress", c.compress, "--cmd", "/bin/sh", c.tree, "debian:"+c.compress)
		again := must(t, store, "import", "--compress", c.compress, "--cmd", "/bin/sh", c.tree, "debian:again")
		if first != again {
			t.Errorf("%s: importing one tree twice gives %s and %s", c.compress, first, again)
		}
		b := filepath.Join(dir, "bundle-"+c.compress)
		must(t, store, "unpack", "debian:"+c.compress, b)
		sameTree(t, filepath.Join(b, "rootfs"), c.tree)
	}

	bundle := filepath.Join(dir, "bundle-gzip")
	rootfs := filepath.Join(bundle, "rootfs")
	if same := must(t, store, "commit", bundle, "debian:same"); !strings.Contains(manifestOf(t, store, "debian:gzip"), same) {
		t.Errorf("a commit without changes gives %s, which is not that of its base", same)
	}
	change(t, rootfs)
	must(t, store, "commit", bundle, "debian:changed")
	second := filepath.Join(dir, "second")
	must(t, store, "unpack", "debian:changed", second)
	sameTree(t, filepath.Join(second, "rootfs"), rootfs)
	names := layerNames(t, store, "debian:changed")
	for _, name := range []string{"etc/new/file", "etc/passwd", "odd/.wh.fifo", "odd/.wh.loop", "odd/dangling", "odd/epoch", "odd/setuid", "odd/null/", "odd/null/now-a-directory", "odd/sticky", "odd/old"} {
		if !slices.Contains(names, name) {
			t.Errorf("the layer has no %q", name)
		}
	}
	for _, name := range []string{"etc/group", "odd/capable", "odd/sparse", "usr/bin/env", "usr/bin/", "odd/deep/"} {
		if slices.Contains(names, name) {
			t.Errorf("the layer has %q, which did not change", name)
		}
	}
	if len(names) > 24 {
		t.Errorf("the layer has %d entries: %q", len(names), names)
	}
}

// change makes changes of every kind, and some that are none.
func change(t testing.TB, root string) {
	t.Helper()
	for _, script := range []string{
		"echo games2:x:999:999::/:/bin/sh >>etc/passwd",
		"mkdir etc/new && echo new >etc/new/file",
		"rm odd/fifo odd/loop",
		"touch -r odd/file stamp && touch odd/file && touch -r stamp odd/file && rm stamp",
		"chmod 0755 usr/bin/env && chmod 0 odd/capable && chmod 0755 odd/capable",
		"chown 7:7 odd/epoch && chmod 04711 odd/setuid",
		"rm odd/null && mkdir odd/null && touch odd/null/now-a-directory",
		"rm -r odd/sticky && echo now a file >odd/sticky",
		"ln odd/file odd/third",
		"ln -sfn elsewhere odd/dangling",
	} {
		c := exec.Command("sh", "-ec", script)
		c.Dir = root
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
	}
	for _, name := range []string{"etc/new/file", "odd/old"} {
		if err := unix.Lsetxattr(filepath.Join(root, name), "trusted.x", []byte("y"), 0); err != nil {
			t.Fatal(err)
		}
	}
}

// layerNames returns the names in the last layer of an image.
func layerNames(t testing.TB, store, name string) []string {
	t.Helper()
	var m struct {
		Layers []struct{ Digest string }
	}
	if err := json.Unmarshal([]byte(manifestText(t, store, name)), &m); err != nil {
		t.Fatal(err)
	}
	last := m.Layers[len(m.Layers)-1].Digest
	f, err := os.Open(filepath.Join(store, "blobs", strings.Replace(last, ":", "/", 1)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return names
		} else if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
	}
}

func manifestText(t testing.TB, store, name string) string {
	t.Helper()
	o, e, err := imgmgr(t, store, "inspect", "--raw", name)
	if err != nil {
		t.Fatalf("inspect: %v\n%s", err, e)
	}
	return o
}

// manifestOf returns the line of ls for an image.
func manifestOf(t testing.TB, store, name string) string {
	t.Helper()
	o, e, err := imgmgr(t, store, "ls")
	if err != nil {
		t.Fatalf("ls: %v\n%s", err, e)
	}
	for line := range strings.Lines(o) {
		if strings.HasPrefix(line, name+" ") {
			return line
		}
	}
	t.Fatalf("ls has no %s:\n%s", name, o)
	return ""
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
