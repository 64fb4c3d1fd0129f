// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

// Runtimes returns what runc and crun, of the versions that are in use, call between
// loading a filter and executing the program; coracle calls nothing but execve. Of a
// process that must not gain privileges the filter is the last thing they load.
// Others load it before they change the user and drop capabilities.
//
// It was found by strace of both, and completed by what Go's runtime, of which runc
// consists, calls at any time.
func Runtimes(noNewPrivileges bool) []string {
	late := []string{
		"clock_gettime", "clone", "close", "close_range", "epoll_create1", "epoll_ctl", "epoll_pwait", "eventfd2", "execve", "exit_group", "fcntl", "fstat",
		"fstatfs", "futex", "getdents64", "getpid", "gettid", "madvise", "mmap", "mprotect", "munmap", "nanosleep", "newfstatat", "openat", "prctl", "read",
		"readlinkat", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sched_yield", "seccomp", "sigaltstack", "tgkill", "write",
	}
	if noNewPrivileges {
		return late
	}
	return append(late, "capget", "capset", "chdir", "faccessat", "faccessat2", "fchown", "getcwd", "getppid", "kill", "lseek",
		"setgid", "setgroups", "setresgid", "setresuid", "setuid", "statx")
}
