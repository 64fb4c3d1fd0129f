// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package network_test

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/types/create"
	"github.com/coracle-oci/coracle/cni-plugins/plugin"
)

func TestEveryVersion(t *testing.T) {
	w := newWorld(t)
	w.add("c")
	for _, version := range plugin.Versions {
		t.Run(version, func(t *testing.T) {
			conf := w.with("cniVersion", version)
			result := w.ok(w.call("ADD", "c", conf))
			if r, err := create.Create(version, []byte(result)); err != nil || r.Version() == "" || !strings.Contains(result, `"cniVersion": "`+version+`"`) {
				t.Errorf("the CNI project's library does not read the result: %v\n%s", err, result)
			}
			if has := strings.Contains(result, `"version": "4"`); has != (version < "1.0.0") {
				t.Errorf("ips[].version is there: %v", has)
			}
			if has := strings.Contains(result, `"mtu"`); has != (version >= "1.1.0") {
				t.Errorf("mtu is there: %v", has)
			}
			previous := w.previous(conf, result)
			if version >= "0.4.0" {
				w.ok(w.call("CHECK", "c", previous))
			} else {
				w.fails(w.call("CHECK", "c", previous), plugin.CodeVersion)
			}
			for _, command := range []string{"STATUS", "GC"} {
				c := call{plugin: "bridge", command: command, conf: w.previous(strings.Replace(conf, `{"bridge"`, `{"cni.dev/valid-attachments":[{"containerID":"c","ifname":"eth0"}],"bridge"`, 1), result)}
				if version >= "1.1.0" {
					w.ok(c)
				} else {
					w.fails(c, plugin.CodeVersion)
				}
			}
			w.ok(w.call("DEL", "c", previous))
			w.ok(w.call("DEL", "c", conf)) // twice, and without the result
			w.clean()
		})
	}
	for _, name := range []string{"bridge", "host-local", "loopback"} {
		out := w.ok(call{plugin: name, command: "VERSION", conf: `{"cniVersion":"0.4.0"}`})
		var v struct {
			CNIVersion        string
			SupportedVersions []string
		}
		if err := json.Unmarshal([]byte(out), &v); err != nil || v.CNIVersion != "0.4.0" || len(v.SupportedVersions) != len(plugin.Versions) {
			t.Errorf("%s VERSION: %v %s", name, err, out)
		}
	}
}

// outside connects the host to a namespace that knows nothing of containers.
func (w *world) outside() {
	w.add("out")
	w.mustIn("host", "ip", "link", "add", "up0", "type", "veth", "peer", "name", "out0", "netns", w.prefix+"out")
	for _, c := range []string{"ip addr add 203.0.113.1/24 dev up0", "ip addr add 2001:db8::1/64 dev up0 nodad", "ip link set up0 up"} {
		w.mustIn("host", strings.Fields(c)...)
	}
	for _, c := range []string{"ip addr add 203.0.113.2/24 dev out0", "ip addr add 2001:db8::2/64 dev out0 nodad", "ip link set out0 up", "ip link set lo up"} {
		w.mustIn("out", strings.Fields(c)...)
	}
}

func TestReach(t *testing.T) {
	w := newWorld(t)
	w.outside()
	w.add("a")
	w.add("b")
	conf := w.with("mtu", 1400)
	a := w.addresses(w.ok(w.call("ADD", "a", conf)))
	b := w.addresses(w.ok(w.call("ADD", "b", conf)))
	for _, to := range []string{b[0], b[1], "10.99.0.1", "fd99::1", "203.0.113.2", "2001:db8::2"} {
		if err := w.ping("a", to); err != nil { // also: nothing waits for duplicate address detection
			t.Error(err)
		}
	}
	if err := w.ping("b", a[1]); err != nil {
		t.Error(err)
	}
	if err := w.ping("a", b[0], "1372"); err != nil { // 1400 with the headers
		t.Error(err)
	}
	if out := w.mustIn("a", "ip", "link", "show", "eth0"); !strings.Contains(out, "mtu 1400") {
		t.Error(out)
	}
	for _, id := range []string{"a", "b"} {
		w.ok(w.call("DEL", id, conf))
	}
	w.mustIn("host", "ip", "link", "del", "up0")
	w.clean()
}

func TestNoMasquerade(t *testing.T) {
	w := newWorld(t)
	w.outside()
	w.add("a")
	w.ok(w.call("ADD", "a", w.with("ipMasq", false)))
	if err := w.ping("a", "203.0.113.2"); err == nil {
		t.Error("the namespace outside answers an address that it has no route to")
	}
	if out := w.mustIn("host", "nft", "list", "ruleset"); out != "" {
		t.Error(out)
	}
}

