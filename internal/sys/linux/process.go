// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package linux

import "golang.org/x/sys/unix"

// Scheduling, memory policy and personality of a process.
const (
	SCHED_OTHER    = unix.SCHED_NORMAL
	SCHED_FIFO     = unix.SCHED_FIFO
	SCHED_RR       = unix.SCHED_RR
	SCHED_BATCH    = unix.SCHED_BATCH
	SCHED_IDLE     = unix.SCHED_IDLE
	SCHED_DEADLINE = unix.SCHED_DEADLINE

	SCHED_FLAG_RESET_ON_FORK  = unix.SCHED_FLAG_RESET_ON_FORK
	SCHED_FLAG_RECLAIM        = unix.SCHED_FLAG_RECLAIM
	SCHED_FLAG_DL_OVERRUN     = unix.SCHED_FLAG_DL_OVERRUN
	SCHED_FLAG_KEEP_POLICY    = unix.SCHED_FLAG_KEEP_POLICY
	SCHED_FLAG_KEEP_PARAMS    = unix.SCHED_FLAG_KEEP_PARAMS
	SCHED_FLAG_UTIL_CLAMP_MIN = unix.SCHED_FLAG_UTIL_CLAMP_MIN
	SCHED_FLAG_UTIL_CLAMP_MAX = unix.SCHED_FLAG_UTIL_CLAMP_MAX

	MPOL_BIND                = unix.MPOL_BIND
	MPOL_DEFAULT             = unix.MPOL_DEFAULT
	MPOL_INTERLEAVE          = unix.MPOL_INTERLEAVE
	MPOL_LOCAL               = unix.MPOL_LOCAL
	MPOL_PREFERRED           = unix.MPOL_PREFERRED
	MPOL_PREFERRED_MANY      = unix.MPOL_PREFERRED_MANY
	MPOL_WEIGHTED_INTERLEAVE = unix.MPOL_WEIGHTED_INTERLEAVE
	MPOL_F_NUMA_BALANCING    = unix.MPOL_F_NUMA_BALANCING
	MPOL_F_RELATIVE_NODES    = unix.MPOL_F_RELATIVE_NODES
	MPOL_F_STATIC_NODES      = unix.MPOL_F_STATIC_NODES
)

// x/sys/unix lacks these, or has no plain number: include/uapi/linux/sched.h,
// ioprio.h, personality.h, asm-generic/signal.h.
const (
	SCHED_ISO = 4 // reserved: no kernel has it

	IOPRIO_CLASS_RT    = 1
	IOPRIO_CLASS_BE    = 2
	IOPRIO_CLASS_IDLE  = 3
	IOPRIO_CLASS_SHIFT = 13
	IOPRIO_WHO_PROCESS = 1

	SIGHUP      = 1
	SIGINT      = 2
	SIGCONT     = 18
	SIGTSTP     = 20
	SIGTTIN     = 21
	SIGTTOU     = 22
	SIGCANCEL   = 32 // of C libraries, as is the next: nptl(7)
	SIGSETXID   = 33
	SIGRTMIN    = 34 // the first that is no C library's own: signal(7)
	SIG_SETMASK = 2

	PER_LINUX   = 0
	PER_LINUX32 = 8
)
