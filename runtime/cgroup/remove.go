// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cgroup

import (
	"errors"
	"strconv"
	"syscall"
	"time"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
)

// patience is how long Remove, Freeze and Kill wait for processes to obey.
const patience = 5 * time.Second

// Remove removes the directories, with the cgroups that the container made in
// them, but never what is above. It waits for processes that are about to end,
// kills none, and is content with what is gone already. It goes on after an
// error and returns the first.
func Remove(dirs []string) error {
	var first error
	deadline := time.Now().Add(patience)
	for _, dir := range dirs {
		if err := remove(dir, deadline); err != nil && first == nil {
			first = err
		}
	}
	return first
}

func remove(dir string, deadline time.Time) error {
	for {
		err := sys.RemoveDir(dir)
		if err == nil || err == syscall.ENOENT {
			return nil
		}
		if err == syscall.EBUSY || err == syscall.ENOTEMPTY {
			err = removeBelow(dir)
		}
		if err != nil && err != syscall.EBUSY && err != syscall.ENOTEMPTY && err != syscall.ENOENT {
			return &fail.Error{Doing: "remove the cgroup " + dir, Err: err}
		}
		if err == nil {
			if err = sys.RemoveDir(dir); err == nil || err == syscall.ENOENT {
				return nil
			}
		}
		if time.Now().After(deadline) {
			return busy(dir)
		}
		awaitDeparture(dir, deadline)
	}
}

// busy is the error for a cgroup that somebody is still in.
func busy(dir string) error {
	e := &fail.Error{Doing: "remove the cgroup " + dir, Err: syscall.EBUSY}
	if pids, err := membersBelow(dir); err == nil && len(pids) > 0 {
		e.Doing += ", which process " + strconv.Itoa(pids[0]) + " is in"
	}
	return e
}

// removeBelow removes the cgroups in dir, the deepest first. Containers choose
// how deep that is: the walk keeps one directory open, whatever the depth.
func removeBelow(dir string) error {
	fd, err := sys.OpenDir(dir)
	if err != nil {
		return err
	}
	defer func() { sys.CloseFD(fd) }()
	var trail []string // names from dir down to fd
	for {
		name, err := removeChildren(fd)
		if err != nil {
			return err
		}
		step := name
		if name == "" {
			if len(trail) == 0 {
				return nil
			}
			step = ".."
		}
		next, err := sys.OpenChild(fd, step)
		if err != nil {
			return err
		}
		sys.CloseFD(fd)
		fd = next
		if name != "" {
			trail = append(trail, name)
			continue
		}
		if err := sys.RemoveAt(fd, trail[len(trail)-1], true); err != nil && err != syscall.ENOENT {
			return err
		}
		trail = trail[:len(trail)-1]
	}
}

// removeChildren removes the cgroups in the directory that can be removed, and
// returns the name of one that has cgroups itself, or "".
func removeChildren(fd int) (string, error) {
	names, err := children(fd)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		switch err := sys.RemoveAt(fd, name, true); err {
		case nil, syscall.ENOENT:
		case syscall.EBUSY, syscall.ENOTEMPTY:
			return name, nil
		default:
			return "", err
		}
	}
	return "", nil
}

// awaitDeparture waits until it is worth trying again: until one of the
// processes in dir has exited, or v2 says that a cgroup changed.
func awaitDeparture(dir string, deadline time.Time) {
	left := time.Until(deadline)
	if pids, err := membersBelow(dir); err == nil && len(pids) > 0 {
		if sys.AwaitExit(pids[0], left) == nil {
			return
		}
	}
	// Nobody is listed: a process is between leaving the list and being gone,
	// or another namespace hides it. v2 gives notice; v1 does not, and a few
	// hundred microseconds are what it takes.
	if err := awaitUnpopulated(dir, left); errors.Is(err, syscall.ENOENT) {
		time.Sleep(200 * time.Microsecond)
	}
}

// awaitUnpopulated waits until a v2 cgroup has no process that lives.
func awaitUnpopulated(dir string, timeout time.Duration) error {
	_, err := awaitEvent(dir, timeout, "populated 0\n")
	return err
}
