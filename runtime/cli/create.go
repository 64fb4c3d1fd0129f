// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"os"
	"path/filepath"
	"strconv"

	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/container"
)

func createFlags() []command.Flag {
	return []command.Flag{
		{Names: []string{"bundle", "b"}, Value: "DIR", Default: ".", Help: "directory of the bundle"},
		{Names: []string{"config", "f"}, Value: "FILE", Help: "take this config, not the bundle's config.json"},
		{Names: []string{"console-socket"}, Value: "SOCKET", Help: "unix socket that gets the terminal's master"},
		{Names: []string{"pid-file"}, Value: "FILE", Help: "file to write the pid of the container's init to"},
		{Names: []string{"pidfd-socket"}, Value: "SOCKET", Help: "unix socket that gets the pidfd of the container's init"},
		{Names: []string{"no-pivot"}, Help: "change the root with chroot(2), for roots on a ramdisk"},
		{Names: []string{"no-new-keyring"}, Help: "keep the caller's session keyring"},
		{Names: []string{"preserve-fds"}, Value: "N", Kind: command.Number, Default: "0", Help: "pass N more descriptors, from 3 on, to the container"},
	}
}

func options(c *command.Call, id string) (container.Options, error) {
	o := container.Options{
		ID: id, Bundle: c.String("bundle"), Config: c.String("config"), ConsoleSocket: c.String("console-socket"), PIDFile: c.String("pid-file"),
		PreserveFDs: c.Int("preserve-fds"), NoPivot: c.Bool("no-pivot"), NoNewKeyring: c.Bool("no-new-keyring"), Cgroups: manager(c), Warn: c.Warn, Trace: c.Trace,
		PIDFDSocket: c.String("pidfd-socket"),
	}
	if err := misplaced(c); err != nil {
		return o, err
	}
	return o, environment(&o)
}

// misplaced is the error for a bundle that stands in the place of an operand.
func misplaced(c *command.Call) error {
	if c.Given("bundle") || c.Given("config") || len(c.Args) == 0 || isBundle(c.String("bundle")) || !isBundle(c.Args[0]) {
		return nil
	}
	return &fail.Error{Where: "--bundle", Doing: "is not given, and there is no config.json here", Hint: "did you mean --bundle " + c.Args[0] + "?"}
}

func isBundle(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, config.Name))
	return err == nil
}

// environment takes what the caller's environment asks for: sd_notify(3), and
// sd_listen_fds(3), whose descriptors come before those of --preserve-fds.
func environment(o *container.Options) error {
	o.NotifySocket = os.Getenv("NOTIFY_SOCKET")
	count := os.Getenv("LISTEN_FDS")
	// Without LISTEN_PID they are for us, as with runc; with another's they are not.
	if pid := os.Getenv("LISTEN_PID"); count == "" || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 {
		return fail.At("LISTEN_FDS", strconv.Quote(count)+" is no number of descriptors")
	}
	o.ListenFDs = n
	o.PreserveFDs += n
	return nil
}

func createVerb() command.Verb {
	return command.Verb{
		Name: "create", Args: "ID", Min: 1, Max: 1, Flags: createFlags(),
		Summary: "make a container that waits for start",
		Long: `
Everything in config.json is made but for process.args, which start runs. When
create fails, nothing is left behind.

examples:
  coracle create --bundle bundle web && coracle start web

exit status:
  0  the container was created
  1  it was not`,
		Run: func(c *command.Call) error {
			s, err := store(c)
			if err != nil {
				return err
			}
			o, err := options(c, c.Args[0])
			if err != nil {
				return err
			}
			o.Detach = true
			_, err = s.Create(o)
			return err
		},
	}
}

func startVerb() command.Verb {
	return command.Verb{
		Name: "start", Args: "ID", Min: 1, Max: 1,
		Summary: "run the program of a created container",
		Long: `
Returns when the program runs, or with the reason why it does not. If NOTIFY_SOCKET
is in the environment, as it was at create, it returns when the container has said
that it is ready: sd_notify(3).

exit status:
  0  the program runs
  1  it does not`,
		Run: func(c *command.Call) error {
			s, err := store(c)
			if err != nil {
				return err
			}
			return s.Start(c.Args[0], os.Getenv("NOTIFY_SOCKET"))
		},
	}
}

// runFlags are those of run that make sense when it waits.
func runFlags() []command.Flag {
	return append(createFlags(),
		command.Flag{Names: []string{"keep"}, Help: "keep the container when its program has ended"},
		command.Flag{Names: []string{"no-subreaper"}, Help: "accepted as in runc", Hidden: true})
}

func runVerb() command.Verb {
	return command.Verb{
		Name: "run", Args: "ID", Min: 1, Max: 1,
		Flags:   append(runFlags(), command.Flag{Names: []string{"detach", "d"}, Help: "return when the program runs"}),
		Summary: "create a container, start it, and wait for its end",
		Long: `
Signals and, where the container has one, the terminal are passed on. When the
program has ended, the container is deleted.

examples:
  coracle run --bundle bundle job && echo it succeeded
  coracle run --detach --bundle bundle web

exit status:
  that of the program, 128 + N when signal N ended it
  1  when it could not be run`,
		Run: func(c *command.Call) error {
			s, err := store(c)
			if err != nil {
				return err
			}
			o, err := options(c, c.Args[0])
			if err != nil {
				return err
			}
			o.Detach = c.Bool("detach")
			code, err := s.Run(o, c.Bool("keep"))
			if err == nil && code != 0 {
				err = &command.ExitError{Code: code}
			}
			return err
		},
	}
}
