// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/container"
)

func eventsVerb() command.Verb {
	return command.Verb{
		Name: "events", Args: "ID", Min: 1, Max: 1,
		Flags: []command.Flag{
			{Names: []string{"interval"}, Value: "TIME", Kind: command.Duration, Default: "5s", Help: "how often statistics are printed"},
			{Names: []string{"stats"}, Help: "print the statistics once, and nothing else"},
		},
		Summary: "print what happens to a container, and its statistics, until it ends",
		Long: `
Each line is a JSON object with type, id and data:
  stats        what the container uses, in runc's form, with pressure (PSI)
  start        its program runs
  exit         it has ended: code, signal, time and usage, as far as they were seen
  oom          it ran out of memory, and a process was killed
  freeze thaw  it was paused, resumed
  pids.max     a fork was refused
  memory.high  it was slowed down for the memory that it uses

examples:
  coracle events --stats web | jq .data.memory.usage
  coracle events --interval 1m web

exit status:
  0  it has ended
  1  it does not run`,
		Run: withStore(func(c *command.Call, s container.Store) error {
			if c.Duration("interval") <= 0 {
				return fail.At("--interval", "is "+c.String("interval")+"; it has to be more than nothing")
			}
			emit := func(e container.Event) error { return printCompact(e) }
			if !c.Bool("stats") {
				return s.Events(c.Args[0], c.Duration("interval"), emit)
			}
			e, err := s.Stats(c.Args[0])
			if err != nil {
				return err
			}
			return emit(e)
		}),
	}
}
