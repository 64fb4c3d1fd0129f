// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"syscall"
	"time"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/runtime/stats"
)

// An Exit is how a container ended and what it had used by then. It is kept in
// the state, by whoever sees the end first, until the container is deleted.
type Exit struct {
	Code   *int        `json:"code,omitempty"`   // as shells have it: 128 + N after signal N; nil: nobody saw it
	Signal string      `json:"signal,omitempty"` // that ended it
	Time   time.Time   `json:"time,omitzero"`    // when it was seen
	Usage  stats.Usage `json:"usage,omitzero"`   // nothing: its cgroups were gone
}

// code is a wait status as shells have it.
func code(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// ended makes the Exit of a container whose init has just ended.
func (s *State) ended(status syscall.WaitStatus) *Exit {
	number := code(status)
	e := &Exit{Code: &number, Time: time.Now().UTC(), Usage: s.Usage()}
	if status.Signaled() {
		e.Signal = sys.SignalName(int(status.Signal()))
	}
	return e
}

// Ended is what is known of the end of a stopped container.
func (s *State) Ended() *Exit {
	if s.Exit != nil {
		return s.Exit
	}
	pidFD, err := sys.PidfdOpen(s.PID)
	if err != nil {
		return &Exit{Usage: s.Usage()}
	}
	defer sys.Close(pidFD)
	if there, ended := s.process(); there && ended {
		if status, ok := sys.ExitStatus(pidFD, s.PID); ok {
			e := s.ended(syscall.WaitStatus(status))
			e.Time = time.Time{} // some time ago
			return e
		}
	}
	return &Exit{Usage: s.Usage()}
}

// Usage is what the container uses, or had used by its end: its cgroups are
// there until it is deleted.
func (s *State) Usage() stats.Usage { return stats.New(s.Cgroups).Usage() }

// Wait waits for the end of the container's init, for at most the limit unless
// that is zero, and returns how it ended.
//
// The exit status of a process is for its parent, which coracle is not after
// create. Others can see it while the process waits to be reaped, and since Linux
// 6.15 afterwards as well if they had opened it before. Whoever sees it keeps it
// in the state for those who come too late.
func (s Store) Wait(id string, limit time.Duration) (*Exit, error) {
	state, err := s.Open(id, Unlocked)
	if err != nil {
		return nil, halfMade(id, err)
	}
	if state.Exit != nil {
		return state.Exit, nil
	}
	pidFD, err := sys.PidfdOpen(state.PID)
	if err != nil {
		return s.tooLate(id)
	}
	defer sys.Close(pidFD)
	if there, _ := state.process(); !there {
		return s.tooLate(id)
	}
	milliseconds := -1
	if limit > 0 {
		milliseconds = int(limit.Milliseconds())
	}
	ready, err := sys.Wait(milliseconds, pidFD)
	if err != nil {
		return nil, &fail.Error{Where: id, Doing: "wait for its end", Err: err}
	}
	if ready < 0 {
		now := string(state.Now())
		if now == string(Stopped) {
			now = "dying"
		}
		return nil, &fail.Error{Where: id, Doing: "wait for its end: it still is " + now + " after " + limit.String()}
	}
	status, ok := sys.ExitStatus(pidFD, state.PID)
	if !ok {
		return s.tooLate(id)
	}
	return s.keep(id, state.ended(syscall.WaitStatus(status))), nil
}

// tooLate is for a container that has ended already: somebody may have seen how.
func (s Store) tooLate(id string) (*Exit, error) {
	state, err := s.Open(id, Unlocked)
	if err != nil {
		return nil, halfMade(id, err)
	}
	if state.Exit != nil {
		return state.Exit, nil
	}
	if state.Status == Creating {
		return nil, &fail.Error{Where: id, Doing: "wait for its end: it is not created yet"}
	}
	return nil, &fail.Error{Where: id, Doing: "it has ended and was reaped, and its exit status was for whoever did that",
		Hint: "start coracle wait before the end (Linux 6.15 or newer, or before it is reaped), or ask the parent"}
}

// keep writes an Exit into the state, unless there is one or the container is
// gone. It is an aid: what the caller has learned does not depend on it.
func (s Store) keep(id string, exit *Exit) *Exit {
	state, err := s.Open(id, Exclusive)
	if err != nil {
		return exit
	}
	defer state.Close()
	if state.Exit == nil && state.mine() == nil {
		state.Exit = exit
		_ = state.write()
	}
	return exit
}
