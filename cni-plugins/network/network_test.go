// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package network

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"
	"github.com/coracle-oci/coracle/internal/fail"
)

func places(t *testing.T) Networks {
	dir := t.TempDir()
	return Networks{ConfDir: filepath.Join(dir, "conf"), CacheDir: filepath.Join(dir, "cache"), PluginDirs: []string{dir}}
}

func TestCreate(t *testing.T) {
	n := places(t)
	path, err := n.Create(Wish{Name: "web", Subnets: []string{"10.88.0.0/24", "fd88::/64"}, Masq: true, MTU: 1400})
	if err != nil {
		t.Fatal(err)
	}
	list, err := libcni.NetworkConfFromFile(path)
	if err != nil || list.Name != "web" || list.CNIVersion != "1.1.0" || len(list.Plugins) != 1 || list.Plugins[0].Network.Type != "bridge" {
		t.Fatal(list, err)
	}
	var conf map[string]any
	if err := json.Unmarshal(list.Plugins[0].Bytes, &conf); err != nil || conf["bridge"] != "br-web" || conf["ipMasq"] != true || conf["mtu"] != 1400.0 {
		t.Error(conf, err)
	}
	if _, err := n.Create(Wish{Name: "web", Subnets: []string{"10.89.0.0/24"}}); err == nil || !strings.Contains(fail.HintOf(err), "cninet rm web") {
		t.Error(err)
	}
	networks, err := n.List()
	if err != nil || len(networks) != 1 || networks[0].File != path || len(networks[0].Attachments) != 0 {
		t.Error(networks, err)
	}
	if text, _ := json.Marshal(networks); !strings.Contains(string(text), `"attachments":[]`) {
		t.Errorf("none is no list: %s", text)
	}
	if entries, _ := os.ReadDir(n.ConfDir); len(entries) != 1 {
		t.Errorf("drafts are left: %v", entries)
	}
}

// TestOverlap: no two networks get the same addresses, or by chance the same bridge.
func TestOverlap(t *testing.T) {
	n := places(t)
	if _, err := n.Create(Wish{Name: "production-web", Subnets: []string{"10.88.0.0/24", "fd88::/64"}}); err != nil {
		t.Fatal(err)
	}
	old := `{"cniVersion": "0.4.0", "name": "old", "plugins": [{"type": "bridge", "ipam": {"type": "host-local", "subnet": "10.70.0.0/16"}}]}`
	if err := os.WriteFile(filepath.Join(n.ConfDir, "10-old.conflist"), []byte(old), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		wish Wish
		want string // "" if there is no reason against it
	}{
		{Wish{Name: "a", Subnets: []string{"10.88.0.128/25"}}, "overlaps with 10.88.0.0/24 of network production-web"},
		{Wish{Name: "a", Subnets: []string{"10.99.0.0/24", "fd88::/48"}}, "overlaps with fd88::/64 of network production-web"},
		{Wish{Name: "a", Subnets: []string{"10.70.1.0/24"}}, "overlaps with 10.70.0.0/16 of network old"},
		{Wish{Name: "production-wiki", Subnets: []string{"10.89.0.0/24"}}, "network production-web has the bridge br-production-w"},
		{Wish{Name: "production-wiki", Subnets: []string{"10.89.0.0/24"}, Bridge: "br-wiki"}, ""},
		{Wish{Name: "shared", Subnets: []string{"10.90.0.0/24"}, Bridge: "br-production-w"}, ""},
	} {
		_, err := n.Create(c.wish)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: %v", c.wish, err)
		}
	}
}

func TestBadWishes(t *testing.T) {
	n := places(t)
	for _, w := range []Wish{
		{Name: "", Subnets: []string{"10.0.0.0/24"}}, {Name: "../x", Subnets: []string{"10.0.0.0/24"}}, {Name: strings.Repeat("x", 101), Subnets: []string{"10.0.0.0/24"}},
		{Name: "x"}, {Name: "x", Subnets: []string{"10.0.0.1/24"}}, {Name: "x", Subnets: []string{"lan"}},
		{Name: "x", Subnets: []string{"10.0.0.0/31"}}, {Name: "x", Subnets: []string{"fd88::/127"}},
		{Name: "x", Subnets: []string{"10.0.0.0/24"}, MTU: -4}, {Name: "x", Subnets: []string{"10.0.0.0/24"}, MTU: 65536},
	} {
		if path, err := n.Create(w); err == nil {
			t.Errorf("%+v made %s", w, path)
		}
	}
	if _, err := os.Stat(n.ConfDir); err == nil {
		t.Error("a directory was made")
	}
}

func TestNoSuchNetwork(t *testing.T) {
	n := places(t)
	for name, call := range map[string]func() error{
		"attach": func() error { _, err := n.Attach("web", Container{"x", "/x", "eth0"}); return err },
		"detach": func() error { return n.Detach("web", Container{ID: "x"}) },
		"status": func() error { return n.Status("web") },
		"gc":     func() error { return n.GC("web") },
		"rm":     func() error { return n.Remove("web", false) },
	} {
		if err := call(); err == nil || !strings.Contains(fail.HintOf(err), "cninet create web --subnet") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFromState(t *testing.T) {
	for text, want := range map[string]Container{
		`{"ociVersion":"1.2.0","id":"x","status":"created","pid":7,"bundle":"/b"}`: {ID: "x", Netns: "/proc/7/ns/net"},
		`{"id":"x"}`: {}, `{"pid":7}`: {}, `{`: {}, ``: {}, `[]`: {},
	} {
		have, err := FromState(strings.NewReader(text), true)
		if (err == nil) != (want.ID != "") || have.ID != want.ID && err == nil || err == nil && have != want {
			t.Errorf("%s: %+v %v", text, have, err)
		}
	}
	// A stopped container's process id may be another's: it is not used.
	if have, err := FromState(strings.NewReader(`{"id":"x","pid":1}`), false); err != nil || have.Netns != "" {
		t.Error(have, err)
	}
}
