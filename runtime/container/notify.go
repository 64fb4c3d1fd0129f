// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/facts"
	"github.com/coracle-oci/coracle/runtime/plan"
)

// A container that is a service of systemd says to its service manager that it is
// ready, sd_notify(3). It gets a socket of ours, in a directory of its state, as
// the manager's would tell it of other services, and its pids are not the
// manager's: what it says is passed on, and its pid said beside.
const (
	notifyVariable = "NOTIFY_SOCKET"
	notifyName     = "notify.sock"
	notifyInside   = "/run/notify" // where the container sees the directory
)

// managerPatience is how long the service manager may have no room for a message.
const managerPatience = 5 * time.Second

// fromEnvironment gives a config what the caller's environment asks for: the
// sockets of sd_listen_fds(3), which are descriptors from 3 on, and that of
// sd_notify(3).
func (o *Options) fromEnvironment(c *config.Config, f *facts.Facts) {
	p := c.Process
	if o.ListenFDs > 0 {
		p.Env = append(p.Env, "LISTEN_FDS="+itoa(o.ListenFDs), "LISTEN_PID=1")
	}
	if o.NotifySocket == "" {
		return
	}
	if o.notifyDir == "" { // it is only planned
		o.notifyDir = "/" + plan.StateDir + "/" + plan.NotifyDir
	}
	p.Env = append(p.Env, notifyVariable+"="+notifyInside+"/"+notifyName)
	c.Mounts = append(c.Mounts, specs.Mount{Destination: notifyInside, Type: "bind", Source: o.notifyDir, Options: []string{"bind", "ro", "nosuid", "nodev", "noexec"}})
	f.Files[o.notifyDir] = facts.Kind{Mode: linux.S_IFDIR | 0o755}
}

// A notifier passes on what a container says to the service manager.
type notifier struct {
	from, to int // to is -1 when the manager takes nothing
	id       string
	tell     func(string, ...any)
}

// notifier listens for the container, if it has the directory and there is
// somebody to tell; else it returns nil.
func (s *State) notifier(socket string) (*notifier, error) {
	if socket == "" {
		return nil, nil
	}
	dir := filepath.Join(s.dir, plan.NotifyDir)
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	to, err := sys.DatagramConnect(socket, managerPatience)
	if err != nil {
		return nil, &fail.Error{Where: notifyVariable, Doing: "connect to " + socket, Err: err, Hint: "unset it if no service manager waits"}
	}
	os.Remove(filepath.Join(dir, notifyName)) // of a start that was killed
	from, err := sys.DatagramListen(dir, notifyName)
	if err != nil {
		sys.Close(to)
		return nil, &fail.Error{Where: s.ID, Doing: "listen in " + dir, Err: err}
	}
	return &notifier{from, to, s.ID, s.tell}, nil
}

// Close ends it; what the container says from here on is lost.
func (n *notifier) Close() {
	if n != nil {
		sys.Close(n.from)
		sys.Close(n.to)
	}
}

// fd is where something comes to be passed on.
func (n *notifier) fd() int {
	if n == nil {
		return -1
	}
	return n.from
}

// passable is what a container may say of itself. Not which process is the main
// one, nor what descriptors the manager is to keep.
var passable = [...]string{"READY", "RELOADING", "STOPPING", "STATUS", "ERRNO", "BUSERROR", "EXIT_STATUS", "WATCHDOG", "MONOTONIC_USEC", "EXTEND_TIMEOUT_USEC"}

// pass passes one message on, and tells whether the container is ready. With the
// word that it is, the manager learns the main pid.
func (n *notifier) pass(pid int) (ready bool) {
	var lines []string
	for line := range strings.Lines(string(sys.ReadDatagram(n.from))) {
		line = strings.TrimRight(line, "\n")
		name, value, _ := strings.Cut(line, "=")
		if !slices.Contains(passable[:], name) {
			continue
		}
		if name == "READY" && value == "1" && !ready {
			ready = true
			lines = append(lines, "MAINPID="+itoa(pid))
		}
		lines = append(lines, line)
	}
	if len(lines) > 0 && n.to >= 0 {
		n.send(strings.Join(lines, "\n"))
	}
	return ready
}

// send gives one message to the manager. Whoever is gone need not know; one that takes
// nothing is waited for once.
func (n *notifier) send(message string) {
	if sys.Send(n.to, []byte(message)) == syscall.ETIMEDOUT {
		n.tell("%s: who listens at %s has taken no message for %s, and gets no more: what the container says is lost", n.id, notifyVariable, managerPatience)
		sys.Close(n.to)
		n.to = -1
	}
}

// awaitReady passes on what the container says until it says that it is ready, or
// has ended.
func (s *State) awaitReady(n *notifier, pidFD int) error {
	limit := tellAfter
	for n != nil {
		which, err := sys.Wait(limit, n.from, pidFD)
		switch {
		case err != nil:
			return &fail.Error{Where: notifyVariable, Doing: "wait until the container is ready", Err: err}
		case which < 0:
			limit = -1
			s.tell("%s: its process %d has not said READY=1 by sd_notify(3) for %d s; coracle waits for it, and can be ended without harm to it",
				s.ID, s.PID, tellAfter/1000)
			continue
		}
		if which == 1 || n.pass(s.PID) {
			return nil
		}
	}
	return nil
}
