// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/container"
)

func execFlags() []command.Flag {
	return []command.Flag{
		{Names: []string{"process", "p"}, Value: "FILE", Help: "take the process from a process.json: all that config.json has under process"},
		{Names: []string{"cwd"}, Value: "DIR", Help: "working directory in the container"},
		{Names: []string{"env", "e"}, Value: "NAME[=VALUE]", Repeat: true, Help: "set an environment variable; without a value it is the caller's"},
		{Names: []string{"tty", "t"}, Help: "give the process a terminal"},
		{Names: []string{"user", "u"}, Value: "UID[:GID]", Help: "run as this user and group"},
		{Names: []string{"additional-gids", "g"}, Value: "GID", Kind: command.Number, Repeat: true, Help: "add a supplementary group"},
		{Names: []string{"cap", "c"}, Value: "CAPABILITY", Repeat: true, Help: "add a capability, such as CAP_NET_ADMIN"},
		{Names: []string{"no-new-privs"}, Help: "let the process never gain privileges"},
		{Names: []string{"apparmor"}, Value: "PROFILE", Help: "AppArmor profile of the process"},
		{Names: []string{"process-label"}, Value: "LABEL", Help: "SELinux label of the process"},
		{Names: []string{"cgroup"}, Value: "PATH", Repeat: true, Help: "run in a cgroup below the container's: PATH, or on cgroup v1 CONTROLLER[,CONTROLLER]:PATH"},
		{Names: []string{"detach", "d"}, Help: "return when the program runs"},
		{Names: []string{"pid-file"}, Value: "FILE", Help: "file to write the pid of the process to when its program runs"},
		{Names: []string{"console-socket"}, Value: "SOCKET", Help: "unix socket that gets the terminal's master"},
		{Names: []string{"pidfd-socket"}, Value: "SOCKET", Help: "unix socket that gets the pidfd of the process when its program runs"},
		{Names: []string{"preserve-fds"}, Value: "N", Kind: command.Number, Default: "0", Help: "pass N more descriptors, from 3 on, to the process"},
		{Names: []string{"ignore-paused"}, Help: "in a paused container, wait until it is resumed"},
		{Names: []string{"plan"}, Help: "print what would be done, step by step, and do nothing"},
		{Names: []string{"format"}, Value: "FORMAT", Default: "table", Help: "of --plan: table or json"},
	}
}

func execVerb() command.Verb {
	return command.Verb{
		Name: "exec", Args: "ID [COMMAND [ARGUMENT ...]]", Min: 1, Max: -1, Rest: true, Flags: execFlags(),
		Summary: "run one more process in a container",
		Long: `
The process is what config.json says of the container's own, but for its command
and what the flags say, or that of --process, which is taken as it is. Flags stand
before ID: what follows it is the process's. Signals and the terminal are passed
on as with run.

examples:
  coracle exec web ls -l /
  coracle exec --tty --user 1000:1000 web sh
  coracle exec --plan web true

exit status:
  that of the process, 128 + N when signal N ended it
  255  when it could not be run
  1    when a flag is not known or has no value, or ID is missing`,
		Run: func(c *command.Call) error {
			code, err := execute(c)
			switch {
			case err != nil:
				return &command.ExitError{Code: 255, Err: err}
			case code != 0:
				return &command.ExitError{Code: code}
			}
			return nil
		},
	}
}

func execute(c *command.Call) (code int, err error) {
	s, err := store(c)
	if err != nil {
		return 0, err
	}
	o := container.ExecOptions{
		ID: c.Args[0], File: c.String("process"), SubCgroups: c.Strings("cgroup"), ConsoleSocket: c.String("console-socket"),
		PIDFDSocket: c.String("pidfd-socket"), PIDFile: c.String("pid-file"), PreserveFDs: c.Int("preserve-fds"), Detach: c.Bool("detach"), IgnorePaused: c.Bool("ignore-paused"),
	}
	// What there is to say of the container's own process, create has said.
	if o.File != "" || c.Given("cap") {
		o.Warn = c.Warn
	}
	if o.File == "" {
		if o.Edit, err = processOf(c); err != nil {
			return 0, err
		}
	}
	if c.Bool("plan") {
		p, err := s.PlanExec(o)
		if err != nil {
			return 0, err
		}
		return 0, printPlan(p, c.String("format"))
	}
	code, err = s.Exec(o)
	if err != nil && len(c.Args) > 1 && strings.HasPrefix(c.Args[1], "-") {
		err = &fail.Error{Err: err, Hint: "what follows the id is the command: flags stand before " + c.Args[0]}
	}
	return code, err
}

