// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cgroup

import (
	"strconv"
	"strings"
	"syscall"

	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/runtime/cgroup/resources"
)

// delegated are the files to own where the kernel does not tell: config-linux.md,
// "Cgroup ownership".
var delegated = []string{"cgroup.procs", "cgroup.subtree_control", "cgroup.threads"}

// own gives a cgroup and those of its files to a user that a manager of cgroups
// below it needs, and no others: with memory.max it could lift its own limit.
func own(dir, uid string) error {
	const sameGroup = ^uint32(0) // chown(2): -1 leaves it
	number, err := strconv.ParseUint(uid, 10, 32)
	if err != nil {
		return err
	}
	names := delegated
	if list, err := sys.ReadInto(make([]byte, 0, 256), resources.DelegateFile); err == nil {
		names = strings.Fields(string(list))
	}
	fd, err := sys.OpenDir(dir)
	if err != nil {
		return err
	}
	defer sys.CloseFD(fd)
	for _, name := range names {
		// A file of a controller that is not enabled is missing.
		if err := sys.ChownAt(fd, name, uint32(number), sameGroup); err != nil && err != syscall.ENOENT {
			return err
		}
	}
	return sys.ChownFD(fd, uint32(number), sameGroup)
}
