// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// procfs is a procfs of our own that is mounted nowhere: what the image or a
// volume has at /proc cannot misdirect what is written to it (CVE-2019-16884 and
// its successors). It is made when it is first wanted.
func (c *compiler) procfs() prog.Arg {
	if c.proc != prog.Drop {
		return c.proc.Arg()
	}
	if c.container != nil { // it is wanted before the container is joined
		c.proc = c.b.Reg("proc")
		c.openProc().Ret = c.proc
		return c.proc.Arg()
	}
	c.proc = c.newFS("proc", "", "", mountOptions{flat: MountAttr{Set: linux.MOUNT_ATTR_NOSUID | linux.MOUNT_ATTR_NODEV | linux.MOUNT_ATTR_NOEXEC, Text: "nosuid,nodev,noexec"}})
	return c.proc.Arg()
}

// hostProcfs is procfs for as long as /proc is the host's. In a user namespace no
// new procfs can be mounted where parts of every other are covered, as they are in
// each container (mount_too_revealing() in fs/namespace.c), nor one of PIDs that
// another user namespace owns: the host's then serves.
func (c *compiler) hostProcfs() prog.Arg {
	made, first := c.proc != prog.Drop, c.b.Len()
	proc := c.procfs()
	if !c.lesser() || made || c.container != nil || !c.fresh(specs.MountNamespace) {
		return proc
	}
	b := &c.b
	revealing, done := b.Label(), b.Label()
	c.unlessRefused(first, revealing)
	b.Jump(done)
	b.Place(revealing)
	c.openProc().Ret = c.proc
	b.Place(done)
	return proc
}

func (c *compiler) openProc() *prog.Step {
	return c.b.Do("open the host's /proc", prog.Openat, prog.Const(atFDCWD, "AT_FDCWD"), c.b.String("/proc"), flags(linux.O_PATH|linux.O_DIRECTORY|linux.O_CLOEXEC, "O_PATH|O_DIRECTORY|O_CLOEXEC"))
}

// writeProc writes a value to a file of a procfs, on which nothing may be mounted.
// An empty value is written too: it takes labels back.
func (c *compiler) writeProc(proc prog.Arg, file, opening, doing, value string) {
	b := &c.b
	fd := b.Get("attr", opening, prog.Openat2, proc, b.String(file), c.openHow(linux.O_WRONLY, "O_WRONLY, BENEATH|NO_XDEV|NO_MAGICLINKS", linux.RESOLVE_BENEATH|linux.RESOLVE_NO_XDEV|linux.RESOLVE_NO_MAGICLINKS), prog.Int(howSize))
	b.Do(doing, prog.Write, fd.Arg(), b.String(value), prog.Int(len(value)))
}
