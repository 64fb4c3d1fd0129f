// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// Each of these makes the attack of a CVE of another runtime, and shows that it
// fails. specs/cves.tsv says which is which.

// TestRootCVEImageLinks: the image's /proc or /sys is a symbolic link to what it has
// prepared: masks and read-only paths would land there. Devices are made on the
// mount of /dev, wherever that is, and not in the image.
func TestRootCVEImageLinks(t *testing.T) {
	testkit.NoLeaks(t)
	for _, name := range []string{"proc", "sys", "dev"} {
		v := newVessel(t, func(s *specs.Spec) {
			s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = []string{"/proc/kcore", "/sys/firmware"}, []string{"/proc/sys"}
		})
		must(t, os.RemoveAll(v.rootfs(name)))
		must(t, os.MkdirAll(v.rootfs("tmp/fake"), 0o755))
		must(t, os.Symlink("/tmp/fake", v.rootfs(name)))
		if name == "dev" {
			if got := v.sh("stat -c %t,%T /dev/null"); got != "1,3\n" {
				t.Errorf("got %q", got)
			}
		} else {
			v.expectRefusal("mounts[", "/"+name, "(ELOOP)", "the image has a symbolic link there")
		}
		if left, _ := os.ReadDir(v.rootfs("tmp/fake")); len(left) != 0 {
			t.Errorf("%s: made where the link leads: %v", name, left)
		}
	}
}

// TestRootCVEDevOfImage: /dev of the image, without a mount on it, is a link or has
// links to the host's files where devices are made.
func TestRootCVEDevOfImage(t *testing.T) {
	testkit.NoLeaks(t)
	outside := t.TempDir()
	noDev := func(s *specs.Spec) { s.Mounts = append(s.Mounts[:1], s.Mounts[3:]...) }
	v := newVessel(t, noDev, func(s *specs.Spec) {
		s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/sub/null", Type: "c", Major: 1, Minor: 3}, {Path: "/dev/fifo", Type: "p"}}
	})
	must(t, os.Symlink(outside, v.rootfs("dev/sub")))
	v.expectRefusal("linux.devices[0]")
	must(t, os.RemoveAll(v.rootfs("dev")))
	must(t, os.Symlink(outside, v.rootfs("dev")))
	v.expectRefusal("linux.devices", "/dev")
	if left, _ := os.ReadDir(outside); len(left) != 0 {
		t.Errorf("made on the host: %v", left)
	}
}

