// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package launch

import (
	"strconv"
	"syscall"

	"github.com/coracle-oci/coracle/internal/sys"
)

// Name is what the waiting process is called, and what /proc/PID/exe says.
const Name = "coracle-init"

// A Spawn is what a process starts with.
type Spawn struct {
	Image    *Image
	Stdio    [3]int // descriptors 0 to 2
	Preserve []int  // descriptors from 3 on that the container keeps
	Inputs   []int  // of the program, in its order
	CgroupFD int    // cgroup v2 directory to be born in; -1: that of the caller
	NewPID   bool   // it is the first process of a new PID namespace

	// The ids of a user namespace to be born in; none: that of the caller.
	UIDs, GIDs []syscall.SysProcIDMap
}

// Start starts the process and returns its pid. Its environment is empty, as
// the caller's may hold secrets that /proc/PID/environ would show.
//
// The memfd is handed over as one more descriptor and executed by that number;
// Go's ForkExec does so with the semantics of vfork(2).
func (s Spawn) Start() (pid int, err error) {
	memfd, err := sys.SealedMemfd(Name, s.Image.Bytes)
	if err != nil {
		return -1, err
	}
	defer sys.Close(memfd)
	files := make([]uintptr, 0, 4+len(s.Preserve)+len(s.Inputs))
	for _, list := range [][]int{s.Stdio[:], s.Preserve, s.Inputs, {memfd}} {
		for _, fd := range list {
			files = append(files, uintptr(fd))
		}
	}
	attr := &syscall.ProcAttr{Files: files, Env: []string{}, Sys: &syscall.SysProcAttr{}}
	if s.CgroupFD >= 0 {
		attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, s.CgroupFD
	}
	if s.NewPID {
		attr.Sys.Cloneflags = syscall.CLONE_NEWPID
	}
	if len(s.UIDs) > 0 {
		attr.Sys.Cloneflags, attr.Sys.UidMappings, attr.Sys.GidMappings = syscall.CLONE_NEWUSER, s.UIDs, s.GIDs
		attr.Sys.GidMappingsEnableSetgroups = true
	}
	return syscall.ForkExec("/proc/self/fd/"+strconv.Itoa(len(files)-1), []string{Name}, attr)
}
