// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cgroup

import (
	"bytes"
	"slices"
	"syscall"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
)

// Pids returns the processes of the container, those in cgroups that it made
// itself included, in ascending order. All hierarchies hold the same ones, so
// the first directory that exists is asked.
func Pids(dirs []string) ([]int, error) {
	for _, dir := range dirs {
		pids, err := membersBelow(dir)
		if err == syscall.ENOENT || err == syscall.ENODEV { // ENODEV: removed since it was opened
			continue
		}
		if err != nil {
			return nil, &fail.Error{Doing: "list the processes of " + dir, Err: err}
		}
		slices.Sort(pids)
		return slices.Compact(pids), nil
	}
	return nil, nil
}

// members returns the processes in one directory. Those that our pid namespace
// does not show are left out (the kernel calls them 0).
func members(dir string) ([]int, error) {
	data, err := sys.ReadInto(make([]byte, 0, 4096), dir+"/cgroup.procs")
	if err == syscall.EOPNOTSUPP {
		return nil, nil // a threaded cgroup: its processes are listed above it
	}
	var pids []int
	for line := range bytes.Lines(data) {
		if pid := digits(line); pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids, err
}

// digits returns the number at the beginning of line.
func digits(line []byte) int {
	n := 0
	for _, b := range line {
		if b < '0' || b > '9' {
			break
		}
		n = n*10 + int(b-'0')
	}
	return n
}

// membersBelow returns the processes in a directory and all below it.
func membersBelow(dir string) ([]int, error) {
	pids, err := members(dir)
	if err != nil {
		return nil, err
	}
	children, err := subdirectories(dir)
	if err != nil {
		return nil, err
	}
	for _, child := range children {
		more, err := membersBelow(dir + "/" + child)
		if err != nil && err != syscall.ENOENT && err != syscall.ENODEV {
			return nil, err
		}
		pids = append(pids, more...)
	}
	return pids, nil
}

// subdirectories returns the names of the cgroups in a cgroup. A directory of
// cgroupfs counts them in its links, so that most need no listing.
func subdirectories(dir string) ([]string, error) {
	fd, err := sys.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	defer sys.CloseFD(fd)
	return children(fd)
}

// children is subdirectories of an open directory.
func children(fd int) ([]string, error) {
	const ownLinks = 2 // its name, and "." in it
	stat, err := sys.StatAt(fd, "")
	if err != nil || stat.Nlink <= ownLinks {
		return nil, err
	}
	names, err := sys.ReadNames(fd)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(names, func(name string) bool {
		stat, err := sys.StatAt(fd, name)
		return err != nil || stat.Mode&syscall.S_IFMT != syscall.S_IFDIR
	}), nil
}
