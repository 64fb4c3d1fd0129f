// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// TestRootManyMounts: more descriptors than one message carries reach the launch
// program in their order.
func TestRootManyMounts(t *testing.T) {
	source := t.TempDir()
	var mounts []func(*specs.Spec)
	var want strings.Builder
	for i := range 600 {
		name := fmt.Sprintf("%03d", i)
		must(t, os.WriteFile(filepath.Join(source, name), []byte(name+"\n"), 0o644))
		mounts = append(mounts, mount("/m/"+name, "bind", filepath.Join(source, name), "bind"))
		want.WriteString(name + "\n")
	}
	v := newVessel(t, mounts...)
	v.edit(testkit.Args("/bin/sh", "-c", "cat /m/*"))
	if got := v.run(); got.code != 0 || got.stdout != want.String() {
		t.Errorf("status %d, %d bytes of %d: %s", got.code, len(got.stdout), want.Len(), got.stderr)
	}
}

// TestRootMountFlags reads back from mountinfo what each option does, on a new
// file system and on a bind mount of a directory.
func TestRootMountFlags(t *testing.T) {
	source := mountTree(t) // a bind mount keeps the flags of what it is copied from: these are none
	must(t, os.WriteFile(filepath.Join(source, "file"), []byte("content\n"), 0o644))
	v := newVessel(t,
		mount("/m/ro", "tmpfs", "tmpfs", "ro"),
		mount("/m/all", "tmpfs", "tmpfs", "nosuid", "nodev", "noexec", "noatime", "nosymfollow", "mode=700", "size=64k"),
		mount("/m/strict", "tmpfs", "tmpfs", "strictatime", "nodiratime"),
		mount("/m/plain", "tmpfs", "", "defaults"),
		mount("/m/last", "tmpfs", "tmpfs", "ro", "nosuid", "suid", "rw"),
		mount("/m/sync", "tmpfs", "tmpfs", "sync"),
		mount("/b/rw", "bind", source, "bind"),
		mount("/b/ro", "bind", source, "rbind", "ro"),
		mount("/b/all", "bind", source, "rbind", "rw", "nosuid", "nodev", "noexec", "noatime"),
		mount("/b/file", "bind", filepath.Join(source, "file"), "bind", "ro"),
		mount("/b/none", "none", source, "bind"),
		mount("relative/../rel", "tmpfs", "tmpfs"),
		mount("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"),
		mount("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),
	)
	v.edit(testkit.Args("/bin/sh", "-c", "cat /proc/self/mountinfo; cat /b/file >/dev/null; stat -c %a /m/all >/dev/null"))
	got := v.run()
	if got.code != 0 || !strings.Contains(got.stderr, `mounts[15].destination`) || strings.Count(got.stderr, "\n") != 1 {
		t.Fatalf("%+v", got)
	}
	mounts := mountsOf(t, got.stdout)
	for at, want := range map[string]string{
		"/m/ro": "ro,relatime", "/m/all": "rw,nosuid,nodev,noexec,noatime,nosymfollow", "/m/strict": "rw,nodiratime",
		"/m/plain": "rw,relatime", "/m/last": "rw,relatime", "/m/sync": "rw,relatime",
		"/b/rw": "rw,relatime", "/b/ro": "ro,relatime", "/b/all": "rw,nosuid,nodev,noexec,noatime", "/b/file": "ro,relatime", "/b/none": "rw,relatime",
		"/rel": "rw,relatime", "/proc": "rw,nosuid,nodev,noexec,relatime", "/sys": "ro,nosuid,nodev,noexec,relatime",
		"/dev/mqueue": "rw,nosuid,nodev,noexec,relatime", "/dev/shm": "rw,nosuid,nodev,noexec,relatime", "/dev": "rw,nosuid,relatime",
		"/dev/pts": "rw,nosuid,noexec,relatime",
	} {
		if m, ok := mounts[at]; !ok || m.options != want {
			t.Errorf("%s: got %q, want %q", at, m.options, want)
		}
	}
	for at, want := range map[string]string{"/m/all": "mode=700", "/m/sync": "sync", "/dev/shm": "size=65536k", "/dev/pts": "ptmxmode=666"} {
		if !has(mounts[at].super, want) {
			t.Errorf("%s: super options %q lack %s", at, mounts[at].super, want)
		}
	}
	for at, want := range map[string]string{"/dev/mqueue": "mqueue", "/dev/shm": "tmpfs", "/dev/pts": "devpts", "/proc": "proc", "/sys": "sysfs"} {
		if mounts[at].kind != want {
			t.Errorf("%s is %s", at, mounts[at].kind)
		}
	}
	if mounts["/dev/shm"].source != "shm" {
		t.Errorf("source of /dev/shm: %s", mounts["/dev/shm"].source)
	}
}

// mountTree makes a tmpfs with another below it, in the test's own namespace,
// and returns its path.
func mountTree(t *testing.T) string {
	t.Helper()
	testkit.Need(t, testkit.Root)
	dir := filepath.Join(t.TempDir(), "tree")
	must(t, os.Mkdir(dir, 0o755))
	for _, at := range []string{dir, dir + "/sub"} {
		must(t, os.MkdirAll(at, 0o755))
		must(t, syscall.Mount("tmpfs", at, "tmpfs", 0, "size=1m"))
		t.Cleanup(func() {
			if err := syscall.Unmount(at, syscall.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
	}
	return dir
}

// TestRootMountRecursive: the plain options act on the mount alone, those with
// an r on all below it; bind leaves the mounts below behind.
func TestRootMountRecursive(t *testing.T) {
	tree := mountTree(t)
	v := newVessel(t,
		mount("/bind", "bind", tree, "bind"),
		mount("/ro", "bind", tree, "rbind", "ro"),
		mount("/rro", "bind", tree, "rbind", "rro"),
		mount("/all", "bind", tree, "rbind", "rnosuid", "rnodev", "rnoexec", "rnoatime", "rnosymfollow", "rnodiratime"),
		mount("/mixed", "bind", tree, "rbind", "ro", "rnosuid", "rslave"),
	)
	mounts := mountsOf(t, v.sh("cat /proc/self/mountinfo"))
	if _, found := mounts["/bind/sub"]; found {
		t.Error("bind took the mount below")
	}
	for at, want := range map[string]string{
		"/ro": "ro,relatime", "/ro/sub": "rw,relatime", "/rro": "ro,relatime", "/rro/sub": "ro,relatime",
		"/all": "rw,nosuid,nodev,noexec,noatime,nodiratime,nosymfollow", "/all/sub": "rw,nosuid,nodev,noexec,noatime,nodiratime,nosymfollow",
		"/mixed": "ro,nosuid,relatime", "/mixed/sub": "rw,nosuid,relatime",
	} {
		if got := mounts[at].options; got != want {
			t.Errorf("%s: got %q, want %q", at, got, want)
		}
	}
}

// TestRootMountPropagation reads back what each kind of propagation means, and
// that it is as deep as its option says.
func TestRootMountPropagation(t *testing.T) {
	tree := mountTree(t)
	for _, at := range []string{tree, tree + "/sub"} {
		must(t, syscall.Mount("", at, "", syscall.MS_SHARED, ""))
	}
	v := newVessel(t,
		mount("/none", "bind", tree, "rbind"),
		mount("/private", "bind", tree, "rbind", "private"),
		mount("/rprivate", "bind", tree, "rbind", "rprivate"),
		mount("/slave", "bind", tree, "rbind", "slave"),
		mount("/rslave", "bind", tree, "rbind", "rslave", "ro"),
		mount("/shared", "bind", tree, "rbind", "shared"),
		mount("/rshared", "bind", tree, "rbind", "rshared"),
		mount("/runbindable", "bind", tree, "rbind", "runbindable"),
		mount("/tmpfs", "tmpfs", "tmpfs", "shared"),
	)
	mounts := mountsOf(t, v.sh("cat /proc/self/mountinfo"))
	for at, want := range map[string]string{
		"/private": "", "/rprivate": "", "/rprivate/sub": "",
		"/slave": "master:", "/rslave": "master:", "/rslave/sub": "master:",
		"/shared": "shared:", "/rshared": "shared:", "/rshared/sub": "shared:", "/shared/sub": "master:",
		"/runbindable": "unbindable", "/runbindable/sub": "unbindable", "/tmpfs": "shared:",
		"/none": "master:", "/none/sub": "master:", "/private/sub": "master:",
	} {
		got, found := mounts[at]
		if !found || got.propagation == "" != (want == "") || !strings.HasPrefix(got.propagation, want) {
			t.Errorf("%s: got %q (%v), want %q", at, got.propagation, found, want)
		}
	}
}

// TestRootRootfsPropagation: of the root itself.
func TestRootRootfsPropagation(t *testing.T) {
	for option, want := range map[string]string{"": "", "slave": "", "rslave": "", "private": "", "rprivate": "", "shared": "shared:", "rshared": "shared:", "unbindable": "unbindable"} {
		v := newVessel(t, func(s *specs.Spec) { s.Linux.RootfsPropagation = option })
		got := mountsOf(t, v.sh("cat /proc/self/mountinfo"))["/"].propagation
		if (option == "" || strings.HasSuffix(option, "slave")) && (got == "" || strings.HasPrefix(got, "master:")) {
			continue // a slave of the host's, which is private or shared
		}
		if got == "" != (want == "") || !strings.HasPrefix(got, want) {
			t.Errorf("%q: got %q", option, got)
		}
	}
}

// TestRootMountReachesSlave: what the host mounts below a slave bind mount later
// arrives in the container; what the container mounts does not reach the host.
func TestRootMountReachesSlave(t *testing.T) {
	tree := mountTree(t)
	must(t, syscall.Mount("", tree, "", syscall.MS_SHARED, ""))
	must(t, os.Mkdir(tree+"/late", 0o755))
	must(t, os.Mkdir(tree+"/mine", 0o755))
	v := newVessel(t, mount("/data", "bind", tree, "rbind", "rslave"), allCapabilities)
	v.edit(testkit.Args("/bin/sh", "-c", "mount -t tmpfs x /data/mine && touch /data/mine/x && grep -c ' /data/late ' /proc/self/mountinfo"))
	v.create()
	must(t, syscall.Mount("tmpfs", tree+"/late", "tmpfs", 0, ""))
	defer syscall.Unmount(tree+"/late", syscall.MNT_DETACH)
	pid := v.status().Pid
	data, err := os.ReadFile(filepath.Join("/proc", itoa(pid), "mountinfo"))
	must(t, err)
	if _, found := mountsOf(t, string(data))["/data/late"]; !found {
		t.Error("a mount of the host did not arrive")
	}
	v.quietStart()
	waitFor(t, "its end", func() bool { return v.status().Status == specs.StateStopped })
	if _, err := os.Stat(tree + "/mine/x"); err == nil {
		t.Error("a mount of the container reached the host")
	}
}

// TestRootOverlay: an overlay of directories of the host.
func TestRootOverlay(t *testing.T) {
	tree := mountTree(t)
	for _, name := range []string{"lower", "upper", "work"} {
		must(t, os.Mkdir(filepath.Join(tree, name), 0o755))
	}
	must(t, os.WriteFile(tree+"/lower/file", []byte("below\n"), 0o644))
	v := newVessel(t, mount("/o", "overlay", "overlay", "lowerdir="+tree+"/lower,upperdir="+tree+"/upper,workdir="+tree+"/work"))
	if got := v.sh("cat /o/file; echo above > /o/file; cat /o/file"); got != "below\nabove\n" {
		t.Errorf("got %q", got)
	}
	if got, _ := os.ReadFile(tree + "/upper/file"); string(got) != "above\n" {
		t.Errorf("upper: %q", got)
	}
}

// TestRootReadonlyRoot: nothing can be written to the root, and mounts on it can.
func TestRootReadonlyRoot(t *testing.T) {
	v := newVessel(t, mount("/tmp", "tmpfs", "tmpfs"), func(s *specs.Spec) { s.Root.Readonly = true })
	if got := v.sh("touch /x 2>/dev/null && echo wrote; touch /tmp/x && echo tmp; touch /dev/x && echo dev"); got != "tmp\ndev\n" {
		t.Errorf("got %q", got)
	}
	v.edit(func(s *specs.Spec) { s.Root.Readonly = false })
	if got := v.sh("touch /x && echo wrote"); got != "wrote\n" {
		t.Errorf("rw: got %q", got)
	}
}

// TestRootMaskedPaths: files and directories are covered, absent ones passed
// over; readonly paths cannot be written.
func TestRootMaskedPaths(t *testing.T) {
	v := newVessel(t, func(s *specs.Spec) {
		s.Linux.MaskedPaths = []string{"/secret", "/secrets", "/absent", "/proc/timer_list", "/link", "/sys/firmware"}
		s.Linux.ReadonlyPaths = []string{"/fixed", "/proc/sys", "/absent/too", "/fixed.txt"}
	}, allCapabilities)
	v.write("secret", "hidden", 0o644)
	v.write("secrets/one", "hidden", 0o644)
	v.write("target", "hidden", 0o644)
	v.write("fixed/file", "here", 0o644)
	v.write("fixed.txt", "here", 0o644)
	must(t, os.Symlink("/target", v.rootfs("link")))
	got := v.sh(`cat /secret /proc/timer_list /target; ls /secrets /sys/firmware; cat /fixed/file; echo
		for f in /secrets/x /fixed/x /fixed/file /fixed.txt /proc/sys/kernel/domainname; do { echo x > $f; } 2>/dev/null && echo wrote $f; done; stat -c %t,%T /secret`)
	if got != "/secrets:\n\n/sys/firmware:\nhere\n1,3\n" {
		t.Errorf("got %q", got)
	}
}
