// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

import (
	"fmt"
	"strings"
	"time"

	"github.com/coracle-oci/coracle/runtime/seccomp"
)

// A Kernel is a process that has children make calls under a filter.
type Kernel struct{ helper }

// StartKernel compiles the process's program into dir and starts it.
func StartKernel(repo, dir string) (*Kernel, error) {
	h, err := startHelper(repo, dir, "kernel", "-pthread")
	return &Kernel{h}, err
}

// Filter sets the filter for what follows.
func (k *Kernel) Filter(program []seccomp.Instruction) error {
	answer, err := k.ask(fmt.Sprintf("filter %x\n", seccomp.Encode(program)))
	if err == nil && answer != fmt.Sprint(len(program)) {
		err = fmt.Errorf("a filter of %d instructions came as one of %s", len(program), answer)
	}
	return err
}

// Call makes a call and says what became of it, in the words of testdata/kernel.c.
func (k *Kernel) Call(d seccomp.Data) (string, error) {
	abi := 0
	if d.Arch == seccomp.FindArch("SCMP_ARCH_X86").Token {
		abi = 1
	}
	return k.ask(fmt.Sprintf("call %d %s\n", abi, words(d)))
}

// Loop makes a call many times, and says how long that took.
func (k *Kernel) Loop(count int, d seccomp.Data) (time.Duration, error) {
	answer, err := k.ask(fmt.Sprintf("loop %d %s\n", count, words(d)))
	if err != nil {
		return 0, err
	}
	var nanoseconds int64
	if _, err := fmt.Sscanf(answer, "returned %d", &nanoseconds); err != nil {
		return 0, fmt.Errorf("a loop of call %d: %s", d.Number, answer)
	}
	return time.Duration(nanoseconds), nil
}

// words are the number and the arguments.
func words(d seccomp.Data) string {
	return fmt.Sprint(d.Number) + " " + strings.Trim(fmt.Sprint(d.Args), "[]")
}
