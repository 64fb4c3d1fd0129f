// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package bridge

import (
	"net/netip"
	"slices"

	"github.com/coracle-oci/coracle/cni-plugins/masq"
	"github.com/coracle-oci/coracle/cni-plugins/plan"
	"github.com/coracle-oci/coracle/cni-plugins/plugin"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/netlink"
)

// Facts is what a plan may know about the machine.
type Facts struct {
	Bridge    *netlink.Link  // nil: there is none
	Addresses []netip.Prefix // of the bridge
	NetnsFD   int
	Random    [3]netlink.MAC // for the bridge and the two ends of the pair
	NoTable   bool           // the nf_tables table has to be made
	InTheWay  []masq.Entry   // elements with our keys that a DEL has not removed
}

// An Attachment is everything that ADD is about: who, with which addresses.
type Attachment struct {
	Config *Config
	Facts  Facts
	Tag    string
	Host   string // the name of the host's end
	Ifname string
	Netns  string // path, for the result
	IPAM   *plugin.Result
}

// Compile returns the steps that attach the container, and the result that ADD
// answers when they are done.
func Compile(a Attachment) (plan.Plan, *plugin.Result, error) {
	c := &compiler{Attachment: a, plan: make(plan.Plan, 0, 10)}
	result, err := c.result()
	if err != nil {
		return nil, nil, err
	}
	c.bridge()
	if err := c.gateway(result); err != nil {
		return nil, nil, err
	}
	c.pair()
	c.inside(result)
	return c.plan, result, nil
}

type compiler struct {
	Attachment
	plan plan.Plan
}

func (c *compiler) host(do, undo []netlink.Message) {
	c.plan = append(c.plan, plan.Step{In: plan.Host, Do: do, Undo: undo})
}

func (c *compiler) sysctl(in plan.Place, path, value string) {
	c.plan = append(c.plan, plan.Step{In: in, Sysctl: &plan.Sysctl{Path: path, Value: value, Optional: true}})
}

// bridge makes the bridge or puts right what differs.
func (c *compiler) bridge() {
	name := c.Config.Bridge
	if c.Facts.Bridge == nil {
		c.plan = append(c.plan, plan.Step{In: plan.Host, UnlessPorts: name,
			Do:   []netlink.Message{netlink.NewBridge(netlink.Bridge{Name: name, MAC: c.Facts.Random[0], MTU: c.Config.MTU})},
			Undo: []netlink.Message{netlink.DelLink(name)}})
		// A host that forwards must not take routes from what its containers say.
		c.sysctl(plan.Host, "net/ipv6/conf/"+name+"/accept_ra", "0")
	} else if !c.Facts.Bridge.Up() {
		c.host([]netlink.Message{netlink.SetUp(name, true)}, nil)
	}
	if c.Config.PromiscMode && (c.Facts.Bridge == nil || !c.Facts.Bridge.Promisc()) {
		c.host([]netlink.Message{netlink.SetPromisc(name)}, nil)
	}
}

// gateway gives the bridge the gateways' addresses and lets the host forward.
//
// The bridge's IPv6 address is made without duplicate address detection: the
// first container would wait for a second or two until its gateway answers.
func (c *compiler) gateway(result *plugin.Result) error {
	if !c.Config.IsGateway {
		return nil
	}
	wanted := Gateways(result)
	for _, g := range wanted {
		if err := c.gatewayAddress(g, wanted); err != nil {
			return err
		}
	}
	for _, path := range forwarding(wanted) {
		c.sysctl(plan.Host, path, "1")
	}
	return nil
}

