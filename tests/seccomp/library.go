// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package seccomp has what tests and benches compare runtime/seccomp with:
// libseccomp, and the default profiles of docker and podman.
package seccomp

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coracle-oci/coracle/runtime/seccomp"
)

// A Library is a process that calls libseccomp for us.
type Library struct{ helper }

// Start compiles the process's program into dir and starts it; repo is where this
// repository is.
func Start(repo, dir string) (*Library, error) {
	h, err := startHelper(repo, dir, "libseccomp", "-lseccomp")
	return &Library{h}, err
}

// Number is what libseccomp calls a number: less than 0 if there is none.
func (l *Library) Number(a *seccomp.Arch, name string) (n int, err error) {
	answer, err := l.ask(fmt.Sprintf("resolve %d %s\n", token(a), name))
	if err == nil {
		_, err = fmt.Sscan(answer, &n)
	}
	return n, err
}

// token is what libseccomp calls an architecture: x32 has one of its own.
func token(a *seccomp.Arch) uint32 {
	if a.Name == "SCMP_ARCH_X32" {
		return a.Token &^ 0x80000000
	}
	return a.Token
}

// Compile has libseccomp compile a profile as runc does, for the architectures
// given, and says how long its calls took.
func (l *Library) Compile(p *seccomp.Profile, archs []*seccomp.Arch, optimize int) ([]seccomp.Instruction, time.Duration, error) {
	var b strings.Builder
	machine := 0
	if slices.Contains(archs, seccomp.Native("amd64")) {
		machine = 1
	}
	fmt.Fprintf(&b, "begin %d %d\n", p.Default, machine)
	for _, a := range archs {
		if a != seccomp.Native("amd64") {
			fmt.Fprintf(&b, "arch %d\n", token(a))
		}
	}
	for _, r := range p.Rules {
		if r.Return == p.Default {
			continue
		}
		for _, name := range r.Names {
			fmt.Fprintf(&b, "rule %d %s", r.Return, name)
			for _, c := range r.Conditions {
				a, two := c.Value, uint64(0)
				if c.Op == seccomp.MaskedEqual {
					a, two = c.Mask, c.Value
				}
				fmt.Fprintf(&b, " %d %d %d %d", c.Arg, c.Op+1, a, two)
			}
			b.WriteByte('\n')
		}
	}
	fmt.Fprintf(&b, "end %d\n", optimize)
	answer, err := l.ask(b.String())
	if err != nil {
		return nil, 0, err
	}
	text, nanoseconds, _ := strings.Cut(answer, " ")
	raw, err := hex.DecodeString(text)
	if err != nil {
		return nil, 0, err
	}
	took, err := time.ParseDuration(nanoseconds + "ns")
	return seccomp.Decode(raw), took, err
}
