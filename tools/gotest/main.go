// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Gotest runs go test for people and for CI: it prints what failed, why a test
// was skipped, the seeds of random tests and one line per package, and it fails
// on any skip that tests/SKIPS does not list.
//
//	gotest ARGUMENTS OF GO TEST...
//	gotest -stdin       read the events of a test that ran elsewhere (test2json)
//	gotest -summary     count what all runs so far have recorded
//
// It records the outcome of each test in out/test/, so that the summary knows
// which skipped tests have run in another batch.
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

const (
	skipsFile = "tests/SKIPS"
	recordDir = "out/test"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	skips, err := os.ReadFile(skipsFile)
	if err != nil {
		return err
	}
	report := &Report{Out: os.Stdout, Skips: ParseSkips(string(skips))}
	switch {
	case len(args) == 1 && args[0] == "-summary":
		return summary(os.Stdout)
	case len(args) == 1 && args[0] == "-stdin":
		err = report.Read(os.Stdin)
	default:
		err = goTest(report, args)
	}
	if recordErr := record(report.Outcomes); err == nil {
		err = recordErr
	}
	if err == nil {
		err = report.Verdict()
	}
	return err
}

// goTest runs go test -json with args. A failure that has no event of its own
// (a build that breaks, a run that is killed) still shows in the exit status.
func goTest(report *Report, args []string) error {
	command := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	command.Stderr = os.Stderr
	events, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	if err := report.Read(events); err != nil {
		return err
	}
	if err := command.Wait(); err != nil && report.Failed == 0 {
		return fmt.Errorf("go test: %w", err)
	}
	return nil
}

// record adds the outcomes to out/test/, in a file of this run's own.
func record(outcomes []Outcome) error {
	if err := os.MkdirAll(recordDir, 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(recordDir, "run-*.tsv")
	if err != nil {
		return err
	}
	for _, o := range outcomes {
		fmt.Fprintf(file, "%s\t%s\n", o.Action, o.Test)
	}
	return file.Close()
}

// summary prints the skipped tests that ran nowhere, and the totals.
func summary(out io.Writer) error {
	files, err := filepath.Glob(recordDir + "/run-*.tsv")
	if err != nil {
		return err
	}
	var records []string
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		records = append(records, string(data))
	}
	if len(records) == 0 {
		return fmt.Errorf("nothing is recorded in %s", recordDir)
	}
	return Summarize(out, records)
}
