// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"errors"
	"syscall"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/cgroup"
)

// ErrNotPaused is the error for the resumption of what is not paused.
var ErrNotPaused = errors.New("container not paused")

// Pause stops all processes of a container where they are.
func (s Store) Pause(id string) error {
	return s.change(id, func(state *State, now Status) error {
		switch now {
		case Running, Created:
			if err := cgroup.Freeze(state.Cgroups); !errors.Is(err, syscall.ESRCH) {
				return named(id, err)
			} // it was killed meanwhile
		case Paused:
			return &fail.Error{Where: id, Doing: "pause: it is paused already", Err: ErrNotRunning}
		}
		return &fail.Error{Where: id, Err: ErrNotRunning}
	})
}

// Resume lets them go on.
func (s Store) Resume(id string) error {
	return s.change(id, func(state *State, now Status) error {
		if now != Paused {
			return &fail.Error{Where: id, Doing: "resume: it is " + string(now), Err: ErrNotPaused}
		}
		return named(id, cgroup.Thaw(state.Cgroups))
	})
}

// change does something to a container that is there, under its lock.
func (s Store) change(id string, do func(*State, Status) error) error {
	state, err := s.Open(id, Exclusive)
	if err != nil {
		state.Close()
		return halfMade(id, err)
	}
	defer state.Close()
	if err := state.mine(); err != nil {
		return err
	}
	return do(state, state.Now())
}

// named says which container an operation on cgroups was for.
func named(id string, err error) error {
	if e, ok := errors.AsType[*fail.Error](err); ok && e.Where == "" {
		e.Where = id
	}
	return err
}

// PIDs returns the processes of the container, those in cgroups that it has made
// included. Without cgroups nobody knows but of the init.
func (s *State) PIDs() ([]int, error) {
	if len(s.Cgroups) > 0 {
		pids, err := cgroup.Pids(s.Cgroups)
		return pids, named(s.ID, err)
	}
	if s.alive() {
		return []int{s.PID}, nil
	}
	return nil, nil
}
