// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package seccomp has what tests and benches compare runtime/seccomp with:
// libseccomp, and the default profiles of docker and podman.
package seccomp

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/coracle-oci/coracle/runtime/seccomp"
)

// A Library is a process that calls libseccomp for us.
type Library struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// Start compiles the process's program, testdata/libseccomp.c below repo, into
// dir and starts it.
func Start(repo, dir string) (*Library, error) {
	program := filepath.Join(dir, "libseccomp")
	cc := exec.Command("cc", "-O2", "-Wall", "-Werror", "-o", program, filepath.Join(repo, "tests/seccomp/testdata/libseccomp.c"), "-lseccomp")
	if out, err := cc.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	l := &Library{cmd: exec.Command(program)}
	var err error
	if l.in, err = l.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	l.out = bufio.NewReaderSize(out, 1<<20)
	l.cmd.Stderr = &strings.Builder{}
	return l, l.cmd.Start()
}

// Close ends the process.
func (l *Library) Close() error {
	l.in.Close()
	if err := l.cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, l.cmd.Stderr)
	}
	return nil
}

func (l *Library) ask(text string) (string, error) {
	if _, err := io.WriteString(l.in, text); err != nil {
		return "", err
	}
	answer, err := l.out.ReadString('\n')
	return strings.TrimSpace(answer), err
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
