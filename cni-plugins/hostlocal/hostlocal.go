// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package hostlocal is the host-local IPAM plugin: it gives containers
// addresses of configured ranges and remembers them on this machine.
package hostlocal

import (
	"os"
	"strings"

	"github.com/coracle-oci/coracle/cni-plugins/ipam"
	"github.com/coracle-oci/coracle/cni-plugins/ipam/ledger"
	"github.com/coracle-oci/coracle/cni-plugins/plan"
	"github.com/coracle-oci/coracle/cni-plugins/plugin"
	"github.com/coracle-oci/coracle/internal/fail"
)

// Add leases one address of each range set.
func Add(r *plugin.Request) (*plugin.Result, error) {
	c, err := ipam.Parse(r)
	if err != nil {
		return nil, err
	}
	dns, err := resolvConf(c.ResolvConf)
	if err != nil {
		return nil, err
	}
	l, err := ledger.Open(c.DataDir, r.Conf.Name)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	leases, err := l.Lease(c.Sets, c.Asked, r.Attachment())
	if err != nil {
		return nil, err
	}
	return result(c, leases, dns), nil
}

// PlanDel tells what Del would do.
func PlanDel(r *plugin.Request) (p plan.Plan, err error) {
	c, err := ipam.Parse(r)
	if err != nil {
		return nil, err
	}
	l, err := ledger.Peek(c.DataDir, r.Conf.Name)
	if err != nil || l == nil {
		return nil, err
	}
	defer l.Close()
	for _, a := range l.Held(r.Attachment()) {
		p = append(p, plan.Step{In: plan.Ledger, Note: "free " + a.String() + " of " + r.Tag() + " in " + c.DataDir + "/" + r.Conf.Name})
	}
	return p, nil
}

// Plan tells what Add would do, and the result it would give; it writes nothing.
func Plan(r *plugin.Request) (plan.Plan, *plugin.Result, error) {
	c, err := ipam.Parse(r)
	if err != nil {
		return nil, nil, err
	}
	dns, err := resolvConf(c.ResolvConf)
	if err != nil {
		return nil, nil, err
	}
	l, err := ledger.Peek(c.DataDir, r.Conf.Name)
	if err != nil {
		return nil, nil, err
	}
	if l == nil {
		l = ledger.Empty()
	} else {
		defer l.Close()
	}
	leases, err := l.Choose(c.Sets, c.Asked)
	if err != nil {
		return nil, nil, err
	}
	var p plan.Plan
	for _, lease := range leases {
		p = append(p, plan.Step{In: plan.Ledger, Note: "lease " + lease.Address.String() + " to " + r.Tag() + " in " + c.DataDir + "/" + r.Conf.Name})
	}
	return p, result(c, leases, dns), nil
}

func result(c *ipam.Config, leases []ipam.Lease, dns plugin.DNS) *plugin.Result {
	out := &plugin.Result{Routes: c.Routes, DNS: dns}
	for _, lease := range leases {
		out.IPs = append(out.IPs, plugin.IP{Address: lease.Address, Gateway: lease.Gateway})
	}
	return out
}

// Del frees what the container has. Without a ledger it has nothing.
func Del(r *plugin.Request) error {
	return change(r, func(l *ledger.Ledger) error { return l.Release(r.Attachment()) })
}

// Check makes sure that the container has its lease.
func Check(r *plugin.Request) error {
	c, err := ipam.Parse(r)
	if err != nil {
		return err
	}
	l, err := ledger.Peek(c.DataDir, r.Conf.Name)
	if err != nil {
		return err
	}
	if l != nil {
		defer l.Close()
		if len(l.Held(r.Attachment())) > 0 {
			return nil
		}
	}
	return plugin.Fail(plugin.CodeContainer, fail.At(c.DataDir+"/"+r.Conf.Name, "container "+r.ContainerID+" has no address for "+r.Ifname))
}

// GC frees what belongs to no valid attachment.
func GC(r *plugin.Request) error {
	valid := map[plugin.Attachment]bool{}
	for _, a := range r.Conf.ValidAttachments {
		valid[a] = true
	}
	return change(r, func(l *ledger.Ledger) error {
		return l.Collect(func(a plugin.Attachment) bool { return !valid[a] })
	})
}

// Owners returns who has addresses in the network.
func Owners(r *plugin.Request) (owners []plugin.Attachment, err error) {
	err = change(r, func(l *ledger.Ledger) error {
		owners = l.Owners()
		return nil
	})
	return owners, err
}

// Status fails when no address is left.
func Status(r *plugin.Request) error {
	c, err := ipam.Parse(r)
	if err != nil {
		return err
	}
	l, err := ledger.Peek(c.DataDir, r.Conf.Name)
	if err != nil || l == nil {
		return err
	}
	defer l.Close()
	if err := l.Exhausted(c.Sets); err != nil {
		return &plugin.Error{Code: plugin.CodeNotAvailable, Err: err}
	}
	return nil
}

// change calls f with the network's ledger, if there is one.
func change(r *plugin.Request, f func(*ledger.Ledger) error) error {
	c, err := ipam.Parse(r)
	if err != nil {
		return err
	}
	l, err := ledger.OpenExisting(c.DataDir, r.Conf.Name)
	if err != nil || l == nil {
		return err
	}
	defer l.Close()
	return f(l)
}

// resolvConf takes DNS settings from a file as resolv.conf(5) describes it.
func resolvConf(path string) (d plugin.DNS, err error) {
	if path == "" {
		return d, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return d, plugin.Fail(plugin.CodeIO, &fail.Error{Where: "ipam.resolvConf", Doing: "read the DNS settings", Err: err})
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0][0] == '#' || fields[0][0] == ';' {
			continue
		}
		switch fields[0] {
		case "nameserver":
			d.Nameservers = append(d.Nameservers, fields[1])
		case "domain":
			d.Domain = fields[1]
		case "search":
			d.Search = fields[1:] // the last one counts
		case "options":
			d.Options = append(d.Options, fields[1:]...)
		}
	}
	return d, nil
}
