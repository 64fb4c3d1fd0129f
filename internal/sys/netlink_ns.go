// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package sys

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// ErrNotNetns says that a file is there but is no network namespace.
var ErrNotNetns = errors.New("not a network namespace")

// OpenNetns opens the network namespace at path. Anything else that may lie
// there (the plain file of a namespace that was unmounted, a fifo that would
// block) is [ErrNotNetns].
func OpenNetns(path string) (int, error) {
	var fd int
	err := netRetry(func() (err error) {
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		return err
	})
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	// NS_GET_NSTYPE, ioctl_ns(2), is answered by namespaces only.
	if kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE); err != nil || kind != unix.CLONE_NEWNET {
		unix.Close(fd)
		return -1, &fs.PathError{Op: "open", Path: path, Err: ErrNotNetns}
	}
	return fd, nil
}

// SameNetns tells whether two open files are one: for namespaces, whether they
// are the same namespace.
func SameNetns(a, b int) (bool, error) {
	var x, y unix.Stat_t
	if err := unix.Fstat(a, &x); err != nil {
		return false, err
	}
	if err := unix.Fstat(b, &y); err != nil {
		return false, err
	}
	return x.Dev == y.Dev && x.Ino == y.Ino, nil
}

// CloseNetns closes what [OpenNetns] opened.
func CloseNetns(fd int) error { return unix.Close(fd) }
