// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Command overlay writes DIR/overlay.json, for go build -overlay, with changes to
// the Go runtime that let short programs start sooner (RATIONALE.md):
// "go run ./tools/overlay DIR". A change whose lines are not in this Go's source
// exactly once is left out with a warning: the programs are the same, and slower.
package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A change is made as a whole or not at all.
type change struct {
	what  string
	edits []edit
}

// An edit replaces text of a file of package runtime; what replaces no text is appended.
type edit struct{ file, old, new string }

// changes is not a variable, so that nothing changes it.
func changes() []change {
	return []change{
		{"no look for the CPU limit of programs with go:debug containermaxprocs=0", []edit{
			{"cgroup_linux.go", "\nfunc defaultGOMAXPROCSInit() {\n", "\nfunc defaultGOMAXPROCSInit() {\n\tif debug.containermaxprocs == 0 {\n\t\treturn\n\t}\n"},
		}},
		// Programs with cgo keep to Go's order: C's threads call Go without a go statement.
		{"no second thread before there is a second goroutine or a timer", []edit{
			{"proc.go", "\n\tmainStarted = true\n", "\n\tmainStarted = iscgo\n"},
			{"proc.go", "\n\tif haveSysmon {\n", "\n\tif haveSysmon && iscgo {\n"},
			{"proc.go", "\n\t\tif mainStarted {\n", `
		if fn.fn != abi.FuncPCABIInternal(runFinalizers) && fn.fn != abi.FuncPCABIInternal(runCleanups) {
			startOthers()
		}
		if mainStarted {
`},
			{"proc.go", "", `
func startOthers() {
	if main_init_done != nil && !mainStarted {
		mainStarted = true
		systemstack(func() { newm(sysmon, nil, -1) })
	}
}
`},
			{"time.go", " c *hchan) *timeTimer {\n", " c *hchan) *timeTimer {\n\tstartOthers()\n"},
			{"mgc.go", "\n\t<-c\n\t<-c\n\tmemstats.enablegc = true", "\n\tmemstats.enablegc = true"},
		}},
		// The first allocation is always one, before the linker's word that nobody reads the
		// profile is heeded: a walk of the stack by tables that nothing else touches.
		{"no sample of the memory for a profile that the program does not have", []edit{
			{"malloc.go", "\n\tif MemProfileRate == 0 {\n\t\t// Basically", "\n\tif MemProfileRate == 0 || disableMemoryProfiling {\n\t\t// Basically"},
		}},
		// All stacks of a piece are written to when the first one is wanted.
		{"stacks are cut from pieces of 16 KiB, not 32", []edit{
			{"malloc.go", "\n\t_StackCacheSize = 32 * 1024\n", "\n\t_StackCacheSize = 16 * 1024\n"},
		}},
		// What os/signal is told to catch it installs a handler for when it is told. What
		// the caller ignores is not inherited, as with the handlers.
		{"handlers at the start only for those signals that the runtime itself lives on", []edit{
			{"signal_unix.go", "\n\t\tif !sigInstallGoHandler(i) {\n", `
		if fwdSig[i] == _SIG_DFL && t.flags&_SigPanic == 0 && i != _SIGPIPE && i != sigPreempt && i != sigPerThreadSyscall && !iscgo {
			continue
		}
		if !sigInstallGoHandler(i) {
`},
		}},
	}
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: overlay DIR")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "overlay:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("go env GOROOT: %w", err)
	}
	skipped, err := overlay(filepath.Join(strings.TrimSpace(string(goroot)), "src/runtime"), dir)
	for _, what := range skipped {
		fmt.Fprintf(os.Stderr, "overlay: this Go is not as expected, left out: %s\n", what)
	}
	return err
}

// overlay writes the changed files of the runtime to dir, and overlay.json. It
// returns the changes that the runtime is not made for.
func overlay(runtime, dir string) (skipped []string, err error) {
	changed := map[string]string{}
	for _, c := range changes() {
		if !c.apply(runtime, changed) {
			skipped = append(skipped, c.what)
		}
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return skipped, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return skipped, err
	}
	replace := map[string]string{}
	for file, text := range changed {
		path := filepath.Join(dir, strings.TrimSuffix(file, ".go")+".txt") // what ends in .go is taken for a package of this module
		replace[filepath.Join(runtime, file)] = path
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return skipped, err
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return skipped, err
	}
	return skipped, os.WriteFile(filepath.Join(dir, "overlay.json"), append(text, '\n'), 0o644)
}

// apply makes the change in the files of changed, where those are that are not as
// they are in runtime. It reports whether it could.
func (c change) apply(runtime string, changed map[string]string) bool {
	mine := map[string]string{}
	for _, e := range c.edits {
		text, ok := mine[e.file]
		if !ok {
			text, ok = changed[e.file]
		}
		if !ok {
			source, err := os.ReadFile(filepath.Join(runtime, e.file))
			if err != nil {
				return false
			}
			text = string(source)
		}
		switch {
		case e.old == "":
			text += e.new
		case strings.Count(text, e.old) == 1:
			text = strings.Replace(text, e.old, e.new, 1)
		default:
			return false
		}
		mine[e.file] = text
	}
	maps.Copy(changed, mine)
	return true
}