// gatewayAddress gives the bridge one address, and takes away what contradicts
// it where the configuration forces that.
func (c *compiler) gatewayAddress(g netip.Prefix, wanted []netip.Prefix) error {
	if slices.Contains(c.Facts.Addresses, g) {
		return nil
	}
	name := c.Config.Bridge
	do := []netlink.Message{netlink.NewAddr(name, g, true)}
	undo := []netlink.Message{netlink.DelAddr(name, g)}
	for _, old := range c.Facts.Addresses {
		if slices.Contains(wanted, old) || !conflict(old, g) {
			continue
		}
		if !c.Config.ForceAddress {
			return plugin.Fail(plugin.CodeConflict, &fail.Error{Where: "bridge",
				Doing: name + " has the address " + old.String() + " and should have " + g.String(),
				Hint:  "set forceAddress to replace it, or use another bridge"})
		}
		do = append([]netlink.Message{netlink.DelAddr(name, old)}, do...)
		undo = append(undo, netlink.NewAddr(name, old, true))
	}
	c.plan = append(c.plan, plan.Step{In: plan.Host, Do: do, Undo: undo, UnlessPorts: name})
	return nil
}

// conflict tells whether a bridge with the address old cannot have g as well: it
// has one IPv4 network, and as many IPv6 networks as do not overlap.
func conflict(old, g netip.Prefix) bool {
	if old.Addr().Is4() != g.Addr().Is4() || old.Addr().IsLinkLocalUnicast() {
		return false
	}
	return g.Addr().Is4() || old.Overlaps(g)
}

