// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package command

import "runtime/debug"

// Version is the version of all three programs; tools/release.sh reads it too.
const Version = "0.1.0"

// commit is set by the Makefile (-ldflags -X).
var commit string

// VersionText is what --version prints of a program: two lines. dockerd reads
// coracle's name and version from the first and the commit from the one that begins
// with "commit:"; without one of them it warns of an unknown format.
func VersionText(program string) string {
	return program + " version " + Version + "\ncommit: " + Commit() + "\n"
}

// Commit returns the commit that the program was built from, "unknown" if nobody knows.
func Commit() string {
	if commit != "" {
		return commit
	}
	if info, _ := debug.ReadBuildInfo(); info != nil {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
}
