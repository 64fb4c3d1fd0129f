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
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// namespaceFiles are the files of /proc/PID/ns, by the spec's names.
var namespaceFiles = map[specs.LinuxNamespaceType]string{
	specs.PIDNamespace: "pid", specs.MountNamespace: "mnt", specs.IPCNamespace: "ipc", specs.UTSNamespace: "uts",
	specs.NetworkNamespace: "net", specs.CgroupNamespace: "cgroup", specs.UserNamespace: "user", specs.TimeNamespace: "time",
}

func namespaceOf(t testing.TB, pid, kind string) string {
	t.Helper()
	link, err := os.Readlink("/proc/" + pid + "/ns/" + kind)
	must(t, err)
	return link
}

// running makes a container that waits, and returns it with its pid.
func running(t testing.TB, edits ...func(*specs.Spec)) (vessel, int) {
	t.Helper()
	v := newVessel(t, append([]func(*specs.Spec){testkit.Args("sleep", "1000")}, edits...)...)
	v.quiet("run", "--detach", "--bundle", v.bundle, v.id)
	return v, v.status().Pid
}

// TestRootNamespacesNew: all kinds at once are new, and a container without one
// of a kind is in ours.
func TestRootNamespacesNew(t *testing.T) {
	_, pid := running(t, mapped, namespace(specs.TimeNamespace, ""))
	for kind, file := range namespaceFiles {
		if namespaceOf(t, itoa(pid), file) == namespaceOf(t, "self", file) {
			t.Errorf("%s is ours", kind)
		}
	}
	for _, kind := range []specs.LinuxNamespaceType{specs.PIDNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.NetworkNamespace, specs.CgroupNamespace} {
		_, pid := running(t, noNamespace(kind), func(s *specs.Spec) {
			if kind == specs.UTSNamespace {
				s.Hostname = ""
			}
			if kind == specs.NetworkNamespace { // sysfs wants to belong to the network namespace's owner
				s.Mounts = s.Mounts[:3]
			}
		})
		for other, file := range namespaceFiles {
			ours := namespaceOf(t, itoa(pid), file) == namespaceOf(t, "self", file)
			if want := other == kind || other == specs.UserNamespace || other == specs.TimeNamespace; ours != want {
				t.Errorf("without %s: %s: ours is %v", kind, other, ours)
			}
		}
	}
}

// TestRootNamespacesJoined: each kind by path, alone, and all together.
func TestRootNamespacesJoined(t *testing.T) {
	_, first := running(t, mapped, namespace(specs.TimeNamespace, ""))
	path := func(file string) string { return fmt.Sprintf("/proc/%d/ns/%s", first, file) }
	check := func(pid int, kinds ...specs.LinuxNamespaceType) {
		t.Helper()
		for _, kind := range kinds {
			file := namespaceFiles[kind]
			if namespaceOf(t, itoa(pid), file) != namespaceOf(t, itoa(first), file) {
				t.Errorf("%s was not joined", kind)
			}
		}
	}
	for _, kind := range []specs.LinuxNamespaceType{specs.PIDNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.NetworkNamespace, specs.CgroupNamespace, specs.TimeNamespace} {
		edits := []func(*specs.Spec){namespace(kind, path(namespaceFiles[kind])), func(s *specs.Spec) { s.Hostname = "" }}
		if kind == specs.NetworkNamespace {
			edits = append(edits, func(s *specs.Spec) { s.Mounts = s.Mounts[:3] })
		}
		_, pid := running(t, edits...)
		check(pid, kind)
	}
	_, pid := running(t, namespace(specs.UserNamespace, path("user")))
	check(pid, specs.UserNamespace)
	all := func(s *specs.Spec) {
		for kind, file := range namespaceFiles {
			if kind != specs.MountNamespace && kind != specs.CgroupNamespace {
				namespace(kind, path(file))(s)
			}
		}
		s.Hostname = ""
	}
	_, pid = running(t, all)
	check(pid, specs.UserNamespace, specs.PIDNamespace, specs.NetworkNamespace, specs.TimeNamespace, specs.IPCNamespace, specs.UTSNamespace)
}

// TestRootNamespaceWrong: a path of another kind, of no namespace, of nothing.
func TestRootNamespaceWrong(t *testing.T) {
	v := newVessel(t, namespace(specs.IPCNamespace, "/proc/self/ns/net"))
	v.expectRefusal("linux.namespaces[5]", "(EINVAL)")
	v.edit(namespace(specs.IPCNamespace, "/etc/passwd"))
	v.expectRefusal("linux.namespaces[5]", "(EINVAL)")
	v.edit(namespace(specs.IPCNamespace, "/no/such/thing"))
	v.expectRefusal("linux.namespaces[5]", "(ENOENT)")
}

