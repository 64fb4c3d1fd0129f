// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package loopback is the loopback plugin: it sets lo up in the container.
package loopback

import (
	"net/netip"

	"github.com/coracle-oci/coracle/cni-plugins/apply"
	"github.com/coracle-oci/coracle/cni-plugins/netns"
	"github.com/coracle-oci/coracle/cni-plugins/plan"
	"github.com/coracle-oci/coracle/cni-plugins/plugin"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/netlink"
)

const lo = "lo"

// Plan is the one step of ADD; DEL has none. The interface is lo whatever CNI_IFNAME says:
// in a list of plugins that is the name of another one's interface.
func Plan(r *plugin.Request) (plan.Plan, error) {
	if err := r.ReadOwn(func(*plugin.Reader, string) bool { return false }); err != nil {
		return nil, err
	}
	if r.Command == plugin.Del {
		return nil, nil
	}
	return plan.Plan{{In: plan.Container, Do: []netlink.Message{netlink.SetUp(lo, true)}}}, nil
}

// Add sets lo up. A result of a plugin before it is handed on.
func Add(r *plugin.Request, ns *netns.Namespace) (*plugin.Result, error) {
	p, err := Plan(r)
	if err != nil {
		return nil, err
	}
	if r.Conf.PrevResult != nil {
		previous, err := plugin.ParseResult("prevResult", r.Conf.PrevResult)
		if err != nil {
			return nil, err
		}
		return previous, up(p, ns)
	}
	if err := up(p, ns); err != nil {
		return nil, err
	}
	first := 0
	return &plugin.Result{
		Interfaces: []plugin.Interface{{Name: lo, MAC: "00:00:00:00:00:00", MTU: 65536, Sandbox: r.Netns}},
		IPs: []plugin.IP{
			{Interface: &first, Address: netip.MustParsePrefix("127.0.0.1/8")},
			{Interface: &first, Address: netip.MustParsePrefix("::1/128")},
		},
	}, nil
}

func up(p plan.Plan, ns *netns.Namespace) error {
	w := apply.New(ns)
	defer w.Close()
	return w.Run(p)
}

// Check makes sure that lo is up.
func Check(_ *plugin.Request, ns *netns.Namespace) error {
	w := apply.New(ns)
	defer w.Close()
	c, err := w.Container()
	if err != nil {
		return err
	}
	link, err := c.Link(lo)
	if err != nil {
		return err
	}
	if !link.Up() {
		return plugin.Fail(plugin.CodeDrifted, fail.At(lo, "is down"))
	}
	return nil
}
