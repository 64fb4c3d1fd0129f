// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"os"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/testkit"
)

const listDev = `for n in null zero full random urandom tty; do stat -c '%n %F %t:%T %a' /dev/$n; done
	for n in fd stdin stdout stderr ptmx; do echo $n $(readlink /dev/$n); done; echo x > /dev/null && echo null works`

// wantDev is what listDev prints of nodes that were made with mode 666.
const wantDev = `/dev/null character special file 1:3 666
/dev/zero character special file 1:5 666
/dev/full character special file 1:7 666
/dev/random character special file 1:8 666
/dev/urandom character special file 1:9 666
/dev/tty character special file 5:0 666
fd /proc/self/fd
stdin /proc/self/fd/0
stdout /proc/self/fd/1
stderr /proc/self/fd/2
ptmx pts/ptmx
null works
`

// TestRootDefaultDevices: on a tmpfs, on the image's own /dev, and in a user
// namespace, where nodes cannot be made.
func TestRootDefaultDevices(t *testing.T) {
	noTmpfs := func(s *specs.Spec) { s.Mounts = append(s.Mounts[:1], s.Mounts[2:]...) }
	for name, edits := range map[string][]func(*specs.Spec){
		"tmpfs": {}, "image": {noTmpfs}, "user": {mapped}, "user, image": {mapped, noTmpfs},
	} {
		v := newVessel(t, edits...)
		if strings.HasPrefix(name, "user") {
			must(t, chownTree(v.rootfs(""), 100000, 200000))
		}
		got := v.sh(listDev)
		if name != "tmpfs" { // modes are the host's, whatever these are
			got, _ = strings.CutSuffix(got, "")
		}
		if name == "tmpfs" && got != wantDev || name != "tmpfs" && withoutModes(got) != withoutModes(wantDev) {
			t.Errorf("%s: got %s", name, got)
		}
		if again := v.sh("echo again"); again != "again\n" { // what the first run made is in the way of nothing
			t.Errorf("%s: %s", name, again)
		}
	}
}

func withoutModes(s string) string {
	var out strings.Builder
	for line := range strings.Lines(s) {
		line = strings.TrimSpace(line)
		if i := strings.LastIndexByte(line, ' '); strings.Contains(line, "special") && i > 0 {
			line = line[:i]
		}
		out.WriteString(line + "\n")
	}
	return out.String()
}

// TestRootDevices: the config's own, with mode and owner, below new directories,
// in place of a default one, and a fifo.
func TestRootDevices(t *testing.T) {
	v := newVessel(t, func(s *specs.Spec) {
		s.Linux.Devices = []specs.LinuxDevice{
			{Path: "/dev/my/zero", Type: "c", Major: 1, Minor: 5, FileMode: ptr(os.FileMode(0o640)), UID: ptr[uint32](7), GID: ptr[uint32](8)},
			{Path: "/dev/loop9", Type: "b", Major: 7, Minor: 9},
			{Path: "/dev/big", Type: "c", Major: 300, Minor: 70000},
			{Path: "/dev/pipe", Type: "p", FileMode: ptr(os.FileMode(0o600))},
			{Path: "/dev/null", Type: "c", Major: 1, Minor: 3, FileMode: ptr(os.FileMode(0o600))},
			{Path: "/dev/u", Type: "u", Major: 1, Minor: 7},
		}
	})
	got := v.sh("stat -c '%n %F %t:%T %a %u:%g' /dev/my/zero /dev/loop9 /dev/big /dev/pipe /dev/null /dev/u")
	want := `/dev/my/zero character special file 1:5 640 7:8
/dev/loop9 block special file 7:9 666 0:0
/dev/big character special file 12c:11170 666 0:0
/dev/pipe fifo 0:0 600 0:0
/dev/null character special file 1:3 600 0:0
/dev/u character special file 1:7 666 0:0
`
	if got != want {
		t.Errorf("got %s", got)
	}
}

// TestRootDeviceOnImage: on a /dev of the image the host's node is mounted, even
// where the image has a file of that name, and only if it is the right device.
func TestRootDeviceOnImage(t *testing.T) {
	v := newVessel(t, func(s *specs.Spec) {
		s.Mounts = append(s.Mounts[:1], s.Mounts[2:]...)
		s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/zero", Type: "c", Major: 1, Minor: 5}}
	})
	v.write("dev/zero", "a file of the image", 0o644)
	if got := v.sh("head -c 3 /dev/zero | od -An -tx1"); strings.TrimSpace(got) != "00 00 00" {
		t.Errorf("got %q", got)
	}
	if data, _ := os.ReadFile(v.rootfs("dev/zero")); string(data) != "a file of the image" {
		t.Errorf("the image's file is %q", data)
	}
	v.edit(func(s *specs.Spec) { s.Linux.Devices[0].Minor = 7 })
	v.expectRefusal("linux.devices[0]")
	v.edit(func(s *specs.Spec) { s.Linux.Devices[0].Path, s.Linux.Devices[0].Minor = "/dev/no-such", 5 })
	v.expectRefusal("linux.devices[0].path", "(ENOENT)")
}

// TestRootDevBind: a bind mount of the host's /dev is left as it is.
func TestRootDevBind(t *testing.T) {
	dir := t.TempDir()
	v := newVessel(t, func(s *specs.Spec) {
		s.Mounts = append(s.Mounts[:1:1], specs.Mount{Destination: "/dev", Type: "bind", Source: dir, Options: []string{"rbind", "rw"}})
	}, testkit.Args("ls", "-A", "/dev"))
	if got := v.run(); got != (said{}) {
		t.Errorf("%+v", got)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("made on the host: %v", left)
	}
}
