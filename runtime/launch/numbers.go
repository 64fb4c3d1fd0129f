// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package launch

import (
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// numbers is the system call table of this architecture, for what programs use.
var numbers = [prog.Syscalls]uint16{
	prog.Accept4:          linux.SYS_ACCEPT4,
	prog.Capset:           linux.SYS_CAPSET,
	prog.Chroot:           linux.SYS_CHROOT,
	prog.Clone:            linux.SYS_CLONE,
	prog.CloseRange:       linux.SYS_CLOSE_RANGE,
	prog.Dup3:             linux.SYS_DUP3,
	prog.Execve:           linux.SYS_EXECVE,
	prog.Exit:             linux.SYS_EXIT_GROUP,
	prog.Fchdir:           linux.SYS_FCHDIR,
	prog.Fchown:           linux.SYS_FCHOWN,
	prog.Fchownat:         linux.SYS_FCHOWNAT,
	prog.Fsconfig:         linux.SYS_FSCONFIG,
	prog.Fsetxattr:        linux.SYS_FSETXATTR,
	prog.Fsmount:          linux.SYS_FSMOUNT,
	prog.Fsopen:           linux.SYS_FSOPEN,
	prog.Fspick:           linux.SYS_FSPICK,
	prog.Futex:            linux.SYS_FUTEX,
	prog.Ioctl:            linux.SYS_IOCTL,
	prog.IoprioSet:        linux.SYS_IOPRIO_SET,
	prog.Keyctl:           linux.SYS_KEYCTL,
	prog.Lseek:            linux.SYS_LSEEK,
	prog.Mkdirat:          linux.SYS_MKDIRAT,
	prog.Mknodat:          linux.SYS_MKNODAT,
	prog.MountSetattr:     linux.SYS_MOUNT_SETATTR,
	prog.MoveMount:        linux.SYS_MOVE_MOUNT,
	prog.OpenTree:         linux.SYS_OPEN_TREE,
	prog.Openat2:          linux.SYS_OPENAT2,
	prog.Openat:           linux.SYS_OPENAT,
	prog.Personality:      linux.SYS_PERSONALITY,
	prog.PivotRoot:        linux.SYS_PIVOT_ROOT,
	prog.Prctl:            linux.SYS_PRCTL,
	prog.Prlimit64:        linux.SYS_PRLIMIT64,
	prog.Read:             linux.SYS_READ,
	prog.Recvmsg:          linux.SYS_RECVMSG,
	prog.RtSigaction:      linux.SYS_RT_SIGACTION,
	prog.RtSigprocmask:    linux.SYS_RT_SIGPROCMASK,
	prog.SchedSetaffinity: linux.SYS_SCHED_SETAFFINITY,
	prog.SchedSetattr:     linux.SYS_SCHED_SETATTR,
	prog.Seccomp:          linux.SYS_SECCOMP,
	prog.Sendmsg:          linux.SYS_SENDMSG,
	prog.Sendto:           linux.SYS_SENDTO,
	prog.SetMempolicy:     linux.SYS_SET_MEMPOLICY,
	prog.Setdomainname:    linux.SYS_SETDOMAINNAME,
	prog.Setgroups:        linux.SYS_SETGROUPS,
	prog.Sethostname:      linux.SYS_SETHOSTNAME,
	prog.Setns:            linux.SYS_SETNS,
	prog.Setresgid:        linux.SYS_SETRESGID,
	prog.Setresuid:        linux.SYS_SETRESUID,
	prog.Setsid:           linux.SYS_SETSID,
	prog.Socket:           linux.SYS_SOCKET,
	prog.Symlinkat:        linux.SYS_SYMLINKAT,
	prog.Umask:            linux.SYS_UMASK,
	prog.Umount2:          linux.SYS_UMOUNT2,
	prog.Unshare:          linux.SYS_UNSHARE,
	prog.Wait4:            linux.SYS_WAIT4,
	prog.Write:            linux.SYS_WRITE,
}
