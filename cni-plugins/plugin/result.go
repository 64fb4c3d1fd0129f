// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plugin

import (
	"encoding/json"
	"net/netip"
)

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
	Name    string `json:"name"`
	MAC     string `json:"mac,omitempty"`
	MTU     int    `json:"mtu,omitempty"`
	Sandbox string `json:"sandbox,omitempty"`
}

// An IP is an address with the length of its network. Interface is an index of
// Interfaces; nil in the results of IPAM plugins.
type IP struct {
	Version   string       `json:"version,omitempty"` // "4" or "6", before 1.0.0
	Interface *int         `json:"interface,omitempty"`
	Address   netip.Prefix `json:"address"`
	Gateway   netip.Addr   `json:"gateway,omitzero"`
}

// A Route is one that the container gets. Without GW the gateway of the
// container's address is meant.
type Route struct {
	Dst      netip.Prefix `json:"dst"`
	GW       netip.Addr   `json:"gw,omitzero"`
	MTU      int          `json:"mtu,omitempty"`
	AdvMSS   int          `json:"advmss,omitempty"`
	Priority int          `json:"priority,omitempty"`
	Table    *int         `json:"table,omitempty"`
	Scope    *int         `json:"scope,omitempty"`
}

// DNS is settings for whoever writes the container's resolv.conf.
type DNS struct {
	Nameservers []string `json:"nameservers,omitempty"`
	Domain      string   `json:"domain,omitempty"`
	Search      []string `json:"search,omitempty"`
	Options     []string `json:"options,omitempty"`
}

// IsZero tells whether nothing is set.
func (d DNS) IsZero() bool {
	return len(d.Nameservers) == 0 && d.Domain == "" && len(d.Search) == 0 && len(d.Options) == 0
}

// document is a result as it is written.
type document struct {
	CNIVersion string      `json:"cniVersion"`
	Interfaces []Interface `json:"interfaces,omitempty"`
	IPs        []IP        `json:"ips,omitempty"`
	Routes     []Route     `json:"routes,omitempty"`
	DNS        DNS         `json:"dns,omitzero"`
}

// Encode writes the result in a version of [Versions]. What a version does not
// have is left out.
func (r *Result) Encode(version string) []byte {
	d := document{CNIVersion: version, DNS: r.DNS}
	for _, i := range r.Interfaces {
		if !AtLeast(version, "1.1.0") {
			i.MTU = 0
		}
		d.Interfaces = append(d.Interfaces, i)
	}
	for _, ip := range r.IPs {
		ip.Version = ""
		if !AtLeast(version, "1.0.0") {
			ip.Version = "6"
			if ip.Address.Addr().Is4() {
				ip.Version = "4"
			}
		}
		d.IPs = append(d.IPs, ip)
	}
	for _, route := range r.Routes {
		if !AtLeast(version, "1.1.0") {
			route = Route{Dst: route.Dst, GW: route.GW}
		}
		d.Routes = append(d.Routes, route)
	}
	text, _ := json.MarshalIndent(d, "", "    ") // every field marshals
	return append(text, '\n')
}

// ParseResult reads a result of any version from 0.3.0 on: the ones after it
// only added fields.
func ParseResult(where string, text []byte) (*Result, error) {
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, Undecodable(where, err)
	}
	for i, ip := range d.IPs {
		if !ip.Address.IsValid() {
			return nil, Invalid(where+".ips", "an address is missing")
		}
		if ip.Interface != nil && (*ip.Interface < 0 || *ip.Interface >= len(d.Interfaces)) {
			d.IPs[i].Interface = nil
		}
	}
	return &Result{Interfaces: d.Interfaces, IPs: d.IPs, Routes: d.Routes, DNS: d.DNS}, nil
}

// EncodeVersions answers VERSION; the version of the question is echoed.
func EncodeVersions(version string) []byte {
	if !Supported(version) {
		version = Versions[len(Versions)-1]
	}
	text, _ := json.Marshal(struct {
		CNIVersion        string   `json:"cniVersion"`
		SupportedVersions []string `json:"supportedVersions"`
	}{version, Versions})
	return append(text, '\n')
}
