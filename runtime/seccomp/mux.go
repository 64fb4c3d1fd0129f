// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

// Some architectures also have, or only have, one call for all that have to do with sockets
// and one for System V IPC: socketcall(2) and ipc(2). Their first argument says
// which is meant, and the arguments of that lie behind a pointer, where no filter
// can look.

// A muxed call is one that may be asked for through another.
type muxed struct {
	ipc  bool // through ipc(2), not socketcall(2)
	call uint8
}

// through is the other call.
func (m muxed) through() string {
	if m.ipc {
		return "ipc"
	}
	return "socketcall"
}

// muxOf returns how a call may be asked for on an architecture that has the other
// call: linux/net.h, linux/ipc.h.
func muxOf(name string) (m muxed, ok bool) {
	call := uint8(0)
	switch name {
	case "socket":
		call = 1
	case "bind":
		call = 2
	case "connect":
		call = 3
	case "listen":
		call = 4
	case "accept":
		call = 5
	case "getsockname":
		call = 6
	case "getpeername":
		call = 7
	case "socketpair":
		call = 8
	case "send":
		call = 9
	case "recv":
		call = 10
	case "sendto":
		call = 11
	case "recvfrom":
		call = 12
	case "shutdown":
		call = 13
	case "setsockopt":
		call = 14
	case "getsockopt":
		call = 15
	case "sendmsg":
		call = 16
	case "recvmsg":
		call = 17
	case "accept4":
		call = 18
	case "recvmmsg":
		call = 19
	case "sendmmsg":
		call = 20
	}
	if call != 0 {
		return muxed{false, call}, true
	}
	switch name {
	case "semop":
		call = 1
	case "semget":
		call = 2
	case "semctl":
		call = 3
	case "semtimedop":
		call = 4
	case "msgsnd":
		call = 11
	case "msgrcv":
		call = 12
	case "msgget":
		call = 13
	case "msgctl":
		call = 14
	case "shmat":
		call = 21
	case "shmdt":
		call = 22
	case "shmget":
		call = 23
	case "shmctl":
		call = 24
	}
	return muxed{true, call}, call != 0
}

// condition is what the first argument says. The upper half of ipc's is a
// version, ipc(2).
func (m muxed) condition() Condition {
	if m.ipc {
		return Condition{Op: MaskedEqual, Mask: 0xffff, Value: uint64(m.call)}
	}
	return Condition{Op: Equal, Value: uint64(m.call)}
}
