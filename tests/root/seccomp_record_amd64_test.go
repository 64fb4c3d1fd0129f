// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"slices"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// TestRootSeccompRecord32: calls of 32-bit programs are known by their own numbers,
// and the profile is for them, too.
func TestRootSeccompRecord32(t *testing.T) {
	v := newVessel(t, testkit.Args("/old"))
	v.write("old", string(testkit.Image(
		0xb8, 0x66, 0, 0, 0, 0xbb, 99, 0, 0, 0, 0xcd, 0x80, // socketcall(99)
		0xb8, 0x66, 0, 0, 0, 0xbb, 1, 0, 0, 0, 0x31, 0xc9, 0xcd, 0x80, // socketcall(SYS_SOCKET, 0)
		0xb8, 1, 0, 0, 0, 0xbb, 7, 0, 0, 0, 0xcd, 0x80, // exit(7)
	)), 0o755)
	got := v.record("--tight")
	if got.said != (said{"", "", 7}) {
		t.Fatalf("%+v", got.said)
	}
	s := got.profile(t)
	if want := []specs.Arch{"SCMP_ARCH_X86_64", "SCMP_ARCH_X86"}; !slices.Equal(s.Architectures, want) {
		t.Errorf("architectures: %q", s.Architectures)
	}
	if want := []string{"execve", "exit", "socket", "socketcall"}; !slices.Equal(s.Syscalls[0].Names, want) {
		t.Errorf("calls: %q", s.Syscalls[0].Names)
	}
	v.edit(under(s))
	if got := v.run(); got != (said{"", "", 7}) {
		t.Errorf("under what was recorded: %+v", got)
	}
	s.Architectures = s.Architectures[:1]
	v.edit(under(s))
	if got := v.run(); got.code != 159 {
		t.Errorf("without the architecture: %+v", got)
	}
}
