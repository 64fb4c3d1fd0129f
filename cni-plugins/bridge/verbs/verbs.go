// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package verbs is what the bridge plugin does: it looks at the machine, lets
// package bridge compile the steps, and has package apply carry them out.
package verbs

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"syscall"

	"github.com/coracle-oci/coracle/cni-plugins/apply"
	"github.com/coracle-oci/coracle/cni-plugins/bridge"
	"github.com/coracle-oci/coracle/cni-plugins/hostlocal"
	"github.com/coracle-oci/coracle/cni-plugins/ipam/delegate"
	"github.com/coracle-oci/coracle/cni-plugins/masq"
	"github.com/coracle-oci/coracle/cni-plugins/netns"
	"github.com/coracle-oci/coracle/cni-plugins/plan"
	"github.com/coracle-oci/coracle/cni-plugins/plugin"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/netlink"
	"github.com/coracle-oci/coracle/internal/netlink/conn"
)

// A call is one call of the plugin.
type call struct {
	*plugin.Request
	config *bridge.Config
	world  *apply.World
	ipam   *delegate.IPAM // nil: no addresses
	ns     *netns.Namespace
}

// begin reads the configuration and finds the IPAM plugin; nothing has happened
// when it fails.
func begin(r *plugin.Request, ns *netns.Namespace) (*call, error) {
	config, err := bridge.Parse(r)
	if err != nil {
		return nil, err
	}
	c := &call{Request: r, config: config, world: apply.New(ns), ns: ns}
	name, err := r.IPAMType()
	if err != nil || name == "" {
		return c, err
	}
	c.ipam, err = delegate.Find(r, name)
	return c, err
}

// Add attaches the container. On an error everything it made is gone again.
func Add(r *plugin.Request, ns *netns.Namespace) (*plugin.Result, error) {
	c, err := begin(r, ns)
	if err != nil {
		return nil, err
	}
	defer c.world.Close()
	if err := c.absent(); err != nil {
		return nil, err
	}
	var addresses *plugin.Result
	if c.ipam != nil {
		if addresses, err = c.ipam.Add(); err != nil {
			return nil, err
		}
	}
	result, err := c.attach(addresses)
	if err != nil {
		c.world.Undo()
		if c.ipam != nil {
			c.ipam.Del()
		}
		return nil, err
	}
	if !r.Conf.DNS.IsZero() { // what the network's owner wrote goes first
		result.DNS = r.Conf.DNS
	}
	return result, nil
}

// absent refuses an interface that the container has already.
func (c *call) absent() error {
	inside, err := c.world.Container()
	if err != nil {
		return err
	}
	_, err = inside.Link(c.Ifname)
	switch {
	case err == nil:
		return plugin.Fail(plugin.CodeConflict, &fail.Error{Where: "CNI_IFNAME", Doing: "the container has an interface " + c.Ifname + " already",
			Hint: "call DEL before another ADD"})
	case errors.Is(err, syscall.ENODEV):
		return nil
	}
	return err
}

// rounds is how often ADD looks at the machine again when another call made or
// removed the bridge, or the nf_tables table, in the middle of its own work.
const rounds = 10

// attach does the steps until no other call has come in between.
func (c *call) attach(addresses *plugin.Result) (*plugin.Result, error) {
	for round := 1; ; round++ {
		a, err := c.attachment(addresses)
		if err != nil {
			return nil, err
		}
		steps, result, err := bridge.Compile(a)
		if err != nil {
			return nil, err
		}
		err = c.world.Run(steps)
		if err == nil {
			return result, c.masquerade(a, result)
		}
		if round == rounds || !c.overtaken(err) {
			return nil, explained(err)
		}
		c.world.UndoOwn()
	}
}

// overtaken tells whether an error comes from another call's work on the
// bridge: made or given its address meanwhile, or taken away as unused.
func (c *call) overtaken(err error) bool {
	refused, ok := errors.AsType[*conn.Error](err)
	if !ok {
		return false
	}
	shared := strings.Contains(refused.Message.Doing, "bridge "+c.config.Bridge) || strings.HasSuffix(refused.Message.Doing, " to "+c.config.Bridge) ||
		strings.HasSuffix(refused.Message.Doing, " from "+c.config.Bridge)
	switch refused.Errno {
	case syscall.EEXIST, syscall.EADDRNOTAVAIL:
		return shared
	case syscall.ENODEV:
		return true
	case syscall.EINVAL: // the kernel's word for a master that there is not
		return strings.HasPrefix(refused.Message.Doing, "make veth")
	}
	return false
}

// explained adds what is nearly certain.
func explained(err error) error {
	refused, ok := errors.AsType[*conn.Error](err)
	if !ok {
		return err
	}
	switch {
	case refused.Errno == syscall.EEXIST && strings.HasPrefix(refused.Message.Doing, "make veth"):
		return plugin.Fail(plugin.CodeConflict, &fail.Error{Err: err, Hint: "this attachment is there already, or half of it; call DEL before another ADD"})
	case refused.Errno == syscall.EOPNOTSUPP && strings.HasPrefix(refused.Message.Doing, "make "):
		return &fail.Error{Err: err, Hint: "this kernel lacks bridge or veth devices; load the module or use a kernel that has it"}
	}
	return err
}

