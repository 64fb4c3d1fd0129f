// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package lxc

import (
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// A Network is a CNI network: one interface of the container on one bridge of the
// host.
type Network struct {
	Name   string
	Config map[string]any // the configuration list
}

// An iface is what lxc.net.N says.
type iface struct {
	where               line // of its type, for messages
	kind, link, name    string
	mac, mtu            string
	addresses, gateways []string
}

// network reads lxc.net.N.KEY, or lxc.network.KEY, where each type begins another
// interface.
func (c *converter) network(key, value string) {
	index, field, _ := strings.Cut(strings.TrimPrefix(key, "lxc.net."), ".")
	if rest, old := strings.CutPrefix(key, "lxc.network"); old {
		field = strings.TrimPrefix(rest, ".")
		index = strconv.Itoa(len(c.net) - 1)
		if field == "type" || len(c.net) == 0 {
			index = strconv.Itoa(len(c.net))
		}
	}
	if field == "" || key == "lxc.net" { // empty: forget what was said
		c.net, c.netKeys = nil, nil
		return
	}
	i := c.netKeys[index]
	if i == nil {
		i = &iface{}
		if c.netKeys == nil {
			c.netKeys = map[string]*iface{}
		}
		c.netKeys[index] = i
		c.net = append(c.net, i)
	}
	c.netField(i, field, value)
}

func (c *converter) netField(i *iface, field, value string) {
	switch field {
	case "type":
		i.kind, i.where = value, c.line
	case "link":
		i.link = value
	case "name":
		i.name = value
	case "hwaddr":
		i.mac = value
	case "mtu":
		i.mtu = value
	case "ipv4.address", "ipv6.address", "ipv4", "ipv6":
		address, _, _ := strings.Cut(value, " ") // then the broadcast address
		i.addresses = append(i.addresses, address)
	case "ipv4.gateway", "ipv6.gateway":
		i.gateways = append(i.gateways, value)
	case "flags":
		if value != "up" {
			c.without("interfaces are always up")
		}
	default: // veth.pair, script.up, l2proxy, …
		c.without("has no counterpart")
	}
}

// interfaces makes a network of each interface on a bridge, and hooks that attach
// to it. Devices of the host are moved.
func (c *converter) interfaces() {
	names := 0
	for _, i := range c.net {
		c.line = i.where
		if i.name == "" {
			i.name = "eth" + strconv.Itoa(names)
		}
		switch i.kind {
		case "veth":
			names++
			c.bridge(i)
		case "phys":
			names++
			if c.spec.Linux.NetDevices == nil {
				c.spec.Linux.NetDevices = map[string]specs.LinuxNetDevice{}
			}
			c.spec.Linux.NetDevices[i.link] = specs.LinuxNetDevice{Name: i.name}
			if len(i.addresses) > 0 {
				c.without("addresses of " + i.link + " are those that it has on the host")
			}
		case "empty":
		case "none":
			c.removeNamespaces(func(kind string) bool { return kind != "network" })
		default:
			c.without("interfaces of this type have no counterpart")
		}
	}
}

func (c *converter) bridge(i *iface) {
	if i.link == "" {
		c.without("there is no lxc.net.link: the interface would lead nowhere")
		return
	}
	plugin := map[string]any{"type": "bridge", "bridge": i.link}
	if i.mtu != "" {
		plugin["mtu"] = c.number(i.mtu, 68, 65535)
	}
	if i.mac != "" && !strings.ContainsAny(i.mac, "xX") { // "00:16:3e:xx:xx:xx" is filled in at random
		plugin["args"] = map[string]any{"cni": map[string]any{"mac": i.mac}}
	}
	if ipam := c.ipam(i); ipam != nil {
		plugin["ipam"] = ipam
	}
	n := Network{Name: c.Name + "-" + i.name}
	n.Config = map[string]any{"cniVersion": "1.0.0", "name": n.Name, "plugins": []any{plugin}}
	c.networks = append(c.networks, n)
	Attach(c.spec, c.Cninet, c.NetDir, n.Name, i.name)
}

// ipam leases exactly the addresses of the config; without one the container asks
// by DHCP.
func (c *converter) ipam(i *iface) map[string]any {
	var ranges, routes []any
	for _, a := range i.addresses {
		one, bits, ok := parsePrefix(a)
		if !ok {
			c.bad(a + " is no address such as 10.0.3.5/24")
			return nil
		}
		subnet := one.network(bits)
		r := map[string]any{"subnet": subnet.String() + "/" + strconv.Itoa(bits), "rangeStart": one.String(), "rangeEnd": one.String()}
		for _, g := range i.gateways {
			if gateway, ok := parseAddress(g); ok && len(gateway) == len(one) && string(gateway.network(bits)) == string(subnet) {
				r["gateway"] = g
				all := "0.0.0.0/0"
				if len(gateway) == 16 {
					all = "::/0"
				}
				routes = append(routes, map[string]any{"dst": all, "gw": g})
			}
		}
		ranges = append(ranges, []any{r})
	}
	for _, g := range i.gateways {
		if _, ok := parseAddress(g); !ok { // "auto", "dev"
			c.without("the gateway " + g + " has no counterpart: give its address")
		}
	}
	if ranges == nil {
		return nil
	}
	ipam := map[string]any{"type": "host-local", "ranges": ranges}
	if routes != nil {
		ipam["routes"] = routes
	}
	return ipam
}

// Attach adds the hooks that attach a container to a CNI network, and detach it.
// dir is that of the network's configuration; "" for the usual one.
func Attach(s *specs.Spec, cninet, dir, network, ifname string) {
	args := []string{}
	if dir != "" {
		args = append(args, "--conf-dir", dir)
	}
	command := func(verb string) specs.Hook {
		return specs.Hook{Path: cninet, Args: append(append([]string{"cninet", verb, "--ifname", ifname}, args...), network)}
	}
	if s.Hooks == nil {
		s.Hooks = &specs.Hooks{}
	}
	s.Hooks.CreateRuntime = append(s.Hooks.CreateRuntime, command("attach"))
	s.Hooks.Poststop = append(s.Hooks.Poststop, command("detach"))
}
