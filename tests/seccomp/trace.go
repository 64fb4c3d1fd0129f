// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/coracle-oci/coracle/runtime/seccomp"
)

// Trace has strace tell the calls of real programs, with their arguments: such as
// read the sources of repo, sort and count. dir is for its log.
func Trace(repo, dir string) (calls []seccomp.Data, err error) {
	log := filepath.Join(dir, "trace")
	cmd := exec.Command("strace", "-f", "-e", "raw=all", "-o", log, "sh", "-c", "find . -name '*.go' | xargs -n 20 cat | sort | uniq -c | tail -n 1")
	cmd.Dir = repo
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		return nil, err
	}
	a := seccomp.Native("amd64")
	line := regexp.MustCompile(`(?m)^\d+ +(\w+)\(([^)]*)\) += `)
	for _, m := range line.FindAllStringSubmatch(string(text), -1) {
		d := seccomp.Data{Arch: a.Token}
		var ok bool
		if d.Number, ok = a.Number(m[1]); !ok {
			return nil, fmt.Errorf("strace knows %s", m[1])
		}
		for i, arg := range strings.Split(m[2], ", ") {
			if i < len(d.Args) {
				d.Args[i], _ = strconv.ParseUint(arg, 0, 64)
			}
		}
		calls = append(calls, d)
	}
	if len(calls) < 500 {
		err = fmt.Errorf("only %d calls were traced", len(calls))
	}
	return calls, err
}

// Steps is how many instructions a filter takes for all calls.
func Steps(program []seccomp.Instruction, calls []seccomp.Data) (sum int, err error) {
	for _, d := range calls {
		_, n, err := seccomp.Run(program, d)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}