func TestBridgeOptions(t *testing.T) {
	w := newWorld(t)
	w.add("a")
	conf := w.conf(func(m map[string]any) {
		m["hairpinMode"], m["portIsolation"], m["capabilities"] = true, true, map[string]bool{"mac": true, "ips": true}
		m["runtimeConfig"] = map[string]any{"mac": "02:00:00:00:00:aa", "ips": []string{"10.99.0.77/24"}}
		m["dns"] = map[string]any{"nameservers": []string{"10.99.0.1"}, "domain": "example"}
		m["ipam"].(map[string]any)["routes"] = []any{map[string]any{"dst": "192.0.2.0/24", "mtu": 1300}, map[string]any{"dst": "198.51.100.0/24", "gw": "10.99.0.9", "table": 7, "priority": 5}}
	})
	result := w.ok(w.call("ADD", "a", conf))
	for _, want := range []string{`"02:00:00:00:00:aa"`, `"10.99.0.77/24"`, `"domain": "example"`, `"table": 7`} {
		if !strings.Contains(result, want) {
			t.Errorf("the result lacks %s:\n%s", want, result)
		}
	}
	if out := w.mustIn("host", "ip", "-d", "link", "show", "type", "veth"); !strings.Contains(out, "hairpin on") || !strings.Contains(out, "isolated on") || !strings.Contains(out, "alias net|a|eth0") {
		t.Error(out)
	}
	if out := w.mustIn("a", "ip", "route", "show", "table", "all"); !strings.Contains(out, "192.0.2.0/24 via 10.99.0.1 dev eth0 mtu 1300") ||
		!strings.Contains(out, "198.51.100.0/24 via 10.99.0.9 dev eth0 table 7 metric 5") {
		t.Error(out)
	}
	w.ok(w.call("CHECK", "a", w.previous(conf, result)))
	w.add("p")
	w.ok(w.call("ADD", "p", w.conf(func(m map[string]any) { m["promiscMode"], m["bridge"], m["name"] = true, "br1", "other" })))
	if out := w.mustIn("host", "ip", "link", "show", "br1"); !strings.Contains(out, "PROMISC") {
		t.Error(out)
	}
}

// The address of a bridge is that of its birth: neighbours keep it in mind.
func TestBridgeKeepsItsMAC(t *testing.T) {
	w := newWorld(t)
	mac := func() string { return strings.Fields(w.mustIn("host", "ip", "-br", "link", "show", "br0"))[2] }
	conf := w.conf(func(m map[string]any) { m["isDefaultGateway"] = false })
	first := ""
	for i := range 5 {
		id := fmt.Sprint("c", i)
		w.add(id)
		w.ok(w.call("ADD", id, conf))
		if first == "" {
			first = mac()
		}
		if now := mac(); now != first {
			t.Fatalf("%s became %s", first, now)
		}
		if i%2 == 1 {
			w.ok(w.call("DEL", id, conf))
		}
	}
}

func TestForceAddress(t *testing.T) {
	w := newWorld(t)
	w.add("a")
	w.add("b")
	w.ok(w.call("ADD", "a", w.subnet("10.1.0.0/24")))
	other := func(force bool) string {
		return w.conf(func(m map[string]any) {
			m["name"], m["forceAddress"] = "other", force
			m["ipam"].(map[string]any)["ranges"] = []any{[]any{map[string]any{"subnet": "10.2.0.0/24"}}}
		})
	}
	before := w.left()
	w.fails(w.call("ADD", "b", other(false)), plugin.CodeConflict)
	if after := w.left(); strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Errorf("before:\n%v\nafter:\n%v", before, after)
	}
	w.ok(w.call("ADD", "b", other(true)))
	if out := w.mustIn("host", "ip", "-4", "addr", "show", "br0"); !strings.Contains(out, "10.2.0.1/24") || strings.Contains(out, "10.1.0.1") {
		t.Error(out)
	}
}

// One container may be twice on one network, and DEL takes only what it names.
func TestSameNetworkTwice(t *testing.T) {
	w := newWorld(t)
	w.add("a")
	conf := w.conf(func(m map[string]any) { m["isDefaultGateway"], m["isGateway"] = false, true })
	w.ok(w.call("ADD", "a", conf))
	second := w.call("ADD", "a", conf)
	second.ifname = "eth1"
	w.ok(second)
	second.command = "DEL"
	w.ok(second)
	left := strings.Join(w.left(), "\n")
	if !strings.Contains(left, "net|a|eth0") || strings.Contains(left, "eth1") {
		t.Error(left)
	}
	w.ok(w.call("DEL", "a", conf))
	w.clean()
}

