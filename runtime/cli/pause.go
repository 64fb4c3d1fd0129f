// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/runtime/container"
)

func pauseVerb() command.Verb {
	return command.Verb{
		Name: "pause", Args: "ID", Min: 1, Max: 1,
		Summary: "stop all processes of a container where they are",
		Long: `
They are frozen by the cgroup: no signal is sent, and SIGKILL still ends them.

exit status:
  0  all of them stand still
  1  they do not: nothing has changed`,
		Run: withStore(func(c *command.Call, s container.Store) error { return s.Pause(c.Args[0]) }),
	}
}

func resumeVerb() command.Verb {
	return command.Verb{
		Name: "resume", Args: "ID", Min: 1, Max: 1,
		Others:  []string{"unpause"},
		Summary: "let the processes of a paused container go on",
		Long: `
exit status:
  0  they go on
  1  they do not`,
		Run: withStore(func(c *command.Call, s container.Store) error { return s.Resume(c.Args[0]) }),
	}
}

// withStore is a verb's Run that works on the containers below --root.
func withStore(run func(*command.Call, container.Store) error) func(*command.Call) error {
	return func(c *command.Call) error {
		s, err := store(c)
		if err != nil {
			return err
		}
		return run(c, s)
	}
}
