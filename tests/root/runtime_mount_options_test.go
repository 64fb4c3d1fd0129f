// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// TestRootMountSuperblock reads back what is of a whole file system, of a new one
// and by remount; and each option that has nothing to show is taken.
func TestRootMountSuperblock(t *testing.T) {
	v := newVessel(t,
		mount("/sync", "tmpfs", "", "sync"), mount("/rsync", "tmpfs", "", "rsync"), mount("/async", "tmpfs", "", "sync", "async"),
		mount("/dirsync", "tmpfs", "", "dirsync"), mount("/rdirsync", "tmpfs", "", "rdirsync"),
		mount("/lazytime", "tmpfs", "", "lazytime"), mount("/nolazytime", "tmpfs", "", "lazytime", "nolazytime"),
		mount("/quiet", "tmpfs", "", "silent", "loud", "mand", "nomand", "rmand", "rnomand", "iversion", "noiversion", "defaults"),
		mount("/late", "tmpfs", "", "size=64k"), mount("/late", "", "", "remount", "size=128k", "sync", "nosuid", "ro"),
		mount("/bound", "bind", t.TempDir(), "bind", "sync"), mount("/proc", "", "", "remount", "bind", "ro"))
	v.edit(testkit.Args("cat", "/proc/self/mountinfo"))
	got := v.run()
	if got.code != 0 || !strings.Contains(got.stderr, "mounts[14].options[1]: sync is of a whole file system") || strings.Count(got.stderr, "\n") != 1 {
		t.Fatalf("%+v", got)
	}
	mounts := mountsOf(t, got.stdout)
	for at, want := range map[string]string{"/sync": "sync", "/rsync": "sync", "/dirsync": "dirsync", "/rdirsync": "dirsync", "/lazytime": "lazytime"} {
		if !has(mounts[at].super, want) {
			t.Errorf("%s: super options %q lack %s", at, mounts[at].super, want)
		}
	}
	for at, not := range map[string]string{"/async": "sync", "/nolazytime": "lazytime"} {
		if m, ok := mounts[at]; !ok || has(m.super, not) {
			t.Errorf("%s: super options %q", at, m.super)
		}
	}
	if m := mounts["/late"]; m.options != "ro,nosuid,relatime" || !has(m.super, "size=128k", "sync") {
		t.Errorf("remount: %+v", m)
	}
	if m := mounts["/proc"]; m.options != "ro,nosuid,nodev,noexec,relatime" || !has(m.super, "rw") {
		t.Errorf("remount of the mount alone: %+v", m)
	}
}

// TestRootMountReadonlyTmpfs: what is to be made on a read-only tmpfs, and in a
// read-only /dev, is made before it is read-only.
func TestRootMountReadonlyTmpfs(t *testing.T) {
	v := newVessel(t, func(s *specs.Spec) { s.Mounts[1].Options = append(s.Mounts[1].Options, "ro") },
		mount("/t", "tmpfs", "tmpfs", "ro"), mount("/t/a/b", "tmpfs", "tmpfs"), mount("/t/c/passwd", "bind", "/etc/passwd", "bind"), mount("/rro", "tmpfs", "tmpfs", "rro"), mount("/rro/x", "tmpfs", "tmpfs"))
	got := v.sh("for d in /t /t/a /t/a/b /dev /dev/pts /rro /rro/x; do { echo > $d/new; } 2>/dev/null && echo $d; done; echo > /dev/null; test -s /t/c/passwd && ls /dev | wc -l")
	if !strings.HasPrefix(got, "/t/a/b\n/rro/x\n") || strings.HasSuffix(got, "\n0\n") {
		t.Errorf("got %q", got)
	}
}

