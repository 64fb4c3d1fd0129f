// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package script runs the command line of the built coracle from txtar scripts,
// testdata/VERB_case.txt (those in testdata/root need root): the contract's text. The language is that of
// github.com/rogpeppe/go-internal/testscript, with these commands more:
//
//	bundle DIR             make DIR with a rootfs and the config.json that coracle spec writes
//	edit FILE PATH JSON    set what stands at PATH in FILE: edit b/config.json mounts[0].options '["ro"]'
//	edit FILE PATH -       remove it
//	status N COMMAND...    run a command that has to exit with N
//	quiet COMMAND...       run a command that has to succeed, say nothing, and may leave a process behind
//	lines N FILE           a file, or stdout or stderr of the last command, has N lines
//
// Variables: $STATE for --root, $ID for a container of the script's own, $LONG is 5,000 letters, $NL a line break; $ROOTFS,
// in testdata/root, a root file system with busybox to copy from.
package script