// attachment gathers the facts.
func (c *call) attachment(addresses *plugin.Result) (a bridge.Attachment, err error) {
	a = bridge.Attachment{Config: c.config, Tag: c.Tag(), Host: plugin.HostLink(c.Conf.Name, c.Attachment()),
		Ifname: c.Ifname, Netns: c.Netns, IPAM: addresses}
	if c.ns != nil {
		a.Facts.NetnsFD = c.ns.FD()
	}
	for i := range a.Facts.Random {
		a.Facts.Random[i] = randomMAC()
	}
	host, err := c.world.Host()
	if err != nil {
		return a, err
	}
	link, err := host.Link(c.config.Bridge)
	if errors.Is(err, syscall.ENODEV) {
		return a, nil
	}
	if err != nil {
		return a, err
	}
	if link.Kind != "bridge" {
		return a, plugin.Fail(plugin.CodeConflict, fail.At("bridge", c.config.Bridge+" exists and is no bridge"))
	}
	a.Facts.Bridge = &link
	replies, err := host.Ask(netlink.GetAddrs(c.config.Bridge))
	for _, reply := range replies {
		if address, ok := netlink.ParseAddr(reply.Body); ok {
			a.Facts.Addresses = append(a.Facts.Addresses, address)
		}
	}
	if errors.Is(err, syscall.ENODEV) { // gone since we looked
		a.Facts.Bridge, a.Facts.Addresses, err = nil, nil, nil
	}
	return a, err
}

// randomMAC returns the address of one station, locally administered (IEEE
// 802). It is no secret, and must only differ from its neighbours'.
func randomMAC() (m netlink.MAC) {
	binary.NativeEndian.PutUint32(m[2:], rand.Uint32())
	m[1] = byte(rand.Uint32())
	m[0] = byte(rand.Uint32())&^1 | 2
	return m
}

// masquerade adds the elements. The table may not be there, or may still have
// elements of a container whose DEL never came: then it is looked at, once.
func (c *call) masquerade(a bridge.Attachment, result *plugin.Result) error {
	for round := 1; ; round++ {
		err := c.world.Run(bridge.Masquerade(a, result))
		refused, ok := errors.AsType[*conn.Error](err)
		if !ok || round == rounds {
			return err
		}
		switch refused.Errno {
		case syscall.ENOENT:
			a.Facts.NoTable, a.Facts.InTheWay = len(a.Facts.InTheWay) == 0, nil
		case syscall.EEXIST:
			a.Facts.NoTable = false
			if a.Facts.InTheWay, err = c.inTheWay(a.Entries(result)); err != nil {
				return err
			}
		case syscall.EINTR, syscall.EAGAIN:
		default:
			return err
		}
	}
}

// inTheWay returns the elements with the keys of entries, whoever owns them.
func (c *call) inTheWay(entries []masq.Entry) (found []masq.Entry, err error) {
	all, err := c.elements()
	for _, have := range all {
		for _, want := range entries {
			if have.SameKey(want) {
				found = append(found, have)
			}
		}
	}
	return found, err
}

// elements lists all elements of the table; none if there is no table.
func (c *call) elements() (all []masq.Entry, err error) {
	firewall, err := c.world.Firewall()
	if err != nil {
		return nil, err
	}
	for _, set := range masq.Sets() {
		replies, err := firewall.Ask(set.List())
		if errors.Is(err, syscall.ENOENT) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for _, r := range replies {
			for _, e := range netlink.ParseElements(r.Body) {
				all = append(all, masq.Entry{Set: set, Element: e})
			}
		}
	}
	return all, nil
}

// Plan tells what Add or Del would do, and does nothing.
func Plan(r *plugin.Request, ns *netns.Namespace) (plan.Plan, error) {
	if r.Command == plugin.Del {
		return planDel(r, ns)
	}
	c, err := begin(r, ns)
	if err != nil {
		return nil, err
	}
	defer c.world.Close()
	if err := c.absent(); err != nil {
		return nil, err
	}
	var leases plan.Plan
	var addresses *plugin.Result
	if c.ipam != nil {
		if !c.ipam.Own() {
			return nil, plugin.Unsupported("CNI_PLAN", "only "+c.ipam.Name+" itself knows which address it would give")
		}
		if leases, addresses, err = hostlocal.Plan(r); err != nil {
			return nil, err
		}
	}
	a, err := c.attachment(addresses)
	if err != nil {
		return nil, err
	}
	steps, result, err := bridge.Compile(a)
	if err != nil {
		return nil, err
	}
	if c.config.IPMasq {
		firewall, err := c.world.Firewall()
		if err != nil {
			return nil, err
		}
		_, err = firewall.Ask(masq.Sets()[0].List())
		a.Facts.NoTable = errors.Is(err, syscall.ENOENT)
	}
	return append(append(leases, steps...), bridge.Masquerade(a, result)...), nil
}
