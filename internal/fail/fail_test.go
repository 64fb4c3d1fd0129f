// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package fail

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"
)

func TestErrorText(t *testing.T) {
	for _, c := range []struct {
		name string
		have error
		want string
	}{
		{"all", &Error{Where: "config.json mounts[3].source", Doing: "bind /srv/data on /data", Err: syscall.ENOENT},
			"config.json mounts[3].source: bind /srv/data on /data: no such file or directory (ENOENT)"},
		{"no reason", At("config.json ociVersion", "is missing"), "config.json ociVersion: is missing"},
		{"path error", &Error{Doing: "read the bundle", Err: &fs.PathError{Op: "open", Path: "/b", Err: syscall.EACCES}},
			"read the bundle: open /b: permission denied (EACCES)"},
		{"nested once", &Error{Doing: "a", Err: &Error{Doing: "b", Err: syscall.EPERM}}, "a: b: operation not permitted (EPERM)"},
		{"control characters", At("id", "is \"a\nb\x01\""), `id: is "a\nb\x01"`},
	} {
		if got := c.have.Error(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestHintOf(t *testing.T) {
	inner := &Error{Doing: "b", Hint: "do that"}
	if got := HintOf(fmt.Errorf("wrapped: %w", &Error{Doing: "a", Err: inner})); got != "do that" {
		t.Errorf("got %q", got)
	}
	if got := HintOf(errors.New("plain")); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestErrnoName(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		syscall.ENOENT: "ENOENT", syscall.ENOTSUP: "EOPNOTSUPP", syscall.ERFKILL: "ERFKILL", 0: "", 9999: "",
	} {
		if got := ErrnoName(errno); got != want {
			t.Errorf("%d: got %q, want %q", int(errno), got, want)
		}
	}
}

func TestErrnoNumber(t *testing.T) {
	for name, want := range map[string]syscall.Errno{
		"EPERM": syscall.EPERM, "ENOSYS": syscall.ENOSYS, "EBFONT": syscall.EBFONT,
		"EWOULDBLOCK": syscall.EWOULDBLOCK, "EDEADLOCK": syscall.EDEADLOCK, "ENOTSUP": syscall.ENOTSUP,
	} {
		if got, ok := ErrnoNumber(name); !ok || got != int(want) {
			t.Errorf("%s: got %d, want %d", name, got, int(want))
		}
	}
	for _, name := range []string{"", "ENOENTS", "eperm", "1"} {
		if got, ok := ErrnoNumber(name); ok {
			t.Errorf("%q: got %d", name, got)
		}
	}
}

func TestJoin(t *testing.T) {
	first := &Error{Where: "a", Err: syscall.ENOENT, Hint: "make it"}
	if Join(nil) != nil || Join([]error{first}) != error(first) {
		t.Error("what is no list became one")
	}
	err := Join([]error{first, &Error{Where: "b", Err: syscall.EPERM, Hint: "leave it"}})
	if got, want := Reason(err), "a: no such file or directory (ENOENT); b: operation not permitted (EPERM)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if HintOf(err) != "make it" || !errors.Is(err, syscall.EPERM) {
		t.Errorf("hint %q, chain %v", HintOf(err), err)
	}
}
