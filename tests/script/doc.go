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
//	lines N FILE           a file, or stdout or stderr of the last command, has N lines
package script
