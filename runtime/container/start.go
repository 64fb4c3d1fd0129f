// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"errors"
	"slices"
	"syscall"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/cgroup"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/plan"
)

// Start lets a created container run its program, and returns when it does; with a
// service manager that waits for sd_notify, when the container is ready.
func (s Store) Start(id, notifySocket string) error {
	state, err := s.Open(id, Exclusive)
	if err != nil {
		return halfMade(id, err)
	}
	defer state.Close()
	if err := state.mine(); err != nil {
		return err
	}
	switch now := state.Now(); now {
	case Created:
		return state.startReady(notifySocket)
	case Stopped:
		return &fail.Error{Where: id, Doing: "cannot start a container that has stopped", Hint: "delete it and create it again"}
	case Running:
		return &fail.Error{Where: id, Doing: "cannot start an already running container"}
	default:
		return &fail.Error{Where: id, Doing: "cannot start a container that is " + string(now)}
	}
}

func (s *State) startReady(notifySocket string) error {
	n, err := s.notifier(notifySocket)
	if err != nil {
		return err
	}
	defer n.Close()
	pidFD, err := sys.PidfdOpen(s.PID)
	if err != nil {
		return &fail.Error{Where: s.ID, Doing: "open its init", Err: err}
	}
	defer sys.Close(pidFD)
	begin, err := s.connect()
	if err != nil {
		return err
	}
	if err := s.begin(begin); err != nil {
		return err
	}
	s.Close() // it may take long
	return s.awaitReady(n, pidFD)
}

// A beginning is where the init of a container tells how it starts, and the agent
// that gets its listener.
type beginning struct{ conn, agent int }

// ready makes sure that a created container can start.
func (s *State) ready() (b beginning, err error) {
	if !slices.ContainsFunc(s.Steps, func(step Step) bool { return step.Execve }) {
		return b, &fail.Error{Where: config.Name + " process", Doing: "start " + s.ID + ": there is no process to start", Hint: "create it again with one, or run something in it with coracle exec"}
	}
	b.agent, err = s.Agent.connect()
	return b, err
}

// connect lets the init of a created container, which is locked, go on. It need not
// wait for that if it has not come so far.
func (s *State) connect() (b beginning, err error) {
	if b, err = s.ready(); err != nil {
		return b, err
	}
	if b.conn, err = sys.SeqPacketConnect(s.lock, startSocket); err != nil {
		sys.Close(b.agent)
		return b, &fail.Error{Where: s.ID, Doing: "connect to its init", Err: err}
	}
	return b, nil
}

// begin listens to the init until it executes its program, and ends the start.
func (s *State) begin(b beginning) error {
	defer sys.Close(b.conn)
	if err := s.watchStart(b.conn, b.agent); err != nil {
		return err
	}
	sys.RemoveAt(s.lock, startSocket, false)
	if s.Hooks == nil {
		return nil
	}
	if err := s.runHooks("poststart", s.Hooks.Poststart, Running, nil); err != nil {
		sys.Kill(s.PID, linux.SIGKILL) // spec, lifecycle: the container is to be stopped
		return err
	}
	return nil
}

// watchStart reads what the init reports until it executes its program: a mark
// and then nothing. Nothing alone means that it was killed.
func (s *State) watchStart(conn, agent int) error {
	hooks := hookSequence{tell: s.tell, output: func() string { return "" }}
	defer hooks.leave()
	running := false
	for {
		if err := hooks.await(conn); err != nil {
			return err
		}
		report, fds, err := receive(conn, patience)
		if err != nil {
			return err
		}
		switch {
		case report == nil && fds == nil:
			sys.Kill(s.PID, linux.SIGKILL)
			return s.silent(s.PID, running)
		case report == nil && running:
			return nil
		case report == nil:
			return s.diedStarting()
		case report.Step >= 0:
			return hooks.orElse(s.startError(report.Step, report.Errno))
		}
		switch report.Mark {
		case plan.HookRuns:
			if err := hooks.begin(fds[0], "startContainer", s.Hooks.StartContainer); err != nil {
				return err
			}
		case plan.HookEnded:
			hooks.end(report.Value)
		case plan.Listening:
			if err := s.handOver(agent, fds[0], conn, s.PID, Created); err != nil {
				return err
			}
		case plan.AboutToRun:
			running = true
		}
	}
}

// startError names the step that failed.
func (s *State) startError(index, errno int) error {
	err := fail.Errno(errno)
	for _, step := range s.Steps {
		if step.Index != index {
			continue
		}
		e := &fail.Error{Where: where(step.From), Doing: step.Doing, Err: err, Hint: hintFor(step.Doing, err)}
		if step.Execve && errors.Is(err, syscall.ENOEXEC) {
			e.Hint = "it is built for another architecture, or is a script without #! in its first line"
		}
		return e
	}
	return &fail.Error{Where: s.ID, Doing: "start: step " + itoa(index), Err: err}
}

func (s *State) diedStarting() error {
	if kills, _ := cgroup.OOMKills(s.Cgroups); kills > 0 {
		return &fail.Error{Where: config.Name + " linux.resources.memory.limit", Doing: "start: the container was killed for want of memory", Hint: "raise the limit"}
	}
	return &fail.Error{Where: s.ID, Doing: "start: its init was killed before it ran its program"}
}

func halfMade(id string, err error) error {
	if errors.Is(err, ErrHalfMade) {
		return &fail.Error{Where: id, Doing: "its create was killed before it began", Hint: "remove it with: coracle delete --force " + id}
	}
	return err
}
