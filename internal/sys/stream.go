// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package sys

import "golang.org/x/sys/unix"

// ReadSome is one read(2): what there is, nothing at the end.
func ReadSome(fd int, buf []byte) (n int, err error) {
	err = uninterrupted(func() error {
		n, err = unix.Read(fd, buf)
		return err
	})
	return max(n, 0), err
}
