// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/cgroup"
	"github.com/coracle-oci/coracle/runtime/cgroup/resources"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/probe"
)

// A Leftover is what a command has left that was killed.
type Leftover struct{ ID, Why string }

// GC removes what killed commands have left: containers whose create or delete
// nobody carries on, and those that ended before they were started. Others that
// have stopped are their owner's. With dry it only tells.
func (s Store) GC(dry bool, warn func(string, ...any)) ([]Leftover, error) {
	ids, err := s.ids()
	if err != nil {
		return nil, err
	}
	var found []Leftover
	for _, id := range ids {
		l, err := s.collect(id, dry, warn)
		if err != nil {
			warn("%s", fail.Reason(err))
		} else if l != nil {
			found = append(found, *l)
		}
	}
	return found, nil
}

// collect removes one container if it is left over.
func (s Store) collect(id string, dry bool, warn func(string, ...any)) (*Leftover, error) {
	state, err := s.Open(id, Exclusive|syscall.LOCK_NB)
	defer state.Close()
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, ErrNotExist): // somebody works on it, or has
		return nil, nil
	case errors.Is(err, ErrHalfMade):
		if !dry {
			err = state.remove()
		} else {
			err = nil
		}
		return &Leftover{id, "its create was killed before it began"}, err
	case err != nil:
		return nil, err
	}
	if err := state.mine(); err != nil {
		return nil, err
	}
	why := ""
	switch {
	case state.Status == Creating:
		why = "its create was killed"
	case state.deleting():
		why = "its delete was killed"
	case state.aborted():
		why = "its init ended before it was started"
	default:
		return nil, nil
	}
	if dry {
		return &Leftover{id, why}, nil
	}
	return &Leftover{id, why}, state.destroy(warn)
}

// Delete removes its config first: that is the journal's word for "to be deleted",
// and costs nothing, as it has to be removed in any case.
func (s *State) beginDelete() { os.Remove(filepath.Join(s.dir, config.Name)) }

// deleting tells whether a delete has begun.
func (s *State) deleting() bool {
	_, err := os.Lstat(filepath.Join(s.dir, config.Name))
	return errors.Is(err, os.ErrNotExist)
}

// aborted tells whether the init has ended without a start: create may be killed
// when the journal says "created" and the init does not know yet. Nothing has
// ever run in such a container, and nothing can.
func (s *State) aborted() bool {
	_, err := os.Lstat(filepath.Join(s.dir, startSocket))
	return err == nil && !s.alive()
}

// KillCgroup sends a signal to everything in a cgroup, for containers whose state
// is gone. path is as linux.cgroupsPath had it, or the id if that had none. With
// remove the cgroup goes too.
func KillCgroup(path string, signal int, remove bool) error {
	const where = "--cgroup"
	f, err := probe.Cgroup()
	if err != nil {
		return err
	}
	c, err := resources.Compile("", path, nil, f)
	if err != nil {
		if e, ok := errors.AsType[*fail.Error](err); ok {
			e.Where = where
		}
		return err
	}
	if err := notOurs(c.Dirs); err != nil {
		return err
	}
	if err := cgroup.Kill(c.Dirs, syscall.Signal(signal)); err != nil || !remove {
		return err
	}
	if err := cgroup.Thaw(c.Dirs); err != nil {
		return err
	}
	return cgroup.Remove(c.Dirs)
}

// notOurs refuses cgroups that do not exist, and one that this process is in.
func notOurs(dirs []string) error {
	exists := false
	for _, dir := range dirs {
		_, err := os.Stat(dir)
		exists = exists || err == nil
	}
	if !exists {
		return &fail.Error{Where: "--cgroup", Doing: "find the cgroup", Err: syscall.ENOENT}
	}
	pids, err := cgroup.Pids(dirs)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if pid == os.Getpid() || pid == 1 {
			return &fail.Error{Where: "--cgroup", Doing: "process " + itoa(pid) + " is in it, which is no container's"}
		}
	}
	return nil
}
