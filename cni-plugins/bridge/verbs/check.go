// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package verbs

import (
	"errors"
	"net/netip"
	"slices"
	"syscall"

	"github.com/coracle-oci/coracle/cni-plugins/bridge"
	"github.com/coracle-oci/coracle/cni-plugins/masq"
	"github.com/coracle-oci/coracle/cni-plugins/netns"
	"github.com/coracle-oci/coracle/cni-plugins/plugin"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/netlink"
	"github.com/coracle-oci/coracle/internal/netlink/conn"
)

// Check compares everything that ADD made with what is there: the bridge and
// its addresses, both ends of the pair, the container's addresses and routes,
// the elements, the lease.
func Check(r *plugin.Request, ns *netns.Namespace) error {
	c, err := begin(r, ns)
	if err != nil {
		return err
	}
	defer c.world.Close()
	if len(r.Conf.PrevResult) == 0 {
		return plugin.Invalid("prevResult", "is missing; CHECK compares with it")
	}
	previous, err := plugin.ParseResult("prevResult", r.Conf.PrevResult)
	if err != nil {
		return err
	}
	mine := c.mine(previous)
	for _, check := range []func(*plugin.Result) error{c.checkHost, c.checkContainer, c.checkElements} {
		if err := check(mine); err != nil {
			return err
		}
	}
	if c.ipam != nil {
		return c.ipam.Check()
	}
	return nil
}

// mine leaves of a result what belongs to this plugin's interface: others of
// the list may have added theirs.
func (c *call) mine(all *plugin.Result) *plugin.Result {
	r := &plugin.Result{Interfaces: all.Interfaces, Routes: all.Routes}
	for _, ip := range all.IPs {
		if ip.Interface == nil || all.Interfaces[*ip.Interface].Name == c.Ifname && all.Interfaces[*ip.Interface].Sandbox != "" {
			r.IPs = append(r.IPs, ip)
		}
	}
	return r
}

func (c *call) checkHost(r *plugin.Result) error {
	host, err := c.world.Host()
	if err != nil {
		return err
	}
	br, err := present(host, c.config.Bridge)
	if err != nil {
		return err
	}
	if br.Kind != "bridge" || !br.Up() {
		return drifted(c.config.Bridge, "is no bridge, or is down")
	}
	if c.config.IsGateway {
		if err := hasAddresses(host, c.config.Bridge, bridge.Gateways(r)); err != nil {
			return err
		}
	}
	name := plugin.HostLink(c.Conf.Name, c.Attachment())
	port, err := present(host, name)
	if err != nil {
		return err
	}
	switch {
	case port.Master != br.Index:
		return drifted(name, "is no port of "+c.config.Bridge)
	case !port.Up():
		return drifted(name, "is down")
	case port.Hairpin != c.config.HairpinMode:
		return drifted(name, "hairpin mode is not as configured")
	}
	return sameMAC(r, name, "", port)
}

func (c *call) checkContainer(r *plugin.Result) error {
	inside, err := c.world.Container()
	if err != nil {
		return err
	}
	link, err := present(inside, c.Ifname)
	if err != nil {
		return err
	}
	switch {
	case link.Kind != "veth":
		return drifted(c.Ifname, "is no veth")
	case !link.Up():
		return drifted(c.Ifname, "is down")
	case c.config.MTU != 0 && link.MTU != c.config.MTU:
		return drifted(c.Ifname, "mtu is not as configured")
	}
	if err := sameMAC(r, c.Ifname, "inside", link); err != nil {
		return err
	}
	var wanted []netip.Prefix
	for _, ip := range r.IPs {
		wanted = append(wanted, ip.Address)
	}
	if err := hasAddresses(inside, c.Ifname, wanted); err != nil {
		return err
	}
	return hasRoutes(inside, c.Ifname, r)
}

// checkElements looks for the elements with the right owner.
func (c *call) checkElements(r *plugin.Result) error {
	if !c.config.IPMasq || c.ipam == nil {
		return nil
	}
	all, err := c.elements()
	if err != nil {
		return err
	}
	for _, want := range (bridge.Attachment{Config: c.config, Tag: c.Tag()}).Entries(r) {
		if !slices.ContainsFunc(all, func(have masq.Entry) bool { return have.Same(want) }) {
			return drifted("nf_tables set "+want.Set.Name, "lacks the element for "+c.Tag())
		}
	}
	return nil
}

// present looks up a link that must be there.
func present(in *conn.Conn, name string) (netlink.Link, error) {
	link, err := in.Link(name)
	if errors.Is(err, syscall.ENODEV) {
		return link, drifted(name, "is gone")
	}
	return link, err
}

// sameMAC compares a link with its entry in the result, if there is one.
func sameMAC(r *plugin.Result, name, inside string, link netlink.Link) error {
	for _, i := range r.Interfaces {
		if i.Name != name || (i.Sandbox == "") != (inside == "") || i.MAC == "" {
			continue
		}
		if want, ok := netlink.ParseMAC(i.MAC); ok && want != link.MAC {
			return drifted(name, "has the address "+link.MAC.String()+", had "+i.MAC)
		}
	}
	return nil
}

func hasAddresses(in *conn.Conn, name string, wanted []netip.Prefix) error {
	replies, err := in.Ask(netlink.GetAddrs(name))
	if err != nil {
		return err
	}
	var have []netip.Prefix
	for _, r := range replies {
		if a, ok := netlink.ParseAddr(r.Body); ok {
			have = append(have, a)
		}
	}
	for _, a := range wanted {
		if !slices.Contains(have, a) {
			return drifted(name, "lacks the address "+a.String())
		}
	}
	return nil
}

// hasRoutes looks in all tables: a plugin behind us may move routes to another.
func hasRoutes(in *conn.Conn, name string, r *plugin.Result) error {
	for _, want := range r.Routes {
		replies, err := in.Ask(netlink.GetRoutes(name, want.Dst.Addr()))
		if err != nil {
			return err
		}
		k := bridge.KernelRoute(want, r.IPs)
		if !slices.ContainsFunc(replies, func(reply netlink.Reply) bool {
			have, ok := netlink.ParseRoute(reply.Body)
			return ok && have.Dst == k.Dst && have.GW == k.GW
		}) {
			return drifted(name, "lacks the route "+k.String())
		}
	}
	return nil
}

func drifted(what, how string) error { return plugin.Fail(plugin.CodeDrifted, fail.At(what, how)) }
