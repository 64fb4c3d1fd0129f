// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package probe

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/coracle-oci/coracle/runtime/facts"
)

func TestFacts(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing")
	f, err := Facts([]string{"/dev/null", dir, missing, "/dev/null/x"})
	if err != nil {
		t.Fatal(err)
	}
	if f.Kernel == "" || f.Arch != runtime.GOARCH || f.UID != os.Geteuid() || f.GID != os.Getegid() || f.LastCap < 40 {
		t.Errorf("got %+v", f)
	}
	if k := f.Files["/dev/null"]; k.Mode&syscall.S_IFMT != syscall.S_IFCHR || k.Rdev != 1<<8|3 {
		t.Errorf("/dev/null: got %+v", k)
	}
	if k := f.Files[dir]; k.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		t.Errorf("directory: got %+v", k)
	}
	for _, path := range []string{missing, "/dev/null/x"} {
		if k, ok := f.Files[path]; !ok || k != (facts.Kind{}) {
			t.Errorf("%s: got %+v, %v", path, k, ok)
		}
	}
}

// TestFactsOfALoop: what cannot be looked at is not "missing".
func TestFactsOfALoop(t *testing.T) {
	loop := filepath.Join(t.TempDir(), "loop")
	if err := os.Symlink("loop", loop); err != nil {
		t.Fatal(err)
	}
	_, err := Facts([]string{loop})
	if !errors.Is(err, syscall.ELOOP) || !strings.Contains(err.Error(), loop) {
		t.Errorf("got %v", err)
	}
}

func BenchmarkFacts(b *testing.B) {
	for b.Loop() {
		if _, err := Facts([]string{"/dev/null", "/etc/resolv.conf"}); err != nil {
			b.Fatal(err)
		}
	}
}
