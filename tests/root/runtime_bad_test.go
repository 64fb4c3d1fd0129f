// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// TestRootBadMounts: mounts that cannot be made, or only by leaving the root.
func TestRootBadMounts(t *testing.T) {
	testkit.NoLeaks(t)
	source := t.TempDir()
	must(t, os.WriteFile(source+"/file", nil, 0o644))
	must(t, os.Mkdir(source+"/dir", 0o755))
	for _, c := range []struct {
		name  string
		edit  func(*specs.Spec)
		words []string
	}{
		{"file on directory", mount("/etc", "bind", source+"/file", "bind"), []string{"mounts[4]", "not a directory (ENOTDIR)"}},
		{"directory on file", mount("/etc/passwd", "bind", source+"/dir", "bind"), []string{"mounts[4]", "not a directory (ENOTDIR)"}},
		{"no source", mount("/x", "bind", source+"/absent", "bind"), []string{"mounts[4].source", "(ENOENT)"}},
		{"source below a file", mount("/x", "bind", source+"/file/x", "bind"), []string{"mounts[4].source"}},
		{"parent is a file", mount("/etc/passwd/x/y", "tmpfs", "tmpfs"), []string{"mounts[4]", "not a directory (ENOTDIR)"}},
		{"parent is a file, bind", mount("/etc/passwd/x", "bind", source+"/file", "bind"), []string{"mounts[4]", "not a directory (ENOTDIR)"}},
		{"on the root", mount("/", "tmpfs", "tmpfs"), []string{"mounts[4].destination"}},
		{"above the root", mount("/../..", "tmpfs", "tmpfs"), []string{"mounts[4].destination"}},
		{"no such type", mount("/x", "nosuchfs", "x"), []string{"mounts[4]", "(ENODEV)"}},
		{"no such option", mount("/x", "tmpfs", "x", "nonsense=1"), []string{"mounts[4]", "(EINVAL)"}},
		{"name too long", mount("/"+strings.Repeat("n", 300), "tmpfs", "tmpfs"), []string{"mounts[4]", "(ENAMETOOLONG)"}},
		{"magic link", mount("/proc/self/cwd/x", "tmpfs", "tmpfs"), []string{"mounts[4]", "(ELOOP)"}},
		{"in proc", mount("/proc/nothing", "tmpfs", "tmpfs"), []string{"mounts[4]", "(ENOENT)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := newVessel(t, c.edit)
			v.expectRefusal(c.words...)
		})
	}
}

// TestRootHostileLinks: links of the image that lead to the host lead into the
// image; where the runtime itself makes things, they are refused.
func TestRootHostileLinks(t *testing.T) {
	outside := t.TempDir()
	for _, c := range []struct {
		name    string
		edits   []func(*specs.Spec)
		refused bool
	}{
		{"proc", nil, false}, {"sys", nil, false}, {"dev", nil, true}, {"etc", nil, false}, {"tmp", []func(*specs.Spec){mount("/tmp/a/b", "tmpfs", "tmpfs")}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := newVessel(t, append(c.edits, mount("/etc/made", "tmpfs", "tmpfs"))...)
			must(t, os.RemoveAll(v.rootfs(c.name)))
			must(t, os.Symlink(outside, v.rootfs(c.name)))
			v.edit(testkit.Args("/bin/true"))
			got := v.run()
			if c.refused {
				expectError(t, got, "/"+c.name)
			} else if got.code != 0 && strings.Count(got.stderr, "\n") != 1 {
				t.Errorf("%+v", got)
			}
			if left, _ := os.ReadDir(outside); len(left) != 0 {
				t.Errorf("made outside: %v", left)
			}
		})
	}
	for _, name := range []string{"null", "pts", "console", "ptmx", "fd"} {
		t.Run("dev/"+name, func(t *testing.T) {
			v := newVessel(t, func(s *specs.Spec) {
				s.Mounts = append(s.Mounts[:1], s.Mounts[2:]...)
				s.Process.Terminal = name == "console"
			})
			target := filepath.Join(outside, "target-"+name)
			must(t, os.WriteFile(target, []byte("mine"), 0o644))
			must(t, os.Symlink(target, v.rootfs("dev/"+name)))
			v.run()
			if data, err := os.ReadFile(target); string(data) != "mine" {
				t.Errorf("%q %v", data, err)
			}
			var st syscall.Stat_t
			must(t, syscall.Lstat(target, &st))
			if st.Mode != syscall.S_IFREG|0o644 || st.Uid != 0 {
				t.Errorf("mode %o", st.Mode)
			}
		})
	}
	t.Run("masks", func(t *testing.T) {
		secret := filepath.Join(outside, "secret")
		must(t, os.WriteFile(secret, []byte("of the host"), 0o644))
		v := newVessel(t, func(s *specs.Spec) {
			s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = []string{"/link", "/up"}, []string{"/link2", "/up2"}
		})
		for _, name := range []string{"link", "link2"} {
			must(t, os.Symlink(secret, v.rootfs(name)))
		}
		for _, name := range []string{"up", "up2"} {
			must(t, os.Symlink("../../../../../../../../../etc", v.rootfs(name)))
		}
		if got := v.sh("ls /etc; test -w /proc && echo"); strings.Contains(got, "passwd") {
			t.Errorf("the image's /etc is not masked: %q", got)
		}
	})
}

