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

func TestStatPath(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink("/dev/null", link); err != nil {
		t.Fatal(err)
	}
	if mode, rdev, err := StatPath(link); err != nil || mode&syscall.S_IFMT != syscall.S_IFCHR || rdev != 1<<8|3 {
		t.Errorf("/dev/null: got mode %o, rdev %x, %v", mode, rdev, err)
	}
	if mode, _, err := StatPath(dir); err != nil || mode&syscall.S_IFMT != syscall.S_IFDIR {
		t.Errorf("directory: got mode %o, %v", mode, err)
	}
	if _, _, err := StatPath(filepath.Join(link, "x")); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("below a device: got %v", err)
	}
}
