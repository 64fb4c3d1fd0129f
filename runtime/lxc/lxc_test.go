// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package lxc

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/runtime/config"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// files is a host with two includes and an fstab.
var files = map[string]string{
	"/usr/share/lxc/config/common.conf": `
lxc.pty.max = 1024
lxc.mount.auto = proc:mixed sys:ro cgroup:rw shmounts:/x
lxc.cgroup.devices.deny = a
lxc.cgroup.devices.allow = c *:* m
lxc.cgroup.devices.allow = c 1:3 rwm
lxc.cgroup2.devices.deny = a
lxc.cgroup2.devices.allow = c *:* m
lxc.cgroup2.devices.allow = c 1:3 rwm
lxc.cap.drop = sys_module mac_override
`,
	"/usr/share/lxc/config/common.seccomp": `2
denylist
reject_force_umount  # not wanted
[all]
kexec_load errno 1
`,
	"/etc/lxc/site.d/a.conf": "lxc.no_new_privs = 1\n",
	"/var/lib/lxc/web/fstab": "# more\n/dev/shm dev/shm none bind,create=dir 0 0\n",
}

func request(name, text string) Request {
	file := "/var/lib/lxc/" + name + "/config"
	return Request{
		File: file, Name: name, Cninet: "/usr/bin/cninet", Arch: "amd64", NetDir: "/bundle/cni",
		Read: func(f string) (string, error) {
			if f == file {
				return text, nil
			}
			if content, ok := files[f]; ok {
				return content, nil
			}
			return "", os.ErrNotExist
		},
		List: func(f string) ([]string, error) {
			if f == "/etc/lxc/site.d" {
				return []string{"/etc/lxc/site.d/a.conf"}, nil
			}
			return []string{f}, nil
		},
		Exists: func(path string) bool { return path != "/missing" },
		Env:    func(name string) (string, bool) { return "C.UTF-8", name == "LANG" },
	}
}

// TestConvert compares the whole of a container with testdata/NAME.json: its
// config, its networks, and what was left.
func TestConvert(t *testing.T) {
	for _, name := range []string{"web", "old"} {
		text, err := os.ReadFile("testdata/" + name + ".conf")
		if err != nil {
			t.Fatal(err)
		}
		r, err := Convert(request(name, string(text)))
		if err != nil {
			t.Fatal(err)
		}
		var left []string
		for _, l := range r.Left {
			left = append(left, strings.TrimPrefix(l.String(), "/var/lib/lxc/"))
		}
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		if err := e.Encode(map[string]any{"spec": r.Spec, "networks": r.Networks, "left": left}); err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", name+".json")
		if *update {
			if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, _ := os.ReadFile(golden)
		if !bytes.Equal(want, b.Bytes()) {
			t.Errorf("%s: run with -update and look at the difference", name)
		}
		valid(t, r.Spec)
	}
}

// valid: create would take it, but for what coracle does not support.
func valid(t *testing.T, s *specs.Spec) {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("%q", c.Warnings)
	}
	for _, e := range config.Findings(c) {
		if !strings.HasSuffix(e.Error(), "is not supported yet") {
			t.Error(e)
		}
	}
}

