// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package sys

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// OpenInNetns opens a file in the network namespace fd for a thread that is in home:
// /proc/sys/net shows that of the thread that opens it.
func OpenInNetns(fd, home int, path string, flags int) (int, error) {
	name, err := unix.BytePtrFromString(path)
	if err != nil {
		return -1, err
	}
	at := unix.AT_FDCWD
	opened, err := inNetns(fd, home, unix.SYS_OPENAT, uintptr(at), uintptr(unsafe.Pointer(name)), uintptr(flags|unix.O_CLOEXEC))
	runtime.KeepAlive(name)
	return opened, err
}

// socketInNetns is socket(2) in the network namespace fd.
func socketInNetns(fd, home, domain, kind, protocol int) (int, error) {
	return inNetns(fd, home, unix.SYS_SOCKET, uintptr(domain), uintptr(kind), uintptr(protocol))
}

func inNetns(fd, home int, call, a, b, c uintptr) (int, error) {
	for {
		opened, errno, stray := visit(uintptr(fd), uintptr(home), call, a, b, c)
		switch {
		case stray != 0: // ENOMEM; the thread is no other goroutine's from here on
			runtime.LockOSThread()
			return -1, stray
		case errno == 0:
			return int(opened), nil
		case errno != unix.EINTR:
			return -1, errno
		}
	}
}

// visit makes one system call in the namespace fd and comes back. Who may not come
// back does not go. stray says that the thread is still there.
//
// The goroutine stays on its thread all the time: a function that has no check of the stack
// is interrupted only by a signal, and none comes. runtime.LockOSThread promises the
// same, and starts a thread for that.
//
//go:nosplit
//go:noinline
//go:norace
func visit(fd, home, call, a, b, c uintptr) (opened uintptr, errno, stray unix.Errno) {
	all, before := ^uint64(0), uint64(0)
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&all)), uintptr(unsafe.Pointer(&before)), 8, 0, 0)
	_, _, errno = unix.RawSyscall(unix.SYS_SETNS, home, unix.CLONE_NEWNET, 0)
	if errno == 0 {
		_, _, errno = unix.RawSyscall(unix.SYS_SETNS, fd, unix.CLONE_NEWNET, 0)
	}
	if errno == 0 {
		opened, _, errno = unix.RawSyscall6(call, a, b, c, 0, 0, 0)
		_, _, stray = unix.RawSyscall(unix.SYS_SETNS, home, unix.CLONE_NEWNET, 0)
	}
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&before)), 0, 8, 0, 0)
	return opened, errno, stray
}
