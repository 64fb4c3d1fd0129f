// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package inroot

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// tree makes a directory with links that point out of it, and one beside it that
// must stay as it is.
func tree(t *testing.T) (*Dir, string, string) {
	t.Helper()
	base := t.TempDir()
	inside, outside := filepath.Join(base, "in"), filepath.Join(base, "out")
	for _, err := range []error{
		os.MkdirAll(inside+"/etc", 0o755), os.MkdirAll(outside+"/etc", 0o755),
		os.WriteFile(outside+"/etc/passwd", []byte("outside"), 0o600),
		os.WriteFile(inside+"/etc/passwd", []byte("inside"), 0o600),
		os.Symlink(outside, inside+"/abs"), os.Symlink("../out", inside+"/rel"), os.Symlink("/etc/passwd", inside+"/passwd"),
		os.Symlink("loop", inside+"/loop"), syscall.Mkfifo(inside+"/fifo", 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	d, err := Open(inside)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, inside, outside
}

func TestReadFile(t *testing.T) {
	d, _, _ := tree(t)
	for name, want := range map[string]string{"etc/passwd": "inside", "passwd": "inside", "../../etc/passwd": "inside", "/etc/passwd": "inside"} {
		if data, err := d.ReadFile(name, 100); err != nil || string(data) != want {
			t.Errorf("%s: got %q %v, want %q", name, data, err, want)
		}
	}
	for name, want := range map[string]string{
		"abs/etc/passwd": "no such file", "rel/etc/passwd": "no such file", "loop": "too many levels", "fifo": "not a regular file",
		"etc": "not a regular file", "nothing": "no such file",
	} {
		if data, err := d.ReadFile(name, 100); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %q %v, want an error with %q", name, data, err, want)
		}
	}
	if _, err := d.ReadFile("etc/passwd", 5); err == nil || !strings.Contains(err.Error(), "more than 5 bytes") {
		t.Errorf("beyond the limit: %v", err)
	}
}

func TestBeneath(t *testing.T) {
	d, _, _ := tree(t)
	for _, name := range []string{"abs", "rel", "passwd", "..", "/etc", "abs/etc", "rel/etc", "fifo", "nothing"} {
		if sub, err := d.OpenDir(name); err == nil {
			sub.Close()
			t.Errorf("OpenDir %s works", name)
		}
		if f, err := d.OpenFile(name); err == nil {
			f.Close()
			t.Errorf("OpenFile %s works", name)
		}
	}
	sub, err := d.OpenDir("etc")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	f, err := sub.OpenFile("passwd")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := d.WriteFile("passwd", []byte("x"), 0o600); !errors.Is(err, syscall.EEXIST) {
		t.Errorf("WriteFile on a link: %v", err)
	}
	if err := d.Rename("etc", "abs"); !errors.Is(err, syscall.EEXIST) {
		t.Errorf("Rename onto a name: %v", err)
	}
}

func TestRemoveAll(t *testing.T) {
	d, inside, outside := tree(t)
	if err := os.Chmod(inside+"/etc", 0); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"abs", "rel", "etc", "fifo", "nothing"} {
		if err := d.RemoveAll(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := d.RemoveContent(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(inside); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if data, err := os.ReadFile(outside + "/etc/passwd"); err != nil || string(data) != "outside" {
		t.Errorf("outside was touched: %q %v", data, err)
	}
}

// TestRemoveDeep: a tree deeper than any path can say, and than the process may
// have files open.
func TestRemoveDeep(t *testing.T) {
	dir := t.TempDir()
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	at := d
	for range 1500 {
		if err := at.Mkdir("a-directory-name", 0o755); err != nil {
			t.Fatal(err)
		}
		next, err := at.OpenDir("a-directory-name")
		if err != nil {
			t.Fatal(err)
		}
		if at != d {
			at.Close()
		}
		at = next
	}
	if err := at.WriteFile("file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	at.Close()
	if err := d.RemoveAll("a-directory-name"); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
