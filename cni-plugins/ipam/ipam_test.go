// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package ipam

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/coracle-oci/coracle/cni-plugins/plugin"
)

func addr(s string) netip.Addr {
	a, _ := netip.ParseAddr(s)
	return a
}

func request(ipam, runtimeConfig string) *plugin.Request {
	env := map[string]string{"CNI_COMMAND": plugin.Add, "CNI_CONTAINERID": "c", "CNI_NETNS": "/ns", "CNI_IFNAME": "eth0"}
	r, err := plugin.Parse(func(name string) string { return env[name] },
		[]byte(`{"cniVersion":"1.1.0","name":"n","ipam":`+ipam+`,"runtimeConfig":`+runtimeConfig+`}`))
	if err != nil {
		panic(err)
	}
	return r
}

func TestRanges(t *testing.T) {
	for _, test := range []struct{ ipam, want string }{
		{`{"subnet":"10.1.0.0/24"}`, "10.1.0.1-10.1.0.254 (10.1.0.0/24) via 10.1.0.1"},
		{`{"ranges":[[{"subnet":"10.1.0.0/30"}]]}`, "10.1.0.1-10.1.0.2 (10.1.0.0/30) via 10.1.0.1"},
		{`{"ranges":[[{"subnet":"10.1.0.0/16","rangeStart":"10.1.3.0","rangeEnd":"10.1.3.9","gateway":"10.1.9.9"}]]}`, "10.1.3.0-10.1.3.9 (10.1.0.0/16) via 10.1.9.9"},
		{`{"ranges":[[{"subnet":"fd00::/64"}]]}`, "fd00::1-fd00::ffff:ffff:ffff:ffff (fd00::/64) via fd00::1"},
		{`{"Ranges":[[{"Subnet":"10.1.0.0/20"},{"subnet":"10.2.0.0/24"}]]}`, "10.1.0.1-10.1.15.254 (10.1.0.0/20), 10.2.0.1-10.2.0.254 (10.2.0.0/24) via 10.1.0.1"},
	} {
		c, err := Parse(request(test.ipam, "{}"))
		if err != nil {
			t.Errorf("%s: %v", test.ipam, err)
			continue
		}
		if have := c.Sets[0].String() + " via " + c.Sets[0][0].Gateway.String(); have != test.want || c.DataDir != DataDir {
			t.Errorf("%s\nhave %s\nwant %s", test.ipam, have, test.want)
		}
	}
	c, err := Parse(request(`{"ranges":[[{"subnet":"10.1.0.0/24"}]]}`, `{"ipRanges":[[{"subnet":"10.2.0.0/24"}]]}`))
	if err != nil || len(c.Sets) != 2 || c.Sets[0][0].Subnet.String() != "10.2.0.0/24" {
		t.Errorf("%v %v", c, err)
	}
}

func TestBadRanges(t *testing.T) {
	for ipam, field := range map[string]string{
		`{}`:                               "ipam.ranges:",
		`{"ranges":[[]]}`:                  "ipam.ranges[0]:",
		`{"ranges":[[{}]]}`:                "ipam.ranges[0][0].subnet:",
		`{"subnet":"10.1.0.1/24"}`:         "ipam.subnet:",
		`{"subnet":"10.1.0.0/31"}`:         "ipam.subnet:",
		`{"subnet":"fd00::/127"}`:          "ipam.subnet:",
		`{"subnet":"::ffff:10.0.0.0/120"}`: "ipam.subnet:",
		`{"subnet":"10.1.0.0/24","rangeStart":"10.2.0.1"}`:                       "ipam.rangeStart:",
		`{"subnet":"10.1.0.0/24","rangeEnd":"x"}`:                                "ipam.rangeEnd:",
		`{"subnet":"10.1.0.0/24","gateway":"fd00::1"}`:                           "ipam.gateway:",
		`{"subnet":"10.1.0.0/24","rangeStart":"10.1.0.1","rangeEnd":"10.1.0.1"}`: "ipam:",
		`{"ranges":[[{"subnet":"10.1.0.0/24"},{"subnet":"fd00::/64"}]]}`:         "ipam.ranges[0][1].subnet:",
		`{"ranges":[[{"subnet":"10.1.0.0/24"},{"subnet":"10.1.0.128/25"}]]}`:     "ipam.ranges:",
		`{"subnet":"10.1.0.0/24","routes":[{"dst":"0.0.0.0/0","gw":"fd00::1"}]}`: "ipam.routes[0].gw:",
		`{"subnet":"10.1.0.0/24","routes":[{"dst":"0.0.0.0/0","scope":256}]}`:    "ipam.routes[0].scope:",
	} {
		if _, err := Parse(request(ipam, "{}")); err == nil || plugin.CodeOf(err) != plugin.CodeInvalid || !strings.HasPrefix(err.Error(), field) {
			t.Errorf("%s: %v, want %s", ipam, err, field)
		}
	}
}

func TestAfter(t *testing.T) {
	r := func(start, end, gateway string) Range {
		return Range{netip.MustParsePrefix("10.0.0.0/8"), addr(start), addr(end), addr(gateway)}
	}
	two := Set{r("10.0.0.1", "10.0.0.3", "10.0.0.1"), r("10.0.1.1", "10.0.1.2", "10.0.9.9")}
	for last, want := range map[string]string{
		"":         "10.0.0.2 10.0.0.3 10.0.1.1 10.0.1.2",
		"10.9.9.9": "10.0.0.2 10.0.0.3 10.0.1.1 10.0.1.2",
		"10.0.0.2": "10.0.0.3 10.0.1.1 10.0.1.2 10.0.0.2",
		"10.0.0.3": "10.0.1.1 10.0.1.2 10.0.0.2 10.0.0.3",
		"10.0.1.1": "10.0.1.2 10.0.0.2 10.0.0.3 10.0.1.1",
		"10.0.1.2": "10.0.0.2 10.0.0.3 10.0.1.1 10.0.1.2",
	} {
		var have []string
		for a := range two.After(addr(last)) {
			have = append(have, a.String())
		}
		if strings.Join(have, " ") != want {
			t.Errorf("after %q: %v, want %s", last, have, want)
		}
	}
	end := Set{{netip.MustParsePrefix("255.255.255.252/30"), addr("255.255.255.254"), addr("255.255.255.255"), netip.Addr{}}}
	n := 0
	for range end.After(netip.Addr{}) { // the last address of all has no next one
		n++
	}
	if n != 2 {
		t.Errorf("%d addresses", n)
	}
}