func TestBadValues(t *testing.T) {
	const root = "lxc.rootfs.path = /r\n"
	for _, c := range []struct{ text, want string }{
		{"", "/var/lib/lxc/x/config: has no lxc.rootfs.path"},
		{"lxc.rootfs.path = overlay:/a:/b", "has no lxc.rootfs.path"},
		{"nonsense", "config:1: is not KEY = VALUE: nonsense"},
		{root + "lxc.idmap = u 0 1", "config:2: lxc.idmap = u 0 1: is not KIND CONTAINER-ID"},
		{root + "lxc.init.uid = -1", "is no number from 0 to"},
		{root + "lxc.cgroup.memory.limit_in_bytes = lots", "is no number"},
		{root + "lxc.cgroup.memory.limit_in_bytes = 99999999T", "is no number of bytes"},
		{root + "lxc.cgroup.devices.allow = q 1:3 rwm", "is not TYPE MAJOR:MINOR ACCESS"},
		{root + "lxc.prlimit.nofile = many", "is neither a number nor unlimited"},
		{root + "lxc.mount.entry = one", "is not SOURCE TARGET TYPE OPTIONS"},
		{root + "lxc.mount.fstab = /nowhere", "cannot be read"},
		{root + "lxc.include = /nowhere", "read the LXC config"},
		{root + "lxc.time.offset.boot = 5 fortnights", "is no time such as"},
		{root + "lxc.net.0.type = veth\nlxc.net.0.link = b\nlxc.net.0.ipv4.address = 10.0.0.5", "is no address such as"},
	} {
		_, err := Convert(request("x", c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %s", c.text, err, c.want)
		}
	}
	loop := request("x", "lxc.include = /var/lib/lxc/x/config\n")
	if _, err := Convert(loop); err == nil || !strings.Contains(err.Error(), "includes itself") {
		t.Errorf("got %v", err)
	}
}

// TestEveryLineCounts: a key is converted, listed or an error; never nothing.
func TestEveryLineCounts(t *testing.T) {
	for _, text := range []string{
		"lxc.ephemeral = 1", "lxc.log.level = 1", "lxc.console.path = none", "lxc.group = web", "lxc.start.delay = 5", "lxc.monitor.unshare = 1",
		"lxc.sched.core = 1", "lxc.rootfs.mount = /x", "lxc.rootfs.managed = 0", "lxc.cgroup.relative = 1", "lxc.hook.version = 1",
		"lxc.net.0.type = vlan\nlxc.net.0.vlan.id = 5", "lxc.keyring.session = 0", "lxc.cgroup.unknown.file = 1", "lxc.namespace.share.net = other",
		"lxc.net.0.type = veth", "user.comment = hello", "lxc.proc.timerslack_ns = 5", "lxc.apparmor.allow_nesting = 1", "lxc.arch = mips",
	} {
		r, err := Convert(request("x", "lxc.rootfs.path = /r\n"+text))
		if err != nil || len(r.Left) == 0 {
			t.Errorf("%s: %v, nothing is said", text, err)
		}
	}
}

// TestVersion2: what only cgroup v2 knows counts where that is, as in LXC.
func TestVersion2(t *testing.T) {
	for _, v1 := range []bool{false, true} {
		r := request("x", "lxc.rootfs.path = /r\nlxc.cgroup2.cpu.weight = 50\nlxc.cgroup2.memory.max = 1M\n")
		r.V1 = v1
		got, err := Convert(r)
		if err != nil {
			t.Fatal(err)
		}
		res := got.Spec.Linux.Resources
		if len(res.Unified) == 1 == v1 || len(got.Left) == 1 != v1 || res.Memory == nil || *res.Memory.Limit != 1<<20 {
			t.Errorf("cgroup v1 %v: %+v, left %v", v1, res, got.Left)
		}
	}
}

func TestNetworkKinds(t *testing.T) {
	has := func(s *specs.Spec) bool {
		return slices.ContainsFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == "network" })
	}
	for text, want := range map[string]bool{
		"": true, "lxc.net.0.type = empty": true, "lxc.net.0.type = none": false, "lxc.namespace.keep = net ipc": false,
		"lxc.namespace.clone = mnt net": true, "lxc.net.0.type = none\nlxc.net =\n": true,
	} {
		r, err := Convert(request("x", "lxc.rootfs.path = /r\n"+text))
		if err != nil || has(r.Spec) != want {
			t.Errorf("%q: got %v, %v", text, !want, err)
		}
	}
}

func TestWords(t *testing.T) {
	for text, want := range map[string]string{
		`a b  c`: "a|b|c", `"a b" c`: "a b|c", `a\ b 'c\d' ""`: `a b|c\d|`, ` `: "", `x"y"z`: "xyz",
	} {
		if got := strings.Join(words(text), "|"); got != want {
			t.Errorf("%s: got %s", text, got)
		}
	}
}
