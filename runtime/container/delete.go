// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/cgroup"
	"github.com/coracle-oci/coracle/runtime/cgroup/resources"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/probe"
)

// ErrNotRunning is the error for a signal to a container that has stopped.
var ErrNotRunning = errors.New("container not running")

// Kill sends a signal to the init; with all, to every process of the container,
// and then a container without processes is no error.
//
// It takes no lock: a container must be killable whatever else is done to it.
func (s Store) Kill(id string, signal int, all bool) error {
	state, err := s.Open(id, Unlocked)
	if err != nil {
		return halfMade(id, err)
	}
	if err := state.mine(); err != nil {
		return err
	}
	switch {
	case all:
		return state.killAll(signal)
	case signal == linux.SIGKILL && !state.OwnPIDs && len(state.Cgroups) > 0: // nothing else ends the others with the init
		if pids, err := cgroup.Pids(state.Cgroups); err == nil && len(pids) == 0 {
			return &fail.Error{Where: id, Err: ErrNotRunning}
		}
		return state.killAll(signal)
	}
	return state.killInit(signal)
}

// killAll signals all processes, those that the init has left behind too.
func (s *State) killAll(signal int) error {
	if len(s.Cgroups) == 0 { // they are disabled: who else is of the container is not known
		return s.killInit(signal)
	}
	if err := cgroup.Kill(s.Cgroups, syscall.Signal(signal)); err != nil {
		return &fail.Error{Where: s.ID, Doing: "signal all its processes", Err: err}
	}
	return s.thawKilled(signal)
}

func (s *State) killInit(signal int) error {
	// The pidfd is opened before the check: the process that it was checked for
	// is the one that gets the signal.
	pidFD, err := sys.PidfdOpen(s.PID)
	if err == nil {
		defer sys.Close(pidFD)
	}
	if err != nil || !s.alive() {
		return &fail.Error{Where: s.ID, Err: ErrNotRunning}
	}
	if err := sys.PidfdSignal(pidFD, signal); errors.Is(err, syscall.ESRCH) {
		return &fail.Error{Where: s.ID, Err: ErrNotRunning}
	} else if err != nil {
		return &fail.Error{Where: s.ID, Doing: "send signal " + itoa(signal), Err: err}
	}
	return s.thawKilled(signal)
}

// thawKilled lets frozen processes die: those of v1 do so only when they are thawed.
func (s *State) thawKilled(signal int) error {
	if signal != linux.SIGKILL {
		return nil
	}
	if frozen, err := cgroup.Frozen(s.Cgroups); err != nil || !frozen {
		return nil
	}
	return named(s.ID, cgroup.Thaw(s.Cgroups))
}

// Delete removes a stopped or created container; with force any, and then one
// that does not exist is no error.
func (s Store) Delete(id string, force bool, warn func(string, ...any)) error {
	if force {
		s.interrupt(id)
	}
	state, err := s.Open(id, Exclusive)
	defer state.Close()
	switch {
	case errors.Is(err, ErrNotExist) && force:
		return nil
	case errors.Is(err, ErrHalfMade) && force:
		return state.remove()
	case errors.Is(err, errUnreadable) && force:
		return s.deleteDamaged(id, warn)
	case err != nil:
		return halfMade(id, err)
	}
	if err := state.mine(); err != nil {
		return err
	}
	if now := state.Now(); !force && now != Stopped && now != Created {
		return &fail.Error{Where: id, Doing: "cannot delete container " + id + " that is not stopped: " + string(now), Hint: "kill it first or use --force"}
	}
	return state.destroy(warn)
}

// interrupt kills the init of a container that another command is at work on. That
// may wait for what the init does: a hook that never ends, or an agent that never
// answers.
func (s Store) interrupt(id string) {
	locked := &State{dir: filepath.Join(s.Root, id), lock: -1}
	if CheckID(id) != nil || !locked.beingMade() {
		return
	}
	if state, err := s.Look(id); err == nil && state.Status == Created && state.mine() == nil {
		_ = state.killInit(linux.SIGKILL) // one that has ended is no error
	}
}

// deleteDamaged removes a container whose state.json cannot be made out. Where its
// processes are is known from the config that it was made of.
func (s Store) deleteDamaged(id string, warn func(string, ...any)) error {
	state := &State{ID: id, Status: Creating, dir: filepath.Join(s.Root, id), lock: -1, owner: os.Geteuid(), tell: s.tell}
	if err := state.acquire(Exclusive); err != nil {
		return notExist(id, err)
	}
	defer state.Close()
	dirs, err := state.configuredCgroups()
	if err != nil {
		warn("%s: its cgroup is not known, and what runs in it is left alone: %s", id, fail.Reason(err))
	}
	state.Cgroups = dirs
	return state.destroy(warn)
}

// configuredCgroups is where the container's config put it.
func (s *State) configuredCgroups() ([]string, error) {
	raw, uid, err := sys.ReadOwned(nil, filepath.Join(s.dir, config.Name))
	if err != nil {
		return nil, err
	}
	if s.owner = uid; s.mine() != nil {
		return nil, s.mine()
	}
	c, err := config.Parse(raw)
	if err != nil {
		return nil, err
	}
	path := ""
	if c.Linux != nil {
		path = c.Linux.CgroupsPath
	}
	if strings.Count(path, ":") == 2 {
		return s.configuredScope(path, c.Annotations)
	}
	f, err := probe.Cgroup()
	if err != nil {
		return nil, err
	}
	cgroups, err := resources.Compile(s.ID, path, nil, f)
	return cgroups.Dirs, err
}

// destroy ends what still runs and removes what create has made, and nothing
// else. The state goes last, so that what is killed here can be taken up again.
func (s *State) destroy(warn func(string, ...any)) error {
	s.beginDelete()
	if err := s.end(); err != nil {
		return err
	}
	return s.clear(warn)
}

// clear removes what is left of a container whose init has ended. All processes
// of a PID namespace end with its init; others are killed first.
func (s *State) clear(warn func(string, ...any)) error {
	s.beginDelete()
	if !s.OwnPIDs || s.Status == Creating {
		if err := cgroup.Kill(s.Cgroups, syscall.SIGKILL); err != nil {
			return &fail.Error{Where: s.ID, Doing: "end its processes", Err: err}
		}
	}
	if err := s.stopUnit(); err != nil {
		warn("%s", fail.Reason(err)) // with its last process, it goes by itself
	}
	if err := cgroup.Remove(s.Cgroups); err != nil {
		return err
	}
	if err := s.removeGroups(); err != nil {
		return err
	}
	s.poststop(warn)
	return s.remove()
}

// killPatience is how long a process may take to end that was killed.
const killPatience = 10 * time.Second

// end kills the init and waits until it is gone, also if it is dying already.
func (s *State) end() error {
	pidFD, err := sys.PidfdOpen(s.PID)
	if there, _ := s.process(); err != nil || !there {
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
	if ready, err := sys.Wait(int(killPatience.Milliseconds()), pidFD); err != nil || ready < 0 {
		return &fail.Error{Where: s.ID, Doing: "wait for the end of its init, process " + itoa(s.PID), Err: err,
			Hint: "it was killed but does not end: see /proc/" + itoa(s.PID) + "/stack"}
	}
	return nil
}