// TestRootNames: host name and domain name, and lo is up.
func TestRootNames(t *testing.T) {
	v := newVessel(t, func(s *specs.Spec) { s.Hostname, s.Domainname = "ship", "sea.example" })
	if got := v.sh("hostname; cat /proc/sys/kernel/domainname; cat /sys/class/net/lo/operstate; ip -o addr show lo | grep -c 127.0.0.1"); got != "ship\nsea.example\nunknown\n1\n" {
		t.Errorf("got %q", got)
	}
}

// TestRootUserNamespace: the maps are those asked for, files that the runtime
// makes belong to the namespace's root, and its root has no power on the host.
func TestRootUserNamespace(t *testing.T) {
	v := newVessel(t, mapped, func(s *specs.Spec) {
		s.Linux.UIDMappings = append(s.Linux.UIDMappings, specs.LinuxIDMapping{ContainerID: 70000, HostID: 300000, Size: 10})
		s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = []string{"/proc/timer_list", "/sys/firmware"}, []string{"/proc/sys"}
		s.Process.Cwd = "/made/cwd"
	}, mount("/made/mount", "tmpfs", "tmpfs"), mount("/dev/mqueue", "mqueue", "mqueue"))
	must(t, chownTree(v.rootfs(""), 100000, 200000))
	got := v.sh("cat /proc/self/uid_map /proc/self/gid_map | tr -s ' '; id -u; echo x > /dev/null && ls -l /dev/null | cut -c1; touch /own; cat /proc/timer_list; stat -c %u:%g /made /dev /dev/pts /made/mount; cat /proc/self/setgroups")
	if want := " 0 100000 65536\n 70000 300000 10\n 0 200000 65536\n0\nc\n0:0\n0:0\n0:0\n0:0\nallow\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, name := range []string{"made", "made/cwd", "made/mount", "own"} {
		var st syscall.Stat_t
		must(t, syscall.Stat(v.rootfs(name), &st))
		if st.Uid != 100000 || st.Gid != 200000 {
			t.Errorf("%s belongs to %d:%d", name, st.Uid, st.Gid)
		}
	}
}

func chownTree(dir string, uid, gid int) error {
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err == nil {
			err = os.Lchown(path, uid, gid)
		}
		return err
	})
}

// TestRootUserNamespaceUser: an id inside, and one that is not mapped.
func TestRootUserNamespaceUser(t *testing.T) {
	v := newVessel(t, mapped, func(s *specs.Spec) { s.Process.User = specs.User{UID: 33, GID: 44, AdditionalGids: []uint32{55}} })
	if got := v.sh("id -u; id -g; id -G"); got != "33\n44\n44 55\n" {
		t.Errorf("got %q", got)
	}
	v.edit(func(s *specs.Spec) { s.Process.User = specs.User{UID: 70000} })
	v.expectRefusal("process.user", "is not mapped")
}

// TestRootTimeOffsets: the container's clocks are shifted, in both directions.
func TestRootTimeOffsets(t *testing.T) {
	v := newVessel(t, namespace(specs.TimeNamespace, ""), func(s *specs.Spec) {
		s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 1000000, Nanosecs: 5}, "monotonic": {Secs: 2000000}}
	})
	fields := strings.Fields(v.sh("cat /proc/self/timens_offsets; cut -d. -f1 /proc/uptime"))
	want := []string{"monotonic", "2000000", "0", "boottime", "1000000", "5"}
	if len(fields) != 7 || strings.Join(fields[:6], " ") != strings.Join(want, " ") {
		t.Fatalf("got %v", fields)
	}
	var uptime int
	fmt.Sscan(fields[6], &uptime)
	if uptime < 1000000 {
		t.Errorf("uptime is %d", uptime)
	}
	v.edit(func(s *specs.Spec) {
		s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: -1 << 40}}
	})
	v.expectRefusal("linux.timeOffsets.boottime", "(ERANGE)")
}

// TestRootNoPidNamespace: most signals are the init's alone; SIGKILL is for all, and
// "kill --all" reaches those that are left when the init is gone.
func TestRootNoPidNamespace(t *testing.T) {
	v := newVessel(t, noNamespace(specs.PIDNamespace), testkit.Args("/bin/sh", "-c", "sleep 1000 & echo $! > /child; sleep 1000 & wait %1"))
	start := func() (child string) {
		must(t, os.RemoveAll(v.rootfs("child")))
		v.quiet("run", "--detach", "--bundle", v.bundle, v.id)
		waitFor(t, "the child", func() bool { data, _ := os.ReadFile(v.rootfs("child")); return len(data) > 0 })
		data, _ := os.ReadFile(v.rootfs("child"))
		return strings.TrimSpace(string(data))
	}
	stopped := func() bool { return v.status().Status == specs.StateStopped }

	child := start()
	v.quiet("kill", v.id, "TERM")
	waitFor(t, "the end of init", stopped)
	if ended(child) {
		t.Error("the child ended by a signal to the init")
	}
	v.quiet("kill", "--all", v.id, "9")
	waitFor(t, "the end of the child", func() bool { return ended(child) })
	v.quiet("delete", v.id)

	child = start()
	v.quiet("kill", v.id, "KILL")
	waitFor(t, "the end of init", stopped)
	waitFor(t, "the end of the child, too", func() bool { return ended(child) })
	v.quiet("delete", v.id)
}