func TestHundredAtOnce(t *testing.T) {
	w := newWorld(t)
	const n = 100
	conf := w.conf(nil)
	for i := range n {
		w.add(fmt.Sprint("c", i))
	}
	var mutex sync.Mutex
	seen := map[string]string{}
	each := func(command string, then func(id, out string)) {
		var group sync.WaitGroup
		for i := range n {
			group.Go(func() {
				id := fmt.Sprint("c", i)
				a := w.do(w.call(command, id, conf))
				if a.code != 0 {
					t.Errorf("%s %s: %s", command, id, a.stdout)
					return
				}
				mutex.Lock()
				defer mutex.Unlock()
				then(id, a.stdout)
			})
		}
		group.Wait()
	}
	each("ADD", func(id, out string) {
		for _, address := range w.addresses(out) {
			if other := seen[address]; other != "" {
				t.Errorf("%s and %s both have %s", id, other, address)
			}
			seen[address] = id
		}
	})
	if len(seen) != 2*n {
		t.Errorf("%d addresses for %d containers", len(seen), n)
	}
	if err := w.ping("c1", "10.99.0.1"); err != nil {
		t.Error(err)
	}
	each("DEL", func(string, string) {})
	w.clean()
}

func TestLoopback(t *testing.T) {
	w := newWorld(t)
	w.add("a")
	c := w.call("ADD", "a", `{"cniVersion":"0.3.1","name":"cni-loopback","type":"loopback"}`)
	c.plugin, c.ifname = "loopback", "lo"
	result := w.ok(c)
	if got := w.addresses(result); len(got) != 2 || got[0] != "127.0.0.1" || got[1] != "::1" {
		t.Error(result)
	}
	for _, to := range []string{"127.0.0.1", "::1"} {
		if err := w.ping("a", to); err != nil {
			t.Error(err)
		}
	}
	c.command, c.conf = "CHECK", strings.Replace(c.conf, "0.3.1", "0.4.0", 1)
	w.ok(c)
	w.mustIn("a", "ip", "link", "set", "lo", "down")
	w.fails(c, plugin.CodeDrifted)
	c.command = "DEL"
	w.ok(c)
}

// The plan must name what ADD then does, and do nothing.
func TestPlan(t *testing.T) {
	w := newWorld(t)
	w.add("a")
	c := w.call("ADD", "a", w.conf(nil))
	c.env = []string{"CNI_PLAN=1"}
	plan := w.ok(c)
	for _, want := range []string{"lease 10.99.0.2/24", "make bridge br0", "make veth", "add address 10.99.0.2/24 to eth0", "add to set masq4"} {
		if !strings.Contains(plan, want) {
			t.Errorf("the plan lacks %q:\n%s", want, plan)
		}
	}
	w.clean()
	if out := w.mustIn("host", "ip", "link"); strings.Contains(out, "br0") {
		t.Error(out)
	}
	w.ok(w.call("ADD", "a", w.conf(nil)))
	before := strings.Join(w.left(), "\n")
	c.command = "DEL"
	plan = w.ok(c)
	for _, want := range []string{"remove from set masq4: 10.99.0.2 of net|a|eth0", "remove link veth", "free 10.99.0.2 of net|a|eth0"} {
		if !strings.Contains(plan, want) {
			t.Errorf("the plan lacks %q:\n%s", want, plan)
		}
	}
	w.fails(call{plugin: "bridge", command: "GC", conf: c.conf, env: c.env}, plugin.CodeEnvironment)
	if after := strings.Join(w.left(), "\n"); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	c.env = nil
	w.ok(c)
	w.clean()
}

// A hairpin port sends back what came from it: a broadcast returns to its
// sender, which no other bridge port would do.
func TestHairpin(t *testing.T) {
	w := newWorld(t)
	const sent = 50
	for _, hairpin := range []bool{false, true} {
		id := fmt.Sprint("h", hairpin)
		w.add(id)
		conf := w.with("hairpinMode", hairpin)
		w.ok(w.call("ADD", id, conf))
		before := w.received(id)
		w.broadcast(id, "10.99.0.255:9", sent)
		got := w.received(id) - before
		for until := time.Now().Add(10 * time.Second); hairpin && got < sent && time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
			got = w.received(id) - before // some may still be on their way
		}
		if hairpin && got < sent || !hairpin && got >= sent {
			t.Errorf("hairpin %v: %d of %d packets came back", hairpin, got, sent)
		}
		w.ok(w.call("DEL", id, conf))
	}
}

// received is the number of packets that eth0 got.
func (w *world) received(name string) int {
	w.t.Helper()
	var links []struct {
		Stats64 struct{ RX struct{ Packets int } }
	}
	if err := json.Unmarshal([]byte(w.mustIn(name, "ip", "-s", "-j", "link", "show", "eth0")), &links); err != nil || len(links) != 1 {
		w.t.Fatal(links, err)
	}
	return links[0].Stats64.RX.Packets
}

// broadcast sends n datagrams from a namespace.
func (w *world) broadcast(name, to string, n int) {
	w.t.Helper()
	err := w.within(name, func() error {
		c, err := net.Dial("udp4", to)
		if err != nil {
			return err
		}
		defer c.Close()
		for range n {
			if _, err := c.Write([]byte("x")); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}
