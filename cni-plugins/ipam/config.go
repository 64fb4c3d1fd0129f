// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package ipam

import (
	"net/netip"

	"github.com/coracle-oci/coracle/cni-plugins/plugin"
)

// Config is the ipam object of a host-local network, checked.
type Config struct {
	Sets       []Set
	Routes     []plugin.Route
	DataDir    string // default /var/lib/cni/networks
	ResolvConf string // file to take the DNS settings from; "" for none
	Asked      []netip.Addr
}

// DataDir is where networks are kept if the configuration does not say.
const DataDir = "/var/lib/cni/networks"

// written is the ipam object as people write it. A single range may stand in
// the object itself.
type written struct {
	Routes     []plugin.Route
	DataDir    string
	ResolvConf string
	Ranges     [][]rangeText
	rangeText
}

func (w *written) read(j *plugin.Reader) {
	j.Object(func(name string) {
		switch name {
		case "type":
			j.Skip()
		case "routes":
			plugin.ReadRoutes(j, &w.Routes)
		case "datadir":
			j.String(&w.DataDir)
		case "resolvconf":
			j.String(&w.ResolvConf)
		case "ranges":
			readSets(j, &w.Ranges)
		default:
			if !w.rangeText.field(j, name) {
				j.Unknown(name)
			}
		}
	})
}

func readSets(j *plugin.Reader, sets *[][]rangeText) {
	*sets = nil
	j.Array(func() {
		var set []rangeText
		j.Array(func() {
			var t rangeText
			j.Object(func(name string) {
				if !t.field(j, name) {
					j.Skip()
				}
			})
			set = append(set, t)
		})
		*sets = append(*sets, set)
	})
}

type rangeText struct{ Subnet, RangeStart, RangeEnd, Gateway string }

func (t *rangeText) field(j *plugin.Reader, name string) bool {
	switch name {
	case "subnet":
		j.String(&t.Subnet)
	case "rangestart":
		j.String(&t.RangeStart)
	case "rangeend":
		j.String(&t.RangeEnd)
	case "gateway":
		j.String(&t.Gateway)
	default:
		return false
	}
	return true
}

// Parse reads and checks what a request says to host-local. DEL and GC only
// need the place of the ledger, and get it from any configuration.
func Parse(r *plugin.Request) (*Config, error) {
	if r.Conf.IPAM == nil {
		return nil, plugin.Invalid("ipam", "is missing")
	}
	var w written
	var unsupported error
	err := plugin.Read("ipam", r.Conf.IPAM, func(j *plugin.Reader) {
		w.read(j)
		unsupported = j.Supported()
	})
	if err != nil {
		return nil, err
	}
	c := &Config{Routes: w.Routes, DataDir: w.DataDir, ResolvConf: w.ResolvConf}
	if c.DataDir == "" {
		c.DataDir = DataDir
	}
	if r.Command == plugin.Del || r.Command == plugin.GC {
		return c, nil
	}
	if unsupported != nil {
		return nil, unsupported
	}
	if err := c.ranges(w, r.Conf.RuntimeConfig.IPRanges); err != nil {
		return nil, err
	}
	if err := checkRoutes(w.Routes); err != nil {
		return nil, err
	}
	c.Asked, err = r.IPs()
	return c, err
}

// ranges collects the single range, the list of sets, and the runtime's sets.
func (c *Config) ranges(w written, fromRuntime []byte) error {
	if w.Subnet != "" {
		r, err := w.rangeText.parse("ipam")
		if err != nil {
			return err
		}
		c.Sets = append(c.Sets, Set{r})
	}
	var asked [][]rangeText
	if fromRuntime != nil {
		err := plugin.Read("runtimeConfig.ipRanges", fromRuntime, func(j *plugin.Reader) { readSets(j, &asked) })
		if err != nil {
			return err
		}
	}
	for _, group := range []struct {
		name string
		sets [][]rangeText
	}{{"runtimeConfig.ipRanges", asked}, {"ipam.ranges", w.Ranges}} {
		for i, texts := range group.sets {
			s, err := parseSet(item(group.name, i), texts)
			if err != nil {
				return err
			}
			c.Sets = append(c.Sets, s)
		}
	}
	if len(c.Sets) == 0 {
		return plugin.Invalid("ipam.ranges", "no range of addresses is given")
	}
	return c.apart()
}

