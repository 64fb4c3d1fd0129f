// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package conn sends the messages of package netlink to the kernel and waits
// for its answers. It builds no message and decides nothing.
package conn

import (
	"slices"
	"strings"
	"syscall"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/netlink"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
)

// A Conn is a netlink socket in one network namespace. It is for one goroutine.
type Conn struct {
	fd     int
	number uint32            // of the last request
	index  map[string]uint32 // links that were looked up or told
	buffer []byte            // of the datagram that is being made or was received
}

// Dial opens a socket of protocol in the calling thread's network namespace.
func Dial(protocol int) (*Conn, error) { return DialBy(sys.NetlinkSocket, protocol) }

// DialBy is Dial with a socket that open opens, in another network namespace.
func DialBy(open func(protocol int) (int, error), protocol int) (*Conn, error) {
	fd, err := open(protocol)
	if err != nil {
		return nil, &fail.Error{Doing: "open a netlink socket", Err: err}
	}
	return &Conn{fd: fd, index: map[string]uint32{}, buffer: make([]byte, receiveLen)}, nil
}

// Close closes the socket.
func (c *Conn) Close() error { return sys.NetlinkClose(c.fd) }

// An Error is a request that the kernel refused.
type Error struct {
	Message netlink.Message
	Errno   syscall.Errno
	Words   string // the kernel's own sentence, where it has one
}

// Error returns "doing: text (NAME)" and the kernel's words.
func (e *Error) Error() string {
	s := e.Message.Doing + ": " + fail.Reason(e.Errno)
	if e.Words != "" {
		s += ": " + strings.TrimSuffix(e.Words, ".")
	}
	return s
}

// Unwrap returns the errno.
func (e *Error) Unwrap() error { return e.Errno }

// Exec sends rtnetlink requests in one datagram and waits until all are done.
// The kernel works on all of them even when one fails; the error is of the first.
func (c *Conn) Exec(messages ...netlink.Message) error {
	for _, m := range messages {
		if err := c.find(m); err != nil {
			return err
		}
	}
	datagram := c.buffer[:0]
	first := c.number + 1
	for i, m := range messages {
		if i == len(messages)-1 {
			m.Flags |= linux.NLM_F_ACK // of the others only failures are told, and before it
		}
		c.number++
		datagram = m.AppendBound(datagram, c.number, c.index)
	}
	if len(datagram) == 0 {
		return nil
	}
	if err := sys.NetlinkSend(c.fd, datagram); err != nil {
		return &fail.Error{Doing: "send to netlink", Err: err}
	}
	return c.answered(first, messages, len(messages)-1)
}

// Commit sends nf_tables requests as one transaction: all or nothing.
func (c *Conn) Commit(messages ...netlink.Message) error {
	if len(messages) == 0 {
		return nil
	}
	return c.transaction(netlink.Begin(), messages)
}

// CommitAt is Commit if no table has changed since generation, ERESTART else.
func (c *Conn) CommitAt(generation uint32, messages ...netlink.Message) error {
	return c.transaction(netlink.BeginAt(generation), messages)
}

// Generation returns the number of the tables' state, which each change of any
// of them raises.
func (c *Conn) Generation() (uint32, error) {
	replies, err := c.Ask(netlink.GetGeneration())
	for _, r := range replies {
		if generation, ok := netlink.ParseGeneration(r.Body); ok {
			return generation, nil
		}
	}
	return 0, err
}

func (c *Conn) transaction(begin netlink.Message, messages []netlink.Message) error {
	all := append(append([]netlink.Message{begin}, messages...), netlink.End())
	first, last := c.number+1, len(all)-2
	datagram := c.buffer[:0]
	for i, m := range all {
		if i == last {
			m.Flags |= linux.NLM_F_ACK // answers come in order: this one is the last
		}
		c.number++
		datagram = m.Append(datagram, c.number)
	}
	if err := sys.NetlinkSend(c.fd, datagram); err != nil {
		return &fail.Error{Doing: "send to nf_tables", Err: err}
	}
	return c.answered(first, all, last)
}

