// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package sys

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestCapabilitiesAgreeWithProc compares with what procfs prints: proc(5).
func TestCapabilitiesAgreeWithProc(t *testing.T) {
	last, err := os.ReadFile("/proc/sys/kernel/cap_last_cap")
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimSpace(string(last)); strconv.Itoa(LastCapability()) != want {
		t.Errorf("last capability: got %d, want %s", LastCapability(), want)
	}
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "CapPrm:")
	line, _, _ := strings.Cut(rest, "\n")
	want, err := strconv.ParseUint(strings.TrimSpace(line), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := PermittedCapabilities(); err != nil || got != want {
		t.Errorf("permitted: got %x, %v, want %x", got, err, want)
	}
}

func TestRelease(t *testing.T) {
	want, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Release(); err != nil || got != strings.TrimSpace(string(want)) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestLook(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	for name, to := range map[string]string{"link": "/dev/null", "dangling": "/absent", "inside": "/sub/../dir"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "dir"), 0o751); err != nil {
		t.Fatal(err)
	}
	if mode, rdev, to, err := Look(unix.AT_FDCWD, link); err != nil || mode&syscall.S_IFMT != syscall.S_IFCHR || rdev != 1<<8|3 || to != "/dev/null" {
		t.Errorf("/dev/null: got mode %o, rdev %x, %q, %v", mode, rdev, to, err)
	}
	if mode, _, to, err := Look(unix.AT_FDCWD, dir); err != nil || mode&syscall.S_IFMT != syscall.S_IFDIR || to != "" {
		t.Errorf("directory: got mode %o, %q, %v", mode, to, err)
	}
	if _, _, to, err := Look(unix.AT_FDCWD, filepath.Join(dir, "dangling")); !errors.Is(err, syscall.ENOENT) || to != "/absent" {
		t.Errorf("dangling: got %q, %v", to, err)
	}
	if _, _, _, err := Look(unix.AT_FDCWD, filepath.Join(link, "x")); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("below a device: got %v", err)
	}
	root, err := Open(dir, unix.O_PATH)
	if err != nil {
		t.Fatal(err)
	}
	defer Close(root)
	if mode, _, to, err := Look(root, "dir"); err != nil || mode != syscall.S_IFDIR|0o751 || to != "" {
		t.Errorf("in the image: got mode %o, %q, %v", mode, to, err)
	}
	if _, _, to, err := Look(root, "link"); !errors.Is(err, syscall.ENOENT) || to != "/dev/null" {
		t.Errorf("a link of the image leads to the host: %q, %v", to, err)
	}
	if _, _, _, err := Look(root, "../../../dev/null"); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("a path of the image leads to the host: %v", err)
	}
}