// TestRootBindTargets: a link that dangles inside the image, ".." in
// destinations, and missing parents.
func TestRootBindTargets(t *testing.T) {
	source := t.TempDir() + "/file"
	must(t, os.WriteFile(source, []byte("bound"), 0o644))
	v := newVessel(t, mount("/etc/resolv.conf", "bind", source, "bind", "ro"), mount("/a/../b/c/file", "bind", source, "bind"), mount("/etc/link/x", "bind", source, "bind"))
	must(t, os.Symlink("../run/resolv/stub.conf", v.rootfs("etc/resolv.conf")))
	must(t, os.MkdirAll(v.rootfs("run/resolv"), 0o755))
	must(t, os.Symlink("/var", v.rootfs("etc/link")))
	if got := v.sh("cat /etc/resolv.conf /run/resolv/stub.conf /b/c/file /var/x; ls -d /a 2>/dev/null; true"); got != "boundboundboundbound" {
		t.Errorf("got %q", got)
	}
}

// TestRootBundleNames: spaces, line breaks, quotes, unicode, a relative path, and
// a link to the bundle.
func TestRootBundleNames(t *testing.T) {
	for _, name := range []string{"with space", "line\nbreak", "ünïcode-容器", `quo"te's\`, "-dash", "%s", "comma,equals="} {
		parent := t.TempDir()
		bundle := filepath.Join(parent, name)
		writeRootfs(t, filepath.Join(bundle, "rootfs"))
		testkit.WriteConfig(t, bundle, testkit.Args("echo", "fine"))
		v := sameBundle(t, bundle)
		keepControllers(t)
		if got := v.run(); got != (said{stdout: "fine\n"}) {
			t.Errorf("%q: %+v", name, got)
		}
		c := v.command("run", "--bundle", "./"+name, v.id)
		c.Dir = parent
		if got := finish(t, c); got != (said{stdout: "fine\n"}) {
			t.Errorf("%q relative: %+v", name, got)
		}
		c = v.command("create", v.id)
		c.Dir = bundle
		if got := finish(t, c); got != (said{}) || v.status().Bundle != bundle {
			t.Errorf("%q as working directory: %+v", name, got)
		}
		v.quiet("delete", v.id)
		must(t, os.RemoveAll(filepath.Join(bundle, "rootfs", "bin")))
		if got := v.run(); strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("%q: %+v", name, got)
		}
	}
}

// TestRootStateDiskFull: no space for the state is one error, and nothing is left.
func TestRootStateDiskFull(t *testing.T) {
	testkit.Need(t, testkit.Root)
	disk := t.TempDir()
	must(t, syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=16k"))
	defer syscall.Unmount(disk, syscall.MNT_DETACH)
	v := newVessel(t)
	v.state = disk
	fill, err := os.Create(disk + "/fill")
	must(t, err)
	for err == nil {
		_, err = fill.Write(make([]byte, 4096))
	}
	fill.Close()
	v.expectRefusal("(ENOSPC)")
	must(t, os.Remove(disk+"/fill"))
	if got := v.run(); got.code != 0 && !strings.Contains(got.stderr, "(ENOSPC)") {
		t.Errorf("%+v", got)
	}
	must(t, syscall.Mount("", disk, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	v.expectRefusal("--root", "(EROFS)")
}

// TestRootReadonlyImage: a root file system that cannot be written, without the
// directories to mount on.
func TestRootReadonlyImage(t *testing.T) {
	v := newVessel(t)
	image := v.rootfs("")
	must(t, syscall.Mount(image, image, "", syscall.MS_BIND, ""))
	defer syscall.Unmount(image, syscall.MNT_DETACH)
	must(t, syscall.Mount("", image, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	if got := v.run(); got != (said{}) {
		t.Errorf("%+v", got)
	}
	v.edit(mount("/absent", "tmpfs", "tmpfs"))
	expectError(t, v.coracle("create", "--bundle", v.bundle, v.id), "mounts[4]", "read-only file system (EROFS)")
}

// TestRootLifecycleRefused: what is refused in which state, in runc's words.
func TestRootLifecycleRefused(t *testing.T) {
	v := newVessel(t, testkit.Args("sleep", "1000"))
	for _, call := range [][]string{{"state", v.id}, {"start", v.id}, {"kill", v.id}, {"delete", v.id}, {"kill", "--all", v.id, "9"}} {
		expectError(t, v.coracle(call...), "does not exist")
	}
	v.quiet("delete", "--force", v.id)
	v.create()
	expectError(t, v.coracle("create", "--bundle", v.bundle, v.id), "already exists")
	v.quietStart()
	expectError(t, v.coracle("start", v.id), "cannot start an already running container")
	expectError(t, v.coracle("delete", v.id), "cannot delete container "+v.id+" that is not stopped: running")
	expectError(t, v.coracle("kill", v.id, "NOTHING"), "NOTHING")
	expectError(t, v.coracle("kill", v.id, "999"), "999")
	v.quiet("kill", v.id, "0")
	v.quiet("kill", v.id, "KILL")
	waitFor(t, "its end", func() bool { return v.status().Status == specs.StateStopped })
	if s := v.status(); s.Pid != 0 {
		t.Errorf("pid %d", s.Pid)
	}
	expectError(t, v.coracle("start", v.id), "cannot start a container that has stopped")
	expectError(t, v.coracle("kill", v.id, "9"), "container not running")
	v.quiet("kill", "--all", v.id, "9")
	v.quiet("delete", v.id)
	v.expectGone()
	// A created one can be killed, and deleted.
	v.create()
	v.quiet("kill", v.id, "9")
	waitFor(t, "its end", func() bool { return v.status().Status == specs.StateStopped })
	v.quiet("delete", v.id)
	v.create()
	v.quiet("delete", v.id)
	for _, id := range []string{"", ".", "..", "a/b", "../x", strings.Repeat("x", 5000), "a b", "a\nb"} {
		expectError(t, v.coracle("create", "--bundle", v.bundle, id), "container")
	}
	if left, _ := os.ReadDir(v.state); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// TestRootStartFails: what only execve finds out; run removes the container then.
func TestRootStartFails(t *testing.T) {
	v := newVessel(t, testkit.Args("/bin/other"))
	elf, err := os.ReadFile(v.rootfs("bin/busybox"))
	must(t, err)
	elf[18], elf[19] = 21, 0 // e_machine: EM_PPC64
	must(t, os.WriteFile(v.rootfs("bin/other"), elf, 0o755))
	v.create()
	expectError(t, v.coracle("start", v.id), "process.args", "exec format error (ENOEXEC)")
	waitFor(t, "its end", func() bool { return v.status().Status == specs.StateStopped })
	v.quiet("delete", v.id)
	expectError(t, v.run(), "process.args", "exec format error (ENOEXEC)")
	v.expectGone()
	v.write("bin/script", "#!/no/such/interpreter\n", 0o755)
	v.edit(testkit.Args("/bin/script"))
	expectError(t, v.run(), "process.args", "no such file or directory (ENOENT)")
	v.edit(testkit.Args(append([]string{"/bin/true"}, strings.Split(strings.Repeat("x", 200), "")...)...), func(s *specs.Spec) {
		s.Process.Env = append(s.Process.Env, "LONG="+strings.Repeat("x", 200_000))
	})
	expectError(t, v.run(), "process.args", "(E2BIG)")
	v.expectGone()
}

// TestRootTwenty: twenty at once in one directory of states, which the first
// makes.
func TestRootTwenty(t *testing.T) {
	v := newVessel(t, testkit.Args("/bin/sh", "-c", "echo $HOSTNAME; cat /proc/sys/kernel/hostname"))
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			one := v
			one.id = fmt.Sprintf("%s-%d", v.id, i)
			c := exec.Command(testkit.Bin(t, "coracle"), "--root", v.state, "run", "--bundle", v.bundle, one.id)
			output, err := c.CombinedOutput()
			if err != nil || !strings.HasSuffix(string(output), "test\n") {
				t.Errorf("%d: %v %q", i, err, output)
			}
			one.expectGone()
		})
	}
	wait.Wait()
}

// TestRootBadLeavesNoParents: a create that fails late takes back the cgroups above
// the container's too, and leaves those that were there.
func TestRootBadLeavesNoParents(t *testing.T) {
	outer := fmt.Sprint("/coracle-parents-", os.Getpid())
	v := newVessel(t, testkit.Args("/bin/nothing"), func(s *specs.Spec) { s.Linux.CgroupsPath = outer + "/middle/inner" })
	v.expectRefusal("process.args[0]")
	own, err := os.ReadFile("/proc/self/cgroup")
	must(t, err)
	for line := range strings.Lines(string(own)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		name := strings.TrimPrefix(fields[1], "name=")
		for _, hierarchy := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/" + name} {
			for _, parent := range []string{outer, filepath.Join(fields[2], outer)} {
				if _, err := os.Stat(hierarchy + parent); err == nil {
					t.Errorf("%s is left", hierarchy+parent)
				}
			}
		}
	}
}
