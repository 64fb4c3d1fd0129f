// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package unpack

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
)

// withProfile returns a config with the profile that a word stands for.
func withProfile(t *testing.T, word string) *specs.Spec {
	t.Helper()
	p, err := Profile(word)
	if err != nil {
		t.Fatal(err)
	}
	s, err := convert(v1.Image{}, user{}, Config{}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := setProfile(s, p); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestDefaultProfile: what it has depends on the capabilities of the bundle.
func TestDefaultProfile(t *testing.T) {
	s := withProfile(t, "default")
	p := s.Linux.Seccomp
	names := func(name string) bool {
		return slices.ContainsFunc(p.Syscalls, func(c specs.LinuxSyscall) bool { return slices.Contains(c.Names, name) })
	}
	if p.DefaultAction != specs.ActErrno || len(p.Architectures) < 2 || !names("read") || !names("chroot") || names("mount") || names("reboot") {
		t.Errorf("got %+v", p)
	}
	if s.Version != "1.1.0" {
		t.Errorf("a config of %s must not have errnoRet", s.Version)
	}
}

func TestUnconfined(t *testing.T) {
	if p, err := Profile("unconfined"); p != nil || err != nil {
		t.Errorf("got %v %v", p, err)
	}
}

func TestProfileFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "unconfined") // a path is no word
	text := `{"defaultAction": "SCMP_ACT_LOG", "syscalls": [
		{"names": ["one"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_CHROOT"], "minKernel": "4.8"}},
		{"names": ["two"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}}
	]}`
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if p := withProfile(t, file).Linux.Seccomp; p.DefaultAction != specs.ActLog || len(p.Syscalls) != 1 || p.Syscalls[0].Names[0] != "one" {
		t.Errorf("got %+v", p)
	}
}

func TestProfileRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for word, want := range map[string]string{
		dir + "/none":       dir + "/none: read the seccomp profile: no such file or directory (ENOENT)",
		dir:                 dir + ": read the seccomp profile: is a directory (EISDIR)",
		"":                  "read the seccomp profile: no such file or directory (ENOENT)",
		write("empty", nil): dir + "/empty: is empty",
		write("bad", []byte(`{"defaultAction": "SCMP_ACT_LOG", "syscalls": [{"names": ["a"], "action": "ALLOW"}]}`)): dir + `/bad syscalls[0].action: unknown action "ALLOW"`,
		write("large", bytes.Repeat([]byte(" "), maxProfile+1)):                                                      dir + "/large: is larger than the 4194304 bytes that a seccomp profile may have",
	} {
		if p, err := Profile(word); err == nil || err.Error() != want {
			t.Errorf("%s: got %v %v", word, p, err)
		}
	}
	if _, err := Profile("unconfned"); !strings.Contains(fail.HintOf(err), "default or unconfined") {
		t.Errorf("the hint is %q", fail.HintOf(err))
	}
}
