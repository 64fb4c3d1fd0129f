// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package sys

import (
	"errors"

	"golang.org/x/sys/unix"
)

// LockShared takes a shared lock on an open file and waits for it, flock(2).
// The lock belongs to the open file description: it goes when the last
// descriptor is closed, so also when the process is killed.
func LockShared(fd int) error { return flock(fd, unix.LOCK_SH) }

// LockExclusive takes an exclusive lock and waits for it.
func LockExclusive(fd int) error { return flock(fd, unix.LOCK_EX) }

// TryLockExclusive takes an exclusive lock, or reports false if somebody else
// holds the file.
func TryLockExclusive(fd int) (bool, error) {
	err := flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

func flock(fd, how int) error {
	for {
		if err := unix.Flock(fd, how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
