// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package linux

import "golang.org/x/sys/unix"

// What is waited for: poll(2), inotify(7).
const (
	POLLIN  = unix.POLLIN
	POLLPRI = unix.POLLPRI
	POLLERR = unix.POLLERR
	POLLHUP = unix.POLLHUP

	IN_CREATE      = unix.IN_CREATE
	IN_DELETE      = unix.IN_DELETE
	IN_DELETE_SELF = unix.IN_DELETE_SELF
	IN_IGNORED     = unix.IN_IGNORED
	IN_MODIFY      = unix.IN_MODIFY
	IN_MOVED_TO    = unix.IN_MOVED_TO
	IN_ONLYDIR     = unix.IN_ONLYDIR
)

// PollFd is struct pollfd.
type PollFd = unix.PollFd
