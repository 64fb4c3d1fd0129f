// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/container"
)

func psVerb() command.Verb {
	return command.Verb{
		Name: "ps", Args: "ID [PS-ARGUMENT...]", Min: 1, Max: -1, Rest: true,
		Flags: []command.Flag{
			{Names: []string{"format", "f"}, Value: "FORMAT", Default: "table", Help: "table: what the host's ps prints of them; json: an array of pids"},
		},
		Summary: "list the processes of a container",
		Long: `
The pids are those of the host. What follows ID goes to the host's ps; -ef if
nothing does. Its output needs a column PID.

examples:
  coracle ps web
  coracle ps web -o pid,rss,args
  coracle ps --format json web

exit status:
  0  they were listed, be it none
  1  they could not be`,
		Run: withStore(func(c *command.Call, s container.Store) error {
			format, args, err := psFormat(c)
			if err != nil {
				return err
			}
			state, err := s.Look(c.Args[0])
			if err != nil {
				return err
			}
			pids, err := state.PIDs()
			if err != nil {
				return err
			}
			if format == "json" {
				return printCompact(append([]int{}, pids...))
			}
			return psTable(pids, args)
		}),
	}
}

// psFormat returns the format and the arguments of ps. runc takes its flag behind
// the id as well; there it looks like one of ps, but for its value.
func psFormat(c *command.Call) (string, []string, error) {
	format, args := c.String("format"), c.Args[1:]
	if len(args) > 1 && (args[0] == "--format" || args[0] == "-f") && (args[1] == "json" || args[1] == "table") {
		format, args = args[1], args[2:]
	} else if len(args) > 0 && (args[0] == "--format=json" || args[0] == "--format=table") {
		format, args = strings.TrimPrefix(args[0], "--format="), args[1:]
	}
	return format, args, checkFormat(format)
}

func checkFormat(format string) error {
	if format != "table" && format != "json" {
		return &fail.Error{Where: "--format", Doing: "unknown format " + strconv.Quote(format), Hint: "table and json are known"}
	}
	return nil
}

// psTable prints those lines of ps that are about the pids, and its first one.
func psTable(pids []int, args []string) error {
	if len(args) == 0 {
		args = []string{"-ef"}
	}
	out, err := exec.Command("ps", args...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = errors.New(strings.TrimSpace("exit status " + strconv.Itoa(exit.ExitCode()) + ": " + string(exit.Stderr)))
	}
	if err != nil {
		return &fail.Error{Doing: "run ps " + strings.Join(args, " "), Err: err}
	}
	lines := strings.SplitAfter(string(out), "\n")
	column := slices.Index(strings.Fields(lines[0]), "PID")
	if column < 0 {
		return &fail.Error{Doing: "run ps " + strings.Join(args, " ") + ": its output has no column PID", Hint: "let ps print it: -o pid,…"}
	}
	text := lines[0]
	for _, line := range lines[1:] {
		fields := strings.Fields(line)
		if len(fields) <= column {
			continue
		}
		if pid, err := strconv.Atoi(fields[column]); err == nil && slices.Contains(pids, pid) {
			text += line
		}
	}
	_, err = os.Stdout.WriteString(text)
	return err
}

// printCompact prints a value as JSON in one line.
func printCompact(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(append(text, '\n'))
	return err
}
