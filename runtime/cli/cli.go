// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package cli is coracle's command line: one file per verb. A verb reads its
// flags and calls package container; it decides nothing. runc's command line is
// the contract.
package cli

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"

	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/container"
	"github.com/coracle-oci/coracle/runtime/plan"
	"github.com/coracle-oci/coracle/runtime/probe"
	"github.com/coracle-oci/coracle/runtime/seccomp"
)

// Main runs coracle.
func Main(args []string) error { return command.Main(Program(), args) }

// Program returns the table of all verbs.
func Program() command.Program {
	return command.Program{
		Name:    "coracle",
		Summary: "run containers from OCI bundles",
		Long: `
coracle runs containers from OCI bundles: a directory with a config.json and a
root file system. It takes runc's command line.

examples:
  coracle spec --bundle bundle       write a config.json to begin with
  coracle plan bundle                see what would be done, and why
  coracle run --bundle bundle web    create and start a container
  coracle list

exit status:
  0  success; of run and exec: that of the container's process
  1  failure, or a command line that is wrong; of exec 255 for what fails
  3  unknown command`,
		Version: version,
		Advise:  container.Advise,
		Globals: append([]command.Flag{
			{Names: []string{"root"}, Value: "DIR", Default: defaultRoot(), Help: "directory of the containers' states"},
			{Names: []string{"systemd-cgroup"}, Help: "have systemd make cgroups; linux.cgroupsPath then is slice:prefix:name"},
			{Names: []string{"cgroup-manager"}, Value: "MANAGER", Words: managers, Help: "who makes cgroups: cgroupfs, systemd, or disabled for nobody"},
			{Names: []string{"rootless"}, Value: "[BOOL]", Default: "auto", Words: []string{"true", "false", "auto"}, Help: "accepted as in runc: true, false or auto", Hidden: true},
			command.TraceFlag(),
		}, command.LogFlags()...),
		Verbs: append([]command.Maker{
			{Name: "create", Make: createVerb},
			{Name: "start", Make: startVerb},
			{Name: "run", Make: runVerb},
			{Name: "state", Make: stateVerb},
			{Name: "exec", Make: execVerb},
			{Name: "kill", Make: killVerb},
			{Name: "delete", Make: deleteVerb},
			{Name: "list", Make: listVerb},
			{Name: "pause", Make: pauseVerb},
			{Name: "resume", Make: resumeVerb},
			{Name: "update", Make: updateVerb},
			{Name: "ps", Make: psVerb},
			{Name: "top", Make: topVerb},
			{Name: "events", Make: eventsVerb},
			{Name: "wait", Make: waitVerb},
			{Name: "gc", Make: gcVerb},
			{Name: "spec", Make: specVerb},
			{Name: "check", Make: checkVerb},
			{Name: "plan", Make: planVerb},
			{Name: "seccomp", Make: seccompVerb},
			{Name: "features", Make: featuresVerb},
			{Name: "selftest", Make: selftestVerb},
		}, command.CompletionVerbs(operands)...),
	}
}

// defaultRoot is where states are kept. An XDG_RUNTIME_DIR that is set but empty,
// as podman sets it, counts as none.
func defaultRoot() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" && !isRoot() {
		return filepath.Join(dir, "coracle")
	}
	return "/run/coracle"
}

// operands are what a shell offers for an operand.
func operands(c *command.Call, kind string) []string {
	switch kind {
	case "ID":
		s, err := store(c)
		if err != nil {
			return nil
		}
		var ids []string
		states, _ := s.List(nil)
		for _, state := range states {
			ids = append(ids, state.ID)
		}
		return ids
	case "SYSCALL":
		return seccomp.Native(runtime.GOARCH).Names()
	case "SIGNAL":
		return []string{"HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM", "CONT", "STOP"}
	}
	return nil
}

// isRoot tells whether root of the machine calls: not root of a user namespace
// that an ordinary user has made, which nothing in the environment calls root.
func isRoot() bool {
	if os.Geteuid() != 0 {
		return false
	}
	if os.Getenv("USER") == "root" {
		return true
	}
	nested, err := probe.UserNamespace()
	return err == nil && !nested
}

func store(c *command.Call) (container.Store, error) {
	root, err := filepath.Abs(c.String("root"))
	switch {
	case err != nil:
		return container.Store{}, &fail.Error{Where: "--root", Doing: "find the directory", Err: err}
	case c.String("root") == "" || root == "/":
		return container.Store{}, &fail.Error{Where: "--root", Doing: "is " + root, Hint: "give a directory of its own"}
	case !slices.Contains([]string{"true", "false", "auto"}, c.String("rootless")):
		return container.Store{}, fail.At("--rootless", strconv.Quote(c.String("rootless"))+" is none of true, false and auto")
	case c.Given("cgroup-manager") && !slices.Contains(managers, c.String("cgroup-manager")):
		return container.Store{}, fail.At("--cgroup-manager", strconv.Quote(c.String("cgroup-manager"))+" is none of cgroupfs, systemd and disabled")
	}
	return container.Store{Root: root, Tell: func(format string, args ...any) {
		c.Warn(format, args...)
		c.Flush()
	}}, nil
}

// managers are crun's names, in the order of plan's.
var managers = []string{plan.Cgroupfs: "cgroupfs", plan.Systemd: "systemd", plan.Disabled: "disabled"}

// manager is who makes cgroups. podman gives both flags to say that nobody does.
func manager(c *command.Call) plan.CgroupManager {
	switch {
	case c.Given("cgroup-manager"):
		return plan.CgroupManager(max(0, slices.Index(managers, c.String("cgroup-manager"))))
	case c.Bool("systemd-cgroup"):
		return plan.Systemd
	}
	return plan.Cgroupfs
}
