// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
)

// A helper is a process that answers lines: what of C is needed here is in a
// program of its own, so that no test needs cgo.
type helper struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// startHelper compiles testdata/NAME.c into dir and starts it.
func startHelper(repo, dir, name, library string) (helper, error) {
	program := filepath.Join(dir, name)
	cc := exec.Command("cc", "-O2", "-Wall", "-Werror", "-o", program, filepath.Join(repo, "tests/seccomp/testdata", name+".c"), library)
	if out, err := cc.CombinedOutput(); err != nil {
		return helper{}, fmt.Errorf("%w: %s", err, out)
	}
	h := helper{cmd: exec.Command(program)}
	var err error
	if h.in, err = h.cmd.StdinPipe(); err != nil {
		return helper{}, err
	}
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		return helper{}, err
	}
	h.out = bufio.NewReaderSize(out, 1<<20)
	h.cmd.Stderr = &strings.Builder{}
	return h, h.cmd.Start()
}

// Close ends the process.
func (h helper) Close() error {
	h.in.Close()
	if err := h.cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, h.cmd.Stderr)
	}
	return nil
}

func (h helper) ask(text string) (string, error) {
	if _, err := io.WriteString(h.in, text); err != nil {
		return "", err
	}
	answer, err := h.out.ReadString('\n')
	return strings.TrimSpace(answer), err
}
