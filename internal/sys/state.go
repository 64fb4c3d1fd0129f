// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package sys

import "golang.org/x/sys/unix"

// Unlinked tells whether the directory that fd refers to has been removed.
func Unlinked(fd int) (bool, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	return st.Nlink == 0, err
}

// ProcessStart returns when a process started, in clock ticks since boot, and
// whether it runs no more: it waits to be reaped, or its only thread is on the way
// there, which takes the init of a PID namespace until all others of that are
// reaped.
func ProcessStart(pid int) (ticks uint64, ended bool, err error) {
	const exiting = 0x4 // PF_EXITING of linux/sched.h
	s, err := readStat(pid)
	return s.start, s.state == "Z" || s.state == "X" || s.threads == 1 && s.flags&exiting != 0, err
}

// Ticks is the present as ProcessStart tells it, proc_pid_stat(5): in hundredths of
// a second since boot, whatever the kernel's own ticks are.
func Ticks() uint64 {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) != nil {
		return 0
	}
	return uint64(now.Nano()) / 1e7
}

// WriteNewFile writes a file below dirFD, mode 0600, over what was there.
func WriteNewFile(dirFD int, name string, data []byte) error {
	fd, err := unix.Openat(dirFD, name, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	err = WriteAll(fd, data)
	if cerr := unix.Close(fd); err == nil {
		err = cerr
	}
	return err
}

// Inherited returns EBADF unless fd is open and was so when the program began:
// whatever it has opened since is close-on-exec.
func Inherited(fd int) error {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err == nil && flags&unix.FD_CLOEXEC != 0 {
		return unix.EBADF
	}
	return err
}