// ended tells whether a process is gone, or a zombie that somebody else has to reap.
func ended(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ")
}

// TestRootNoMountNamespace: without one the root is changed by chroot, and what
// would change mounts is refused.
func TestRootNoMountNamespace(t *testing.T) {
	v := newVessel(t, noNamespace(specs.MountNamespace))
	v.expectRefusal("mounts", "mount namespace")
	v.edit(func(s *specs.Spec) { s.Mounts = nil })
	if got := v.sh("ls -d /bin/busybox"); got != "/bin/busybox\n" {
		t.Errorf("got %q", got)
	}
	v.edit(func(s *specs.Spec) { s.Root.Readonly = true })
	v.expectRefusal("root.readonly")
}

// TestRootHostNetwork: no network namespace; sysfs cannot be a new one then in a
// user namespace, but a bind of ours is fine.
func TestRootHostNetwork(t *testing.T) {
	v := newVessel(t, noNamespace(specs.NetworkNamespace))
	own, err := os.ReadFile("/proc/net/dev")
	must(t, err)
	got := v.sh("cat /proc/net/dev")
	for line := range strings.Lines(string(own)) {
		if name, _, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && !strings.HasPrefix(name, "veth") && !strings.Contains(got, name+":") {
			t.Errorf("no %s in %q", name, got)
		}
	}
}

