// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/profile"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/prog"
	"github.com/coracle-oci/coracle/runtime/seccomp"
)

// A filter is linux.seccomp, compiled.
type filter struct {
	profile *seccomp.Profile
	program []seccomp.Instruction
}

// compileFilter compiles linux.seccomp, and refuses what could not be loaded.
func (c *compiler) compileFilter() {
	s := c.spec.Linux.Seccomp
	if s == nil || c.filter != nil || c.all && len(profile.Check(s)) > 0 { // package config has told of that
		return
	}
	const where = config.Name + " linux.seccomp"
	p, err := seccomp.Parse(s, c.Facts.Arch, where)
	var program []seccomp.Instruction
	if err == nil {
		program, err = p.Compile(where)
	}
	if err != nil {
		if !c.refused() {
			c.wrong = append(c.wrong, err)
		}
		return
	}
	c.filter = &filter{p, program}
	_, _, user := c.namespace(specs.UserNamespace)
	if !c.spec.Process.NoNewPrivileges && !user && !c.can(capSysAdmin) {
		c.refuse("linux.seccomp", "load the seccomp filter", linux.EACCES, "only CAP_SYS_ADMIN can load one for a process that may gain privileges; set process.noNewPrivileges")
	}
	if p.Notifies {
		c.checkAgent(s)
	}
}

// Ours is the sixth argument of the calls that hand a listener over, none of which
// looks at it: sendto(2) does not without an address. So a filter can tell them from
// those of the container's program, by the register alone, and ask about all of those.
const (
	Ours     = 0x636f7261636c65 // "coracle"
	oursText = "0x636f7261636c65"
)

// checkAgent refuses a listener that could not be handed over: the agent must be
// there, and the filter must let the process send it and go on.
func (c *compiler) checkAgent(s *specs.LinuxSeccomp) {
	switch kind := c.Facts.Files[s.ListenerPath]; {
	case kind.Mode == 0:
		c.refuse("linux.seccomp.listenerPath", "connect to "+s.ListenerPath, linux.ENOENT, "start the seccomp agent first")
	case kind.Mode&linux.S_IFMT != linux.S_IFSOCK:
		c.refuse("linux.seccomp.listenerPath", "connect to "+s.ListenerPath, linux.ENOTSOCK, "name the socket of the seccomp agent")
	}
	for _, call := range []prog.Syscall{prog.Sendmsg, prog.Read, prog.Sendto} {
		if !c.filter.profile.Allows(call.String(), [6]uint64{5: Ours}, 1<<5) {
			c.refuse("linux.seccomp", "hand the listener over: the filter does not allow "+call.String(), 0, "a filter with SCMP_ACT_NOTIFY must allow sendmsg, read and sendto, without conditions or where args[5] is "+oursText)
		}
	}
}

// notifies tells whether a filter asks somebody else.
func notifies(s *specs.LinuxSeccomp) bool {
	if s.ListenerPath == "" {
		return false
	}
	for i := range s.Syscalls {
		if s.Syscalls[i].Action == specs.ActNotify {
			return true
		}
	}
	return s.DefaultAction == specs.ActNotify
}

// agent is what start or exec does for a filter that asks somebody else. It connects
// before the launch program goes on: a container whose agent is gone stays created.
func (c *compiler) agent(at prog.Mark) {
	if c.filter == nil || !c.filter.profile.Notifies {
		return
	}
	const field = "linux.seccomp.listenerPath"
	path := c.spec.Linux.Seccomp.ListenerPath
	c.host(HostStep{At: at, Do: ConnectAgent, Path: path, Doing: "connect to the seccomp agent", From: field})
	c.host(HostStep{At: Listening, Do: SendListener, Path: path, Doing: "send the listener to the seccomp agent", From: field})
}

// loadFilter loads a filter that asks nobody: the last step before execve, so
// that it need allow nothing but that.
func (c *compiler) loadFilter() {
	if c.filter != nil && !c.filter.profile.Notifies {
		c.load()
	}
}

// loadListeningFilter loads a filter with a listener, and hands that to the parent,
// who gives it to the agent: execve may be one of the calls to be asked about. It
// returns the sixth argument of the calls that follow.
func (c *compiler) loadListeningFilter() (sixth prog.Arg) {
	if c.filter == nil || !c.filter.profile.Notifies {
		return prog.Int(0)
	}
	b := &c.b
	fd := b.Reg("listener")
	message, _ := c.fdMessage(Listening, fd)
	c.load().Ret = fd
	b.From("linux.seccomp.listenerPath")
	c.plan.Listener = b.Len()
	b.Do("hand over the listener", prog.Sendmsg, c.gate.Arg(), message, flags(linux.MSG_NOSIGNAL, "MSG_NOSIGNAL"), prog.Int(0), prog.Int(0), ours())
	b.Do("wait until the agent has it", prog.Read, c.gate.Arg(), b.Struct("go", make([]byte, 8)), prog.Int(1), prog.Int(0), prog.Int(0), ours()).Branch = prog.Branch{Result: 0, To: c.gone}
	b.From("")
	return ours()
}

func ours() prog.Arg { return prog.Const(Ours, oursText) }

// load is the step that loads the filter: struct sock_fprog and what it points to
// are data of the program.
func (c *compiler) load() *prog.Step {
	b := &c.b
	b.From("linux.seccomp")
	bits, names := c.filter.profile.LoadFlags()
	if names == "" {
		names = "0"
	}
	text := "{" + strconv.Itoa(len(c.filter.program)) + " instructions}"
	program := b.Struct(text, seccomp.Encode(c.filter.program))
	fprog := b.Data(prog.Data{Text: text, Bytes: prog.Words(uint64(len(c.filter.program)), 0), Refs: []prog.Ref{{Offset: 8, To: int(program.Value)}}})
	return b.Do("load the seccomp filter", prog.Seccomp, flags(linux.SECCOMP_SET_MODE_FILTER, "SET_MODE_FILTER"), prog.Const(uint64(bits), names), fprog)
}