func parseSet(name string, texts []rangeText) (s Set, err error) {
	if len(texts) == 0 {
		return nil, plugin.Invalid(name, "is empty")
	}
	for i, t := range texts {
		r, err := t.parse(item(name, i))
		if err != nil {
			return nil, err
		}
		if r.Subnet.Addr().Is4() != (len(s) == 0 || s[0].Subnet.Addr().Is4()) && len(s) > 0 {
			return nil, plugin.Invalid(item(name, i)+".subnet", "mixes IPv4 and IPv6 in one set")
		}
		s = append(s, r)
	}
	return s, nil
}

// parse checks one range. The first and the last address of a network are left
// out (for IPv6 the first is the routers' anycast address), and the gateway is
// the first of the rest unless something else is said.
func (t rangeText) parse(where string) (r Range, err error) {
	if r.Subnet, err = parseSubnet(where+".subnet", t.Subnet); err != nil {
		return r, err
	}
	r.Gateway = r.Subnet.Addr().Next()
	r.Start, r.End = r.Gateway, last(r.Subnet)
	if r.Subnet.Addr().Is4() {
		r.End = r.End.Prev() // broadcast
	}
	for _, f := range []struct {
		name, text string
		to         *netip.Addr
	}{{"rangeStart", t.RangeStart, &r.Start}, {"rangeEnd", t.RangeEnd, &r.End}, {"gateway", t.Gateway, &r.Gateway}} {
		if f.text == "" {
			continue
		}
		a, err := netip.ParseAddr(f.text)
		if err != nil {
			return r, plugin.Invalid(where+"."+f.name, "not an address: "+f.text)
		}
		if a = a.Unmap(); !r.Subnet.Contains(a) {
			return r, plugin.Invalid(where+"."+f.name, f.text+" is not in "+t.Subnet)
		}
		*f.to = a
	}
	if r.End.Less(r.Start) {
		return r, plugin.Invalid(where+".rangeEnd", r.End.String()+" comes before rangeStart "+r.Start.String())
	}
	if r.Start == r.End && r.Start == r.Gateway {
		return r, plugin.Invalid(where, "has no address besides the gateway "+r.Gateway.String())
	}
	return r, nil
}

func parseSubnet(where, text string) (netip.Prefix, error) {
	if text == "" {
		return netip.Prefix{}, plugin.Invalid(where, "is missing")
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return p, plugin.Invalid(where, "not a network such as 10.1.0.0/24: "+text)
	case p != p.Masked():
		return p, plugin.Invalid(where, text+" is an address in a network; the network is "+p.Masked().String())
	case p.Addr().Is4In6():
		return p, plugin.Invalid(where, "write IPv4 networks as IPv4: "+text)
	case p.Addr().BitLen()-p.Bits() < 2:
		return p, plugin.Invalid(where, text+" is too small to give addresses away")
	}
	return p, nil
}

// apart refuses ranges that share addresses: nobody could tell whose they are.
func (c *Config) apart() error {
	var seen []Range
	for _, s := range c.Sets {
		for _, r := range s {
			for _, other := range seen {
				if r.overlaps(other) {
					return plugin.Invalid("ipam.ranges", "two ranges overlap: "+Set{r}.String()+" and "+Set{other}.String())
				}
			}
			seen = append(seen, r)
		}
	}
	return nil
}

func checkRoutes(routes []plugin.Route) error {
	for i, r := range routes {
		where := item("ipam.routes", i)
		switch {
		case !r.Dst.IsValid():
			return plugin.Invalid(where+".dst", "is missing")
		case r.GW.IsValid() && r.GW.Is4() != r.Dst.Addr().Is4():
			return plugin.Invalid(where+".gw", r.GW.String()+" is of another family than "+r.Dst.String())
		case r.MTU < 0 || r.AdvMSS < 0 || r.Priority < 0 || r.Table != nil && *r.Table < 0:
			return plugin.Invalid(where, "has a negative number")
		case r.Scope != nil && (*r.Scope < 0 || *r.Scope > 255):
			return plugin.Invalid(where+".scope", "must be between 0 and 255")
		}
	}
	return nil
}
