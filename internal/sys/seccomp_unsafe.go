// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// A SeccompCall is a call that a filter asks its listener about: struct
// seccomp_notif, linux/seccomp.h.
type SeccompCall struct {
	ID      uint64
	PID     uint32
	_       uint32
	Number  uint32
	Arch    uint32
	Pointer uint64
	Args    [6]uint64
}

// A SeccompAnswer is struct seccomp_notif_resp.
type SeccompAnswer struct {
	ID    uint64
	Value int64
	Errno int32 // negative
	Flags uint32
}

// SeccompContinue lets the call happen.
const SeccompContinue = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE

// seccompSetFlags is SECCOMP_IOCTL_NOTIF_SET_FLAGS, linux/seccomp.h.
const seccompSetFlags = 0x40082104

// SeccompPrompt has the calling thread run as soon as a call comes to the listener,
// before whoever makes it and on the same CPU. The thread becomes a real-time one,
// which nothing takes back. It takes Linux 6.6 and CAP_SYS_NICE.
func SeccompPrompt(listener int) error {
	err := unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Flags: unix.SCHED_FLAG_RESET_ON_FORK, Priority: 1}, 0)
	if err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), seccompSetFlags, unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP); errno != 0 {
		return errno
	}
	return nil
}

// SeccompReceive waits for a call at a listener. ENOENT is one whose process is
// gone meanwhile.
func SeccompReceive(listener int) (c SeccompCall, err error) {
	err = uninterrupted(func() error {
		c = SeccompCall{} // the kernel wants it to be zero
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&c))); errno != 0 {
			return errno
		}
		return nil
	})
	return c, err
}

// SeccompRespond answers a call. ENOENT is one whose process is gone meanwhile.
func SeccompRespond(listener int, a SeccompAnswer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&a))); errno != 0 {
		return errno
	}
	return nil
}

// SeccompKnows tells whether the kernel takes these flags of seccomp(2): it looks at
// them before the filter, which here is none.
func SeccompKnows(flags uint32) bool {
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(flags), 0)
	return errno == unix.EFAULT
}
