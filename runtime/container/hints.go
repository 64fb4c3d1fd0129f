// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"errors"
	"strings"
	"syscall"
)

// hints is what to do about failures whose cause is nearly certain: the
// beginning of what was done, the errno, and the advice.
var hints = [...]struct {
	doing string
	errno syscall.Errno
	hint  string
}{
	{"bind ", syscall.ENOTDIR, "the source is a file and the destination a directory, or the other way round"},
	{"make a user namespace", syscall.ENOSPC, "the limit in /proc/sys/user/max_user_namespaces is reached"},
	{"make namespaces", syscall.EPERM, "coracle must run as root here"},
	{"make namespaces", syscall.ENOSPC, "a limit in /proc/sys/user/max_*_namespaces is reached"},
	{"copy the mounts of", syscall.EPERM, "coracle must run as root here"},
	{"make the mount of proc", syscall.EPERM, "something is mounted over a part of the host's /proc, and the kernel then gives no whole one to a user namespace"},
	{"copy the mount of ", syscall.EINVAL, "there are mounts below it that a user namespace must not leave behind: use rbind"},
	{"find /", syscall.ELOOP, "a symbolic link there leads in a circle or is a magic link"},
	{"follow no link to /", syscall.ELOOP, "the image has a symbolic link there, which could lead anywhere; make it a directory"},
	{"raise the hard limit of RLIMIT_", syscall.EPERM, "the hard limit cannot be raised: coracle lacks CAP_SYS_RESOURCE"},
	{"set oom_score_adj", syscall.EACCES, "it cannot be lowered: coracle lacks CAP_SYS_RESOURCE"},
	{"set the AppArmor profile to ", syscall.ENOENT, "no such profile is loaded: load it with apparmor_parser(8), see aa-status(8)"},
	{"set the scheduler to SCHED_FIFO", syscall.EPERM, realtime},
	{"set the scheduler to SCHED_RR", syscall.EPERM, realtime},
	{"set the scheduler to SCHED_ISO", syscall.EINVAL, "the name is reserved, and Linux does not implement it"},
	{"set the scheduler", syscall.EPERM, "the kernel wants CAP_SYS_NICE of the host, not of a user namespace; SCHED_DEADLINE also wants all CPUs of its cpuset"},
	{"set the I/O priority", syscall.EPERM, "IOPRIO_CLASS_RT takes CAP_SYS_NICE of the host"},
	{"set the memory policy", syscall.EINVAL, "none of the nodes is one that the machine and the container's cpuset have"},
	{"set the personality", syscall.EINVAL, "this machine's CPU runs no 32-bit programs"},
	{"load the seccomp filter", syscall.EINVAL, "the kernel does not know one of linux.seccomp.flags, or has no seccomp filters"},
	{"load the seccomp filter", syscall.EBUSY, "a filter around this one has a listener already, and there can be only one"},
	{"load the seccomp filter", syscall.ENOMEM, "the memory limit is too low for the filter, or too many filters are around it"},
	{"connect to the seccomp agent", syscall.ECONNREFUSED, "nobody listens at that socket"},
	{"connect to the seccomp agent", syscall.EPROTOTYPE, "the agent's socket must be of type SOCK_STREAM"},
	{"connect to the seccomp agent", syscall.ETIMEDOUT, "the agent does not accept connections"},
	{"send the listener to the seccomp agent", syscall.ETIMEDOUT, "the agent does not read"},
	{"wait for the seccomp agent", syscall.ETIMEDOUT, "the filter asks it about execve"},
	{"make the directory of states", syscall.EACCES, "as an ordinary user, log in so that XDG_RUNTIME_DIR is set, or give a directory of yours with --root"},
	{"create ", syscall.EINVAL, "the file system does not take one of the options, or its value"},
	{"create ", syscall.ENODEV, "the kernel has no file system of that type"},
	{"open ", syscall.ENODEV, "the kernel has no file system of that type"},
	{"write /proc/PID/", syscall.EPERM, "coracle may not map these ids; see user_namespaces(7)"},
	{"start the launch program", syscall.EACCES, "sysctl vm.memfd_noexec forbids to execute memfds"},
	{"start the launch program", syscall.ENOSYS, "a seccomp filter around coracle forbids clone3(2)"},
	{"start the launch program", syscall.EPERM, "a seccomp filter around coracle may forbid clone3(2)"},
	{"start the launch program", syscall.ENOMEM, "the memory limit is too low to start any process"},
}

const realtime = "the kernel wants CAP_SYS_NICE of the host, and with cgroup v1 a share: set linux.resources.cpu.realtimeRuntime"

func hintFor(doing string, err error) string {
	for _, h := range hints {
		if strings.HasPrefix(doing, h.doing) && errors.Is(err, h.errno) {
			return h.hint
		}
	}
	return ""
}
