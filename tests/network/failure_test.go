// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package network_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coracle-oci/coracle/cni-plugins/plugin"
	"github.com/coracle-oci/coracle/internal/testkit"
)

// Every bad call has the code of the specification, and leaves nothing.
func TestBadInput(t *testing.T) {
	w := newWorld(t)
	w.add("a")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	good := w.call("ADD", "a", w.conf(nil))
	change := func(f func(*call)) call {
		c := good
		f(&c)
		return c
	}
	conf := func(text string) call { return change(func(c *call) { c.conf = text }) }
	for name, test := range map[string]struct {
		call call
		code int
		want string
	}{
		"no JSON":                {conf(`{"cniVersion":`), plugin.CodeDecoding, "standard input"},
		"empty stdin":            {conf(""), plugin.CodeDecoding, "standard input"},
		"mtu is a string":        {conf(w.with("mtu", "1500")), plugin.CodeDecoding, "mtu"},
		"unknown version":        {conf(w.with("cniVersion", "9.9.9")), plugin.CodeVersion, "9.9.9"},
		"no version":             {conf(w.with("cniVersion", "")), plugin.CodeVersion, "0.1.0"},
		"unknown command":        {change(func(c *call) { c.command = "FLY" }), plugin.CodeEnvironment, "CNI_COMMAND"},
		"no container":           {change(func(c *call) { c.id = "" }), plugin.CodeEnvironment, "CNI_CONTAINERID"},
		"container is a path":    {change(func(c *call) { c.id = "../x" }), plugin.CodeEnvironment, "CNI_CONTAINERID"},
		"container is long":      {change(func(c *call) { c.id = strings.Repeat("x", 5000) }), plugin.CodeEnvironment, "CNI_CONTAINERID"},
		"no interface":           {change(func(c *call) { c.ifname = "" }), plugin.CodeEnvironment, "CNI_IFNAME"},
		"interface is long":      {change(func(c *call) { c.ifname = "abcdefghijklmnop" }), plugin.CodeEnvironment, "CNI_IFNAME"},
		"interface with %":       {change(func(c *call) { c.ifname = "eth%d" }), plugin.CodeEnvironment, "CNI_IFNAME"},
		"interface ..":           {change(func(c *call) { c.ifname = ".." }), plugin.CodeEnvironment, "CNI_IFNAME"},
		"no netns":               {change(func(c *call) { c.netns = "" }), plugin.CodeEnvironment, "CNI_NETNS"},
		"netns is gone":          {change(func(c *call) { c.netns = w.path("nobody") }), plugin.CodeEnvironment, "CNI_NETNS"},
		"netns is a file":        {change(func(c *call) { c.netns = file }), plugin.CodeEnvironment, "not a network namespace"},
		"netns is another kind":  {change(func(c *call) { c.netns = "/proc/self/ns/uts" }), plugin.CodeEnvironment, "not a network namespace"},
		"netns is the host's":    {change(func(c *call) { c.netns = w.path("host") }), plugin.CodeEnvironment, "of the host"},
		"args without =":         {change(func(c *call) { c.args = "IP" }), plugin.CodeEnvironment, "CNI_ARGS"},
		"args unknown":           {change(func(c *call) { c.args = "COLOUR=red" }), plugin.CodeEnvironment, "COLOUR"},
		"no name":                {conf(w.with("name", "")), plugin.CodeInvalid, "name"},
		"name is a path":         {conf(w.with("name", "../../etc")), plugin.CodeInvalid, "name"},
		"unknown field":          {conf(w.with("isGatewy", true)), plugin.CodeUnsupported, "isGatewy"},
		"vlan":                   {conf(w.with("vlan", 7)), plugin.CodeUnsupported, "vlan"},
		"spoof check":            {conf(w.with("macspoofchk", true)), plugin.CodeUnsupported, "macspoofchk"},
		"negative mtu":           {conf(w.with("mtu", -1)), plugin.CodeInvalid, "mtu"},
		"huge mtu":               {conf(w.with("mtu", 1<<20)), plugin.CodeInvalid, "mtu"},
		"bridge is a path":       {conf(w.with("bridge", "a/b")), plugin.CodeInvalid, "bridge"},
		"hairpin and promisc":    {conf(w.conf(func(m map[string]any) { m["hairpinMode"], m["promiscMode"] = true, true })), plugin.CodeInvalid, "promiscMode"},
		"masquerade by magic":    {conf(w.with("ipMasqBackend", "magic")), plugin.CodeInvalid, "ipMasqBackend"},
		"mac of a group":         {conf(w.with("runtimeConfig", map[string]any{"mac": "01:00:5e:00:00:01"})), plugin.CodeInvalid, "runtimeConfig.mac"},
		"unknown ipam":           {conf(w.withIPAM("type", "no-such")), plugin.CodeInvalid, "no-such"},
		"ipam is a path":         {conf(w.withIPAM("type", "../host-local")), plugin.CodeInvalid, "ipam.type"},
		"no ranges":              {conf(w.withIPAM("ranges", []any{})), plugin.CodeInvalid, "ipam.ranges"},
		"host bits":              {conf(w.subnet("10.1.0.5/24")), plugin.CodeInvalid, "10.1.0.0/24"},
		"subnet too small":       {conf(w.subnet("10.1.0.4/31")), plugin.CodeInvalid, "too small"},
		"subnet is a word":       {conf(w.subnet("lan")), plugin.CodeInvalid, "ranges[0][0].subnet"},
		"gateway outside":        {conf(w.withIPAM("ranges", []any{[]any{map[string]any{"subnet": "10.1.0.0/24", "gateway": "10.2.0.1"}}})), plugin.CodeInvalid, "gateway"},
		"range upside down":      {conf(w.withIPAM("ranges", []any{[]any{map[string]any{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.5"}}})), plugin.CodeInvalid, "rangeEnd"},
		"ranges overlap":         {conf(w.withIPAM("ranges", []any{[]any{map[string]any{"subnet": "10.1.0.0/24"}}, []any{map[string]any{"subnet": "10.1.0.0/16"}}})), plugin.CodeInvalid, "overlap"},
		"unknown field in ipam":  {conf(w.withIPAM("subnets", []any{"x"})), plugin.CodeUnsupported, "ipam.subnets"},
		"route without dst":      {conf(w.withIPAM("routes", []any{map[string]any{"gw": "10.99.0.1"}})), plugin.CodeInvalid, "routes[0].dst"},
		"asked for the gateway":  {change(func(c *call) { c.args = "IP=10.99.0.1" }), plugin.CodeInvalid, "10.99.0.1"},
		"asked for another net":  {change(func(c *call) { c.args = "IP=192.0.2.1" }), plugin.CodeInvalid, "192.0.2.1"},
		"asked for a word":       {change(func(c *call) { c.args = "IP=here" }), plugin.CodeEnvironment, "IP"},
		"resolvConf is missing":  {conf(w.withIPAM("resolvConf", "/no/such")), plugin.CodeIO, "resolvConf"},
		"data directory is none": {conf(w.withIPAM("dataDir", file)), plugin.CodeIO, "file"},
		"CHECK without result":   {change(func(c *call) { c.command = "CHECK" }), plugin.CodeInvalid, "prevResult"},
	} {
		t.Run(name, func(t *testing.T) {
			inner := *w
			inner.t = t
			if msg := inner.fails(test.call, test.code); !strings.Contains(msg, test.want) {
				t.Errorf("the message does not name %s: %s", test.want, msg)
			}
			inner.clean()
		})
	}
	if out := w.mustIn("host", "ip", "link"); strings.Contains(out, "br0") {
		t.Errorf("a bridge was made:\n%s", out)
	}
	if out := w.mustIn("host", "ip", "addr"); strings.Contains(out, "eth") && !strings.Contains(out, "link/ether") {
		t.Error(out)
	}
}

func TestExhausted(t *testing.T) {
	w := newWorld(t)
	w.add("a")
	w.add("b")
	conf := w.subnet("10.1.0.0/30") // .1 is the gateway
	status := call{plugin: "bridge", command: "STATUS", conf: conf}
	w.ok(status)
	w.ok(w.call("ADD", "a", conf))
	before := w.left()
	if msg := w.fails(w.call("ADD", "b", conf), plugin.CodeExhausted); !strings.Contains(msg, "10.1.0.1-10.1.0.2 (10.1.0.0/30)") {
		t.Errorf("the message does not name the range: %s", msg)
	}
	w.fails(status, plugin.CodeNotAvailable)
	if after := w.left(); strings.Join(before, "\n") != strings.Join(after, "\n") {
		t.Errorf("before %v after %v", before, after)
	}
	w.ok(w.call("DEL", "a", conf))
	w.ok(status)
	w.ok(w.call("ADD", "b", conf))
	w.ok(w.call("DEL", "b", conf))
	w.clean()
}

// ADDs that fail late take everything back.
func TestUndo(t *testing.T) {
	w := newWorld(t)
	w.add("a")
	links := func() string { return w.mustIn("host", "ip", "-br", "link") }
	before := links()
	fail := func(name, conf string, code int) {
		t.Helper()
		w.fails(w.call("ADD", "a", conf), code)
		w.clean()
		if after := links(); after != before {
			t.Errorf("%s: before:\n%safter:\n%s", name, before, after)
		}
		if out, err := w.in("a", "ip", "link", "show", "eth0"); err == nil {
			t.Errorf("%s: %s", name, out)
		}
	}
	fail("route", w.withIPAM("routes", []any{map[string]any{"dst": "192.0.2.0/24", "gw": "172.31.0.1"}}), plugin.CodeKernel)

	w.mustIn("host", "nft", "add", "table", "inet", "coracle_cni")
	w.mustIn("host", "nft", "add", "set", "inet", "coracle_cni", "masq4", "{ type inet_service; }")
	fail("nft", w.conf(nil), plugin.CodeKernel)
	w.mustIn("host", "nft", "delete", "table", "inet", "coracle_cni")

	w.mustIn("host", "ip", "link", "add", "br0", "type", "veth", "peer", "name", "nobridge")
	before = links()
	w.fails(w.call("ADD", "a", w.conf(nil)), plugin.CodeConflict)
	if after := links(); after != before {
		t.Errorf("before:\n%safter:\n%s", before, after)
	}
	w.mustIn("host", "ip", "link", "del", "br0")

	w.mustIn("a", "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "mine")
	w.fails(w.call("ADD", "a", w.conf(nil)), plugin.CodeConflict)
	w.clean()
	w.mustIn("a", "ip", "link", "show", "mine")
}

// A second ADD of the same attachment is refused and hurts nothing.
func TestAddTwice(t *testing.T) {
	w := newWorld(t)
	w.add("a")
	conf := w.conf(nil)
	result := w.ok(w.call("ADD", "a", conf))
	before := w.left()
	w.fails(w.call("ADD", "a", conf), plugin.CodeConflict)
	if after := w.left(); strings.Join(before, "\n") != strings.Join(after, "\n") {
		t.Errorf("before %v after %v", before, after)
	}
	w.ok(w.call("CHECK", "a", w.previous(conf, result)))

	w.add("new") // the same container and interface, in another namespace
	again := w.call("ADD", "a", conf)
	again.netns = w.path("new")
	w.fails(again, plugin.CodeDuplicate)
	w.ok(w.call("CHECK", "a", w.previous(conf, result)))
	if err := w.ping("a", "10.99.0.1"); err != nil {
		t.Error(err)
	}
}

// DEL works whatever is left of the container.
func TestDel(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(c *call){
		"all is there":         func(*call) {},
		"namespace is gone":    func(*call) { w.must("ip", "netns", "del", w.prefix+"a") },
		"no path":              func(c *call) { c.netns = "" },
		"path is a file":       func(c *call) { c.netns = file },
		"path is the host's":   func(c *call) { c.netns = w.path("host") },
		"interface is gone":    func(*call) { w.mustIn("a", "ip", "link", "del", "eth0") },
		"interface is down":    func(*call) { w.mustIn("a", "ip", "link", "set", "eth0", "down") },
		"interface renamed":    func(*call) { w.mustIn("a", "ip", "link", "set", "eth0", "down", "name", "x0") },
		"table is gone":        func(*call) { w.mustIn("host", "nft", "delete", "table", "inet", "coracle_cni") },
		"bridge is gone":       func(*call) { w.mustIn("host", "ip", "link", "del", "br0") },
		"configuration is bad": func(c *call) { c.conf = w.conf(func(m map[string]any) { m["mtu"], m["ipMasqBackend"] = -5, "magic" }) },
	} {
		t.Run(name, func(t *testing.T) {
			inner := *w
			inner.t = t
			w.must("ip", "netns", "add", w.prefix+"a")
			inner.ok(inner.call("ADD", "a", inner.conf(nil)))
			c := inner.call("DEL", "a", inner.conf(nil))
			spoil(&c)
			for range 2 {
				inner.ok(c)
			}
			waitClean(&inner)
			w.must("ip", "netns", "add", w.prefix+"spare") // so that "a" can be removed if it is there
			w.must("ip", "netns", "del", w.prefix+"spare")
			if _, err := os.Stat(w.path("a")); err == nil {
				w.must("ip", "netns", "del", w.prefix+"a")
			}
		})
	}
	inner := w.call("DEL", "never-added", w.conf(nil))
	w.ok(inner)
}

// waitClean waits until the kernel has taken down what went with a namespace.
func waitClean(w *world) {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); len(w.left()) > 0 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond) // a namespace goes when the kernel's worker comes to it: nothing to wait on
	}
	w.clean()
}

// CHECK sees each thing that ADD made.
func TestCheck(t *testing.T) {
	w := newWorld(t)
	conf := w.with("mtu", 1400)
	veth := func() string {
		return strings.Split(strings.Fields(w.mustIn("host", "ip", "-br", "link", "show", "type", "veth"))[0], "@")[0]
	}
	for name, spoil := range map[string]func(){
		"link down":       func() { w.mustIn("a", "ip", "link", "set", "eth0", "down") },
		"link gone":       func() { w.mustIn("a", "ip", "link", "del", "eth0") },
		"mtu":             func() { w.mustIn("a", "ip", "link", "set", "eth0", "mtu", "1300") },
		"mac":             func() { w.mustIn("a", "ip", "link", "set", "eth0", "address", "02:00:00:00:00:01") },
		"address":         func() { w.mustIn("a", "ip", "addr", "del", "10.99.0.2/24", "dev", "eth0") },
		"route":           func() { w.mustIn("a", "ip", "route", "del", "default") },
		"port elsewhere":  func() { w.mustIn("host", "ip", "link", "set", veth(), "nomaster") },
		"port down":       func() { w.mustIn("host", "ip", "link", "set", veth(), "down") },
		"hairpin":         func() { w.mustIn("host", "ip", "link", "set", veth(), "type", "bridge_slave", "hairpin", "on") },
		"bridge down":     func() { w.mustIn("host", "ip", "link", "set", "br0", "down") },
		"bridge gone":     func() { w.mustIn("host", "ip", "link", "del", "br0") },
		"gateway address": func() { w.mustIn("host", "ip", "addr", "del", "10.99.0.1/24", "dev", "br0") },
		"element":         func() { w.mustIn("host", "nft", "flush", "set", "inet", "coracle_cni", "home4") },
		"table":           func() { w.mustIn("host", "nft", "flush", "ruleset") },
	} {
		t.Run(name, func(t *testing.T) {
			inner := *w
			inner.t = t
			w.must("ip", "netns", "add", w.prefix+"a")
			defer w.must("ip", "netns", "del", w.prefix+"a")
			first := w.withIPAM("ranges", []any{[]any{map[string]any{"subnet": "10.99.0.0/24", "rangeStart": "10.99.0.2", "rangeEnd": "10.99.0.2"}}, []any{map[string]any{"subnet": "fd99::/64"}}})
			first = strings.Replace(first, `{"bridge"`, `{"mtu":1400,"bridge"`, 1)
			result := inner.ok(inner.call("ADD", "a", first))
			check := inner.call("CHECK", "a", inner.previous(first, result))
			inner.ok(check)
			spoil()
			inner.fails(check, plugin.CodeDrifted)
			inner.ok(inner.call("DEL", "a", first))
		})
	}
	w.add("a")
	result := w.ok(w.call("ADD", "a", conf))
	if err := os.RemoveAll(filepath.Join(w.dataDir, "net")); err != nil {
		t.Fatal(err)
	}
	w.fails(w.call("CHECK", "a", w.previous(conf, result)), plugin.CodeContainer)
}

// GC removes what belongs to no valid attachment, and nothing else.
func TestGC(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"keep", "stale", "gone", "other"} {
		w.add(id)
	}
	conf := w.conf(nil)
	for _, id := range []string{"keep", "stale", "gone"} {
		w.ok(w.call("ADD", id, conf))
	}
	other := w.with("name", "neighbour") // on the same bridge, with a ledger of its own
	second := w.call("ADD", "other", strings.NewReplacer("10.99.0.0/24", "10.99.0.0/24", `"fd99::/64"`, `"fd99::/64","rangeStart":"fd99::8000"`).Replace(other))
	second.conf = strings.Replace(second.conf, `"10.99.0.0/24"`, `"10.99.0.0/24","rangeStart":"10.99.0.128"`, 1)
	w.ok(second)
	w.must("ip", "netns", "del", w.prefix+"gone")
	w.ok(call{plugin: "bridge", command: "GC", conf: w.conf(func(m map[string]any) {
		m["cni.dev/valid-attachments"] = []any{map[string]string{"containerID": "keep", "ifname": "eth0"}}
	})})
	left := strings.Join(w.left(), "\n")
	for name, want := range map[string]bool{"net|keep|eth0": true, "neighbour|other|eth0": true, "net|stale|": false, "net|gone|": false,
		"keep:eth0": true, "stale:eth0": false, "gone:eth0": false, "/net/10.99.0.2": true, "/net/10.99.0.3": false, "/neighbour/10.99.0.128": true} {
		if strings.Contains(left, name) != want {
			t.Errorf("%s is there: %v\n%s", name, !want, left)
		}
	}
	if err := w.ping("keep", "10.99.0.1"); err != nil {
		t.Error(err)
	}
	if out, err := w.in("stale", "ip", "link", "show", "eth0"); err == nil {
		t.Error(out)
	}
}

// A killed plugin leaves nothing that DEL does not remove.
func TestKill(t *testing.T) {
	w := newWorld(t)
	random := testkit.Seed(t)
	w.add("warm")
	conf := w.conf(nil)
	var whole time.Duration
	for range 3 { // the first makes the bridge and the table
		started := time.Now()
		w.ok(w.call("ADD", "warm", conf))
		whole = time.Since(started)
		w.ok(w.call("DEL", "warm", conf))
	}
	limit := whole * 5 / 4
	phases := []string{"nothing", "lease", "link", "addresses", "elements"}
	hits := map[string]int{}
	enough := func() bool {
		for _, p := range phases {
			if hits[p] < 5 {
				return false
			}
		}
		return true
	}
	kills := 0
	for ; kills < 100 || !enough(); kills++ {
		if kills == 4000 {
			t.Fatalf("after %d kills not every phase was hit five times: %v", kills, hits)
		}
		w.must("ip", "netns", "add", w.prefix+"k")
		cmd, _, _ := w.command(w.call("ADD", "k", conf))
		if err := w.start("host", cmd); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(random.Int64N(int64(limit))))
		cmd.Process.Kill()
		cmd.Wait()
		phase := w.phase()
		hits[phase]++
		switch phase { // the machine may be faster or slower by now
		case "nothing":
			limit += limit / 16
		case "elements":
			limit -= limit / 16
		}
		del := w.call("DEL", "k", conf)
		if kills%2 == 0 { // half of the time the namespace is gone as well
			w.must("ip", "netns", "del", w.prefix+"k")
			w.ok(del)
			waitClean(w)
			continue
		}
		w.ok(del)
		w.clean()
		if out, err := w.in("k", "ip", "link", "show", "eth0"); err == nil {
			t.Fatal(out)
		}
		w.must("ip", "netns", "del", w.prefix+"k")
		if t.Failed() {
			return
		}
	}
	t.Logf("%d kills, phases %v", kills, hits)
	w.add("after")
	w.ok(w.call("ADD", "after", conf))
	if err := w.ping("after", "10.99.0.1"); err != nil {
		t.Error(err)
	}
}

// phase tells how far a killed ADD had come, by what it left.
func (w *world) phase() string {
	left := strings.Join(w.left(), "\n")
	has := func(s string) bool { return strings.Contains(left, s) }
	inside, _ := w.in("k", "ip", "addr", "show", "eth0")
	switch {
	case has("element "):
		return "elements"
	case strings.Contains(inside, "10.99.0."):
		return "addresses"
	case has("link veth"):
		return "link"
	case has("file "):
		return "lease"
	default:
		return "nothing"
	}
}

// The same for DEL: the next DEL does the rest.
func TestKillDel(t *testing.T) {
	w := newWorld(t)
	random := testkit.Seed(t)
	conf := w.conf(nil)
	for i := range 60 {
		id := fmt.Sprint("k", i)
		w.must("ip", "netns", "add", w.prefix+id)
		w.ok(w.call("ADD", id, conf))
		cmd, _, _ := w.command(w.call("DEL", id, conf))
		if err := w.start("host", cmd); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(random.Int64N(int64(15 * time.Millisecond))))
		cmd.Process.Kill()
		cmd.Wait()
		w.ok(w.call("DEL", id, conf))
		w.clean()
		w.must("ip", "netns", "del", w.prefix+id)
	}
}
