// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package sys

import "golang.org/x/sys/unix"

// ReplaceAt renames a file within the directory dirFD, in place of what has
// the new name: renameat(2).
func ReplaceAt(dirFD int, from, to string) error {
	return unix.Renameat(dirFD, from, dirFD, to)
}
