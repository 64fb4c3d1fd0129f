// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package prog

// Syscall is a system call by name: numbers differ between architectures, and
// package launch knows them.
type Syscall uint8

// The system calls that launch programs use. None of them returns an address.
const (
	Accept4 Syscall = iota
	Capset
	Chroot
	Clone
	CloseRange
	Dup3
	Execve
	Exit
	Fchdir
	Fchown
	Fchownat
	Fsconfig
	Fsetxattr
	Fsmount
	Fsopen
	Fspick
	Futex
	Ioctl
	IoprioSet
	Keyctl
	Lseek
	Mkdirat
	Mknodat
	MountSetattr
	MoveMount
	OpenTree
	Openat
	Openat2
	Personality
	PivotRoot
	Prctl
	Prlimit64
	Read
	Recvmsg
	RtSigaction
	RtSigprocmask
	SchedSetaffinity
	SchedSetattr
	Seccomp
	Sendmsg
	Sendto
	SetMempolicy
	Setdomainname
	Setgroups
	Sethostname
	Setns
	Setresgid
	Setresuid
	Setsid
	Socket
	Symlinkat
	Umask
	Umount2
	Unshare
	Wait4
	Write

	Syscalls // how many there are
)

var syscallNames = [Syscalls]string{
	"accept4", "capset", "chroot", "clone", "close_range", "dup3", "execve", "exit_group", "fchdir", "fchown",
	"fchownat", "fsconfig", "fsetxattr", "fsmount", "fsopen", "fspick", "futex", "ioctl", "ioprio_set", "keyctl", "lseek",
	"mkdirat", "mknodat", "mount_setattr", "move_mount", "open_tree", "openat", "openat2", "personality", "pivot_root", "prctl",
	"prlimit64", "read", "recvmsg", "rt_sigaction", "rt_sigprocmask", "sched_setaffinity", "sched_setattr", "seccomp", "sendmsg", "sendto", "set_mempolicy", "setdomainname",
	"setgroups", "sethostname", "setns", "setresgid", "setresuid", "setsid", "socket", "symlinkat", "umask", "umount2",
	"unshare", "wait4", "write",
}

// String returns the kernel's name of the call.
func (s Syscall) String() string {
	if s < Syscalls {
		return syscallNames[s]
	}
	return "unknown"
}
