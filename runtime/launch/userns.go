// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package launch

import (
	"strconv"
	"syscall"

	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// UserNamespace returns a descriptor of a new user namespace with these mappings.
// A namespace comes into being with a process: a program of two steps, which
// ends as soon as there is the descriptor.
func UserNamespace(uids, gids []syscall.SysProcIDMap) (fd int, err error) {
	var b prog.Builder
	gate := b.Input("gate")
	b.Do("wait for the parent", prog.Read, gate.Arg(), b.Struct("go", make([]byte, 8)), prog.Int(1))
	b.Do("end", prog.Exit, prog.Int(0))
	image, err := Assemble(b.Program(3, gate))
	if err != nil {
		return -1, err
	}
	ours, theirs, err := sys.SeqPacketPair()
	if err != nil {
		return -1, err
	}
	null, err := sys.Open("/dev/null", linux.O_RDWR)
	if err != nil {
		return -1, err
	}
	pid, err := Spawn{Image: image, Stdio: [3]int{null, null, null}, Inputs: []int{theirs}, CgroupFD: -1, UIDs: uids, GIDs: gids}.Start()
	sys.Close(theirs)
	sys.Close(null)
	if err != nil {
		sys.Close(ours)
		return -1, err
	}
	fd, err = sys.Open("/proc/"+strconv.Itoa(pid)+"/ns/user", linux.O_RDONLY)
	sys.Close(ours) // the end of the gate ends it
	if _, reaped := sys.Reap(pid); err == nil && reaped != nil {
		sys.Close(fd)
		return -1, reaped
	}
	return fd, err
}
