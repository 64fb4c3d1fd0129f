// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"os"
	"syscall"

	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/container"
)

func gcVerb() command.Verb {
	return command.Verb{
		Name: "gc", Max: 0,
		Flags: []command.Flag{
			{Names: []string{"dry-run", "n"}, Help: "only tell what would be removed"},
			{Names: []string{"cgroup"}, Value: "PATH", Help: "end everything in this cgroup and remove it: for a container whose state is gone"},
		},
		Summary: "remove what killed commands have left",
		Long: `
That is containers whose create was killed before it was done, those whose delete
was, and those whose init ended before they were started. Others are not touched,
stopped ones neither. Each is printed with the reason.

Where somebody has removed the directory of states under a running container,
--cgroup finds it all the same: PATH is what linux.cgroupsPath was, or the id of a
container without one.

examples:
  coracle gc
  coracle gc --cgroup /system.slice/web

exit status:
  0  nothing is left
  1  something is, and was named`,
		Run: withStore(func(c *command.Call, s container.Store) error {
			if c.Given("cgroup") {
				return container.KillCgroup(c.String("cgroup"), int(syscall.SIGKILL), true)
			}
			failed := false
			found, err := s.GC(c.Bool("dry-run"), func(format string, args ...any) { failed = true; c.Warn(format, args...) })
			for _, l := range found {
				if err := printLine(l.ID + ": " + l.Why); err != nil {
					return err
				}
			}
			if err == nil && failed {
				err = &fail.Error{Doing: "something could not be removed"}
			}
			return err
		}),
	}
}

func printLine(text string) error {
	_, err := os.Stdout.WriteString(text + "\n")
	return err
}
