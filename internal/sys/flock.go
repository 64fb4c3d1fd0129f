// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package sys

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

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

// FlockWithin is [Flock] that gives up after a while: ETIMEDOUT. The descriptor
// can be closed then; a lock that comes later goes with it.
func FlockWithin(fd, mode int, limit time.Duration) error {
	err := flock(fd, mode|unix.LOCK_NB)
	if mode&unix.LOCK_NB != 0 || err != unix.EWOULDBLOCK {
		return err
	}
	locked := make(chan error, 1)
	go func() { locked <- flock(fd, mode) }()
	select {
	case err := <-locked:
		return err
	case <-time.After(limit):
		return unix.ETIMEDOUT
	}
}

// FlockHolder returns a process that holds a lock of flock(2) on the file, from
// /proc/locks, proc_locks(5); 0 if none is shown.
func FlockHolder(fd int) int {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return 0
	}
	locks, err := ReadInto(make([]byte, 0, 4096), "/proc/locks")
	if err != nil {
		return 0
	}
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev)), st.Ino)
	for line := range strings.Lines(string(locks)) { // "1: FLOCK ADVISORY WRITE 123 00:1a:456 0 EOF"; who waits has "->" behind the number
		if f := strings.Fields(line); len(f) >= 6 && f[1] == "FLOCK" && f[5] == file {
			pid, _ := strconv.Atoi(f[4])
			return max(pid, 0)
		}
	}
	return 0
}

func flock(fd, how int) error {
	for {
		if err := unix.Flock(fd, how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
