// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"strconv"

	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/container"
)

func waitVerb() command.Verb {
	return command.Verb{
		Name: "wait", Args: "ID", Min: 1, Max: 1,
		Flags: []command.Flag{
			{Names: []string{"timeout"}, Value: "TIME", Kind: command.Duration, Help: "give up after so long, such as 30s; for ever if it is missing"},
		},
		Summary: "wait for the end of a container, print its exit status and return it",
		Long: `
The exit status belongs to the process's parent. Others see it while the process
waits to be reaped, and on Linux 6.15 or newer always if they waited for it; then
it is kept in the state, and state shows it, until the container is deleted.

examples:
  coracle run --detach --bundle bundle job; coracle wait job

exit status:
  that of the container's process, 128 + N when signal N ended it
  1  when it is not known; nothing is printed then`,
		Run: withStore(func(c *command.Call, s container.Store) error {
			limit := c.Duration("timeout")
			if c.Given("timeout") && limit <= 0 {
				return fail.At("--timeout", "is "+c.String("timeout")+"; it has to be more than nothing")
			}
			exit, err := s.Wait(c.Args[0], limit)
			if err != nil {
				return err
			}
			if err := printLine(strconv.Itoa(*exit.Code)); err != nil || *exit.Code == 0 {
				return err
			}
			return &command.ExitError{Code: *exit.Code}
		}),
	}
}
