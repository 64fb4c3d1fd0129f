// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package unpack

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestConvert(t *testing.T) {
	created := time.Unix(1e9, 0)
	image := v1.Image{
		Created: &created, Author: "me", Platform: v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"},
		Config: v1.ImageConfig{
			User: "app", Env: []string{"A=image", "PATH=/bin", "A=again"}, Entrypoint: []string{"/entry", "x"}, Cmd: []string{"cmd"},
			WorkingDir: "../../srv//www", StopSignal: "SIGINT", ExposedPorts: map[string]struct{}{"80/tcp": {}, "53/udp": {}},
			Volumes: map[string]struct{}{"/data": {}, "../../var/lib": {}, "": {}, "/proc/x": {}},
			Labels:  map[string]string{"l": "v", "org.opencontainers.image.author": "label"},
		},
	}
	var warnings []string
	c := Config{Env: []string{"B=flag", "A=flag"}, Hostname: "box", Memory: 1 << 20, Pids: 7, Network: "web", Cninet: "/bin/cninet"}
	s, err := convert(image, user{uid: 5, gid: 6, groups: []uint32{7}, home: "/h"}, c, func(w string) { warnings = append(warnings, w) })
	if err != nil {
		t.Fatal(err)
	}
	hook := func(h []specs.Hook) string { return fmt.Sprint(h[0].Path, h[0].Args) }
	var volumes []string
	for _, m := range s.Mounts[7:] {
		volumes = append(volumes, m.Type+" "+m.Destination)
	}
	for _, v := range []struct{ name, have, want string }{
		{"args", strings.Join(s.Process.Args, " "), "/entry x cmd"},
		{"env", strings.Join(s.Process.Env, " "), "PATH=/bin HOME=/h A=flag B=flag"},
		{"cwd", s.Process.Cwd, "/srv/www"},
		{"user", fmt.Sprint(s.Process.User.UID, s.Process.User.GID, s.Process.User.AdditionalGids), "5 6 [7]"},
		{"ports", s.Annotations["org.opencontainers.image.exposedPorts"], "53/udp,80/tcp"},
		{"stop signal", s.Annotations["org.opencontainers.image.stopSignal"], "SIGINT"},
		{"created", s.Annotations["org.opencontainers.image.created"], "2001-09-09T01:46:40Z"},
		{"variant", s.Annotations["org.opencontainers.image.variant"], "v8"},
		{"label wins", s.Annotations["org.opencontainers.image.author"], "label"},
		{"label", s.Annotations["l"], "v"},
		{"volumes", strings.Join(volumes, " "), "tmpfs /var/lib tmpfs /data"},
		{"warnings", fmt.Sprint(len(warnings)), "2"},
		{"memory", fmt.Sprint(*s.Linux.Resources.Memory.Limit, *s.Linux.Resources.Pids.Limit), "1048576 7"},
		{"attach", hook(s.Hooks.CreateRuntime), "/bin/cninet[cninet attach web]"},
		{"detach", hook(s.Hooks.Poststop), "/bin/cninet[cninet detach web]"},
		{"cgroupsPath", s.Linux.CgroupsPath, ""},
		{"network namespace", fmt.Sprint(slices.ContainsFunc(s.Linux.Namespaces, isNetwork)), "true"},
	} {
		if v.have != v.want {
			t.Errorf("%s: got %q, want %q", v.name, v.have, v.want)
		}
	}
	if s.Linux.Seccomp != nil {
		t.Error("there is a seccomp profile")
	}
}

func isNetwork(n specs.LinuxNamespace) bool { return n.Type == specs.NetworkNamespace }

func TestConvertDefaults(t *testing.T) {
	var warnings []string
	warn := func(w string) { warnings = append(warnings, w) }
	s, err := convert(v1.Image{}, user{home: "/root"}, Config{Terminal: true}, warn)
	if err != nil || fmt.Sprintf("%v %v %v %v", s.Process.Args, s.Process.Cwd, s.Process.Env, s.Hooks) !=
		"[sh] / ["+defaultPath+" HOME=/root TERM=xterm] <nil>" || len(warnings) != 1 {
		t.Errorf("got %v %v %v %v %v", err, s.Process.Args, s.Process.Cwd, s.Process.Env, warnings)
	}
	s, err = convert(v1.Image{Config: v1.ImageConfig{Entrypoint: []string{"e"}, Cmd: []string{"c"}}}, user{}, Config{Args: []string{"mine"}, Network: "host"}, warn)
	if err != nil || fmt.Sprint(s.Process.Args) != "[e mine]" || slices.ContainsFunc(s.Linux.Namespaces, isNetwork) || s.Hooks != nil {
		t.Errorf("got %v %v", err, s.Process.Args)
	}
}

func TestConvertRefuses(t *testing.T) {
	for name, c := range map[string]v1.ImageConfig{
		"no equals sign": {Env: []string{"A"}}, "no name": {Env: []string{"=x"}}, "NUL in env": {Env: []string{"A=\x00"}},
		"NUL in args": {Cmd: []string{"a\x00"}}, "NUL in cwd": {WorkingDir: "\x00"},
	} {
		if _, err := convert(v1.Image{Config: c}, user{}, Config{}, func(string) {}); err == nil || !strings.HasPrefix(err.Error(), "config config") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestForUser(t *testing.T) {
	s, err := convert(v1.Image{}, user{uid: 5}, Config{Memory: 1}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	warned := 0
	forUser(s, 1000, 1001, func(string) { warned++ })
	if s.Process.User.UID != 0 || s.Linux.Resources != nil || warned != 1 || s.Linux.UIDMappings[0].HostID != 1000 || s.Linux.GIDMappings[0].HostID != 1001 {
		t.Errorf("got %+v, %d warnings", s.Linux, warned)
	}
	for _, m := range s.Mounts {
		if m.Type == "cgroup" || slices.Contains(m.Options, "gid=5") {
			t.Errorf("there is %v", m)
		}
	}
}

func TestHostname(t *testing.T) {
	for have, want := range map[string]string{"web1": "web1", "a b\nc": "a-b-c", "-x-": "x", "ünï": "n", "..": "container", strings.Repeat("a", 99): strings.Repeat("a", 63)} {
		if got := hostname(have); got != want {
			t.Errorf("%q: got %q, want %q", have, got, want)
		}
	}
}
