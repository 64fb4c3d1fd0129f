// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"slices"

	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// MaxSent is how many descriptors one message carries: SCM_MAX_FD, unix(7).
const MaxSent = 253

// A received is a message of descriptors, which is as long as it turns out when
// all is compiled.
type received struct {
	batch           int // see batches
	control, header prog.Arg
	length, first   []prog.Arg // arguments of the steps that check its length, and the first number
}

// input adds a descriptor that the parent opens: before it starts the process or,
// behind receive, while the process works.
func (c *compiler) input(name string, s HostStep) prog.Input {
	if c.opens == nil {
		c.opens = make([]HostStep, 0, 32)
	}
	s.Input = c.b.Input(name)
	c.opens = append(c.opens, s)
	return s.Input
}

// receive takes what the parent opens while the program makes namespaces or, if that
// is done, until it needs a mount. The message is the answer to the gate at, or comes
// unasked: AtSpawn.
//
// The kernel gives descriptors the lowest free numbers, and all from the first
// late input on are free: the program's first step has seen to it. Those of inputs
// that come later are kept free: the first of the message comes as often as there
// are any, and is closed when they come.
func (c *compiler) receive(at prog.Mark) {
	c.b.Late()
	c.early, c.sentAt, c.batches = len(c.b.Inputs()), at, append(c.batches, len(c.b.Inputs()))
	c.take(len(c.plan.Cgroup.Join) + len(c.spec.Mounts) + len(c.spec.Linux.Devices) + len(c.spec.Linux.Namespaces) + 32)
}

// receiveMore takes up to so many that the parent has opened since then.
func (c *compiler) receiveMore(most int) {
	c.b.Late()
	c.batches = append(c.batches, len(c.b.Inputs()))
	c.take(most)
}

// take takes messages with up to so many descriptors.
func (c *compiler) take(most int) {
	b := &c.b
	b.From("")
	for range (most + MaxSent - 1) / MaxSent {
		m := received{batch: len(c.batches) - 1}
		m.control = b.Struct("inputs", make([]byte, 24))
		iov := b.Data(prog.Data{Text: "iov", Bytes: prog.Words(0, 1), Refs: []prog.Ref{{Offset: 0, To: int(b.Struct("go", make([]byte, 8)).Value)}}})
		m.header = b.Data(prog.Data{Text: "{go, SCM_RIGHTS inputs}", Bytes: make([]byte, 56),
			Refs: []prog.Ref{{Offset: 16, To: int(iov.Value)}, {Offset: 32, To: int(m.control.Value)}}})
		b.Do("take what the parent has opened", prog.Recvmsg, c.gate.Arg(), m.header, flags(linux.MSG_CMSG_CLOEXEC, "MSG_CMSG_CLOEXEC")).
			Branch = prog.Branch{Result: 0, To: c.gone}
		m.length = c.compare("make sure that none is missing", m.control)
		m.first = c.compare("make sure of their numbers", b.Inside(m.control, 16))
		c.received = append(c.received, m)
	}
}

// compare stops the program with EAGAIN unless the four bytes at an address are
// a value: so does FUTEX_CMP_REQUEUE, which here wakes and moves nobody.
func (c *compiler) compare(doing string, at prog.Arg) []prog.Arg {
	return c.b.Do(doing, prog.Futex, at, flags(linux.FUTEX_CMP_REQUEUE, "FUTEX_CMP_REQUEUE"), prog.Int(0), prog.Int(0), at, prog.Int(0)).Args
}

// startWith puts the opening of the first n descriptors before the start.
func (c *compiler) startWith(n int) {
	spawn := slices.IndexFunc(c.plan.Host, func(h HostStep) bool { return h.Do == Spawn })
	c.plan.Host = slices.Insert(c.plan.Host, spawn, c.opens[:n]...)
}

// inputs puts the opening of descriptors where it belongs, whichever phase wants
// it, and gives the messages their lengths. What is received before cgroups are
// joined is sent before they are made.
func (c *compiler) inputs() {
	c.startWith(c.early)
	c.foreign[0] = prog.Int(3 + c.PreserveFDs + c.early)
	at := len(c.plan.Host)
	if len(c.batches) > 1 {
		at = 1 + slices.IndexFunc(c.plan.Host, func(h HostStep) bool { return h.Do == Spawn })
		for c.plan.Host[at].Do == UnitProperty || c.plan.Host[at].Do == StartUnit {
			at++
		}
	}
	next, spare := c.early, 0
	if c.spare != nil {
		spare = len(c.opens) - c.batches[1]
		c.spare[0], c.spare[1] = prog.Int(3+c.PreserveFDs+c.batches[1]), prog.Int(3+c.PreserveFDs+len(c.opens)-1)
	}
	for _, m := range c.received {
		end := len(c.opens)
		if m.batch+1 < len(c.batches) {
			end = c.batches[m.batch+1]
		}
		if m.batch > 0 {
			at = len(c.plan.Host)
		}
		n := min(end-next, MaxSent)
		send := HostStep{At: c.sentAt, Do: SendInputs, Input: prog.Input(next + n), Doing: "send what has been opened"}
		if m.batch == 0 {
			send.Spare = min(spare, MaxSent-n)
			spare -= send.Spare
		}
		length, first := 0, 0
		if n+send.Spare > 0 {
			length, first = 16+4*(n+send.Spare), 3+c.PreserveFDs+next // CMSG_LEN
		}
		c.plan.Host = slices.Insert(c.plan.Host, at, c.opens[next:next+n]...)
		c.plan.Host = slices.Insert(c.plan.Host, at+n, send)
		at += n + 1
		next += n
		room := (length + 7) &^ 7
		c.b.Resize(m.control, max(24, room))
		c.b.Put(m.header, 3, 1) // msg_iovlen
		c.b.Put(m.header, 5, uint64(room))
		m.length[5], m.first[5] = prog.Int(length), prog.Int(first)
	}
}

// sendFD sends the parent a mark with a descriptor.
func (c *compiler) sendFD(mark prog.Mark, doing string, fd prog.Reg) {
	message, _ := c.fdMessage(mark, fd)
	c.b.Do(doing, prog.Sendmsg, c.gate.Arg(), message, flags(linux.MSG_NOSIGNAL, "MSG_NOSIGNAL"))
}

// fdMessage is the argument of sendmsg(2) for a mark with a descriptor, unix(7),
// and its control data: the register lives in that, at 16.
func (c *compiler) fdMessage(mark prog.Mark, fd prog.Reg) (header, control prog.Arg) {
	b := &c.b
	name := b.RegName(fd)
	control = b.Data(prog.Data{Text: "&" + name, Bytes: prog.Words(20, uint64(linux.SOL_SOCKET)|uint64(linux.SCM_RIGHTS)<<32, 0), Cells: []prog.Cell{{Offset: 16, Reg: fd}}})
	message := b.Struct("mark", prog.MarkBytes(mark, 0))
	iov := b.Data(prog.Data{Text: "iov", Bytes: prog.Words(0, 8), Refs: []prog.Ref{{Offset: 0, To: int(message.Value)}}})
	header = b.Data(prog.Data{Text: "{mark, SCM_RIGHTS " + name + "}", Bytes: prog.Words(0, 0, 0, 1, 0, 24, 0),
		Refs: []prog.Ref{{Offset: 16, To: int(iov.Value)}, {Offset: 32, To: int(control.Value)}}})
	return header, control
}
