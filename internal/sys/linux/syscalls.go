// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package linux

import "golang.org/x/sys/unix"

// Numbers of the system calls that launch programs use, for this architecture.
const (
	SYS_ACCEPT4           = unix.SYS_ACCEPT4
	SYS_CAPSET            = unix.SYS_CAPSET
	SYS_CHROOT            = unix.SYS_CHROOT
	SYS_CLONE             = unix.SYS_CLONE
	SYS_CLONE3            = unix.SYS_CLONE3
	SYS_CLOSE_RANGE       = unix.SYS_CLOSE_RANGE
	SYS_DUP3              = unix.SYS_DUP3
	SYS_EXECVE            = unix.SYS_EXECVE
	SYS_EXECVEAT          = unix.SYS_EXECVEAT
	SYS_EXIT              = unix.SYS_EXIT
	SYS_EXIT_GROUP        = unix.SYS_EXIT_GROUP
	SYS_FCHDIR            = unix.SYS_FCHDIR
	SYS_FCHOWN            = unix.SYS_FCHOWN
	SYS_FCHOWNAT          = unix.SYS_FCHOWNAT
	SYS_FSCONFIG          = unix.SYS_FSCONFIG
	SYS_FSETXATTR         = unix.SYS_FSETXATTR
	SYS_FSMOUNT           = unix.SYS_FSMOUNT
	SYS_FSOPEN            = unix.SYS_FSOPEN
	SYS_FSPICK            = unix.SYS_FSPICK
	SYS_FUTEX             = unix.SYS_FUTEX
	SYS_GETCPU            = unix.SYS_GETCPU
	SYS_IOCTL             = unix.SYS_IOCTL
	SYS_IOPRIO_SET        = unix.SYS_IOPRIO_SET
	SYS_KEYCTL            = unix.SYS_KEYCTL
	SYS_LSEEK             = unix.SYS_LSEEK
	SYS_MKDIRAT           = unix.SYS_MKDIRAT
	SYS_MKNODAT           = unix.SYS_MKNODAT
	SYS_MOUNT_SETATTR     = unix.SYS_MOUNT_SETATTR
	SYS_MOVE_MOUNT        = unix.SYS_MOVE_MOUNT
	SYS_OPENAT            = unix.SYS_OPENAT
	SYS_OPENAT2           = unix.SYS_OPENAT2
	SYS_OPEN_TREE         = unix.SYS_OPEN_TREE
	SYS_PERSONALITY       = unix.SYS_PERSONALITY
	SYS_PIVOT_ROOT        = unix.SYS_PIVOT_ROOT
	SYS_PRCTL             = unix.SYS_PRCTL
	SYS_PRLIMIT64         = unix.SYS_PRLIMIT64
	SYS_READ              = unix.SYS_READ
	SYS_RECVMSG           = unix.SYS_RECVMSG
	SYS_RT_SIGACTION      = unix.SYS_RT_SIGACTION
	SYS_RT_SIGPROCMASK    = unix.SYS_RT_SIGPROCMASK
	SYS_SCHED_GETAFFINITY = unix.SYS_SCHED_GETAFFINITY
	SYS_SCHED_SETAFFINITY = unix.SYS_SCHED_SETAFFINITY
	SYS_SCHED_SETATTR     = unix.SYS_SCHED_SETATTR
	SYS_SECCOMP           = unix.SYS_SECCOMP
	SYS_SENDMSG           = unix.SYS_SENDMSG
	SYS_SENDTO            = unix.SYS_SENDTO
	SYS_SETDOMAINNAME     = unix.SYS_SETDOMAINNAME
	SYS_SETGROUPS         = unix.SYS_SETGROUPS
	SYS_SETHOSTNAME       = unix.SYS_SETHOSTNAME
	SYS_SETNS             = unix.SYS_SETNS
	SYS_SETRESGID         = unix.SYS_SETRESGID
	SYS_SETRESUID         = unix.SYS_SETRESUID
	SYS_SETSID            = unix.SYS_SETSID
	SYS_SET_MEMPOLICY     = unix.SYS_SET_MEMPOLICY
	SYS_SOCKET            = unix.SYS_SOCKET
	SYS_SYMLINKAT         = unix.SYS_SYMLINKAT
	SYS_UMASK             = unix.SYS_UMASK
	SYS_UMOUNT2           = unix.SYS_UMOUNT2
	SYS_UNSHARE           = unix.SYS_UNSHARE
	SYS_WAIT4             = unix.SYS_WAIT4
	SYS_WRITE             = unix.SYS_WRITE
)
