// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package images_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	moby "github.com/moby/profiles/seccomp"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// runBundle runs a bundle by a runtime's command line and returns all that it prints.
func runBundle(t *testing.T, state, bundle, runtime string) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", runtime+` "$@"`, "sh", "--root", state, "run", "-b", bundle, "coracle-images-seccomp").CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v: %s", runtime, err, out)
	}
	return string(out)
}

// crun refuses a machine where cgroups of version 2 have controllers beside those of
// version 1: it does not get to see them.
const crun = `unshare --mount sh -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec crun --cgroup-manager disabled "$@"' sh`

// TestRootUnpackSeccomp: bundles have a profile that other runtimes take as well.
// Making a user namespace needs no capability: only a filter forbids it.
func TestRootUnpackSeccomp(t *testing.T) {
	testkit.Need(t, testkit.Root, testkit.Tool("runc"), testkit.Tool("crun"), testkit.Tool("unshare"))
	testkit.NoLeaks(t)
	dir := t.TempDir()
	store, state := filepath.Join(dir, "store"), filepath.Join(dir, "state")
	must(t, store, "import", testkit.Rootfs(t), "busybox:1")
	docker, err := json.Marshal(moby.DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"docker.json": string(docker),
		"spec.json":   `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["unshare"], "action": "SCMP_ACT_ERRNO", "errnoRet": 18}]}`,
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const denied = "unshare: unshare(0x10000000): Operation not permitted\n"
	for _, c := range []struct{ name, profile, want string }{
		{"standard", "", denied + "2\n"},
		{"default", "default", denied + "2\n"},
		{"docker", filepath.Join(dir, "docker.json"), denied + "2\n"},
		{"spec", filepath.Join(dir, "spec.json"), "unshare: unshare(0x10000000): Invalid cross-device link\n2\n"},
		{"unconfined", "unconfined", "made\n0\n"},
	} {
		bundle := filepath.Join(dir, c.name)
		args := []string{"unpack", "busybox:1", bundle, "--", "sh", "-c", "exec 2>&1; unshare -U echo made; grep ^Seccomp: /proc/self/status | cut -f 2; mount -t tmpfs t /tmp 2>/dev/null && echo mounted; cd /tmp && mkdir d && chroot / true | cat"}
		if c.profile != "" {
			args = append([]string{"unpack", "--seccomp", c.profile}, args[1:]...)
		}
		must(t, store, args...)
		for _, runtime := range []string{testkit.Bin(t, "coracle"), "runc", crun} {
			if err := os.RemoveAll(bundle + "/rootfs/tmp/d"); err != nil {
				t.Fatal(err)
			}
			if got := runBundle(t, state, bundle, runtime); got != c.want {
				t.Errorf("%s with %s: got %q, want %q", runtime, c.name, got, c.want)
			}
		}
	}
}

// TestRootUnpackSeccompRefused: a bad profile is told of before anything is made.
func TestRootUnpackSeccompRefused(t *testing.T) {
	testkit.Need(t, testkit.Root)
	dir := t.TempDir()
	store, file := filepath.Join(dir, "store"), filepath.Join(dir, "bad.json")
	must(t, store, "import", testkit.Rootfs(t), "busybox:1")
	if err := os.WriteFile(file, []byte(`{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW", "exclude": {"caps": ["CAP_BPF"]}}]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	_, e, err := imgmgr(t, store, "unpack", "--seccomp", file, "busybox:1", filepath.Join(dir, "bundle"))
	if want := "imgmgr: " + file + " syscalls[0].exclude: unknown property\n"; err == nil || !strings.HasSuffix(e, want) {
		t.Errorf("got %v, %q, want %q", err, e, want)
	}
	onlyThese(t, dir, "bad.json", "store")
}

// TestRootUnpackSeccompDebian: a Debian's tools work under the default profile: what
// is built, installed, configured and removed by its package manager, threads and
// sockets of a perl, and programs under another user.
func TestRootUnpackSeccompDebian(t *testing.T) {
	testkit.Need(t, testkit.Root, testkit.Tool("debootstrap"))
	testkit.NoLeaks(t)
	dir := t.TempDir()
	store, bundle := filepath.Join(dir, "store"), filepath.Join(dir, "bundle")
	must(t, store, "import", "--compress", "none", testkit.Debian(t), "debian:12")
	const script = `set -e
exec 2>&1
mkdir -p /p/DEBIAN /p/opt; echo installed >/p/opt/file
printf 'Package: p\nVersion: 1\nArchitecture: all\nMaintainer: me <m@e>\nDescription: p\n' >/p/DEBIAN/control
printf '#!/bin/sh\nadduser --system --quiet --no-create-home p 2>/dev/null || useradd -r p\nchown p /opt/file\n' >/p/DEBIAN/postinst
chmod 0755 /p/DEBIAN/postinst
dpkg-deb --build /p /p.deb >/dev/null
dpkg --install /p.deb >/dev/null
apt-get check >/dev/null
dpkg --status p | grep ^Status
stat -c %U /opt/file
su -s /bin/sh p -c 'id -un'
perl -MIO::Socket::UNIX -MSocket -e 'socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, 0); if (!fork) { syswrite $b, "forked\n"; exit } sysread $a, $_, 9; print; wait'
dpkg --purge p >/dev/null
test ! -e /opt/file`
	must(t, store, "unpack", "debian:12", bundle, "--", "sh", "-c", script)
	want := "Status: install ok installed\np\np\nforked\n"
	if got := runBundle(t, filepath.Join(dir, "state"), bundle, testkit.Bin(t, "coracle")); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
