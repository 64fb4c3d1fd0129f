// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"

	oci "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/plan"
	"github.com/coracle-oci/coracle/runtime/recorder"
	"github.com/coracle-oci/coracle/runtime/seccomp"
)

func seccompRecordVerb() command.Verb {
	return command.Verb{
		Name: "seccomp record", Args: "[COMMAND [ARGUMENT ...]]", Max: -1, Rest: true,
		Flags: append([]command.Flag{
			{Names: []string{"output", "o"}, Value: "FILE", Default: "seccomp.json", Help: "file to write the profile to; - for standard output"},
			{Names: []string{"tight"}, Help: "leave out what only runc and crun need to start the container"},
			{Names: []string{"id"}, Value: "ID", Help: "id of the container (default record-PID)"},
		}, runFlags()...),
		Summary: "run a bundle and write the smallest profile that lets it run",
		Long: `
Runs the bundle as run does, or COMMAND in the place of process.args, and notes
which system calls its processes make, and those of exec while it runs. At its end
FILE is written, whole or not at all, over what was there: the default is
SCMP_ACT_ERRNO, one rule names the calls, and another what runc and crun call
besides on their way to the container's program. What a program did not do while
it was recorded, it cannot do under the profile: let it do all it has to.

A config that has linux.seccomp keeps it: what that forbids stays forbidden, and
the profile allows only what it allows, under its conditions. A last rule with the
default's action may name its newest call: newer ones stay ENOSYS. It is refused if
it has SCMP_ACT_NOTIFY, or a default that allows and conditions that forbid.

Each call asks coracle and so takes longer, and a program in the container cannot
have a listener of its own for seccomp. If coracle is killed, all calls fail. A
signal with a handler can end a call with EINTR before coracle has heard of it, also
one that else never ends so: rarely with CAP_SYS_NICE and since Linux 6.6, often
for ordinary users and before 5.19.

examples:
  coracle seccomp record --bundle web --output web.json
  coracle seccomp record --bundle web -- sh -c 'make test'
  jq '.linux.seccomp = $p[0]' --slurpfile p web.json web/config.json

exit status:
  that of the program, 128 + N when signal N ended it
  1  when it could not be run, or the profile not be written`,
		Run: record,
	}
}

// A recording is one run of the verb.
type recording struct {
	*command.Call
	calls *seccomp.Recording
	agent *recorder.Recorder
	noNew bool // process.noNewPrivileges
}

func record(c *command.Call) error {
	s, err := store(c)
	if err != nil {
		return err
	}
	if err := mayWrite(c.String("output")); err != nil {
		return err
	}
	id := c.String("id")
	if id == "" {
		id = "record-" + strconv.Itoa(os.Getpid())
	}
	o, err := options(c, id)
	if err != nil {
		return err
	}
	r := recording{Call: c}
	o.Edit = r.edit
	code, err := s.Run(o, c.Bool("keep"))
	if r.agent != nil {
		r.agent.Stop()
		if err == nil {
			err = r.write()
		} else if r.calls.Ran() { // it came to its end, and what failed came after
			if werr := r.write(); werr != nil {
				c.Warn("%s", fail.Reason(werr))
			}
		}
	}
	if err == nil && code != 0 {
		err = &command.ExitError{Code: code}
	}
	return err
}

// edit puts a filter that asks us into the config.
func (r *recording) edit(s *oci.Spec) (err error) {
	if s.Process == nil {
		return fail.At(config.Name+" process", "is missing: there is nothing to record")
	}
	if len(r.Args) > 0 {
		s.Process.Args = r.Args
	}
	if s.Linux == nil {
		s.Linux = &oci.Linux{}
	}
	r.noNew = s.Process.NoNewPrivileges
	if r.calls, err = seccomp.Record(s.Linux.Seccomp, runtime.GOARCH, config.Name+" linux.seccomp"); err != nil {
		return err
	}
	if r.agent, err = recorder.Start(r.calls); err != nil {
		return err
	}
	var flags []oci.LinuxSeccompFlag
	if sys.SeccompKnows(seccomp.FlagNewListener | seccomp.FlagWaitKillable) { // else signals interrupt calls that know no EINTR
		flags = append(flags, oci.LinuxSeccompFlagWaitKillableRecv)
	}
	s.Linux.Seccomp = r.calls.Filter(r.agent.Socket, plan.Ours, flags...)
	return nil
}

// write writes what has been recorded.
func (r *recording) write() error {
	for _, call := range r.calls.Unnamed {
		r.Warn("%s has no name that a profile could allow it by", call)
	}
	var others []string
	if !r.Bool("tight") {
		others = seccomp.Runtimes(r.noNew)
		slices.Sort(others)
	}
	text, err := encodeSpec(r.calls.Result(others))
	if err == nil {
		err = writeWhole(r.String("output"), text)
	}
	return err
}

// mayWrite finds out before the run what could not be written after it.
func mayWrite(path string) error {
	if path == "-" {
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return fail.At("--output", path+" is a directory")
	case err == nil && !info.Mode().IsRegular():
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return &fail.Error{Where: "--output", Err: err}
	}
	dir := filepath.Dir(path)
	if _, err := os.Stat(dir); err != nil {
		return &fail.Error{Where: "--output", Err: err}
	}
	if !sys.Writable(dir) {
		return fail.At("--output", "no file can be made in "+dir)
	}
	return nil
}

// writeWhole writes a file, over one that was there, whole or not at all; into what
// is no file it writes as it can.
func writeWhole(path string, text []byte) error {
	if path == "-" {
		_, err := os.Stdout.Write(text)
		return err
	}
	var err error
	if info, serr := os.Stat(path); serr == nil && !info.Mode().IsRegular() {
		err = os.WriteFile(path, text, 0o666)
	} else {
		temporary := path + "." + strconv.Itoa(os.Getpid()) + ".new"
		if err = os.WriteFile(temporary, text, 0o666); err == nil {
			err = os.Rename(temporary, path)
		}
		if err != nil {
			os.Remove(temporary)
		}
	}
	if err != nil {
		return &fail.Error{Where: "--output", Doing: "write the profile", Err: err}
	}
	return nil
}
