// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// pollRaw is ppoll(2) without telling the scheduler that the thread may block.
func pollRaw(fds []unix.PollFd, milliseconds int) (int, error) {
	limit := unix.NsecToTimespec(int64(milliseconds) * 1_000_000)
	n, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&fds[0])), uintptr(len(fds)), uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
