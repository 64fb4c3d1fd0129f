// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package mutants_test

// excuses are the steps whose lack cannot be seen, and why they are there all the
// same. in names the cases in which that is so, from the field; empty: all.
var excuses = []struct{ in, doing, from, reason string }{
	{"", "make the directory of the state", "", "it is made before the plan is followed, as the lock is on it: tests/truth sees it"},
	{"", "let the launch program go on", "", "start takes its steps from the state, not from the plan: tests/truth sees them"},
	{"", "remove the socket of start", "", "as above"},
	{"hooks", "run /bin/", "hooks.poststart[0]", "as above"},
	{"hooks", "run /bin/", "hooks.poststart[1]", "as above"},
	{"", "end with its creator", "", "reached only when create is killed: tests/root, TestRootKillCreate"},
	{"", "set newinstance", "", "Linux makes a new devpts for each mount since 4.7; the option is accepted and means nothing"},
	{"plain user terminal joined full", "close what is not the container's at execve", "", "either of the two does; what hooks inherit is seen in the case hooks"},
	{"plain hooks terminal joined", "keep capabilities", "", "the user stays root, and keeps its capabilities anyway"},
	{"plain hooks terminal joined", "become group 0", "", "it is group 0 already, as the tests are run by root"},
	{"plain hooks terminal joined", "become user 0", "", "it is user 0 already, as the tests are run by root"},
	{"plain hooks terminal joined", "keep others from tracing it", "process.user", "files in /proc belong to root in any case; seen where the user is another"},
	{"user", "keep mounts from reaching the host", "", "mounts of a less privileged mount namespace are slaves already: mount_namespaces(7)"},
	{"full", "make /sys/fs", "", "sysfs has these directories; they are made for an image whose /sys is none"},
	{"full", "", "linux.readonlyPaths[1]", "that path does not exist, and all but the first of its steps are passed over"},
	{"full", "", "linux.maskedPaths[2]", "that path does not exist, and all but the first of its steps are passed over"},
	{"full user", "see whether", "linux.maskedPaths[1]", "a directory is what is tried first"},
}