// TestRootCgroupMount shows the container its cgroups, with a cgroup namespace and
// without, read-only and not.
func TestRootCgroupMount(t *testing.T) {
	for _, private := range []bool{true, false} {
		v := newVessel(t, mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro", "nosuid", "noexec", "nodev", "relatime"))
		if !private {
			v.edit(noNamespace(specs.CgroupNamespace))
		}
		got := v.sh("cat /proc/self/mountinfo; echo ---; find /sys/fs/cgroup -name cgroup.procs -maxdepth 2 -exec cat {} +; touch /sys/fs/cgroup/x 2>/dev/null && echo wrote; true")
		list, rest, _ := strings.Cut(got, "---\n")
		mounts := mountsOf(t, list)
		if m := mounts["/sys/fs/cgroup"]; !has(m.options, "ro", "nosuid", "noexec", "nodev") {
			t.Errorf("private %v: %+v", private, m)
		}
		if !strings.HasPrefix(rest, "1\n") || strings.Contains(rest, "wrote") {
			t.Errorf("private %v: %q", private, rest)
		}
		for at, m := range mounts {
			if strings.HasPrefix(at, "/sys/fs/cgroup/") && !has(m.options, "ro", "nosuid", "noexec", "nodev") {
				t.Errorf("%s: %s", at, m.options)
			}
		}
	}
}

// TestRootOrphan: after create the init is a child of whoever reaps the caller's
// orphans, and the pid of the pid-file is that of the init.
func TestRootOrphan(t *testing.T) {
	v := newVessel(t, testkit.Args("true"))
	file := filepath.Join(t.TempDir(), "pid")
	becomeSubreaper(t)
	v.create("--pid-file", file)
	data, err := os.ReadFile(file)
	must(t, err)
	pid := v.status().Pid
	if string(data) != itoa(pid) {
		t.Errorf("pid-file %q, pid %d", data, pid)
	}
	status, err := os.ReadFile("/proc/" + itoa(pid) + "/status")
	must(t, err)
	if parent := field(string(status), "PPid"); parent != itoa(os.Getpid()) {
		t.Errorf("its parent is %s, we are %d", parent, os.Getpid())
	}
	v.quietStart()
	done := make(chan syscall.WaitStatus, 1)
	go func() {
		var ws syscall.WaitStatus
		syscall.Wait4(pid, &ws, 0, nil)
		done <- ws
	}()
	select {
	case ws := <-done:
		if ws.ExitStatus() != 0 {
			t.Errorf("status %d", ws)
		}
	case <-time.After(time.Minute):
		t.Error("it does not end")
	}
}

// TestRootMountNamespaceJoined: the root is a path of the namespace that is
// joined, and its mounts are seen.
func TestRootMountNamespaceJoined(t *testing.T) {
	_, first := running(t, mount("/shared", "tmpfs", "marked"))
	v := newVessel(t, namespace(specs.MountNamespace, fmt.Sprintf("/proc/%d/ns/mnt", first)), func(s *specs.Spec) {
		s.Mounts, s.Root.Path = nil, "/"
	})
	if got := v.sh("grep -c ' /shared .* marked ' /proc/1/mountinfo; pwd"); got != "1\n/\n" {
		t.Errorf("got %q", got)
	}
	v.edit(mount("/x", "tmpfs", "tmpfs"))
	v.expectRefusal("mounts", "mount namespace")
}

// TestRootNoPivot: with --no-pivot the root is changed by chroot, and the program
// sees nothing else all the same.
func TestRootNoPivot(t *testing.T) {
	v := newVessel(t, func(s *specs.Spec) { s.Linux.MaskedPaths = []string{"/etc/group"} },
		testkit.Args("/bin/sh", "-c", "cat /etc/group; ls /work 2>/dev/null; ls -d /bin/busybox; echo x >/dev/null && mount | grep -c ' /proc '"))
	if got := v.run("--no-pivot"); got != (said{stdout: "/bin/busybox\n1\n"}) {
		t.Errorf("%+v", got)
	}
	v.edit(func(s *specs.Spec) { s.Root.Readonly = true }, testkit.Args("touch", "/x"))
	if got := v.run("--no-pivot"); got.code == 0 || !strings.Contains(got.stderr, "Read-only") {
		t.Errorf("readonly: %+v", got)
	}
}

// TestRootNotExecutable: whether the program may be executed is asked for the
// container's user, at create.
func TestRootNotExecutable(t *testing.T) {
	v := newVessel(t, testkit.Args("/bin/mine"), func(s *specs.Spec) {
		s.Process.User = specs.User{UID: 1000, GID: 1001, AdditionalGids: []uint32{7}}
	})
	program, err := os.ReadFile(v.rootfs("bin/busybox"))
	must(t, err)
	v.write("bin/mine", string(program), 0o700)
	for _, c := range []struct {
		mode     os.FileMode
		uid, gid int
		allowed  bool
	}{
		{0o700, 0, 0, false}, {0o700, 1000, 0, true}, {0o070, 0, 1001, true}, {0o010, 0, 7, true}, {0o070, 1000, 1001, false},
		{0o701, 0, 1001, false}, {0o001, 0, 0, true}, {0o644, 1000, 0, false},
	} {
		must(t, os.Chown(v.rootfs("bin/mine"), c.uid, c.gid))
		must(t, os.Chmod(v.rootfs("bin/mine"), c.mode))
		got := v.coracle("create", "--bundle", v.bundle, v.id)
		if c.allowed && got != (said{}) {
			t.Errorf("%+v: %+v", c, got)
		}
		if !c.allowed {
			expectError(t, got, `exec: "/bin/mine": permission denied`)
		}
		v.quiet("delete", "--force", v.id)
	}
	// Root needs one x bit of any kind, also the root of a user namespace.
	must(t, os.Chown(v.rootfs("bin/mine"), 5, 5))
	must(t, os.Chmod(v.rootfs("bin/mine"), 0o700))
	v.edit(allCapabilities, func(s *specs.Spec) { s.Process.User = specs.User{} })
	v.create()
	v.quiet("delete", "--force", v.id)
	must(t, chownTree(v.rootfs(""), 100000, 200000))
	v.edit(mapped, func(s *specs.Spec) { s.Process.Capabilities = nil })
	v.create()
	v.quiet("delete", "--force", v.id)
	v.edit(func(s *specs.Spec) { s.Process.User.UID = 5 })
	v.expectRefusal(`exec: "/bin/mine": permission denied`)
}

// TestRootNamespacesRefused: where the kernel allows no more network namespaces the
// error says so, whoever was to make it: the thread that makes those of most
// containers, or the launch program. The limit is that of a user namespace of the test's.
func TestRootNamespacesRefused(t *testing.T) {
	testkit.NoLeaks(t)
	for _, edit := range []func(*specs.Spec){testkit.Args("true"), namespace(specs.TimeNamespace, "")} {
		v := newVessel(t, noNamespace(specs.CgroupNamespace), edit)
		c := v.command("run", "--bundle", v.bundle, v.id)
		c.Args = append([]string{"sh", "-c", `echo 0 > /proc/sys/user/max_net_namespaces && exec "$@"`, "sh"}, c.Args...)
		c.Path = "/bin/sh"
		c.SysProcAttr = inUserNamespace()
		expectError(t, finish(t, c), "coracle: config.json linux.namespaces: make namespaces: no space left on device (ENOSPC)", "max_*_namespaces")
		v.expectGone()
	}
}