// processOf makes the process of the container's own, by the flags.
func processOf(c *command.Call) (func(*specs.Process), error) {
	if len(c.Args) == 1 {
		return nil, &fail.Error{Doing: "process args cannot be empty", Hint: "give a command behind the id, or --process"}
	}
	user, group, err := parseUser(c)
	if err != nil {
		return nil, err
	}
	groups, err := parseIDs("--additional-gids", c.Strings("additional-gids"))
	if err != nil {
		return nil, err
	}
	caps := c.Strings("cap")
	for _, name := range caps {
		if _, known := config.CapabilityNumber(name); !known {
			return nil, fail.At("--cap", "unknown capability "+strconv.Quote(name))
		}
	}
	var env []string
	for _, text := range c.Strings("env") {
		text, err := variable(text)
		if err != nil {
			return nil, err
		}
		env = append(env, text)
	}
	return func(p *specs.Process) {
		p.Args, p.Terminal = c.Args[1:], c.Bool("tty")
		if p.Terminal {
			p.ConsoleSize = nil // that of the container's own
		}
		p.Env = append(p.Env, env...)
		if user != nil {
			p.User.UID = *user
		}
		if group != nil {
			p.User.GID = *group
		}
		p.User.AdditionalGids = append(p.User.AdditionalGids, groups...)
		addCapabilities(p, caps)
		if c.Given("no-new-privs") {
			p.NoNewPrivileges = c.Bool("no-new-privs")
		}
		for _, f := range []struct {
			flag string
			to   *string
		}{{"cwd", &p.Cwd}, {"apparmor", &p.ApparmorProfile}, {"process-label", &p.SelinuxLabel}} {
			if c.Given(f.flag) {
				*f.to = c.String(f.flag)
			}
		}
	}, nil
}

// addCapabilities adds them to all sets but the inheritable one, which no
// process is to find filled unasked (CVE-2022-29162). Without it there are no
// ambient ones: whoever is not root then has them until the next execve only.
func addCapabilities(p *specs.Process, names []string) {
	if len(names) == 0 {
		return
	}
	if p.Capabilities == nil {
		p.Capabilities = &specs.LinuxCapabilities{}
	}
	k := p.Capabilities
	k.Bounding, k.Effective, k.Permitted = append(k.Bounding, names...), append(k.Effective, names...), append(k.Permitted, names...)
	if len(k.Inheritable) > 0 {
		k.Ambient = append(k.Ambient, names...)
	}
}

// parseUser reads --user: digits, and digits behind a colon. Anything else is an
// error: what could be read as 0 by a lenient parser would be root (CVE-2026-30892).
func parseUser(c *command.Call) (user, group *uint32, err error) {
	if !c.Given("user") {
		return nil, nil, nil
	}
	uid, gid, both := strings.Cut(c.String("user"), ":")
	texts := []string{uid}
	if both {
		texts = append(texts, gid)
	}
	ids, err := parseIDs("--user", texts)
	if err != nil {
		return nil, nil, err
	}
	if both {
		group = &ids[1]
	}
	return &ids[0], group, nil
}

// parseIDs reads user and group ids: decimal digits and nothing else.
func parseIDs(flag string, texts []string) ([]uint32, error) {
	var ids []uint32
	for _, text := range texts {
		id, err := strconv.ParseUint(text, 10, 32)
		if err != nil || strings.Trim(text, "0123456789") != "" {
			e := fail.At(flag, strconv.Quote(text)+" is no id")
			e.Hint = "give numbers: the container's names are not known here"
			return nil, e
		}
		ids = append(ids, uint32(id))
	}
	return ids, nil
}