// TestRootMountTmpfsMode: a tmpfs looks like the directory that it covers.
func TestRootMountTmpfsMode(t *testing.T) {
	v := newVessel(t, mount("/private", "tmpfs", "tmpfs"), mount("/sticky", "tmpfs", "tmpfs"), mount("/said", "tmpfs", "tmpfs", "size=64k,mode=711"),
		mount("/absent", "tmpfs", "tmpfs"), mount("/link", "tmpfs", "tmpfs"), mount("/private/sub", "tmpfs", "tmpfs"))
	for name, mode := range map[string]os.FileMode{"private": 0o750, "sticky": 0o777 | os.ModeSticky, "said": 0o755, "real": 0o705} {
		must(t, os.Mkdir(v.rootfs(name), 0o755))
		must(t, os.Chmod(v.rootfs(name), mode))
	}
	must(t, os.Symlink("/real", v.rootfs("link")))
	if got := v.sh("stat -c %a /private /sticky /said /absent /real /private/sub"); got != "750\n1777\n711\n1777\n705\n1777\n" {
		t.Errorf("got %q", got)
	}
}

// TestRootMountCopyUp: the tmpfs holds what the image has below it: files of all
// kinds but devices and sockets, their owners, modes, times and attributes.
func TestRootMountCopyUp(t *testing.T) {
	volume := t.TempDir()
	v := newVessel(t, mount("/data", "tmpfs", "tmpfs", "tmpcopyup", "nosuid", "nodev"), mount("/empty", "tmpfs", "tmpfs", "tmpcopyup"), mount("/link", "tmpfs", "tmpfs", "tmpcopyup", "mode=700"),
		mount("/volume", "bind", volume, "bind"), mount("/volume/sub", "tmpfs", "tmpfs", "tmpcopyup"), mount("/data/deep/er", "tmpfs", "tmpfs", "tmpcopyup"), mount("/empty/x", "tmpfs", "tmpfs", "tmpcopyup"), allCapabilities)
	must(t, os.MkdirAll(volume+"/sub/of/volume", 0o755))
	v.write("volume/sub/hidden", "", 0o644)
	v.write("empty/.x", "", 0o644)
	must(t, os.Remove(v.rootfs("empty/.x")))
	v.write("data/file", "content", 0o4640)
	v.write("data/deep/er/file", strings.Repeat("x", 100_000), 0o600)
	v.write("target/inner", "in", 0o644)
	must(t, os.Symlink("target", v.rootfs("link")))
	must(t, os.Symlink("/etc/passwd", v.rootfs("data/link")))
	must(t, unix.Mkfifo(v.rootfs("data/fifo"), 0))
	must(t, os.Chmod(v.rootfs("data/fifo"), 0o622))
	must(t, unix.Mknod(v.rootfs("data/node"), unix.S_IFCHR|0o666, 0x103))
	must(t, os.Chown(v.rootfs("data/file"), 7, 8))
	must(t, os.Chmod(v.rootfs("data/file"), 0o640|os.ModeSetuid))
	must(t, os.Lchown(v.rootfs("data/link"), 9, 10))
	must(t, os.Chown(v.rootfs("data"), 11, 12))
	must(t, os.Chmod(v.rootfs("data"), 0o751))
	hole, err := os.Create(v.rootfs("data/hole"))
	must(t, err)
	must(t, hole.Truncate(1<<40))
	hole.Close()
	when := unix.Timeval{Sec: 1_000_000_000}
	must(t, unix.Utimes(v.rootfs("data/file"), []unix.Timeval{when, when}))
	got := v.sh(`cd /data; find . | sort; stat -c '%a %u %g %Y' file; stat -c '%a %u %g' . link fifo; cat file; wc -c < deep/er/file; stat -c %s hole
		readlink link; stat -f -c %T .; echo changed > file; ls /empty/x; cat /target/inner; stat -c %a /target; find /volume`)
	want := ".\n./deep\n./deep/er\n./deep/er/file\n./fifo\n./file\n./hole\n./link\n4640 7 8 1000000000\n751 11 12\n777 9 10\n622 0 0\ncontent100000\n1099511627776\n/etc/passwd\ntmpfs\nin700\n/volume\n/volume/sub\n/volume/sub/of\n/volume/sub/of/volume\n"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if data, _ := os.ReadFile(v.rootfs("data/file")); string(data) != "content" {
		t.Errorf("the image was changed: %q", data)
	}
}

