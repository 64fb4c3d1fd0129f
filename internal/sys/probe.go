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

// StatPath returns the mode, with its type bits, and the device number of what
// lies at a path; symbolic links are followed. stat(2).
func StatPath(path string) (mode uint32, rdev uint64, err error) {
	var s unix.Stat_t
	if err := uninterrupted(func() error { return unix.Stat(path, &s) }); err != nil {
		return 0, 0, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return s.Mode, s.Rdev, nil
}
