// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"os"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// inUserNamespace runs the container from a user namespace, in which all mounts
// of the machine are locked, as it is for coracle under a rootless engine. The ids
// are the same as outside.
func (v vessel) inUserNamespace(flags ...string) said {
	v.t.Helper()
	c := v.command(append(append([]string{"run", "--bundle", v.bundle}, flags...), v.id)...)
	c.SysProcAttr = inUserNamespace()
	return finish(v.t, c)
}

func inUserNamespace() *syscall.SysProcAttr {
	same := []syscall.SysProcIDMap{{Size: 1 << 20}}
	return &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, UidMappings: same, GidMappings: same, GidMappingsEnableSetgroups: true}
}

// onMounts runs the container in a mount namespace in which a script has mounted
// something.
func (v vessel) onMounts(script string) said {
	v.t.Helper()
	c := v.command("run", "--bundle", v.bundle, v.id)
	args := append([]string{"unshare", "--mount", "sh", "-c", script + ` && exec "$@"`, "sh"}, c.Args...)
	c.Path, c.Args = "/usr/bin/unshare", args
	return finish(v.t, c)
}

// TestRootLockedFlags: flags that the caller's user namespace must not take away
// stay, with a warning, and what is not locked is as asked for.
func TestRootLockedFlags(t *testing.T) {
	tree := mountTree(t)
	must(t, syscall.Mount("", tree, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY|syscall.MS_NOSUID|syscall.MS_NODEV, ""))
	v := newVessel(t, mount("/kept", "bind", tree, "rbind"), mount("/rw", "bind", tree, "rbind", "rw", "suid", "noexec"),
		mount("/noatime", "bind", tree, "rbind", "noatime", "rprivate"), mount("/ro", "bind", tree, "rbind", "ro", "noexec"),
		testkit.Args("cat", "/proc/self/mountinfo"))
	got := v.inUserNamespace()
	if got.code != 0 {
		t.Fatalf("%+v", got)
	}
	mounts := mountsOf(t, got.stdout)
	for at, want := range map[string]string{"/kept": "ro,nosuid,nodev,relatime", "/rw": "ro,nosuid,nodev,noexec,relatime", "/noatime": "ro,nosuid,nodev,relatime",
		"/ro": "ro,nosuid,nodev,noexec,relatime", "/kept/sub": "rw,relatime"} {
		if mounts[at].options != want {
			t.Errorf("%s: got %q, want %q", at, mounts[at].options, want)
		}
	}
	for _, field := range []string{"mounts[5].source: rw,suid,noexec: the flags of " + tree + " are locked", "mounts[6].source: "} {
		if !strings.Contains(got.stderr, field) {
			t.Errorf("no warning of %q in %q", field, got.stderr)
		}
	}
	if strings.Count(got.stderr, "\n") != 2 {
		t.Errorf("warnings: %q", got.stderr)
	}
}

// TestRootSysfsOfHost: a user namespace that has no network namespace of its own
// gets the host's sysfs, alone, and with the flags that were asked for.
func TestRootSysfsOfHost(t *testing.T) {
	v := newVessel(t, withUserNamespace, noNamespace(specs.NetworkNamespace), testkit.Args("cat", "/proc/self/mountinfo"))
	got := v.run()
	if got.code != 0 || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	var below []string
	for at, m := range mountsOf(t, got.stdout) {
		switch {
		case at == "/sys" && (m.kind != "sysfs" || m.options != "ro,nosuid,nodev,noexec,relatime"):
			t.Errorf("%+v", m)
		case strings.HasPrefix(at, "/sys/"):
			below = append(below, at)
		}
	}
	if len(below) != 0 {
		t.Errorf("mounts of the host came along: %q", below)
	}
	// With a network namespace it is the container's own.
	v = newVessel(t, withUserNamespace)
	if got := v.sh("ls /sys/class/net"); got != "lo\n" {
		t.Errorf("got %q", got)
	}
}

// TestRootSysfsOfCaller: under a rootless engine all that lies on the host's sysfs
// comes along, and nobody can write to it (CVE-2023-25809).
func TestRootSysfsOfCaller(t *testing.T) {
	for _, option := range []string{"ro", "rw"} {
		v := newVessel(t, noNamespace(specs.NetworkNamespace), noNamespace(specs.CgroupNamespace), allCapabilities, func(s *specs.Spec) {
			s.Mounts[3].Options = []string{"nosuid", "noexec", "nodev", option}
		})
		v.edit(testkit.Args("/bin/sh", "-c", "cat /proc/self/mountinfo; for d in $(find /sys/fs/cgroup -maxdepth 2 -name cgroup.procs); do { echo $$ > $d; } 2>/dev/null && echo WROTE $d >&2; done; true"))
		got := v.inUserNamespace()
		if got.code != 0 || got.stderr != "" {
			t.Fatalf("%+v", got)
		}
		for at, m := range mountsOf(t, got.stdout) {
			if at == "/sys" && m.kind != "sysfs" || strings.HasPrefix(at, "/sys") && !has(m.options, "ro", "nosuid", "nodev", "noexec") {
				t.Errorf("%s: %s %s", option, at, m.options)
			}
		}
	}
}

// TestRootCoveredProc: where a mount covers a part of the host's /proc, a user
// namespace gets no new procfs. One that shares the host's PIDs gets the host's,
// sysctls are written all the same, and anything else is an error with a reason.
func TestRootCoveredProc(t *testing.T) {
	const cover = "mount -t tmpfs tmpfs /proc/irq"
	v := newVessel(t, withUserNamespace, func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net.ipv4.ping_group_range": "0 7"} })
	expectError(t, v.onMounts(cover), "mounts[0]: make the mount of proc for /proc: operation not permitted (EPERM)", "mounted over a part of the host's /proc")
	v.edit(noNamespace(specs.PIDNamespace), testkit.Args("/bin/sh", "-c", "cat /proc/sys/net/ipv4/ping_group_range; test -d /proc/self/fd && grep -c ' /proc ' /proc/self/mountinfo"))
	if got := v.onMounts(cover); got != (said{stdout: "0\t7\n1\n"}) {
		t.Errorf("%+v", got)
	}
	// What is covered stays covered.
	v.edit(func(s *specs.Spec) { s.Linux.Sysctl = nil }, testkit.Args("/bin/sh", "-c", "ls /proc/irq | wc -l; cat /proc/self/mountinfo"))
	must(t, os.Mkdir(v.rootfs("x"), 0o755))
	if got := v.onMounts(cover); got.code != 0 || got.stderr != "" {
		t.Errorf("%+v", got)
	}
}

// TestRootCoveredSysctl: a sysctl that lies under a mount of the host's is not
// written to what lies above it.
func TestRootCoveredSysctl(t *testing.T) {
	v := newVessel(t, withUserNamespace, noNamespace(specs.PIDNamespace), func(s *specs.Spec) {
		s.Linux.Sysctl = map[string]string{"net.ipv4.ping_group_range": "0 7"}
	})
	got := v.onMounts("mount -t tmpfs tmpfs /proc/sys/net && mkdir /proc/sys/net/ipv4 && touch /proc/sys/net/ipv4/ping_group_range")
	expectError(t, got, "linux.sysctl", "open net.ipv4.ping_group_range", "(EXDEV)")
}
