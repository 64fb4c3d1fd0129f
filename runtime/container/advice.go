// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"errors"
	"strings"
	"syscall"

	"github.com/coracle-oci/coracle/internal/fail"
)

// Advise gives an error that has no hint the one that its cause nearly certainly
// asks for, and returns it. It is called once, for what a command ends with.
func Advise(err error) error {
	e, ok := errors.AsType[*fail.Error](err)
	if !ok || e.Err == nil || fail.HintOf(err) != "" {
		return err
	}
	for _, a := range advices {
		if strings.HasPrefix(e.Doing, a.doing) && strings.Contains(e.Where, a.where) && errors.Is(e.Err, a.errno) {
			e.Hint = a.hint
			return err
		}
	}
	e.Hint = hintFor(e.Doing, e.Err)
	return err
}

// advices is what to do about failures, the most frequent ones that people ask
// about: a part of the field, the beginning of what was done, the errno, and the
// advice. The first that fits counts; what it says must be nearly certain.
var advices = [...]struct {
	where, doing string
	errno        syscall.Errno
	hint         string
}{
	// The program.
	{"process.args", "execute ", syscall.ENOENT, "the file is there, but its interpreter is not: what its first line names behind #!, or its dynamic loader"},
	{"process.args", "execute ", syscall.EACCES, "it or its interpreter is not executable for process.user, or lies on a mount with noexec"},
	{"process.args", "execute ", syscall.E2BIG, "process.args and process.env together are too long; see getconf ARG_MAX"},
	{"process.args", "execute ", syscall.ETXTBSY, "somebody has the file open for writing"},
	{"process.args", "execute ", syscall.ELOOP, "its interpreter is a script whose interpreter is a script, and so on"},
	{"process.cwd", "enter ", syscall.EACCES, "process.user may not enter that directory"},
	{"process.cwd", "make ", syscall.EROFS, "the root file system does not have that directory, and coracle may not make it: root.readonly is set"},
	{"process.cwd", "", syscall.ENOTDIR, "process.cwd must be a directory"},

	// Users.
	{"process.user", "become ", syscall.EINVAL, "the id is not mapped: extend linux.uidMappings and linux.gidMappings"},
	{"process.user", "set the supplementary groups", syscall.EINVAL, "one of the groups is not mapped: extend linux.gidMappings"},
	{"process.user", "set the supplementary groups", syscall.EPERM, "the user namespace has setgroups denied; see user_namespaces(7)"},

	// Namespaces.
	{"linux.namespaces", "open /proc/", syscall.ENOENT, "the process that it was the namespace of has ended"},
	{"linux.namespaces", "open /run/netns/", syscall.ENOENT, netns},
	{"linux.namespaces", "open /var/run/netns/", syscall.ENOENT, netns},
	{"linux.namespaces", "join the ", syscall.EINVAL, "the file is no namespace, or one of another type"},
	{"linux.namespaces", "join the user namespace", syscall.EPERM, "coracle lacks CAP_SYS_ADMIN in it, or is in it already"},
	{"linux.namespaces", "clone the container's init", syscall.ENOMEM, "a pid namespace whose init has ended takes no more processes"},
	{"", "clone ", syscall.EAGAIN, processes},
	{"", "start the launch program", syscall.EAGAIN, processes},

	// Mounts.
	{"mounts[", "create proc", syscall.EPERM, "in a user namespace, proc takes a pid namespace of its own, and nothing on the host may cover parts of /proc"},
	{"mounts[", "create sysfs", syscall.EPERM, `in a user namespace, sysfs takes a network namespace of its own: add {"type": "network"} to linux.namespaces, or bind /sys`},
	{"mounts[", "create mqueue", syscall.EPERM, `in a user namespace, mqueue takes an ipc namespace of its own: add {"type": "ipc"} to linux.namespaces`},
	{"mounts[", "create cgroup", syscall.EPERM, `in a user namespace, cgroup takes a cgroup namespace of its own: add {"type": "cgroup"} to linux.namespaces`},
	{"mounts[", "copy the mount of ", syscall.EINVAL, "the source lies on a mount that is unbindable"},
	{"mounts[", "copy the mount of ", syscall.EACCES, "this user may not reach the source"},
	{"mounts[", "map the ids of ", syscall.EINVAL, "the file system of the source cannot be id-mapped; see mount_setattr(2)"},
	{"mounts[", "", syscall.EROFS, "the target does not exist and cannot be made, as what it lies on is read-only: make it beforehand"},
	{"root.path", "change the root", syscall.EINVAL, "the host's root is a ramdisk: use --no-pivot"},
	{"linux.devices", "", syscall.EPERM, "coracle may make no device nodes here: it lacks CAP_MKNOD, or /dev is on a mount with nodev"},
	{"linux.sysctl", "", syscall.ENOENT, "this kernel has no such sysctl; the module that it belongs to may not be loaded"},
	{"linux.sysctl", "", syscall.EINVAL, "the kernel does not take this value"},

	// What is around the container.
	{"hooks.", "", syscall.ENOENT, "the hook, or what its first line names behind #!, does not exist"},
	{"hooks.", "", syscall.EACCES, "the hook is not executable: chmod +x"},
	{"hooks.", "", syscall.ENOEXEC, "it is built for another architecture, or is a script without #! in its first line"},
	{"-socket", "send the ", syscall.ENOENT, "there is no such socket: somebody must listen there first"},
	{"-socket", "send the ", syscall.ECONNREFUSED, "nobody listens at that socket"},
	{"-socket", "send the ", syscall.ETIMEDOUT, "whoever listens there does not accept connections"},
	{"-socket", "send the ", syscall.EPROTOTYPE, "the socket must be of type SOCK_STREAM"},
	{"--pid-file", "", syscall.ENOENT, "the directory of the pid file must exist"},
	{"--pid-file", "", syscall.EEXIST, "there is a directory of that name"},
	{"--root", "", syscall.EACCES, "this user may not write there: run coracle as root; or set XDG_RUNTIME_DIR, as a login does, or give a directory with --root"},
	{"--root", "", syscall.EROFS, "that file system is read-only: give another directory with --root"},
	{"--root", "", syscall.ENOTDIR, "a part of that path is a file: give another directory with --root"},
	{"", "write its state", syscall.ENOSPC, full},
	{"", "keep its config", syscall.ENOSPC, full},
	{"", "keep the config", syscall.ENOSPC, full},
	{"", "write the journal", syscall.ENOSPC, full},
	{"--root", "", syscall.ENOSPC, full},
	{"", "", syscall.EMFILE, "the limit of open files is reached: raise ulimit -n of the caller"},
	{"", "", syscall.ENFILE, "the machine has too many open files: see sysctl fs.file-max"},
}

const (
	netns     = "there is no such network namespace: ip netns list shows those that there are"
	processes = "a limit of processes is reached: see pids.max of the cgroup, ulimit -u and sysctl kernel.pid_max"
	full      = "the file system of --root is full: see df"
)
