// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package linux

import "golang.org/x/sys/unix"

// Argument returns the value of a name that can stand for an argument of a system
// call: those that seccomp profiles test most.
func Argument(name string) (uint64, bool) {
	for _, a := range [...]struct {
		name  string
		value uint64
	}{
		{"AF_UNSPEC", unix.AF_UNSPEC}, {"AF_UNIX", unix.AF_UNIX}, {"AF_INET", unix.AF_INET}, {"AF_INET6", unix.AF_INET6},
		{"AF_ALG", unix.AF_ALG}, {"AF_BLUETOOTH", unix.AF_BLUETOOTH}, {"AF_CAN", unix.AF_CAN}, {"AF_NETLINK", unix.AF_NETLINK},
		{"AF_PACKET", unix.AF_PACKET}, {"AF_VSOCK", unix.AF_VSOCK}, {"AF_XDP", unix.AF_XDP},
		{"SOCK_STREAM", unix.SOCK_STREAM}, {"SOCK_DGRAM", unix.SOCK_DGRAM}, {"SOCK_RAW", unix.SOCK_RAW}, {"SOCK_SEQPACKET", unix.SOCK_SEQPACKET},
		{"SOCK_CLOEXEC", unix.SOCK_CLOEXEC}, {"SOCK_NONBLOCK", unix.SOCK_NONBLOCK},
		{"NETLINK_ROUTE", unix.NETLINK_ROUTE}, {"NETLINK_AUDIT", unix.NETLINK_AUDIT}, {"NETLINK_NETFILTER", unix.NETLINK_NETFILTER},

		{"CLONE_VM", unix.CLONE_VM}, {"CLONE_FS", unix.CLONE_FS}, {"CLONE_FILES", unix.CLONE_FILES}, {"CLONE_SIGHAND", unix.CLONE_SIGHAND},
		{"CLONE_PIDFD", unix.CLONE_PIDFD}, {"CLONE_PTRACE", unix.CLONE_PTRACE}, {"CLONE_VFORK", unix.CLONE_VFORK}, {"CLONE_PARENT", unix.CLONE_PARENT},
		{"CLONE_THREAD", unix.CLONE_THREAD}, {"CLONE_SYSVSEM", unix.CLONE_SYSVSEM}, {"CLONE_SETTLS", unix.CLONE_SETTLS},
		{"CLONE_PARENT_SETTID", unix.CLONE_PARENT_SETTID}, {"CLONE_CHILD_CLEARTID", unix.CLONE_CHILD_CLEARTID}, {"CLONE_CHILD_SETTID", unix.CLONE_CHILD_SETTID},
		{"CLONE_NEWNS", unix.CLONE_NEWNS}, {"CLONE_NEWCGROUP", unix.CLONE_NEWCGROUP}, {"CLONE_NEWUTS", unix.CLONE_NEWUTS}, {"CLONE_NEWIPC", unix.CLONE_NEWIPC},
		{"CLONE_NEWUSER", unix.CLONE_NEWUSER}, {"CLONE_NEWPID", unix.CLONE_NEWPID}, {"CLONE_NEWNET", unix.CLONE_NEWNET}, {"CLONE_NEWTIME", unix.CLONE_NEWTIME},
		{"SIGCHLD", uint64(unix.SIGCHLD)},

		{"PROT_NONE", unix.PROT_NONE}, {"PROT_READ", unix.PROT_READ}, {"PROT_WRITE", unix.PROT_WRITE}, {"PROT_EXEC", unix.PROT_EXEC},
		{"MAP_SHARED", unix.MAP_SHARED}, {"MAP_PRIVATE", unix.MAP_PRIVATE}, {"MAP_FIXED", unix.MAP_FIXED}, {"MAP_ANONYMOUS", unix.MAP_ANONYMOUS},

		{"PR_CAPBSET_DROP", unix.PR_CAPBSET_DROP}, {"PR_SET_DUMPABLE", unix.PR_SET_DUMPABLE}, {"PR_SET_KEEPCAPS", unix.PR_SET_KEEPCAPS}, {"PR_SET_MM", unix.PR_SET_MM},
		{"PR_SET_NAME", unix.PR_SET_NAME}, {"PR_SET_NO_NEW_PRIVS", unix.PR_SET_NO_NEW_PRIVS}, {"PR_SET_PDEATHSIG", unix.PR_SET_PDEATHSIG},
		{"PR_SET_SECCOMP", unix.PR_SET_SECCOMP}, {"PR_SET_SECUREBITS", unix.PR_SET_SECUREBITS},

		{"S_IFSOCK", unix.S_IFSOCK}, {"S_IFREG", unix.S_IFREG}, {"S_IFBLK", unix.S_IFBLK}, {"S_IFCHR", unix.S_IFCHR}, {"S_IFIFO", unix.S_IFIFO},
		{"TIOCSTI", unix.TIOCSTI}, {"TIOCLINUX", unix.TIOCLINUX},

		// sys/personality.h
		{"PER_LINUX", 0}, {"PER_LINUX32", 8}, {"UNAME26", 0x0020000}, {"ADDR_NO_RANDOMIZE", 0x0040000}, {"READ_IMPLIES_EXEC", 0x0400000},
	} {
		if a.name == name {
			return a.value, true
		}
	}
	return 0, false
}
