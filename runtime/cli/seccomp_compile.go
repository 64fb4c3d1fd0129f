// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/runtime/seccomp"
)

func seccompCompileVerb() command.Verb {
	return command.Verb{
		Name: "seccomp compile", Args: "PROFILE", Min: 1, Max: 1,
		Flags: []command.Flag{
			archFlag("for a machine that runs programs of this architecture (default: this machine)"),
			capFlag(),
			{Names: []string{"raw"}, Help: "write the program itself: an array of struct sock_filter"},
		},
		Summary: "print the BPF program that a profile becomes",
		Long: `
The program is what create loads for it. A line is an instruction: where it says
"then 7 else 12", it goes on at these lines. Calls are searched by their numbers,
so what is allowed lies between two of them.

With --raw it is what seccomp(2) takes, little-endian, for other tools: 8 bytes for
each instruction.

examples:
  coracle seccomp compile bundle
  coracle seccomp compile --raw profile.json | wc -c
  coracle seccomp compile --raw --arch aarch64 profile.json > filter.bpf

exit status:
  0  it was printed
  1  the profile is wrong, or is too long for the kernel`,
		Run: compileProfile,
	}
}

func compileProfile(c *command.Call) error {
	goarch := runtime.GOARCH
	if c.Given("arch") {
		a, err := parseArch(c.String("arch"))
		if err != nil {
			return err
		}
		goarch = portOf(a)
	}
	f, err := readProfile(c)
	if err != nil {
		return err
	}
	p, err := f.on(goarch)
	if err != nil {
		return err
	}
	program, err := p.Compile(p.where)
	if err != nil {
		return err
	}
	if !c.Bool("raw") {
		return printProgram(p.Profile, program)
	}
	if sys.IsTerminal(1) {
		return &fail.Error{Where: "--raw", Doing: "standard output is a terminal", Hint: "write it to a file: > FILE"}
	}
	_, err = os.Stdout.Write(seccomp.Encode(program))
	return err
}

func printProgram(p *seccomp.Profile, program []seccomp.Instruction) error {
	archs := make([]string, len(p.Archs))
	for i, a := range p.Archs {
		archs[i] = a.Name
	}
	_, flags := p.LoadFlags()
	if flags != "" {
		flags = ", loaded with " + flags
	}
	_, err := fmt.Printf("%d of at most %d instructions, %d bytes%s, for %s\n%s", len(program), seccomp.MaxInstructions, len(seccomp.Encode(program)), flags,
		strings.Join(archs, " "), seccomp.Text(program))
	return err
}