// TestRootMountCopyUpRefused: an image that does not fit, in size or in depth, and
// one whose directory is a file.
func TestRootMountCopyUpRefused(t *testing.T) {
	testkit.NoLeaks(t)
	for _, c := range []struct {
		name string
		edit func(*specs.Spec)
		make func(vessel)
		want []string
	}{
		{"too large", mount("/data", "tmpfs", "tmpfs", "tmpcopyup", "size=64k"), func(v vessel) { v.write("data/file", strings.Repeat("x", 100_000), 0o644) }, []string{"mounts[4].options", "copy /data of the image", "(ENOSPC)"}},
		{"more than its memory", func(s *specs.Spec) {
			mount("/data", "tmpfs", "tmpfs", "tmpcopyup")(s)
			s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](1 << 20)}}
		}, func(v vessel) { v.write("data/file", strings.Repeat("x", 2<<20), 0o644) }, []string{"mounts[4].options", "(ENOSPC)"}},
		{"too deep", mount("/data", "tmpfs", "tmpfs", "tmpcopyup"), func(v vessel) {
			must(t, os.MkdirAll(v.rootfs("data"+strings.Repeat("/d", 300)), 0o755))
		}, []string{"mounts[4].options", "(ENAMETOOLONG)"}},
		{"a file", mount("/etc/passwd", "tmpfs", "tmpfs", "tmpcopyup"), func(vessel) {}, []string{"mounts[4].options", "(ENOTDIR)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := newVessel(t, c.edit)
			c.make(v)
			v.expectRefusal(c.want...)
		})
	}
}

// TestRootMountLinks: crun's options for symbolic links.
func TestRootMountLinks(t *testing.T) {
	source := t.TempDir()
	must(t, os.WriteFile(source+"/file", []byte("bound"), 0o644))
	must(t, os.Mkdir(source+"/dir", 0o755))
	must(t, os.Symlink("file", source+"/link"))
	must(t, os.Symlink("/nowhere", source+"/dangling"))
	v := newVessel(t, mount("/copied", "bind", source+"/link", "bind", "copy-symlink"), mount("/a/copied", "bind", source+"/dangling", "bind", "copy-symlink"),
		mount("/plain", "bind", source+"/file", "bind", "copy-symlink"), mount("/followed", "bind", source+"/link", "bind"),
		mount("/itself", "bind", source+"/link", "bind", "src-nofollow"),
		mount("/onlink", "bind", source+"/file", "bind", "dest-nofollow"), mount("/through", "bind", source+"/file", "bind"),
		mount("/d/dir", "bind", source+"/dir", "bind", "dest-nofollow"), mount("/d/new", "bind", source+"/file", "bind", "dest-nofollow"), mount("/d/fs", "tmpfs", "tmpfs", "dest-nofollow", "mode=701"))
	v.write("target", "image", 0o644)
	v.write("target2", "image2", 0o644)
	must(t, os.Symlink("target", v.rootfs("onlink")))
	must(t, os.Symlink("target2", v.rootfs("through")))
	script := "for l in /copied /a/copied /itself; do readlink $l; done; cat /plain /followed /onlink /target /target2 /d/new; test -d /d/dir && stat -c %a /d/fs"
	for range 2 { // the links are there the second time
		if got := v.sh(script); got != "file\n/nowhere\nfile\nboundboundboundimageboundbound701\n" {
			t.Errorf("got %q", got)
		}
	}
	must(t, os.Remove(v.rootfs("copied")))
	v.write("copied", "something else", 0o644)
	v.expectRefusal("mounts[4].destination", "(EEXIST)")
}

