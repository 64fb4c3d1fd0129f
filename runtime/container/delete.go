// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"errors"
	"syscall"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/cgroup"
)

// ErrNotRunning is the error for a signal to a container that has stopped.
var ErrNotRunning = errors.New("container not running")

// Kill sends a signal to the init; with all, to every process of the container,
// and then a container without processes is no error.
func (s Store) Kill(id string, signal int, all bool) error {
	state, err := s.Open(id, Unlocked)
	if err != nil {
		return halfMade(id, err)
	}
	if all {
		if err := cgroup.Kill(state.Cgroups, syscall.Signal(signal)); err != nil {
			return &fail.Error{Where: id, Doing: "signal all its processes", Err: err}
		}
		return nil
	}
	// The pidfd is opened before the check: the process that it was checked for
	// is the one that gets the signal.
	pidFD, err := sys.PidfdOpen(state.PID)
	if err == nil {
		defer sys.Close(pidFD)
	}
	if err != nil || !state.alive() {
		return &fail.Error{Where: id, Err: ErrNotRunning}
	}
	if err := sys.PidfdSignal(pidFD, signal); errors.Is(err, syscall.ESRCH) {
		return &fail.Error{Where: id, Err: ErrNotRunning}
	} else if err != nil {
		return &fail.Error{Where: id, Doing: "send signal " + itoa(signal), Err: err}
	}
	if signal == linux.SIGKILL { // on v1 a frozen process dies only when it is thawed
		if frozen, err := cgroup.Frozen(state.Cgroups); err == nil && frozen {
			return cgroup.Thaw(state.Cgroups)
		}
	}
	return nil
}

// Delete removes a stopped or created container; with force any, and then one
// that does not exist is no error.
func (s Store) Delete(id string, force bool, warn func(string, ...any)) error {
	state, err := s.Open(id, Exclusive)
	switch {
	case errors.Is(err, ErrNotExist) && force:
		return nil
	case errors.Is(err, ErrHalfMade) && force:
		defer state.Close()
		return state.remove()
	case errors.Is(err, ErrHalfMade):
		state.Close()
		return halfMade(id, err)
	case err != nil:
		return err
	}
	defer state.Close()
	if now := state.Now(); !force && now != Stopped && now != Created {
		return &fail.Error{Where: id, Doing: "cannot delete container " + id + " that is not stopped: " + string(now), Hint: "kill it first or use --force"}
	}
	return state.destroy(warn)
}

// destroy ends what still runs and removes what create has made, and nothing
// else. The state goes last, so that what is killed here can be taken up again.
func (s *State) destroy(warn func(string, ...any)) error {
	if err := s.end(); err != nil {
		return err
	}
	return s.clear(warn)
}

// clear removes what is left of a container whose init has ended. All processes
// of a PID namespace end with its init; others are killed first.
func (s *State) clear(warn func(string, ...any)) error {
	if !s.OwnPIDs || s.Status == Creating {
		if err := cgroup.Kill(s.Cgroups, syscall.SIGKILL); err != nil {
			return &fail.Error{Where: s.ID, Doing: "end its processes", Err: err}
		}
	}
	if err := cgroup.Remove(s.Cgroups); err != nil {
		return err
	}
	s.poststop(warn)
	return s.remove()
}

// end kills the init and waits until it is gone.
func (s *State) end() error {
	pidFD, err := sys.PidfdOpen(s.PID)
	if err != nil || !s.alive() {
		sys.Close(pidFD)
		return nil
	}
	defer sys.Close(pidFD)
	if err := sys.PidfdSignal(pidFD, linux.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return &fail.Error{Where: s.ID, Doing: "kill its init", Err: err}
	}
	if frozen, err := cgroup.Frozen(s.Cgroups); err == nil && frozen {
		cgroup.Thaw(s.Cgroups)
	}
	const limit = 10_000
	if ready, err := sys.Wait(limit, pidFD); err != nil || ready < 0 {
		return &fail.Error{Where: s.ID, Doing: "wait for the end of its init, process " + itoa(s.PID), Err: err,
			Hint: "it was killed but does not end: see /proc/" + itoa(s.PID) + "/stack"}
	}
	return nil
}
