// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package bridge turns the configuration of the bridge plugin into the list of
// messages that attach a container: a pair of links, one end a port of a bridge
// on the host, the other in the container. Nothing here touches the system;
// package verbs looks at the machine before and acts afterwards.
package bridge

import (
	"strconv"

	"github.com/coracle-oci/coracle/cni-plugins/plugin"
	"github.com/coracle-oci/coracle/internal/netlink"
)

// Config is the fields of the bridge plugin, with the names that everybody's
// configuration files use.
type Config struct {
	Bridge           string // default cni0
	IsGateway        bool
	IsDefaultGateway bool
	ForceAddress     bool
	IPMasq           bool
	IPMasqBackend    string
	MTU              int // 0: the kernel's
	HairpinMode      bool
	PromiscMode      bool
	PortIsolation    bool
	EnableDAD        bool

	MAC  *netlink.MAC // what the runtime asks for
	IPAM string       // ipam.type; without one the container gets no address
}

// field reads a field of the plugin. The ones that it cannot serve (VLANs, the
// MAC spoof check, an interface that stays down) are not here: they are refused
// by their names unless they ask for nothing.
func (c *Config) field(j *plugin.Reader, name string) bool {
	switch name {
	case "bridge":
		j.String(&c.Bridge)
	case "isgateway":
		j.Bool(&c.IsGateway)
	case "isdefaultgateway":
		j.Bool(&c.IsDefaultGateway)
	case "forceaddress":
		j.Bool(&c.ForceAddress)
	case "ipmasq":
		j.Bool(&c.IPMasq)
	case "ipmasqbackend":
		j.String(&c.IPMasqBackend)
	case "mtu":
		j.Int(&c.MTU)
	case "hairpinmode":
		j.Bool(&c.HairpinMode)
	case "promiscmode":
		j.Bool(&c.PromiscMode)
	case "portisolation":
		j.Bool(&c.PortIsolation)
	case "enabledad":
		j.Bool(&c.EnableDAD)
	case "preservedefaultvlan":
		j.Skip() // without a VLAN it says nothing
	default:
		return false
	}
	return true
}

// Parse reads and checks the configuration of a request. It accepts what DEL
// and GC may meet too: they use only names.
func Parse(r *plugin.Request) (*Config, error) {
	c := &Config{}
	if err := r.ReadOwn(c.field); err != nil {
		return nil, err
	}
	if c.Bridge == "" {
		c.Bridge = "cni0"
	}
	if r.Command == plugin.Del || r.Command == plugin.GC {
		return c, nil
	}
	c.IsGateway = c.IsGateway || c.IsDefaultGateway
	var err error
	if c.IPAM, err = r.IPAMType(); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	return c, c.setMAC(r)
}

func (c *Config) check() error {
	if bad := plugin.BadIfname(c.Bridge); bad != "" {
		return plugin.Invalid("bridge", bad)
	}
	if c.MTU != 0 && (c.MTU < 68 || c.MTU > 65535) { // RFC 791, and what veth takes
		return plugin.Invalid("mtu", "must be 0 or between 68 and 65535, is "+strconv.Itoa(c.MTU))
	}
	if c.HairpinMode && c.PromiscMode {
		return plugin.Invalid("promiscMode", "cannot be used with hairpinMode: every packet would come twice")
	}
	switch c.IPMasqBackend {
	case "", "nftables", "iptables": // hosts of iptables-nft run the same hooks
		return nil
	}
	return plugin.Invalid("ipMasqBackend", "must be nftables or iptables, is "+c.IPMasqBackend)
}

func (c *Config) setMAC(r *plugin.Request) error {
	where, text := r.MAC()
	if text == "" {
		return nil
	}
	mac, ok := netlink.ParseMAC(text)
	if !ok || mac == (netlink.MAC{}) || mac[0]&1 != 0 {
		return plugin.Invalid(where, "not the address of one interface: "+text)
	}
	c.MAC = &mac
	return nil
}