// TestRootMountIDMap: who owns files by each kind of mapping.
func TestRootMountIDMap(t *testing.T) {
	tree := mountTree(t)
	for _, name := range []string{"/five", "/sub/five"} {
		must(t, os.WriteFile(tree+name, nil, 0o644))
		must(t, os.Chown(tree+name, 5, 6))
	}
	ids := func(first uint32) []specs.LinuxIDMapping {
		return []specs.LinuxIDMapping{{ContainerID: 0, HostID: first, Size: 100}}
	}
	mapped := func(at string, options ...string) func(*specs.Spec) {
		return func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: at, Type: "bind", Source: tree, Options: options, UIDMappings: ids(1000), GIDMappings: ids(2000)})
		}
	}
	v := newVessel(t, mapped("/own", "rbind", "idmap"), mapped("/deep", "rbind", "ridmap", "ro"), mapped("/bare", "bind"),
		mount("/crun", "bind", tree, "rbind", "ridmap=uids=0-3000-3#5-4000-1;gids=0-5000-10"),
		func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/fs", Type: "tmpfs", Source: "tmpfs", Options: []string{"idmap", "mode=755", "nosuid"}, UIDMappings: ids(70), GIDMappings: ids(80)})
		})
	got := v.sh("stat -c '%u %g' /own/five /own/sub/five /deep/five /deep/sub/five /bare/five /crun/five /crun/sub/five /fs; touch /fs/x 2>/dev/null && echo wrote; grep -c '/deep ro.*idmapped' /proc/self/mountinfo")
	if want := "1005 2006\n5 6\n1005 2006\n1005 2006\n1005 2006\n4000 5006\n4000 5006\n70 80\n1\n"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for what, edit := range map[string]func(*specs.Spec){
		"container":   mount("/c", "bind", tree, "rbind", "ridmap"),
		"own":         mapped("/c", "rbind", "ridmap"),
		"relative":    mount("/c", "bind", tree, "rbind", "ridmap=uids=@5-7-1;gids=@6-8-1"),
		"file system": mount("/c", "tmpfs", "tmpfs", "idmap", "mode=751"),
	} {
		v := newVessel(t, withUserNamespace, edit)
		got := v.sh("stat -c '%u %g' /c/five /c/sub/five /c 2>/dev/null || true")
		want := map[string]string{"container": "5 6\n5 6\n0 0\n", "own": "65534 65534\n65534 65534\n65534 65534\n", "relative": "7 8\n7 8\n65534 65534\n", "file system": "0 0\n"}[what]
		if got != want {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
}

// withUserNamespace is an edit: a user namespace with a range of ids.
func withUserNamespace(s *specs.Spec) {
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 0, Size: 1}, {ContainerID: 1, HostID: 100001, Size: 65535}}
	s.Linux.GIDMappings = s.Linux.UIDMappings
}

// TestRootMountIDMapOfContainer: files of the host as the container's own.
func TestRootMountIDMapOfContainer(t *testing.T) {
	source := t.TempDir()
	must(t, os.WriteFile(source+"/five", nil, 0o600))
	must(t, os.Chown(source+"/five", 5, 6))
	v := newVessel(t, withUserNamespace, mount("/c", "bind", source, "bind", "idmap"), func(s *specs.Spec) { s.Process.User = specs.User{UID: 5, GID: 6} })
	v.sh("echo written >> /c/five && test -O /c/five")
	if data, _ := os.ReadFile(source + "/five"); string(data) != "written\n" {
		t.Errorf("got %q", data)
	}
}

// TestRootMountIDMapRefused names the option, whatever the kernel has against it.
func TestRootMountIDMapRefused(t *testing.T) {
	testkit.NoLeaks(t)
	ids := []specs.LinuxIDMapping{{HostID: 1000, Size: 1}}
	for name, c := range map[string]struct {
		m    specs.Mount
		want string
	}{
		"proc":           {specs.Mount{Destination: "/p", Type: "proc", Options: []string{"ro", "idmap"}}, "mounts[4].options[1]"},
		"cgroup":         {specs.Mount{Destination: "/p", Type: "cgroup", Options: []string{"idmap"}}, "mounts[4].options"},
		"without option": {specs.Mount{Destination: "/p", Type: "sysfs"}, "mounts[4].uidMappings"},
		"of proc":        {specs.Mount{Destination: "/p", Source: "/proc", Options: []string{"rbind", "idmap"}}, "mounts[4].options[1]"},
	} {
		c.m.UIDMappings, c.m.GIDMappings = ids, ids
		v := newVessel(t, func(s *specs.Spec) { s.Mounts = append(s.Mounts, c.m) })
		t.Log(name)
		v.expectRefusal(c.want, "(EINVAL)")
	}
}