// TestRootCVENullSwapped: the image's /dev/null is a link to, or is itself, a file
// whose content masked paths would have; nobody opens or changes it.
func TestRootCVENullSwapped(t *testing.T) {
	for _, kind := range []string{"link", "file", "other device"} {
		v := newVessel(t, func(s *specs.Spec) {
			s.Mounts = append(s.Mounts[:1], s.Mounts[3:]...) // /dev is the image's
			s.Linux.MaskedPaths = []string{"/proc/version", "/secret"}
			s.Process.User = specs.User{UID: 1000, GID: 1000}
		})
		v.write("secret", "of the image", 0o644)
		v.write("target", "the attacker's", 0o666)
		switch kind {
		case "link":
			must(t, os.Symlink("/target", v.rootfs("dev/null")))
		case "file":
			v.write("dev/null", "the attacker's", 0o666)
		default:
			must(t, unix.Mknod(v.rootfs("dev/null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5)))) // zero
		}
		if got := v.sh("cat /proc/version /secret; stat -c %t,%T /proc/version /secret; cat /target"); got != "1,3\n1,3\nthe attacker's" {
			t.Errorf("%s: got %q", kind, got)
		}
		for _, name := range []string{"target", "dev/null"} {
			var st syscall.Stat_t
			must(t, syscall.Lstat(v.rootfs(name), &st))
			if st.Uid != 0 {
				t.Errorf("%s: %s now belongs to %d", kind, name, st.Uid)
			}
		}
	}
}

// TestRootCVERaceNull: while containers start, somebody exchanges /dev/null of a
// shared image for a link. What is masked stays masked.
func TestRootCVERaceNull(t *testing.T) {
	v := newVessel(t, func(s *specs.Spec) {
		s.Mounts = append(s.Mounts[:1], s.Mounts[3:]...)
		s.Linux.MaskedPaths = []string{"/proc/version"}
	})
	v.write("target", "the attacker's", 0o666)
	must(t, os.Symlink("/target", v.rootfs("dev/link")))
	must(t, unix.Mknod(v.rootfs("dev/null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	v.edit(testkit.Args("/bin/sh", "-c", "cat /proc/version; stat -c %t,%T /proc/version"))
	stop := exchange(t, v.rootfs("dev/null"), v.rootfs("dev/link"))
	ran := 0
	for range rounds(100) {
		if got := v.run(); got.code == 0 {
			ran++
			if got.stdout != "1,3\n" {
				t.Errorf("got %q", got.stdout)
			}
		}
	}
	stop()
	if ran == 0 {
		t.Error("none ran")
	}
}

// rounds is how often a race is run: less where each takes long.
func rounds(n int) int {
	if testing.Short() {
		return n / 20
	}
	return n
}

// exchange lets two names be exchanged over and over, by two threads, until the
// function that it returns is called.
func exchange(t *testing.T, a, b string) (stop func()) {
	t.Helper()
	var over atomic.Bool
	var racers sync.WaitGroup
	for range 2 {
		racers.Go(func() {
			for !over.Load() {
				if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	return func() { over.Store(true); racers.Wait() }
}

// TestRootCVEFakeProc: a volume covers /proc, with files where sysctls are. They are
// written to the kernel's own, by a procfs that the volume cannot cover.
func TestRootCVEFakeProc(t *testing.T) {
	fake := t.TempDir()
	must(t, os.MkdirAll(fake+"/sys/net/ipv4", 0o755))
	must(t, os.MkdirAll(fake+"/self/attr/apparmor", 0o755))
	must(t, os.WriteFile(fake+"/sys/net/ipv4/ping_group_range", []byte("fake\n"), 0o644))
	must(t, os.WriteFile(fake+"/self/oom_score_adj", []byte("fake\n"), 0o644))
	v := newVessel(t, mount("/proc", "bind", fake, "bind"), mount("/real", "proc", "proc"), func(s *specs.Spec) {
		s.Linux.Sysctl = map[string]string{"net.ipv4.ping_group_range": "0 7"}
		s.Process.OOMScoreAdj = ptr(321)
	})
	if got := v.sh("cat /real/sys/net/ipv4/ping_group_range /real/self/oom_score_adj /proc/sys/net/ipv4/ping_group_range /proc/self/oom_score_adj"); got != "0\t7\n321\nfake\nfake\n" {
		t.Errorf("got %q", got)
	}
}

// TestRootCVEConsole: links of the image where the terminal is found or put, and a
// volume that has a file for ptmx.
func TestRootCVEConsole(t *testing.T) {
	testkit.NoLeaks(t)
	outside := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(outside, []byte("mine"), 0o644))
	volume := t.TempDir()
	must(t, os.WriteFile(volume+"/ptmx", nil, 0o666))
	terminal := func(s *specs.Spec) { s.Process.Terminal, s.Process.User.UID = true, 1000 }
	for name, c := range map[string]struct {
		edits []func(*specs.Spec)
		make  func(vessel)
	}{
		"ptmx is a file": {[]func(*specs.Spec){terminal, func(s *specs.Spec) { s.Mounts = append(s.Mounts[:2], s.Mounts[3:]...) }, mount("/dev/pts", "bind", volume, "bind")}, func(vessel) {}},
		"pts is a link": {[]func(*specs.Spec){terminal, func(s *specs.Spec) { s.Mounts = append(s.Mounts[:1], s.Mounts[3:]...) }}, func(v vessel) {
			must(t, os.Symlink(volume, v.rootfs("dev/pts")))
		}},
		"ptmx is a link": {[]func(*specs.Spec){terminal, func(s *specs.Spec) { s.Mounts = append(s.Mounts[:1], s.Mounts[3:]...) }}, func(v vessel) {
			must(t, os.Mkdir(v.rootfs("dev/pts"), 0o755))
			must(t, os.Symlink(outside, v.rootfs("dev/pts/ptmx")))
		}},
	} {
		v := newVessel(t, c.edits...)
		c.make(v)
		if got := v.run(); got.code != 1 || !strings.Contains(got.stderr, "process.terminal") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	// The terminal lies over the link, not over what it leads to.
	v := newVessel(t, terminal, func(s *specs.Spec) { s.Mounts = append(s.Mounts[:1], s.Mounts[2:]...) })
	must(t, os.Symlink(outside, v.rootfs("dev/console")))
	v.run()
	var st syscall.Stat_t
	must(t, syscall.Lstat(outside, &st))
	if data, _ := os.ReadFile(outside); string(data) != "mine" || st.Uid != 0 || st.Mode != syscall.S_IFREG|0o644 {
		t.Errorf("%q belongs to %d, mode %o", data, st.Uid, st.Mode)
	}
}

// TestRootCVECwd: the working directory is a descriptor that the runtime might have
// leaked, by number, or by a link of the image.
func TestRootCVECwd(t *testing.T) {
	testkit.NoLeaks(t)
	v := newVessel(t, testkit.Args("/bin/pwd"))
	for fd := range 24 {
		v.edit(func(s *specs.Spec) { s.Process.Cwd = "/proc/self/fd/" + itoa(fd) })
		expectError(t, v.run(), "process.cwd")
	}
	must(t, os.Symlink("/proc/self/fd/7", v.rootfs("cwd")))
	v.edit(func(s *specs.Spec) { s.Process.Cwd = "/cwd" })
	expectError(t, v.run(), "process.cwd", "(ELOOP)")
	must(t, os.Symlink("/proc/1/cwd/../../../../..", v.rootfs("up")))
	v.edit(func(s *specs.Spec) { s.Process.Cwd = "/up" })
	expectError(t, v.run(), "process.cwd", "(ELOOP)")
}

// TestRootCVEInterpreter: a program of the image whose interpreter is
// /proc/self/exe, and one that writes to the executable of the container's init.
// What they reach is a sealed copy of a few KiB, and coracle is unchanged.
func TestRootCVEInterpreter(t *testing.T) {
	program := testkit.Bin(t, "coracle")
	before, err := os.ReadFile(program)
	must(t, err)
	v := newVessel(t, testkit.Args("/evil"), allCapabilities)
	v.write("evil", "#!/proc/self/exe\n", 0o755)
	if got := v.run(); got.code == 0 {
		t.Errorf("%+v", got)
	}
	// Another process of the same PID namespace waits for an init that it can write to.
	v.edit(testkit.Args("sleep", "1000"))
	v.create()
	init := v.status().Pid
	w := sameBundle(t, v.bundle)
	w.edit(func(s *specs.Spec) {
		for i := range s.Linux.Namespaces {
			if s.Linux.Namespaces[i].Type == specs.PIDNamespace {
				s.Linux.Namespaces[i].Path = "/proc/" + itoa(init) + "/ns/pid"
			}
		}
	}, testkit.Args("/bin/sh", "-c", "{ echo x > /proc/1/exe; } 2>&1; cat /proc/1/exe | wc -c"))
	got := w.run()
	if size := strings.TrimSpace(got.stdout[strings.LastIndexByte(strings.TrimSpace(got.stdout), '\n')+1:]); got.code != 0 || len(size) > 6 || strings.Contains(got.stdout, "coracle/bin") {
		t.Errorf("%+v", got)
	}
	if after, _ := os.ReadFile(program); !bytes.Equal(before, after) {
		t.Fatal("coracle's own file has changed")
	}
}

// TestRootCVETraceable: a container's init can be traced by nobody in the container
// for as long as it is not the container's program: what /proc shows of it belongs
// to the host's root, whoever its user is.
func TestRootCVETraceable(t *testing.T) {
	v := newVessel(t, testkit.Args("sleep", "1000"), func(s *specs.Spec) { s.Process.User = specs.User{UID: 1000, GID: 1000} })
	v.create()
	init := v.status().Pid
	for _, name := range []string{"environ", "fd", "mem", "exe"} {
		var st syscall.Stat_t
		must(t, syscall.Lstat("/proc/"+itoa(init)+"/"+name, &st))
		if st.Uid != 0 {
			t.Errorf("/proc/PID/%s belongs to %d: it is dumpable", name, st.Uid)
		}
	}
	w := sameBundle(t, v.bundle)
	w.edit(func(s *specs.Spec) {
		for i := range s.Linux.Namespaces {
			if s.Linux.Namespaces[i].Type == specs.PIDNamespace {
				s.Linux.Namespaces[i].Path = "/proc/" + itoa(init) + "/ns/pid"
			}
		}
	}, testkit.Args("/bin/sh", "-c", "for f in /proc/1/fd/* /proc/1/mem /proc/1/cwd/etc/passwd /proc/1/root/etc/passwd; do cat $f 2>/dev/null && echo read $f; done; true"))
	if got := w.run(); got != (said{}) {
		t.Errorf("%+v", got)
	}
	v.quiet("kill", v.id, "KILL")
}

// TestRootCVENumericName: a user of the image whose name is a number changes
// neither who the process is nor where its home is.
func TestRootCVENumericName(t *testing.T) {
	v := newVessel(t, func(s *specs.Spec) { s.Process.Env, s.Process.User.UID = []string{"PATH=/bin"}, 1000 })
	v.write("etc/passwd", "1000:x:0:0::/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n", 0o644)
	if got := v.sh("id -u; echo $HOME; cat /proc/self/status | grep ^Uid"); got != "1000\n/home/me\nUid:\t1000\t1000\t1000\t1000\n" {
		t.Errorf("got %q", got)
	}
}

// TestRootCVEInheritable: capabilities that are not asked to be inheritable are not.
func TestRootCVEInheritable(t *testing.T) {
	v := newVessel(t, func(s *specs.Spec) {
		all := []string{"CAP_CHOWN", "CAP_KILL"}
		s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: all, Effective: all, Permitted: all}
	})
	if got := v.sh("grep -E '^Cap(Inh|Amb|Eff)' /proc/self/status"); got != "CapInh:\t0000000000000000\nCapEff:\t0000000000000021\nCapAmb:\t0000000000000000\n" {
		t.Errorf("got %q", got)
	}
	if got := v.coracle("spec", "--bundle", t.TempDir()); got != (said{}) {
		t.Errorf("%+v", got)
	}
	dir := t.TempDir()
	v.quiet("spec", "--bundle", dir)
	data, err := os.ReadFile(dir + "/config.json")
	must(t, err)
	if bytes.Contains(data, []byte("inheritable")) || bytes.Contains(data, []byte("ambient")) {
		t.Errorf("the config that spec writes has inheritable capabilities:\n%s", data)
	}
}

// TestRootCVEHostCgroups: without a cgroup namespace, a writable cgroup mount has
// the container's own cgroups and no other.
func TestRootCVEHostCgroups(t *testing.T) {
	v := newVessel(t, noNamespace(specs.CgroupNamespace), mount("/sys/fs/cgroup", "cgroup", "cgroup", "rw"), allCapabilities)
	got := v.sh(`find /sys/fs/cgroup -name cgroup.procs | while read f; do for p in $(cat $f); do echo $p; done; done | sort -u
		echo ---; cat /proc/self/mountinfo; for f in $(find /sys/fs/cgroup -maxdepth 2 -name cgroup.procs); do ls $(dirname $f)/.. | grep -q release_agent && echo "$f: the root of a hierarchy"; done; true`)
	pids, rest, _ := strings.Cut(got, "---\n")
	for pid := range strings.FieldsSeq(pids) {
		if len(pid) > 2 || pid == "0" { // 0: a process of another PID namespace
			t.Errorf("process %s of the host is seen", pid)
		}
	}
	for line := range strings.Lines(rest) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], "/sys/fs/cgroup/") && !strings.Contains(f[3], v.id) {
			t.Errorf("%s shows %s", f[4], f[3])
		} else if len(f) <= 4 || strings.Contains(line, "root of a hierarchy") {
			t.Error(line)
		}
	}
}

// TestRootCVEReadonlyRoot: what the image has at /proc/self/fd leads a read-only
// root nowhere: it is so.
func TestRootCVEReadonlyRoot(t *testing.T) {
	v := newVessel(t, func(s *specs.Spec) { s.Root.Readonly, s.Mounts = true, s.Mounts[1:] }, allCapabilities)
	must(t, os.MkdirAll(v.rootfs("decoy"), 0o755))
	must(t, os.MkdirAll(v.rootfs("proc/self/fd"), 0o755))
	for fd := range 64 {
		must(t, os.Symlink("/decoy", v.rootfs("proc/self/fd/"+itoa(fd))))
	}
	if got := v.sh("for f in /x /decoy/x /etc/passwd /proc/self/x; do { echo > $f; } 2>/dev/null && echo wrote $f; done; true"); got != "" {
		t.Errorf("got %q", got)
	}
}

// TestRootCVECoveredLinks: masked and read-only paths that are links of the image
// cover what the links lead to in the image, and nothing of the host.
func TestRootCVECoveredLinks(t *testing.T) {
	host := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(host, []byte("of the host"), 0o644))
	v := newVessel(t, func(s *specs.Spec) {
		s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = []string{"/masked", "/away", "/dir/masked"}, []string{"/fixed", "/away2", "/magic"}
	}, allCapabilities)
	v.write("secret", "secret", 0o644)
	v.write("real/masked", "secret", 0o644)
	v.write("kept", "kept", 0o644)
	for link, to := range map[string]string{"masked": "../../../../secret", "away": host, "away2": host, "dir": "/real", "fixed": "/kept"} {
		must(t, os.Symlink(to, v.rootfs(link)))
	}
	if got := v.sh("cat /secret /masked /real/masked; { echo x > /kept; } 2>/dev/null || cat /fixed"); got != "kept" {
		t.Errorf("got %q", got)
	}
	if data, err := os.ReadFile(host); string(data) != "of the host" {
		t.Errorf("%q %v", data, err)
	}
	v.edit(func(s *specs.Spec) { s.Linux.MaskedPaths = []string{"/magic"} })
	must(t, os.Symlink("/proc/1/root/etc", v.rootfs("magic")))
	v.expectRefusal("(ELOOP)")
}

// TestRootCVERaceTargets: while containers start, two threads exchange what they
// mount on for links: files and directories that are missing are made in the image
// and nowhere else.
func TestRootCVERaceTargets(t *testing.T) {
	volume, outside := t.TempDir(), t.TempDir()
	for _, dir := range []string{"a/b/c", "x"} {
		must(t, os.MkdirAll(filepath.Join(volume, dir), 0o755))
	}
	must(t, os.Symlink(outside, filepath.Join(volume, "link")))
	v := newVessel(t, mount("/v", "bind", volume, "rbind"), mount("/v/a/b/c/d/e", "tmpfs", "tmpfs", "size=4k"), mount("/v/a/b/f/g", "bind", "/etc/hostname", "bind"),
		mount("/v/a/h", "bind", "/etc/hostname", "bind", "dest-nofollow"), testkit.Args("/bin/true"))
	stop := exchange(t, volume+"/a", volume+"/link")
	for range rounds(150) {
		if got := v.run(); got.code != 0 && strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("%+v", got)
		}
		if left, _ := os.ReadDir(outside); len(left) != 0 {
			t.Fatalf("made on the host: %v", left)
		}
	}
	stop()
	v.expectGone()
}

// TestRootCVERaceCopyUp: while an image is copied into a tmpfs, somebody exchanges a
// directory of it for a link to the host: nothing of the host is copied.
func TestRootCVERaceCopyUp(t *testing.T) {
	outside := t.TempDir()
	must(t, os.WriteFile(outside+"/secret", []byte("of the host"), 0o600))
	v := newVessel(t, mount("/data", "tmpfs", "tmpfs", "tmpcopyup"), testkit.Args("/bin/sh", "-c", "find /data -name secret"))
	v.write("data/a/file", "mine", 0o644)
	v.write("data/f", "mine", 0o644)
	must(t, os.Symlink(outside, v.rootfs("data/link")))
	must(t, os.Symlink(outside+"/secret", v.rootfs("data/g")))
	stopA, stopF := exchange(t, v.rootfs("data/a"), v.rootfs("data/link")), exchange(t, v.rootfs("data/f"), v.rootfs("data/g"))
	ran := 0
	for range rounds(100) {
		switch got := v.run(); {
		case got.code == 0 && got.stdout == "":
			ran++
		case got.code == 0 || strings.Count(got.stderr, "\n") != 1:
			t.Errorf("%+v", got)
		}
	}
	stopA()
	stopF()
	if ran == 0 {
		t.Error("none ran")
	}
}
