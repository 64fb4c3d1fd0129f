// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package journey_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// responder is a server in perl, which every Debian has. It tells who it is and
// whom it sees.
const responder = `$s = IO::Socket::INET->new(Listen => 5, LocalPort => 80, ReuseAddr => 1) or die $!;
$| = 1; print "ready\n"; while ($c = $s->accept) { print $c "$ARGV[0] sees ", $c->peerhost, "\n"; close $c }`

// asks makes bash ask each responder, and change a few files then.
const asks = `set -e
for a in "$@"; do exec 3<>/dev/tcp/$a/80; cat <&3; done
echo changed >/etc/motd; rm /etc/issue; rm -r /usr/share/doc/base-passwd; mkdir -m 2750 /srv/new; ln /bin/true /srv/new/true`

func TestRootJourney(t *testing.T) {
	testkit.Need(t, testkit.Root, testkit.Netns, testkit.Tool("docker-registry"), testkit.Tool("htpasswd"),
		testkit.Tool("debootstrap"), testkit.Tool("nsenter"), testkit.Tool("ip"), testkit.Tool("nft"))
	debian := testkit.Debian(t)
	for _, c := range []struct {
		name     string
		registry func(*house) registry
	}{
		{"anonymous registry", (*house).anonymous},
		{"registry with TLS and a password", (*house).private},
	} {
		t.Run(c.name, func(t *testing.T) {
			testkit.NoLeaks(t)
			h := newHouse(t)
			r := c.registry(h)
			image, changed := r.address+"/debian:12", r.address+"/team/changed:1"
			with := func(verb string, args ...string) string {
				t.Helper()
				return h.must(h.imgmgr(slices.Concat([]string{verb}, r.flags, args)...))
			}

			h.must(h.imgmgr("import", "--cmd", "/bin/bash", debian, image))
			with("push", image)
			h.forget(image)
			with("pull", image)

			h.must(h.cninet("create", "net", "--subnet", "10.98.0.0/24", "--bridge", "br-journey", "--masq", "--data-dir", h.path("leases")))
			h.world()
			h.must(h.imgmgr(h.unpack(image, "web", "perl", "-MIO::Socket::INET", "-e", responder, "web")...))
			testkit.SameTree(t, h.path("web/rootfs"), debian)
			h.must(h.imgmgr(h.unpack(image, "client", "bash", "-c", asks, "client", "10.98.0.2", "10.98.0.1", "192.0.2.2")...))

			web, client := h.id+"-web", h.id+"-client"
			h.background(h.coracle("run", "--bundle", h.path("web"), web), "ready")
			t.Cleanup(func() { _ = h.coracle("delete", "--force", web).Run() })
			got := h.must(h.coracle("run", "--bundle", h.path("client"), client))
			// The world has no route to the containers: it must see the host.
			want := "web sees 10.98.0.3\ngateway sees 10.98.0.3\nworld sees 192.0.2.1\n"
			if got != want {
				t.Errorf("the client was told\n%swant\n%s", got, want)
			}
			h.expectState(web, "running")

			h.must(h.imgmgr("commit", h.path("client"), changed))
			with("push", changed)
			h.forget(image, changed)
			with("pull", changed)
			h.must(h.imgmgr("unpack", changed, h.path("copy")))
			testkit.SameTree(t, h.path("copy/rootfs"), h.path("client/rootfs"))
			h.expectSmallLayer(changed)

			h.must(h.coracle("delete", "--force", web))
			h.must(h.cninet("rm", "net"))
			h.expectNothing()
		})
	}
}

// unpack is the command line that makes a bundle on the network.
func (h *house) unpack(image, bundle string, command ...string) []string {
	return append([]string{"unpack", "--network", "net", "--cninet", h.path("cninet"), "--memory", "256M", "--pids", "100",
		image, h.path(bundle), "--"}, command...)
}

// forget takes images out of the store, with all their blobs.
func (h *house) forget(images ...string) {
	h.t.Helper()
	h.must(h.imgmgr(append([]string{"rm"}, images...)...))
	h.must(h.imgmgr("gc"))
	if listed := h.must(h.imgmgr("ls", "--format", "json")); strings.Contains(listed, "sha256:") {
		h.t.Fatalf("the store still has %s", listed)
	}
}

// world makes a third namespace behind the host, with a responder in it, and one
// on the bridge's address.
func (h *house) world() {
	h.t.Helper()
	h.netns("world")
	h.must(h.in("host", "ip", "link", "add", "out", "type", "veth", "peer", "name", "in", "netns", h.id+"world"))
	h.must(h.in("host", "ip", "addr", "add", "192.0.2.1/24", "dev", "out"))
	h.must(h.in("host", "ip", "link", "set", "out", "up"))
	h.must(h.in("world", "ip", "addr", "add", "192.0.2.2/24", "dev", "in"))
	h.must(h.in("world", "ip", "link", "set", "in", "up"))
	h.background(h.in("world", "perl", "-MIO::Socket::INET", "-e", responder, "world"), "ready")
	h.background(h.in("host", "perl", "-MIO::Socket::INET", "-e", responder, "gateway"), "ready")
}

func (h *house) expectState(id, want string) {
	h.t.Helper()
	var state struct{ Status string }
	if err := json.Unmarshal([]byte(h.must(h.coracle("state", id))), &state); err != nil || state.Status != want {
		h.t.Errorf("state of %s: %v, %q, want %q", id, err, state.Status, want)
	}
}

// expectSmallLayer wants two layers, and only the changes in the second.
func (h *house) expectSmallLayer(image string) {
	h.t.Helper()
	var manifest struct{ Layers []struct{ Size int64 } }
	if err := json.Unmarshal([]byte(h.must(h.imgmgr("inspect", "--raw", image))), &manifest); err != nil {
		h.t.Fatal(err)
	}
	if n := len(manifest.Layers); n != 2 || manifest.Layers[1].Size > 64<<10 {
		h.t.Errorf("layers: %v, want a second one of a few KiB", manifest.Layers)
	}
}

// expectNothing wants the host's namespace as it was before the first container.
func (h *house) expectNothing() {
	h.t.Helper()
	if rules := h.must(h.in("host", "nft", "list", "ruleset")); rules != "" {
		h.t.Errorf("rules are left:\n%s", rules)
	}
	var names []string
	for line := range strings.Lines(h.must(h.in("host", "ip", "-oneline", "link"))) {
		_, name, _ := strings.Cut(line, ": ")
		name, _, _ = strings.Cut(name, ":")
		names = append(names, name)
	}
	if len(names) != 2 || names[0] != "lo" || !strings.HasPrefix(names[1], "out@") {
		h.t.Errorf("links are left: %q", names)
	}
	for _, dir := range []string{"leases", "attachments", "state"} {
		if left := files(h.path(dir)); len(left) > 0 {
			h.t.Error(fmt.Sprintf("%s: left are ", dir), left)
		}
	}
}