// TestRootMountBadValues: one value at least that each option of a mount, and each
// field, cannot have. The error names it, and nothing is left.
func TestRootMountBadValues(t *testing.T) {
	testkit.NoLeaks(t)
	source := t.TempDir()
	must(t, os.WriteFile(filepath.Join(source, "file"), nil, 0o644))
	v := newVessel(t)
	for _, c := range []struct {
		m     specs.Mount
		words []string
	}{
		{specs.Mount{}, []string{"mounts[4].destination: is missing"}},
		{specs.Mount{Destination: "/x"}, []string{"mounts[4].type"}},
		{specs.Mount{Destination: "/x", Type: "tmpfs", Options: []string{"size=much"}}, []string{"mounts[4]", "size=much", "(EINVAL)"}},
		{specs.Mount{Destination: "/x", Type: "tmpfs", Options: []string{"tmpcopyup", "size=much"}}, []string{"mounts[4].options", "size=much", "(EINVAL)"}},
		{specs.Mount{Destination: "/x", Type: "tmpfs", Options: []string{"mode=" + strings.Repeat("7", 300)}}, []string{"mounts[4].options", "longer than 255 bytes"}},
		{specs.Mount{Destination: "/x", Type: "tmpfs", Options: []string{"rlazytime"}}, []string{"mounts[4]", "rlazytime", "(EINVAL)"}},
		{specs.Mount{Destination: "/x", Type: "tmpfs", Options: []string{"idmap"}}, []string{"mounts[4].options[0]", "nothing to map ids by"}},
		{specs.Mount{Destination: "/x", Source: source, Options: []string{"bind", "ridmap=uids=0"}}, []string{"mounts[4].options[1]", "ID-ID-SIZE"}},
		{specs.Mount{Destination: "/x", Source: source, Options: []string{"bind", "tmpcopyup"}}, []string{"mounts[4].options[1]"}},
		{specs.Mount{Destination: "/x", Type: "tmpfs", Options: []string{"copy-symlink"}}, []string{"mounts[4].options[0]"}},
		{specs.Mount{Destination: "/x", Type: "tmpfs", Options: []string{"src-nofollow"}}, []string{"mounts[4].options[0]"}},
		{specs.Mount{Destination: "/etc/passwd", Type: "tmpfs", Options: []string{"dest-nofollow"}}, []string{"mounts[4]", "(ENOTDIR)"}},
		{specs.Mount{Destination: "/absent", Options: []string{"remount", "ro"}}, []string{"mounts[4]", "(ENOENT)"}},
		{specs.Mount{Destination: "/etc", Options: []string{"remount", "ro"}}, []string{"mounts[4]", "(EINVAL)"}},
		{specs.Mount{Destination: "/dev", Options: []string{"remount", "nonsense"}}, []string{"mounts[4]", "set nonsense", "(EINVAL)"}},
		{specs.Mount{Destination: "/x", Type: "bind", Source: source, Options: []string{"ro"}}, []string{"mounts[4].options", "neither bind nor rbind"}},
		{specs.Mount{Destination: "/x", Source: source, Options: []string{"bind", "nosiud"}}, []string{"mounts[4].options[1]", "nosuid"}},
		{specs.Mount{Destination: "/x", Source: source + "/absent", Options: []string{"rbind"}}, []string{"mounts[4].source", "(ENOENT)"}},
		{specs.Mount{Destination: "/x", Source: source + "/absent", Options: []string{"bind", "src-nofollow"}}, []string{"mounts[4].source", "(ENOENT)"}},
		{specs.Mount{Destination: "/x", Source: source + "/absent", Options: []string{"bind", "copy-symlink"}}, []string{"mounts[4].source", "(ENOENT)"}},
	} {
		v.edit(func(s *specs.Spec) { s.Mounts = append(s.Mounts[:4], c.m) })
		v.expectRefusal(c.words...)
	}
	// Each flag of the mount itself, misspelt in one letter.
	for _, option := range strings.Fields("rov rwx nosuids suids nodevs devs noexecs execs nosymfollows symfollows noatimes atimes nodiratimes relatimes strictatimes privates shareds slaves unbindables rros rnosuids rprivates asyncs dirsyncs lazytimes silents louds mands iversions") {
		v.edit(func(s *specs.Spec) { s.Mounts = s.Mounts[:4] }, mount("/x", "bind", source, "bind", option))
		v.expectRefusal("mounts[4].options[1]", "unknown option", option)
	}
}
