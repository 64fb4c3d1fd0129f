// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package verbs

import (
	"errors"
	"syscall"

	"github.com/coracle-oci/coracle/cni-plugins/hostlocal"
	"github.com/coracle-oci/coracle/cni-plugins/masq"
	"github.com/coracle-oci/coracle/cni-plugins/netns"
	"github.com/coracle-oci/coracle/cni-plugins/plan"
	"github.com/coracle-oci/coracle/cni-plugins/plugin"
	"github.com/coracle-oci/coracle/internal/netlink"
)

// Del detaches the container. It needs no namespace, no earlier result and no
// lease, and may come twice.
//
// The elements go first and the link second: the kernel then waits once for
// both. The address is freed last, when nobody uses it any more.
func Del(r *plugin.Request, ns *netns.Namespace) error {
	c, ipam := begin(r, ns)
	if c == nil {
		return ipam
	}
	defer c.world.Close()
	own := r.Tag()
	if err := c.removeElements(func(tag string) bool { return tag == own }); err != nil {
		return err
	}
	if err := c.removePair(); err != nil {
		return err
	}
	if ipam == nil && c.ipam != nil {
		ipam = c.ipam.Del()
	}
	return ipam // a plugin that is not there any more is told of last
}

// planDel tells what Del would do.
func planDel(r *plugin.Request, ns *netns.Namespace) (p plan.Plan, err error) {
	c, err := begin(r, ns)
	if err != nil {
		return nil, err
	}
	defer c.world.Close()
	elements, err := c.removals(func(tag string) bool { return tag == r.Tag() })
	if err != nil {
		return nil, err
	}
	if len(elements) > 0 {
		p = append(p, plan.Step{In: plan.Firewall, Do: elements})
	}
	host, err := c.world.Host()
	if err != nil {
		return nil, err
	}
	name := plugin.HostLink(r.Conf.Name, r.Attachment())
	switch _, err = host.Link(name); {
	case err == nil:
		p = append(p, plan.Step{In: plan.Host, Do: []netlink.Message{netlink.DelLink(name)}})
	case !errors.Is(err, syscall.ENODEV):
		return nil, err
	}
	if c.ipam == nil || !c.ipam.Own() {
		return p, nil
	}
	leases, err := hostlocal.PlanDel(r)
	return append(p, leases...), err
}

// removePair removes the host's end, which takes the container's with it. The
// host's end of an attachment that another bridge plugin made has a name that
// we do not know: then the container's end is removed, if it is one of a pair.
func (c *call) removePair() error {
	removed, err := c.removeLink(plugin.HostLink(c.Conf.Name, c.Attachment()))
	if removed || err != nil || c.ns == nil {
		return err
	}
	inside, err := c.world.Container()
	if err != nil {
		return err
	}
	link, err := inside.Link(c.Ifname)
	if err == nil && link.Kind == "veth" {
		err = inside.Exec(netlink.DelLink(c.Ifname))
	}
	if errors.Is(err, syscall.ENODEV) {
		return nil
	}
	return err
}

// removeLink removes a link of the host; removed is false if there is none.
func (c *call) removeLink(name string) (removed bool, err error) {
	host, err := c.world.Host()
	if err != nil {
		return false, err
	}
	err = host.Exec(netlink.DelLink(name))
	if errors.Is(err, syscall.ENODEV) {
		return false, nil
	}
	return err == nil, err
}

// removeElements removes the elements of the owners that match, and reads the
// table again when another call was faster with one of them.
func (c *call) removeElements(match func(tag string) bool) error {
	for round := 1; ; round++ {
		do, err := c.removals(match)
		if err != nil {
			return err
		}
		err = c.world.Run(plan.Plan{{In: plan.Firewall, Do: do}})
		if round == rounds || !errors.Is(err, syscall.ENOENT) {
			return err
		}
	}
}

// removals is the messages that remove the elements of the owners that match.
func (c *call) removals(match func(tag string) bool) (do []netlink.Message, err error) {
	all, err := c.elements()
	for _, e := range all {
		if match(e.Element.Comment) {
			do = append(do, e.Remove())
		}
	}
	return do, err
}

// GC removes what belongs to no valid attachment of the network: elements,
// links, leases. A link that was made a moment before its plugin was killed has
// no owner written on it; its name follows from the lease, which came first.
func GC(r *plugin.Request) error {
	c, err := begin(r, nil)
	if err != nil {
		return err
	}
	defer c.world.Close()
	stale := plugin.Stale(r.Conf.Name, r.Conf.ValidAttachments)
	if err := c.removeElements(stale); err != nil {
		return err
	}
	if err := c.removePorts(stale); err != nil {
		return err
	}
	if c.ipam == nil {
		return nil
	}
	if c.ipam.Own() {
		owners, err := hostlocal.Owners(r)
		if err != nil {
			return err
		}
		for _, o := range owners {
			if stale(plugin.Tag(r.Conf.Name, o)) {
				if _, err := c.removeLink(plugin.HostLink(r.Conf.Name, o)); err != nil {
					return err
				}
			}
		}
	}
	return c.ipam.GC()
}

// removePorts removes the ports of the bridge that have a stale owner.
func (c *call) removePorts(stale func(string) bool) error {
	host, err := c.world.Host()
	if err != nil {
		return err
	}
	replies, err := host.Ask(netlink.GetPorts(c.config.Bridge))
	if err != nil && !errors.Is(err, syscall.ENODEV) {
		return err
	}
	for _, r := range replies {
		link, ok := netlink.ParseLink(r.Body)
		if !ok || link.Kind != "veth" || !stale(link.Alias) {
			continue
		}
		if _, err := c.removeLink(link.Name); err != nil {
			return err
		}
	}
	return nil
}

// Status tells whether ADD has a chance: addresses, and nf_tables if needed.
func Status(r *plugin.Request) error {
	c, err := begin(r, nil)
	if err != nil {
		return err
	}
	defer c.world.Close()
	if c.config.IPMasq {
		firewall, err := c.world.Firewall()
		if err == nil {
			_, err = firewall.Ask(masq.Sets()[0].List())
		}
		if err != nil && !errors.Is(err, syscall.ENOENT) {
			return &plugin.Error{Code: plugin.CodeNotAvailable, Err: err}
		}
	}
	if c.ipam == nil {
		return nil
	}
	return c.ipam.Status()
}
