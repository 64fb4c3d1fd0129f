// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"strconv"
	"strings"

	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/runtime/container"
)

func killVerb() command.Verb {
	return command.Verb{
		Name: "kill", Args: "ID [SIGNAL]", Max: 2,
		Others: []string{"stop"},
		Flags: []command.Flag{
			{Names: []string{"all", "a"}, Help: "signal all processes of the container; none is no error"},
			{Names: []string{"cgroup"}, Value: "PATH", Help: "instead of ID: signal all processes of this cgroup, of a container whose state is gone"},
			regexFlag(),
		},
		Summary: "send a signal to the container's init",
		Long: `
SIGNAL is a name, with or without SIG, or a number; SIGTERM if it is missing.
Real-time signals are RTMIN+N and RTMAX-N. SIGKILL to a container without a PID
namespace of its own ends all its processes, as nothing else would.

examples:
  coracle kill web
  coracle kill web KILL
  coracle kill --regex '^web-' HUP

exit status:
  0  the signal was sent
  1  it was not`,
		Run: withStore(func(c *command.Call, s container.Store) error {
			ids, rest := c.Args[:min(1, len(c.Args))], c.Args[min(1, len(c.Args)):]
			if c.Given("cgroup") {
				ids, rest = nil, c.Args
			}
			if len(ids) == 0 && !c.Given("cgroup") || len(rest) > 1 {
				return &fail.Error{Doing: `"kill" requires a minimum of 1 argument(s)`, Hint: "usage: coracle kill [flags] ID [SIGNAL]"}
			}
			name := "TERM"
			if len(rest) > 0 {
				name = rest[0]
			}
			signal, err := parseSignal(name)
			if err != nil {
				return err
			}
			if c.Given("cgroup") {
				return container.KillCgroup(c.String("cgroup"), signal, false)
			}
			ids, err = chosen(c, s, ids)
			if err != nil {
				return err
			}
			return each(ids, func(id string) error { return s.Kill(id, signal, c.Bool("all")) })
		}),
	}
}

// parseSignal reads "KILL", "SIGKILL", "sigkill", "9", "RTMIN+3", "RTMAX-1".
func parseSignal(name string) (int, error) {
	const rtMin, rtMax = 34, 64 // as glibc counts: signal(7)
	if n, err := strconv.Atoi(name); err == nil && n >= 0 && n <= rtMax {
		return n, nil
	}
	upper := strings.TrimPrefix(strings.ToUpper(name), "SIG")
	for prefix, base := range map[string]int{"RTMIN": rtMin, "RTMAX": rtMax} {
		rest, ok := strings.CutPrefix(upper, prefix)
		if !ok {
			continue
		}
		offset := 0
		if rest != "" {
			digits := rest[1:]
			n, err := strconv.Atoi(digits)
			if err != nil || strings.Trim(digits, "0123456789") != "" || !strings.ContainsAny(rest[:1], "+-") {
				break
			}
			if offset = n; rest[0] == '-' {
				offset = -n
			}
		}
		if n := base + offset; n >= rtMin && n <= rtMax {
			return n, nil
		}
	}
	if n := sys.SignalNumber("SIG" + upper); n > 0 {
		return n, nil
	}
	return 0, &fail.Error{Where: "signal", Doing: "unknown signal " + strconv.Quote(name), Hint: "the shell's kill -l lists them"}
}

func deleteVerb() command.Verb {
	return command.Verb{
		Name: "delete", Args: "ID...", Min: 1, Max: -1,
		Others: []string{"rm", "remove"},
		Flags: []command.Flag{
			{Names: []string{"force", "f"}, Help: "kill it first if it runs; no error if there is none"},
			regexFlag(),
		},
		Summary: "remove a container and all that create made for it",
		Long: `
The container must have stopped, or never been started.

examples:
  coracle delete web
  coracle delete --force web
  coracle delete --force --regex '^web-'

exit status:
  0  it is gone
  1  it could not be removed`,
		Run: func(c *command.Call) error {
			s, err := store(c)
			if err != nil {
				return err
			}
			ids, err := chosen(c, s, c.Args)
			if err != nil {
				return err
			}
			return each(ids, func(id string) error { return s.Delete(id, c.Bool("force"), c.Warn) })
		},
	}
}
