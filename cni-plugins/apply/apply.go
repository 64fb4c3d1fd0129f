// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package apply carries out the steps of package plan and keeps the list that
// takes them back. It decides nothing: which steps, and in which order, is the
// plan's.
package apply

import (
	"errors"
	"io/fs"
	"slices"
	"syscall"

	"github.com/coracle-oci/coracle/cni-plugins/netns"
	"github.com/coracle-oci/coracle/cni-plugins/plan"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/netlink"
	"github.com/coracle-oci/coracle/internal/netlink/conn"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
)

// A World is the sockets of one call of a plugin, opened when they are needed.
// It is for one goroutine.
type World struct {
	netns     *netns.Namespace // nil: no container side
	host      *conn.Conn
	container *conn.Conn
	firewall  *conn.Conn
	done      []plan.Step
}

// New returns a world whose container side is ns; nil if there is none.
func New(ns *netns.Namespace) *World { return &World{netns: ns} }

// Close closes the sockets. That of nf_tables is the last: if it deleted
// something, closing it waits for the kernel, and the wait of removing a link
// passes meanwhile.
func (w *World) Close() {
	for _, c := range []*conn.Conn{w.host, w.container, w.firewall} {
		if c != nil {
			c.Close()
		}
	}
}

// Host is rtnetlink of the plugin's own network namespace.
func (w *World) Host() (*conn.Conn, error) {
	return dial(&w.host, sys.NetlinkSocket, linux.NETLINK_ROUTE)
}

// Firewall is nf_tables of the plugin's own network namespace.
func (w *World) Firewall() (*conn.Conn, error) {
	return dial(&w.firewall, sys.NetlinkSocket, linux.NETLINK_NETFILTER)
}

// Container is rtnetlink of the container.
func (w *World) Container() (*conn.Conn, error) {
	if w.netns == nil {
		return nil, errors.New("bug: a step for a container that there is not")
	}
	return dial(&w.container, w.netns.Socket, linux.NETLINK_ROUTE)
}

func dial(c **conn.Conn, open func(protocol int) (int, error), protocol int) (*conn.Conn, error) {
	if *c != nil {
		return *c, nil
	}
	opened, err := conn.DialBy(open, protocol)
	if err != nil {
		return nil, err
	}
	*c = opened
	return opened, nil
}

// Run does the steps. It stops at the first that fails; what was done until
// then is taken back by [World.Undo].
func (w *World) Run(p plan.Plan) error {
	for _, step := range p {
		if err := w.step(step); err != nil {
			if partly(step, err) {
				w.done = append(w.done, step)
			}
			return err
		}
		w.done = append(w.done, step)
	}
	return nil
}

// partly tells whether a step that failed may have left something. The kernel
// goes on after a failure, so only a failure of the first message says that
// what the step makes belongs to somebody else. Transactions leave nothing.
func partly(step plan.Step, err error) bool {
	refused, ok := errors.AsType[*conn.Error](err)
	return step.In != plan.Firewall && (!ok || len(step.Do) == 0 || refused.Message.Doing != step.Do[0].Doing)
}

func (w *World) step(s plan.Step) error {
	if s.Sysctl != nil {
		return w.sysctl(s)
	}
	return w.send(s.In, s.Do)
}

func (w *World) send(in plan.Place, messages []netlink.Message) error {
	if len(messages) == 0 {
		return nil
	}
	switch in {
	case plan.Host:
		c, err := w.Host()
		if err != nil {
			return err
		}
		return c.Exec(messages...)
	case plan.Container:
		c, err := w.Container()
		if err != nil {
			return err
		}
		return c.Exec(messages...)
	case plan.Firewall:
		c, err := w.Firewall()
		if err != nil {
			return err
		}
		return c.Commit(messages...)
	}
	return nil
}

// sysctl writes a value, unless it is there already. /proc/sys/net shows the
// network namespace of the thread that opens it.
func (w *World) sysctl(s plan.Step) error {
	open := sys.Open
	if s.In == plan.Container {
		open = w.netns.OpenFile
	}
	path := "/proc/sys/" + s.Sysctl.Path
	fd, err := open(path, syscall.O_RDONLY)
	if s.Sysctl.Optional && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		have, err := sys.ReadRest(make([]byte, 0, 64), fd)
		sys.Close(fd)
		if err == nil && string(have) == s.Sysctl.Value+"\n" {
			return nil
		}
	}
	if fd, err = open(path, syscall.O_WRONLY); err == nil {
		err = sys.WriteValue(fd, s.Sysctl.Value)
		sys.Close(fd)
	}
	if err != nil {
		return &fail.Error{Doing: "set " + s.Sysctl.Path + " to " + s.Sysctl.Value, Err: err}
	}
	return nil
}

// Undo takes back what [World.Run] did, the last step first. It goes on when
// something cannot be taken back (it may be gone by other hands).
func (w *World) Undo() { w.undo(func(plan.Step) bool { return false }) }

// UndoOwn is Undo for a call that will try again: what it shares with others
// stays, as those may be about to use it, and is remembered.
func (w *World) UndoOwn() { w.undo(func(s plan.Step) bool { return s.UnlessPorts != "" }) }

func (w *World) undo(keep func(plan.Step) bool) {
	var kept []plan.Step
	for _, s := range slices.Backward(w.done) {
		if keep(s) {
			kept = append(kept, s)
			continue
		}
		if s.UnlessPorts != "" && w.hasPorts(s.UnlessPorts) {
			continue
		}
		if s.In == plan.Firewall {
			w.send(s.In, s.Undo)
			continue
		}
		for _, m := range s.Undo { // one by one: each looks up its link again
			w.send(s.In, []netlink.Message{m})
		}
	}
	slices.Reverse(kept)
	w.done = kept
	if w.host != nil { // links may be made anew
		w.host.Close()
		w.host = nil
	}
	if w.container != nil {
		w.container.Close()
		w.container = nil
	}
}

// hasPorts tells whether a bridge has ports; if that cannot be known, it has.
func (w *World) hasPorts(bridge string) bool {
	c, err := w.Host()
	if err != nil {
		return true
	}
	ports, err := c.Ask(netlink.GetPorts(bridge))
	return err != nil && !errors.Is(err, syscall.ENODEV) || len(ports) > 0
}
