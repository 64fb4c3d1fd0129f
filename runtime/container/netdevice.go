// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"slices"
	"syscall"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/netlink"
	"github.com/coracle-oci/coracle/internal/netlink/conn"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
)

// A netDevice is a network device that has been moved into the container, and what
// it takes to undo that.
type netDevice struct {
	name, now string // outside and inside
	up        bool
	addresses []netlink.Reply
	index     uint32 // of the time before
	ns        int    // the container's network namespace
}

// moveDevice moves a device of our network namespace into the container's. It gets
// a new name there, the permanent global addresses that it had, and is set up.
func (m *maker) moveDevice(name, to string) error {
	ns, err := sys.OpenNetns("/proc/" + itoa(m.process) + "/ns/net")
	if err != nil {
		return err
	}
	d := netDevice{name: name, ns: ns}
	if err := d.move(to); err != nil {
		sys.CloseNetns(ns)
		return err
	}
	m.devices = append(m.devices, d) // from here on it is to be moved back
	return d.settle(d.now, inNamespace(ns), true)
}

func (d *netDevice) move(to string) error {
	outside, err := conn.Dial(linux.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer outside.Close()
	link, err := outside.Link(d.name)
	if err != nil {
		return err
	}
	d.index, d.up = link.Index, link.Up()
	if d.addresses, err = outside.Ask(netlink.GetAddrs(d.name)); err != nil {
		return err
	}
	before, err := linksIn(d.ns)
	if err != nil {
		return err
	}
	if _, taken := before[to]; taken {
		return &fail.Error{Doing: "move link " + d.name + " to the container as " + to, Err: syscall.EEXIST, Hint: "the container has a device of that name: give another one, or one with %d"}
	}
	if err := outside.Exec(netlink.MoveLink(d.name, to, d.ns)); err != nil {
		return err
	}
	after, err := linksIn(d.ns)
	for now, l := range after {
		if _, old := before[now]; !old && l.MAC == link.MAC {
			d.now = now
		}
	}
	if err == nil && d.now == "" {
		err = &fail.Error{Doing: "find link " + d.name + " in the container as " + to}
	}
	return err
}

// settle gives a device that has come into a namespace its addresses.
func (d *netDevice) settle(name string, dial dialer, up bool) error {
	c, err := dial()
	if err != nil {
		return err
	}
	defer c.Close()
	var messages []netlink.Message
	for _, a := range d.addresses {
		if m, ok := netlink.KeepAddr(a.Body, d.index, name); ok {
			messages = append(messages, m)
		}
	}
	if up {
		messages = append(messages, netlink.SetUp(name, true))
	}
	return c.Exec(messages...)
}

// returnDevices moves the devices of a container that could not be made back: with
// its network namespace those that are none of the machine's would be gone.
func (m *maker) returnDevices() {
	if len(m.devices) == 0 {
		return
	}
	own, err := sys.OpenNetns(ownNamespace)
	for _, d := range slices.Backward(m.devices) {
		if err == nil {
			err = d.moveBack(own)
		}
		if err != nil {
			m.options.Warn("%s", fail.Reason(err))
		}
		sys.CloseNetns(d.ns)
	}
	sys.CloseNetns(own)
}

func (d *netDevice) moveBack(own int) error {
	inside, err := inNamespace(d.ns)()
	if err != nil {
		return err
	}
	defer inside.Close()
	if err := inside.Exec(netlink.MoveLink(d.now, d.name, own)); err != nil {
		return err
	}
	return d.settle(d.name, func() (*conn.Conn, error) { return conn.Dial(linux.NETLINK_ROUTE) }, d.up)
}

// A dialer opens a netlink socket in some network namespace.
type dialer func() (*conn.Conn, error)

// inNamespace opens it in that of a descriptor.
func inNamespace(ns int) dialer {
	return func() (*conn.Conn, error) {
		home, err := sys.OpenNetns(ownNamespace)
		if err != nil {
			return nil, err
		}
		defer sys.CloseNetns(home)
		return conn.DialBy(func(protocol int) (int, error) { return sys.NetlinkSocketIn(ns, home, protocol) }, linux.NETLINK_ROUTE)
	}
}

// ownNamespace is the network namespace that coracle runs in, with all its threads.
const ownNamespace = "/proc/thread-self/ns/net"

// linksIn lists the links of a namespace by name.
func linksIn(ns int) (map[string]netlink.Link, error) {
	c, err := inNamespace(ns)()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	replies, err := c.Ask(netlink.GetLinks())
	if err != nil {
		return nil, err
	}
	links := map[string]netlink.Link{}
	for _, r := range replies {
		if l, ok := netlink.ParseLink(r.Body); ok {
			links[l.Name] = l
		}
	}
	return links, nil
}
