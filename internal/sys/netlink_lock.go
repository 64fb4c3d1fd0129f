// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package sys

import (
	"os"

	"golang.org/x/sys/unix"
)

// LockNetwork waits for the lock of file, flock(2). It is freed when the last
// descriptor of this open file is closed, so a killed process holds nothing.
func LockNetwork(file *os.File, shared bool) error {
	how := unix.LOCK_EX
	if shared {
		how = unix.LOCK_SH
	}
	return netRetry(func() error { return unix.Flock(int(file.Fd()), how) })
}
