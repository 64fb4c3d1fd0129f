// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package command

import "runtime/debug"

// Version is the version of all three programs; tools/release.sh reads it too.
const Version = "0.1.0"

// commit is set by the Makefile (-ldflags -X).
var commit string

// Commit returns the commit that the program was built from, "" if nobody knows.
func Commit() string {
	if commit != "" {
		return commit
	}
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
