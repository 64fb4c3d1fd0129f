// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package testkit

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Debian returns the path of a whole Debian system: a real root file system, with
// device nodes, hard links, setuid programs and names in every alphabet. It must
// not be changed: making it takes half a minute, so it is made once and kept in
// the temporary directory of the machine. It needs [Root] and debootstrap.
func Debian(t testing.TB) string {
	t.Helper()
	path := filepath.Join(os.TempDir(), "coracle-debian")
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	check(t, err)
	defer lock.Close() // which unlocks it
	check(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
	if _, err := os.Stat(path); err == nil {
		return path
	}
	half, err := os.MkdirTemp("", "coracle-debian-half-")
	check(t, err)
	defer os.RemoveAll(half)
	// 0755 before it is filled: the root directory is a part of the system.
	check(t, os.Chmod(half, 0o755))
	out, err := exec.Command("debootstrap", "--variant=minbase", "bookworm", half, mirror(t)).CombinedOutput()
	if err != nil {
		t.Fatalf("debootstrap: %v\n%s", err, out[max(0, len(out)-2000):])
	}
	check(t, os.Rename(half, path))
	return path
}

// mirror returns the address that apt gets Debian's packages from.
func mirror(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)", "Created-By: Packages").Output()
	check(t, err)
	for line := range bytes.Lines(out) {
		// Suites like bookworm-updates have the changes only.
		if suite, address, ok := strings.Cut(strings.TrimSpace(string(line)), " "); ok && !strings.Contains(suite, "-") {
			return address
		}
	}
	t.Fatal("apt knows no mirror: run apt-get update")
	return ""
}
