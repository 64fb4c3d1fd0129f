// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"slices"
	"strconv"
	"strings"

	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// created is the last gate of create. The parent looks up args[0], so that "not
// found" is an error of create, and answers with the path to execute. From here
// on the container no longer dies with its creator.
func (c *compiler) created() {
	c.findProgram()
	c.recordCreated()
}

// findProgram is the gate at which the parent looks up args[0].
func (c *compiler) findProgram() {
	size := PathMax
	if args := c.spec.Process.Args; len(args) > 0 {
		c.host(HostStep{At: AtCreated, Do: FindProgram, Value: args[0], Doing: "look up " + args[0], From: "process.args[0]"})
		c.plan.Home = !hasVariable(c.spec.Process.Env, "HOME")
	}
	if c.plan.Home {
		size += HomeMax
	}
	c.program = c.b.Struct("program", make([]byte, size))
	c.b.From("")
	c.wait(AtCreated, "say that all is made", c.program, size)
}

// PathMax and HomeMax are the parts of the answer to AtCreated: the path of the
// program, and "HOME=" with a directory.
const (
	PathMax = 4096
	HomeMax = 1024
)

// environment is process.env. As in runc, and as its engines expect, HOME is that
// of the user in the container's /etc/passwd if the config says nothing: who that
// is only the parent can tell, when all is mounted.
func (c *compiler) environment() prog.Arg {
	env := c.b.Vector("env", lastOfEach(c.spec.Process.Env))
	if c.plan.Home {
		c.b.Append(env, c.program, PathMax)
	}
	return env
}

// lastOfEach is an environment in which of each variable the last value counts, as
// with runc: programs differ in which of two they take.
func lastOfEach(env []string) []string {
	seen := make(map[string]bool, len(env))
	var kept []string
	for _, e := range slices.Backward(env) {
		if name, _, _ := strings.Cut(e, "="); !seen[name] {
			seen[name] = true
			kept = append(kept, e)
		}
	}
	slices.Reverse(kept)
	return kept
}

func hasVariable(env []string, name string) bool {
	for _, e := range env {
		if strings.HasPrefix(e, name+"=") {
			return true
		}
	}
	return false
}

// start waits for a connection of start, and runs the startContainer hooks. Without a
// process there is no start to come.
func (c *compiler) start() {
	b := &c.b
	b.From("")
	some := len(c.spec.Process.Args) > 0
	if some {
		c.recordStarted()
	}
	if c.plan.Accept = b.Len(); !c.plan.Starts {
		c.accept()
	}
	if !some {
		c.end()
		return
	}
	if c.spec.Hooks != nil {
		for i := range c.spec.Hooks.StartContainer {
			c.hook(index("hooks.startContainer", i), &c.spec.Hooks.StartContainer[i], "created", c.gate.Arg())
		}
	}
	c.execute()
}

// accept waits for start, and reports to it from then on.
func (c *compiler) accept() {
	b := &c.b
	conn := b.Get("start", "wait for start", prog.Accept4, c.listener.Arg(), prog.Int(0), prog.Int(0), flags(linux.SOCK_CLOEXEC, "SOCK_CLOEXEC"))
	if len(c.spec.Process.Args) > 0 {
		b.Do("report to it", prog.Dup3, conn.Arg(), c.gate.Arg(), flags(linux.O_CLOEXEC, "O_CLOEXEC"))
	}
}

// execute executes the program, after what would hinder the steps before.
func (c *compiler) execute() {
	b := &c.b
	p := c.spec.Process
	c.rlimits()
	b.From("process.user.umask")
	if p.User.Umask != nil {
		b.Do("set the mask", prog.Umask, prog.Const(uint64(*p.User.Umask), "0"+octal(*p.User.Umask)))
	} else {
		b.Do("restore the caller's mask", prog.Umask, c.umask.Arg())
	}
	c.closeAtExecve()
	sixth := c.loadListeningFilter()
	b.Try(linux.EPIPE, "say that execve comes next", prog.Sendto, c.gate.Arg(), b.Struct("mark", prog.MarkBytes(AboutToRun, 0)), prog.Int(8), flags(linux.MSG_NOSIGNAL, "MSG_NOSIGNAL"), prog.Int(0), sixth)
	c.loadFilter()
	b.From("process.args")
	c.plan.Execve = b.Len()
	b.Do("execute "+p.Args[0], prog.Execve, c.program, b.Vector("args", p.Args), c.environment())
	c.end()
}

// end is where the program goes that is not to execute anything.
func (c *compiler) end() {
	b := &c.b
	b.Place(c.gone)
	b.From("")
	b.Do("end with its creator", prog.Exit, prog.Int(1))
}

// raiseLimits raises hard limits of the runtime to those that the process is to
// have, if they are lower. Only whoever has CAP_SYS_RESOURCE on the host can, and
// the container's user mostly cannot; what the process inherits it can lower.
func (c *compiler) raiseLimits() {
	for i := range c.spec.Process.Rlimits {
		r := c.spec.Process.Rlimits[i]
		number, known := config.RlimitNumber(r.Type) // Findings goes on without
		if known && number < len(c.Facts.HardLimits) && c.Facts.HardLimits[number] < r.Hard {
			c.host(HostStep{Do: RaiseLimit, Rlimit: r, Doing: "raise the hard limit of " + r.Type + " to " + strconv.FormatUint(r.Hard, 10), From: index("process.rlimits", i)})
		}
	}
}

// rlimits sets process.rlimits. They come last, as they may be too low for
// anything but execve.
func (c *compiler) rlimits() {
	b := &c.b
	if c.files.Kind == prog.Address {
		b.From("")
		b.Do("open no more files than the caller may", prog.Prlimit64, prog.Int(0), flags(linux.RLIMIT_NOFILE, "RLIMIT_NOFILE"), c.files, prog.Int(0))
	}
	for i := range c.spec.Process.Rlimits {
		r := &c.spec.Process.Rlimits[i]
		number, _ := config.RlimitNumber(r.Type)
		text := "{" + strconv.FormatUint(r.Soft, 10) + ", " + strconv.FormatUint(r.Hard, 10) + "}"
		b.From(index("process.rlimits", i))
		b.Do("set "+r.Type, prog.Prlimit64, prog.Int(0), flags(number, r.Type), b.Shared(text, r.Soft, r.Hard), prog.Int(0))
	}
}
