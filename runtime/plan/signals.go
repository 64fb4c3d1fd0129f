// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// signals gives the process all signals as a login would: what the caller ignores
// or blocks stays so over execve(2), and a shell cannot even trap it. For the others
// that are ignored Go has handlers, gone with the execve of the launch program.
// posix_spawn(3) of glibc leaves the C library's own signals ignored: who is started
// by make has them so.
func (c *compiler) signals() {
	b := &c.b
	b.From("")
	for _, s := range []struct {
		number int
		name   string
	}{{linux.SIGHUP, "SIGHUP"}, {linux.SIGINT, "SIGINT"}, {linux.SIGCONT, "SIGCONT"}, {linux.SIGTSTP, "SIGTSTP"}, {linux.SIGTTIN, "SIGTTIN"}, {linux.SIGTTOU, "SIGTTOU"}, {linux.SIGCANCEL, "SIGCANCEL"}, {linux.SIGSETXID, "SIGSETXID"}, {linux.SIGRTMIN, "SIGRTMIN"}} {
		b.Do("do not ignore "+s.name, prog.RtSigaction, flags(s.number, s.name), b.Shared("{SIG_DFL}", 0, 0, 0, 0), prog.Int(0), prog.Int(8))
	}
	b.Do("block no signals", prog.RtSigprocmask, flags(linux.SIG_SETMASK, "SIG_SETMASK"), b.Shared("{}", 0), prog.Int(0), prog.Int(8))
}
