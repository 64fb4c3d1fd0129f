// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package sys

import "golang.org/x/sys/unix"

// Owner returns the user and group of what fd refers to, as ids of the host.
func Owner(fd int) (uid, gid uint32, err error) {
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	return st.Uid, st.Gid, err
}

// HasACL tells whether a file has an access control list, acl(5), beside its
// mode. The descriptor may be one of O_PATH.
func HasACL(fd int) bool {
	n, err := unix.Getxattr(FDPath(fd), "system.posix_acl_access", nil)
	return err == nil && n > 0
}
