// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

import "slices"

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

// What can be asked for through the other calls: linux/net.h, linux/ipc.h.
var (
	socketcalls = [...]string{1: "socket", "bind", "connect", "listen", "accept", "getsockname", "getpeername", "socketpair", "send", "recv",
		"sendto", "recvfrom", "shutdown", "setsockopt", "getsockopt", "sendmsg", "recvmsg", "accept4", "recvmmsg", "sendmmsg"}
	ipcs = [...]string{1: "semop", "semget", "semctl", "semtimedop", 11: "msgsnd", "msgrcv", "msgget", "msgctl", 21: "shmat", "shmdt", "shmget", "shmctl"}
)

// muxOf returns how a call may be asked for on an architecture that has the other
// call.
func muxOf(name string) (m muxed, ok bool) {
	if i := slices.Index(socketcalls[1:], name); i >= 0 {
		return muxed{false, uint8(i + 1)}, true
	}
	i := slices.Index(ipcs[1:], name)
	return muxed{true, uint8(i + 1)}, i >= 0 && name != ""
}

// condition is what the first argument says. The upper half of ipc's is a
// version, ipc(2).
func (m muxed) condition() Condition {
	if m.ipc {
		return Condition{Op: MaskedEqual, Mask: 0xffff, Value: uint64(m.call)}
	}
	return Condition{Op: Equal, Value: uint64(m.call)}
}
