// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plugin

import "net/netip"

// A Result is what ADD has made, in the words of version 1.1.0.
type Result struct {
	Interfaces []Interface
	IPs        []IP
	Routes     []Route
	DNS        DNS
}

// An Interface is a link that ADD made or uses. Sandbox is the path of the
// network namespace that it is in; empty for the host's.
type Interface struct {
	Name    string
	MAC     string
	MTU     int
	Sandbox string
}

// An IP is an address with the length of its network. Interface is an index of
// Interfaces; nil in the results of IPAM plugins.
type IP struct {
	Interface *int
	Address   netip.Prefix
	Gateway   netip.Addr
}

// A Route is one that the container gets. Without GW the gateway of the
// container's address is meant.
type Route struct {
	Dst      netip.Prefix
	GW       netip.Addr
	MTU      int
	AdvMSS   int
	Priority int
	Table    *int
	Scope    *int
}

// DNS is settings for whoever writes the container's resolv.conf.
type DNS struct {
	Nameservers []string
	Domain      string
	Search      []string
	Options     []string
}

// IsZero tells whether nothing is set.
func (d DNS) IsZero() bool {
	return len(d.Nameservers) == 0 && d.Domain == "" && len(d.Search) == 0 && len(d.Options) == 0
}

// Encode writes the result in a version of [Versions]. What a version does not
// have is left out.
func (r *Result) Encode(version string) []byte {
	return document(func(w *writer) {
		w.string("cniVersion", version)
		w.objects("interfaces", len(r.Interfaces), func(i int) { r.Interfaces[i].write(w, version) })
		w.objects("ips", len(r.IPs), func(i int) { r.IPs[i].write(w, version) })
		w.objects("routes", len(r.Routes), func(i int) { r.Routes[i].write(w, version) })
		if !r.DNS.IsZero() {
			w.object("dns", func() { r.DNS.write(w) })
		}
	})
}

func (i *Interface) write(w *writer, version string) {
	w.string("name", i.Name)
	w.text("mac", i.MAC)
	if AtLeast(version, "1.1.0") {
		w.number("mtu", i.MTU)
	}
	w.text("sandbox", i.Sandbox)
}

func (ip *IP) write(w *writer, version string) {
	if !AtLeast(version, "1.0.0") {
		if ip.Address.Addr().Is4() {
			w.string("version", "4")
		} else {
			w.string("version", "6")
		}
	}
	w.optional("interface", ip.Interface)
	w.string("address", ip.Address.String())
	w.address("gateway", ip.Gateway)
}

func (r *Route) write(w *writer, version string) {
	w.string("dst", r.Dst.String())
	w.address("gw", r.GW)
	if !AtLeast(version, "1.1.0") {
		return
	}
	w.number("mtu", r.MTU)
	w.number("advmss", r.AdvMSS)
	w.number("priority", r.Priority)
	w.optional("table", r.Table)
	w.optional("scope", r.Scope)
}

func (d *DNS) write(w *writer) {
	w.strings("nameservers", d.Nameservers)
	w.text("domain", d.Domain)
	w.strings("search", d.Search)
	w.strings("options", d.Options)
}

// address writes an address, nothing if there is none.
func (w *writer) address(name string, a netip.Addr) {
	if a.IsValid() {
		w.string(name, a.String())
	}
}

// ParseResult reads a result of any version from 0.3.0 on: the ones after it
// only added fields.
func ParseResult(where string, text []byte) (*Result, error) {
	r := &Result{}
	if err := Read(where, text, r.read); err != nil {
		return nil, err
	}
	for i, ip := range r.IPs {
		if !ip.Address.IsValid() {
			return nil, Invalid(where+".ips", "an address is missing")
		}
		if ip.Interface != nil && (*ip.Interface < 0 || *ip.Interface >= len(r.Interfaces)) {
			r.IPs[i].Interface = nil
		}
	}
	return r, nil
}

func (r *Result) read(j *Reader) {
	j.Object(func(name string) {
		switch name {
		case "interfaces":
			r.Interfaces = nil
			j.Array(func() { r.Interfaces = append(r.Interfaces, readInterface(j)) })
		case "ips":
			r.IPs = nil
			j.Array(func() { r.IPs = append(r.IPs, readIP(j)) })
		case "routes":
			ReadRoutes(j, &r.Routes)
		case "dns":
			r.DNS.read(j)
		default:
			j.Skip()
		}
	})
}

func readInterface(j *Reader) (i Interface) {
	j.Object(func(name string) {
		switch name {
		case "name":
			j.String(&i.Name)
		case "mac":
			j.String(&i.MAC)
		case "mtu":
			j.Int(&i.MTU)
		case "sandbox":
			j.String(&i.Sandbox)
		default:
			j.Skip()
		}
	})
	return i
}

func readIP(j *Reader) (ip IP) {
	j.Object(func(name string) {
		switch name {
		case "interface":
			j.IntPointer(&ip.Interface)
		case "address":
			Text(j, &ip.Address, netip.ParsePrefix)
		case "gateway":
			Text(j, &ip.Gateway, netip.ParseAddr)
		default:
			j.Skip()
		}
	})
	return ip
}

// ReadRoutes reads a list of routes, of a result or of an ipam configuration.
func ReadRoutes(j *Reader, routes *[]Route) {
	*routes = nil
	j.Array(func() { *routes = append(*routes, readRoute(j)) })
}

func readRoute(j *Reader) (r Route) {
	j.Object(func(name string) {
		switch name {
		case "dst":
			Text(j, &r.Dst, netip.ParsePrefix)
		case "gw":
			Text(j, &r.GW, netip.ParseAddr)
		case "mtu":
			j.Int(&r.MTU)
		case "advmss":
			j.Int(&r.AdvMSS)
		case "priority":
			j.Int(&r.Priority)
		case "table":
			j.IntPointer(&r.Table)
		case "scope":
			j.IntPointer(&r.Scope)
		default:
			j.Skip()
		}
	})
	return r
}

func (d *DNS) read(j *Reader) {
	j.Object(func(name string) {
		switch name {
		case "nameservers":
			j.Strings(&d.Nameservers)
		case "domain":
			j.String(&d.Domain)
		case "search":
			j.Strings(&d.Search)
		case "options":
			j.Strings(&d.Options)
		default:
			j.Skip()
		}
	})
}

// EncodeVersions answers VERSION; the version of the question is echoed.
func EncodeVersions(version string) []byte {
	return document(func(w *writer) {
		w.string("cniVersion", spoken(version))
		w.strings("supportedVersions", Versions)
	})
}
