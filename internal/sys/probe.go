// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package sys

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// Release returns the release of the running kernel, such as "6.18.44": uname(2).
func Release() (string, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "", err
	}
	return unix.ByteSliceToString(name.Release[:]), nil
}

// PermittedCapabilities returns the permitted set of this process, bit n for
// capability n: capget(2).
func PermittedCapabilities() (uint64, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData // 32 capabilities each
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return 0, err
	}
	return uint64(sets[1].Permitted)<<32 | uint64(sets[0].Permitted), nil
}

// LastCapability returns the number of the highest capability that the kernel
// knows. It asks prctl(2) instead of /proc/sys/kernel/cap_last_cap: two calls that
// touch no file, where the answer is the one of the kernels of today.
func LastCapability() int {
	known := func(n int) bool {
		_, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(n), 0, 0, 0)
		return err == nil
	}
	n := unix.CAP_LAST_CAP
	for n > 0 && !known(n) {
		n--
	}
	for n < 63 && known(n+1) {
		n++
	}
	return n
}

// Look returns the mode, with its type bits, and the device number of what lies
// at a path, after symbolic links, and where to if the path itself is one. The
// path is one of the host; with dirFD, one below that directory as if it were the
// root.
func Look(dirFD int, path string) (mode uint32, rdev uint64, link string, err error) {
	var s unix.Stat_t
	if dirFD == unix.AT_FDCWD {
		err = uninterrupted(func() error { return unix.Lstat(path, &s) })
		if err == nil && s.Mode&unix.S_IFMT == unix.S_IFLNK {
			if link, err = ReadlinkAt(dirFD, path); err == nil {
				err = uninterrupted(func() error { return unix.Stat(path, &s) })
			}
		}
	} else {
		link, err = lookIn(dirFD, path, &s)
	}
	if err != nil {
		return 0, 0, link, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return s.Mode, s.Rdev, link, nil
}

func lookIn(dirFD int, path string, s *unix.Stat_t) (link string, err error) {
	fd, err := OpenIn(dirFD, path, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return "", err
	}
	err = unix.Fstat(fd, s)
	if err == nil && s.Mode&unix.S_IFMT == unix.S_IFLNK {
		link, err = ReadlinkAt(fd, "")
		unix.Close(fd)
		if err != nil {
			return link, err
		}
		if fd, err = OpenIn(dirFD, path, unix.O_PATH); err != nil {
			return link, err
		}
		err = unix.Fstat(fd, s)
	}
	unix.Close(fd)
	return link, err
}

// Writable tells whether this process, with its effective ids, may change a file
// or directory: access(2).
func Writable(path string) bool {
	return unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS) == nil
}