// forwarding is the switches for the families of addresses.
func forwarding(addresses []netip.Prefix) (paths []string) {
	for _, a := range addresses {
		path := "net/ipv4/ip_forward"
		if a.Addr().Is6() {
			path = "net/ipv6/conf/all/forwarding"
		}
		if !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths
}

// pair makes the two links and sets the port up.
func (c *compiler) pair() {
	c.host([]netlink.Message{
		netlink.NewVeth(netlink.Veth{Name: c.Host, MAC: c.Facts.Random[1], MTU: c.Config.MTU, Master: c.Config.Bridge,
			Peer: c.Ifname, PeerIn: c.Facts.NetnsFD, PeerAt: c.mac()}),
		netlink.SetPort(c.Host, c.Tag, c.Config.HairpinMode, c.Config.PortIsolation),
	}, []netlink.Message{netlink.DelLink(c.Host)})
}

// inside sets the container's end up, in one datagram. The link comes first:
// routes need it up.
func (c *compiler) inside(result *plugin.Result) {
	do := make([]netlink.Message, 0, 1+len(result.IPs)+len(result.Routes))
	do = append(do, netlink.SetUp(c.Ifname, true))
	six := false
	for _, ip := range result.IPs {
		do = append(do, netlink.NewAddr(c.Ifname, ip.Address, !c.Config.EnableDAD))
		six = six || ip.Address.Addr().Is6()
	}
	for _, r := range result.Routes {
		do = append(do, netlink.NewRoute(c.Ifname, KernelRoute(r, result.IPs)))
	}
	if six { // engines switch IPv6 off in new namespaces; an address asks for it
		c.sysctl(plan.Container, "net/ipv6/conf/"+c.Ifname+"/disable_ipv6", "0")
	}
	c.plan = append(c.plan, plan.Step{In: plan.Container, Do: do})
	settle := []netlink.Message{netlink.Settle(c.Host)}
	if c.Facts.Bridge == nil || !c.Facts.Bridge.Running() { // its first port brings it up
		settle = append(settle, netlink.Settle(c.Config.Bridge))
	}
	c.host(settle, nil)
}

// Masquerade returns the steps that make the host speak for the container.
//
// It is apart from [Compile] because what is wrong with the table shows only
// when it is used: to ask first would cost each ADD what one in thousands needs.
// Elements that are in the way go in the same transaction: else the kernel
// would keep their owner's name.
func Masquerade(a Attachment, result *plugin.Result) (p plan.Plan) {
	if !a.Config.IPMasq || len(result.IPs) == 0 {
		return nil
	}
	var do, undo []netlink.Message
	for _, old := range a.Facts.InTheWay {
		do = append(do, old.Remove())
	}
	for _, e := range a.Entries(result) {
		do = append(do, e.Add())
		undo = append(undo, e.Remove())
	}
	if a.Facts.NoTable {
		p = append(p, plan.Step{In: plan.Firewall, Do: masq.Create()})
	}
	return append(p, plan.Step{In: plan.Firewall, Do: do, Undo: undo})
}

// Entries returns the nf_tables elements of the attachment.
func (a Attachment) Entries(result *plugin.Result) []masq.Entry {
	var addresses []netip.Addr
	for _, ip := range result.IPs {
		addresses = append(addresses, ip.Address.Addr())
	}
	return masq.Entries(a.Tag, a.Config.Bridge, addresses)
}

// result is what ADD will answer.
func (c *compiler) result() (*plugin.Result, error) {
	mtu := c.Config.MTU
	if mtu == 0 {
		mtu = 1500 // of any new veth
	}
	r := &plugin.Result{
		Interfaces: []plugin.Interface{
			{Name: c.Config.Bridge, MAC: c.bridgeMAC().String(), MTU: c.bridgeMTU()},
			{Name: c.Host, MAC: c.Facts.Random[1].String(), MTU: mtu},
			{Name: c.Ifname, MAC: c.mac().String(), MTU: mtu, Sandbox: c.Netns},
		},
	}
	if c.IPAM == nil {
		return r, nil
	}
	if len(c.IPAM.IPs) == 0 {
		return nil, plugin.Fail(plugin.CodeInvalid, fail.At("ipam.type", c.Config.IPAM+" gave no address"))
	}
	r.Routes, r.DNS = slices.Clone(c.IPAM.Routes), c.IPAM.DNS
	inContainer := 2
	for _, ip := range c.IPAM.IPs {
		if !ip.Gateway.IsValid() && c.Config.IsGateway {
			ip.Gateway = ip.Address.Masked().Addr().Next()
		}
		ip.Interface = &inContainer
		r.IPs = append(r.IPs, ip)
		if c.Config.IsDefaultGateway {
			r.Routes = withDefault(r.Routes, ip.Gateway)
		}
	}
	return r, nil
}

// withDefault adds a default route for the gateway's family, unless there is one.
func withDefault(routes []plugin.Route, gateway netip.Addr) []plugin.Route {
	all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	if gateway.Is6() {
		all = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	if slices.ContainsFunc(routes, func(r plugin.Route) bool { return r.Dst == all }) {
		return routes
	}
	return append(routes, plugin.Route{Dst: all, GW: gateway})
}

func (c *compiler) mac() netlink.MAC {
	if c.Config.MAC != nil {
		return *c.Config.MAC
	}
	return c.Facts.Random[2]
}

func (c *compiler) bridgeMAC() netlink.MAC {
	if c.Facts.Bridge != nil {
		return c.Facts.Bridge.MAC
	}
	return c.Facts.Random[0]
}

func (c *compiler) bridgeMTU() int {
	switch {
	case c.Facts.Bridge != nil:
		return c.Facts.Bridge.MTU
	case c.Config.MTU != 0:
		return c.Config.MTU
	}
	return 1500
}

// Gateways returns the addresses that a bridge needs to be the gateway of a
// result's addresses, without repetition.
func Gateways(result *plugin.Result) (all []netip.Prefix) {
	for _, ip := range result.IPs {
		if !ip.Gateway.IsValid() {
			continue
		}
		if g := netip.PrefixFrom(ip.Gateway, ip.Address.Bits()); !slices.Contains(all, g) {
			all = append(all, g)
		}
	}
	return all
}

// KernelRoute turns a route of a result into one of the kernel's: without a
// gateway of its own it goes by that of the container's address of its family.
// (With a scope the author knows what he wants, and it stays on the link.)
func KernelRoute(r plugin.Route, ips []plugin.IP) netlink.Route {
	k := netlink.Route{Dst: r.Dst.Masked(), GW: r.GW, MTU: r.MTU, AdvMSS: r.AdvMSS, Priority: r.Priority, Table: r.Table, Scope: r.Scope}
	for _, ip := range ips {
		if !k.GW.IsValid() && r.Scope == nil && ip.Gateway.Is4() == r.Dst.Addr().Is4() {
			k.GW = ip.Gateway
		}
	}
	return k
}
