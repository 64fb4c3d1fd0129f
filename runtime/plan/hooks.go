// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"maps"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// createHooks runs prestart, createRuntime and createContainer hooks: when the
// namespaces and mounts are made and before the root is changed. The first two
// are the parent's; the last run in the container's namespaces, where the host's
// paths still mean what they mean.
func (c *compiler) createHooks() {
	c.netDevices()
	h := c.spec.Hooks
	if h == nil {
		h = &specs.Hooks{}
	}
	for _, kind := range []struct {
		name  string
		hooks []specs.Hook
	}{{"prestart", h.Prestart}, {"createRuntime", h.CreateRuntime}} { //nolint:staticcheck // prestart is deprecated, not gone
		for i := range kind.hooks {
			c.host(HostStep{At: AtHooks, Do: RunHook, Hook: &kind.hooks[i], Value: "creating", Doing: "run " + kind.hooks[i].Path, From: index("hooks."+kind.name, i)})
		}
	}
	if len(h.Prestart)+len(h.CreateRuntime)+len(h.CreateContainer)+len(c.spec.Linux.NetDevices) > 0 { //nolint:staticcheck // as above
		c.b.From("hooks")
		c.waitByte(AtHooks, "ask for the hooks")
	}
	for i := range h.CreateContainer {
		c.hook(index("hooks.createContainer", i), &h.CreateContainer[i], "creating", c.gate.Arg())
	}
}

// netDevices moves network devices of the runtime's namespace into the container's,
// before hooks look at it. Nothing moves them back: when the namespace ends the
// kernel returns what is a device, config-linux.md, "Network Devices".
func (c *compiler) netDevices() {
	devices := c.spec.Linux.NetDevices
	for _, name := range slices.Sorted(maps.Keys(devices)) {
		to := devices[name].Name
		if to == "" {
			to = name
		}
		c.host(HostStep{At: AtHooks, Do: MoveDevice, Path: name, Value: to, Doing: "move link " + name + " to the container as " + to, From: "linux.netDevices." + name})
	}
}

// hook runs one hook in the container: a child with the state on its standard
// input. The parent gets its pidfd, to end it when its time is up, and its
// status, for the message; a status other than 0 stops the program.
func (c *compiler) hook(field string, h *specs.Hook, status string, to prog.Arg) {
	b := &c.b
	b.From(field)
	state := c.stateFile(status)
	child, done := b.Label(), b.Label()

	pidFD := b.Reg("pidfd")
	message, control := c.fdMessage(HookRuns, pidFD)
	ended := b.Struct("status", prog.MarkBytes(HookEnded, 0))

	b.Do("rewind the state", prog.Lseek, state.Arg(), prog.Int(0), flags(linux.SEEK_SET, "SEEK_SET"))
	pid := b.Reg("hook")
	step := b.Do("clone "+h.Path, prog.Clone, flags(linux.CLONE_PIDFD|linux.SIGCHLD, "CLONE_PIDFD|SIGCHLD"), prog.Int(0), b.Inside(control, 16))
	step.Ret, step.Branch = pid, prog.Branch{Result: 0, To: child}
	b.Do("tell who it is", prog.Sendmsg, to, message, flags(linux.MSG_NOSIGNAL, "MSG_NOSIGNAL"))
	b.Do("wait for "+h.Path, prog.Wait4, pid.Arg(), b.Inside(ended, 4), prog.Int(0), prog.Int(0))
	b.Do("tell its status", prog.Sendto, to, ended, prog.Int(8), flags(linux.MSG_NOSIGNAL, "MSG_NOSIGNAL"), prog.Int(0), prog.Int(0))
	// FUTEX_WAIT with no time at all compares: ETIMEDOUT if the status is 0, EAGAIN if not.
	b.Do("stop unless "+h.Path+" succeeded", prog.Futex, b.Inside(ended, 4), flags(linux.FUTEX_WAIT, "FUTEX_WAIT"), prog.Int(0), b.Struct("{0, 0}", make([]byte, 16))).
		Branch = prog.Branch{Result: -int64(linux.ETIMEDOUT), To: done}
	b.Place(child)
	b.Do("give it the state", prog.Dup3, state.Arg(), prog.Int(0), prog.Int(0))
	for fd := 1; fd <= 2; fd++ {
		b.Do("keep what it says", prog.Dup3, c.hookOutput(fd).Arg(), prog.Int(fd), prog.Int(0))
	}
	b.Do("restore the mask", prog.Umask, c.umask.Arg())
	argv := h.Args
	if len(argv) == 0 {
		argv = []string{h.Path}
	}
	b.Do("execute "+h.Path, prog.Execve, b.String(h.Path), b.Vector("args", argv), b.Vector("env", h.Env))
	b.Place(done)
}

func (c *compiler) stateFile(status string) prog.Input {
	if in, ok := c.state[status]; ok {
		return in
	}
	in := c.input("state:"+status, HostStep{Do: StateFile, Value: status, Doing: "make the state for hooks in the container", From: "hooks"})
	if c.state == nil {
		c.state = map[string]prog.Input{}
	}
	c.state[status] = in
	return in
}
