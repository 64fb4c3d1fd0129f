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
	{"full", "run on all CPUs", "", "the cpuset is the CPU that the caller is bound to; seen in the other cases"},
	{"", "make sure", "", "it stops what only a mistake of ours could make of the numbers of descriptors"},
	{"", "set newinstance", "", "Linux makes a new devpts for each mount since 4.7; the option is accepted and means nothing"},
	{"", "close what is not the container's at execve", "", "the first is for hooks, and noticed there; the last for what a later step might open without O_CLOEXEC, which none does"},
	{"plain mounts hooks joined", "keep capabilities", "", "the user stays root, and keeps its capabilities anyway"},
	{"plain mounts hooks joined", "become group 0", "", "it is group 0 already, as the tests are run by root"},
	{"plain mounts hooks joined", "become user 0", "", "it is user 0 already, as the tests are run by root"},
	{"", "keep others from tracing it", "", "the kernel clears it too when ids change, unless fs.suid_dumpable is 1, which is the whole machine's; CVE-2016-9962"},
	{"plain mounts user hooks terminal joined", "enter /", "process.cwd", "it stands there since the root was changed; seen in the case full"},
	{"user terminal", "keep capabilities", "", "no capabilities are asked for; seen in the case full"},
	{"user", "go on", "root.path", "the root is then attached where it is for want of the right to look root.path up, which only hooks could see"},
	{"user", "go on", "linux.sysctl", "a procfs of our own can be mounted: this way is not taken"},
	{"user", "open the host's /proc", "", "as above; where the caller's /proc is covered in parts: tests/root, TestRootRootlessNested"},
	{"hooks", "tell who it is", "", "for a hook that outlives its timeout, which is ended by that: tests/root has one"},
	{"hooks", "tell its status", "", "for the message of a hook that fails: tests/root has one"},
	{"mounts", "make /tmp/data", "mounts[8]", "both directories are in what mounts[7] binds"},
	{"mounts", "go on", "mounts[9]", "the file is missing: this way is not taken"},
	{"full", "set none", "", "the named hierarchy is there already, and its name says all; without it the kernel would look for controllers"},
	{"full", "go on", "mounts[10]", "the file is missing: this way is not taken"},
	{"full", "go on", "mounts[12]", "the link dangles: this way is not taken"},
	{"full", "make /pipe", "", "the pipe is there: this way is not taken"},
	{"full", "make /tmp", "process.cwd", "the config mounts a file system there"},
	{"full", "open no more files than the caller may", "", "process.rlimits says how many; seen in the other cases"},
	{"full user", "copy the empty directory", "linux.maskedPaths[0]", "the path is a file: this way is not taken"},
	{"full user", "cover the directory", "linux.maskedPaths[0]", "as above"},
	{"full user", "go on", "linux.maskedPaths[0]", "as above"},
	{"full user", "copy the null device", "linux.maskedPaths[1]", "the path is a directory: this way is not taken"},
	{"full user", "cover the file", "linux.maskedPaths[1]", "as above"},
	{"user", "keep mounts from reaching the host", "", "mounts of a less privileged mount namespace are slaves already: mount_namespaces(7)"},
	{"full", "make /sys/fs", "", "sysfs has these directories; they are made for an image whose /sys is none"},
	{"full", "", "linux.readonlyPaths[1]", "that path does not exist, and all but the first of its steps are passed over"},
	{"full", "", "linux.maskedPaths[2]", "that path does not exist, and all but the first of its steps are passed over"},
	{"full user", "see whether", "linux.maskedPaths[1]", "a directory is what is tried first"},
}
