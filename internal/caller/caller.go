// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package caller knows what this process had from its caller before Go's own
// packages changed it.
//
// It imports nothing. Among packages whose imports are initialized, the one whose path
// is the first in the alphabet is next (the Go language, "Package initialization"): so
// it comes before package syscall, which raises the limit of open files, gives the
// former one to the processes that it starts itself, and tells it to nobody.
package caller

// files is RLIMIT_NOFILE, as prlimit(2) has it.
var files struct{ soft, hard uint64 }

func init() { readFiles() }

// readFiles fills in files.
func readFiles()

// Files returns the limits of open files that the caller has left, RLIMIT_NOFILE.
func Files() (soft, hard uint64) { return files.soft, files.hard }