// answered waits for the answer to the message with the index last; the first
// has the number first. The error is that of the first message that failed.
func (c *Conn) answered(first uint32, messages []netlink.Message, last int) error {
	var failure error
	// Its end is a message without an answer. A failure of the transaction as
	// such is told of its first message, and alone.
	transaction := last < len(messages)-1
	for {
		datagram, err := c.receive()
		if err != nil {
			return err
		}
		for r := range netlink.Replies(datagram) {
			i := int(r.Number - first)
			if r.Type != linux.NLMSG_ERROR || i < 0 || i >= len(messages) {
				continue
			}
			errno, words := r.Errno()
			if errno != 0 && failure == nil {
				failure = &Error{messages[i], syscall.Errno(errno), words}
			}
			if i == last || errno != 0 && i == 0 && transaction {
				return failure
			}
		}
	}
}

// Ask sends one question and returns the answers.
func (c *Conn) Ask(question netlink.Message) ([]netlink.Reply, error) {
	for range 20 {
		var replies []netlink.Reply
		again, err := c.ask(question, func(r netlink.Reply) {
			r.Body = slices.Clone(r.Body)
			replies = append(replies, r)
		})
		if !again {
			return replies, err
		}
	}
	return nil, &Error{question, syscall.EINTR, "the list changed 20 times while it was read"}
}

// ask calls each with the answers to a question; their bodies are valid until
// it returns. It tells with again that the kernel's list changed while it was
// told (NLM_F_DUMP_INTR): it may have holes.
func (c *Conn) ask(question netlink.Message, each func(netlink.Reply)) (again bool, err error) {
	if err := c.find(question); err != nil {
		return false, err
	}
	c.number++
	if err := sys.NetlinkSend(c.fd, question.AppendBound(c.buffer[:0], c.number, c.index)); err != nil {
		return false, &fail.Error{Doing: question.Doing, Err: err}
	}
	for {
		datagram, err := c.receive()
		if err != nil {
			return false, err
		}
		for r := range netlink.Replies(datagram) {
			if r.Number != c.number {
				continue
			}
			again = again || r.Flags&linux.NLM_F_DUMP_INTR != 0
			if r.Type == linux.NLMSG_ERROR || r.Type == linux.NLMSG_DONE {
				if errno, words := r.Errno(); errno != 0 && !(again && syscall.Errno(errno) == syscall.EINTR) {
					return false, &Error{question, syscall.Errno(errno), words}
				}
				return again, nil
			}
			each(r)
			if r.Flags&linux.NLM_F_MULTI == 0 {
				return false, nil
			}
		}
	}
}

// Link looks up a link by name; ENODEV if there is none.
func (c *Conn) Link(name string) (netlink.Link, error) {
	question := netlink.GetLink(name)
	var link netlink.Link
	found := false
	_, err := c.ask(question, func(r netlink.Reply) { link, found = netlink.ParseLink(r.Body) })
	switch {
	case err != nil:
		return netlink.Link{}, err
	case !found:
		return netlink.Link{}, &Error{question, syscall.ENODEV, ""}
	}
	c.index[name] = link.Index
	return link, nil
}

// find looks up the links that m names, which sends requests of its own.
func (c *Conn) find(m netlink.Message) error {
	for _, b := range m.Binds {
		if _, known := c.index[b.Link]; known {
			continue
		}
		if _, err := c.Link(b.Link); err != nil {
			return err
		}
	}
	return nil
}

// receiveLen holds the largest piece of a list that the kernel sends: 32 KiB
// less what it needs to manage it. (The memory of larger objects is of another
// kind for Go, and costs more when it is the first.)
const receiveLen = 32<<10 - 64

func (c *Conn) receive() ([]byte, error) {
	n, err := sys.NetlinkReceive(c.fd, c.buffer)
	if err != nil {
		return nil, &fail.Error{Doing: "receive from netlink", Err: err}
	}
	return c.buffer[:n], nil
}
