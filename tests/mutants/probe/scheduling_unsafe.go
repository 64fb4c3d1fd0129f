// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package main

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

func (r *report) scheduling() {
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		r.add("scheduler", err)
	} else {
		r.add("scheduler", fmt.Sprint(attr.Policy, attr.Nice, attr.Priority, attr.Flags))
	}
	const process = 1 // IOPRIO_WHO_PROCESS
	priority, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, process, 0, 0)
	r.add("I/O priority", fmt.Sprintf("%#x %v", priority, errno))
	mode, nodes := int32(0), make([]uint64, 17)
	_, _, errno = unix.Syscall6(unix.SYS_GET_MEMPOLICY, uintptr(unsafe.Pointer(&mode)), uintptr(unsafe.Pointer(&nodes[0])), 64*16+1, 0, 0, 0)
	r.add("memory policy", fmt.Sprintf("%#x %v %v", mode, nodes, errno))
}
