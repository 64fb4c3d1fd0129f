// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/coracle-oci/coracle/internal/testkit"
	"github.com/coracle-oci/coracle/runtime/config"
)

func itoa(n int) string { return strconv.Itoa(n) }

// quietStart starts a created container.
func (v vessel) quietStart() {
	v.t.Helper()
	v.quiet("start", v.id)
}

// allCapabilities is an edit that asks for all that the test itself has.
func allCapabilities(s *specs.Spec) {
	var names []string
	for n, own := 0, ownCapabilities(); n < 64; n++ {
		if name := config.CapabilityName(n); name != "" && own&(1<<n) != 0 {
			names = append(names, name)
		}
	}
	s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: names, Effective: names, Permitted: names}
}

func ownCapabilities() uint64 {
	data, _ := os.ReadFile("/proc/self/status")
	n, _ := strconv.ParseUint(field(string(data), "CapPrm"), 16, 64)
	return n
}

// field returns a value of /proc/PID/status.
func field(status, name string) string {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	return ""
}

// caps is capability names as the kernel prints them.
func caps(names ...string) string {
	var bits uint64
	for _, name := range names {
		n, _ := config.CapabilityNumber(name)
		bits |= 1 << n
	}
	text := strconv.FormatUint(bits, 16)
	return strings.Repeat("0", 16-len(text)) + text
}

// TestRootCapabilities: each of the five sets is the one asked for, for root and
// for another user.
func TestRootCapabilities(t *testing.T) {
	for _, uid := range []uint32{0, 1000} {
		v := newVessel(t, func(s *specs.Spec) {
			s.Process.User = specs.User{UID: uid, GID: uid}
			s.Process.Capabilities = &specs.LinuxCapabilities{
				Bounding:    []string{"CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_SETUID", "CAP_SYS_ADMIN"},
				Permitted:   []string{"CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"},
				Effective:   []string{"CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"},
				Inheritable: []string{"CAP_KILL", "CAP_NET_RAW"},
				Ambient:     []string{"CAP_KILL"},
			}
		}, testkit.Args("cat", "/proc/self/status"))
		got := v.run()
		// execve(2): root gets what the bounding set has, others the ambient set.
		permitted := caps("CAP_KILL")
		if uid == 0 {
			permitted = caps("CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_SETUID", "CAP_SYS_ADMIN")
		}
		for name, want := range map[string]string{
			"CapBnd": caps("CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_SETUID", "CAP_SYS_ADMIN"),
			"CapInh": caps("CAP_KILL", "CAP_NET_RAW"), "CapAmb": caps("CAP_KILL"), "CapPrm": permitted, "CapEff": permitted,
		} {
			if value := field(got.stdout, name); value != want {
				t.Errorf("uid %d: %s %s, want %s (%s)", uid, name, value, want, got.stderr)
			}
		}
	}
	v := newVessel(t, testkit.Args("cat", "/proc/self/status"))
	got := v.run()
	for _, name := range []string{"CapBnd", "CapInh", "CapAmb", "CapPrm", "CapEff"} {
		if value := field(got.stdout, name); value != caps() {
			t.Errorf("none asked for: %s %s (%s)", name, value, got.stderr)
		}
	}
}

// TestRootCapabilityUngrantable: what cannot be had is left out with a warning.
func TestRootCapabilityUngrantable(t *testing.T) {
	v := newVessel(t, testkit.Args("cat", "/proc/self/status"), func(s *specs.Spec) {
		names := []string{"CAP_CHOWN", "CAP_NOT_THERE"}
		s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: names, Permitted: names, Effective: names}
	})
	got := v.run()
	if got.code != 0 || field(got.stdout, "CapEff") != caps("CAP_CHOWN") || !strings.Contains(got.stderr, "CAP_NOT_THERE") {
		t.Errorf("%+v", got)
	}
}

// TestRootIdentity: ids, groups, no new privileges, umask, limits, oom score.
func TestRootIdentity(t *testing.T) {
	v := newVessel(t, func(s *specs.Spec) {
		s.Process.User = specs.User{UID: 1000, GID: 1001, AdditionalGids: []uint32{5, 6, 4000000000}, Umask: ptr[uint32](0o27)}
		s.Process.NoNewPrivileges = true
		s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 100, Hard: 200}, {Type: "RLIMIT_CORE", Soft: 0, Hard: 0}, {Type: "RLIMIT_NPROC", Soft: 50, Hard: 60}}
		s.Process.OOMScoreAdj = ptr(321)
	}, testkit.Args("/bin/sh", "-c", "cat /proc/self/status; cat /proc/self/oom_score_adj /proc/self/limits; umask"))
	got := v.run()
	for name, want := range map[string]string{
		"Uid": "1000 1000 1000 1000", "Gid": "1001 1001 1001 1001", "Groups": "5 6 4000000000", "NoNewPrivs": "1", "Umask": "0027",
	} {
		if value := field(got.stdout, name); value != want {
			t.Errorf("%s: %q, want %q", name, value, want)
		}
	}
	text := strings.Join(strings.Fields(got.stdout), " ")
	for _, want := range []string{"Max open files 100 200 files", "Max core file size 0 0 bytes", "Max processes 50 60 processes", " 321 Limit"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q (%s)", want, got.stderr)
		}
	}
	v = newVessel(t, testkit.Args("cat", "/proc/self/status"))
	got = v.run()
	for name, want := range map[string]string{"Uid": "0 0 0 0", "Gid": "0 0 0 0", "Groups": "", "NoNewPrivs": "0", "Umask": "0022"} {
		if value := field(got.stdout, name); value != want {
			t.Errorf("default: %s: %q, want %q", name, value, want)
		}
	}
}

// TestRootRlimitCaller: without process.rlimits the container and what is executed in
// it have the limits of open files of who called coracle, not those that Go gives itself.
func TestRootRlimitCaller(t *testing.T) {
	const show = "ulimit -Sn; ulimit -Hn"
	v := newVessel(t, func(s *specs.Spec) { s.Process.Rlimits = nil }, testkit.Args("/bin/sh", "-c", show))
	limited := func(args ...string) *exec.Cmd {
		c := v.command(args...)
		c.Args = append([]string{"bash", "-c", `ulimit -Sn 500; ulimit -Hn 1000; exec "$@"`, "bash"}, c.Args...)
		c.Path = "/bin/bash"
		return c
	}
	want := said{stdout: "500\n1000\n"}
	for _, edit := range []func(*specs.Spec){func(*specs.Spec) {}, namespace(specs.TimeNamespace, "")} { // started by a thread, and not
		v.edit(edit)
		if got := finish(t, limited("run", "--bundle", v.bundle, v.id)); got != want {
			t.Errorf("run: %+v", got)
		}
	}
	v.edit(testkit.Args("sleep", "1000"))
	v.quiet("run", "--detach", "--bundle", v.bundle, v.id)
	if got := finish(t, limited("exec", v.id, "/bin/sh", "-c", show)); got != want {
		t.Errorf("exec: %+v", got)
	}
}

// TestRootRlimitLow: limits too low for the runtime's own work still hold, and
// those that cannot be set are an error.
func TestRootRlimitLow(t *testing.T) {
	v := newVessel(t, func(s *specs.Spec) {
		s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 3, Hard: 3}}
	}, testkit.Args("/bin/sh", "-c", "ulimit -n"))
	if got := v.run(); got.code != 0 || got.stdout != "3\n" {
		t.Errorf("%+v", got)
	}
	if ownCapabilities()&(1<<24) != 0 {
		return // with CAP_SYS_RESOURCE every limit can be set
	}
	v.edit(func(s *specs.Spec) {
		s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 1 << 40, Hard: 1 << 40}}
	})
	v.expectRefusal("process.rlimits[0]", "(EPERM)")
}

// TestRootEnvironment: exactly process.env, and no trace of the caller's.
func TestRootEnvironment(t *testing.T) {
	v := newVessel(t, testkit.Args("/bin/sh", "-c", "cat /proc/1/environ | tr '\\0' '\\n'"), func(s *specs.Spec) {
		s.Process.Env = []string{"PATH=/bin", "HOME=/mine", "A=b=c", "EMPTY=", "LINE=a b"}
	})
	c := v.command("create", "--bundle", v.bundle, v.id)
	c.Env = append(os.Environ(), "SECRET=of the engine")
	if got := finish(t, c); got.code != 0 {
		t.Fatal(got.stderr)
	}
	data, err := os.ReadFile("/proc/" + itoa(v.status().Pid) + "/environ")
	if err != nil || len(data) != 0 {
		t.Errorf("of the waiting init: %q %v", data, err)
	}
	v.quiet("delete", v.id)
	if got := v.run(); got.stdout != "PATH=/bin\nHOME=/mine\nA=b=c\nEMPTY=\nLINE=a b\n" {
		t.Errorf("%+v", got)
	}
}

// TestRootEnvironmentTwice: of a variable that is given twice the last value counts.
func TestRootEnvironmentTwice(t *testing.T) {
	v := newVessel(t, testkit.Args("/bin/cat", "/proc/self/environ"), func(s *specs.Spec) {
		s.Process.Env = []string{"A=1", "HOME=/x", "B=2", "A=3", "AB=4", "HOME=/y"}
	})
	if got := v.run(); got != (said{stdout: "B=2\x00A=3\x00AB=4\x00HOME=/y\x00"}) {
		t.Errorf("%+v", got)
	}
}

// TestRootKeepGroups: crun's annotation leaves the caller's groups.
func TestRootKeepGroups(t *testing.T) {
	v := newVessel(t, testkit.Args("grep", "Groups", "/proc/self/status"), func(s *specs.Spec) {
		s.Annotations = map[string]string{"run.oci.keep_original_groups": "1"}
	})
	c := v.command("run", "--bundle", v.bundle, v.id)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Groups: []uint32{27, 4242}}}
	if got := finish(t, c); got.code != 0 || strings.Join(strings.Fields(got.stdout), " ") != "Groups: 27 4242" {
		t.Errorf("%+v", got)
	}
	v.edit(func(s *specs.Spec) { s.Process.User.AdditionalGids = []uint32{5} })
	v.expectRefusal("process.user.additionalGids", "keep_original_groups")
}

// TestRootRlimits: all of setrlimit(2).
func TestRootRlimits(t *testing.T) {
	names := strings.Fields("CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME")
	v := newVessel(t, testkit.Args("sleep", "1000"), func(s *specs.Spec) {
		for i, name := range names {
			// NICE and RTPRIO start at 0, and what is not raised needs no privilege.
			limit := specs.POSIXRlimit{Type: "RLIMIT_" + name, Soft: 1<<26 + uint64(i), Hard: 1<<27 + uint64(i)}
			switch name {
			case "NOFILE", "NPROC", "SIGPENDING":
				limit.Soft, limit.Hard = 100+uint64(i), 200+uint64(i)
			case "NICE", "RTPRIO", "MEMLOCK", "MSGQUEUE":
				limit.Soft, limit.Hard = 0, 0
			}
			s.Process.Rlimits = append(s.Process.Rlimits, limit)
		}
	})
	v.create()
	v.quietStart()
	pid := v.status().Pid
	var spec specs.Spec
	data, err := os.ReadFile(v.bundle + "/config.json")
	must(t, err)
	must(t, json.Unmarshal(data, &spec))
	for number, want := range spec.Process.Rlimits {
		var got unix.Rlimit
		must(t, unix.Prlimit(pid, number, nil, &got))
		if got != (unix.Rlimit{Cur: want.Soft, Max: want.Hard}) {
			t.Errorf("%s: %+v", want.Type, got)
		}
	}
	v.edit(func(s *specs.Spec) { s.Process.Rlimits = append(s.Process.Rlimits, s.Process.Rlimits[3]) })
	expectError(t, v.coracle("create", "--bundle", v.bundle, v.id+"-2"), "process.rlimits[16].type: RLIMIT_STACK is given twice")
}

// TestRootCwd: it is made when missing, a link is followed inside the root, and
// descriptors of the runtime are no way out (CVE-2024-21626).
func TestRootCwd(t *testing.T) {
	v := newVessel(t, testkit.Args("pwd"))
	must(t, os.Symlink("/etc", v.rootfs("link")))
	must(t, os.Symlink("../../../../../../..", v.rootfs("out")))
	for cwd, want := range map[string]string{"/": "/", "/etc": "/etc", "/made/here": "/made/here", "/link": "/etc", "/out": "/", "/out/etc": "/etc", "/../..": "/"} {
		v.edit(func(s *specs.Spec) { s.Process.Cwd = cwd })
		if got := v.run(); got.code != 0 || got.stdout != want+"\n" {
			t.Errorf("%s: %+v", cwd, got)
		}
	}
	v.edit(testkit.Args("/bin/sh", "-c", "ls -d ../../../../../../../work ../../../../../etc/debian_version 2>/dev/null; true"))
	for fd := range 24 {
		v.edit(func(s *specs.Spec) { s.Process.Cwd = "/proc/self/fd/" + itoa(fd) })
		got := v.run()
		if got.stdout != "" || got.code == 0 || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("fd %d: %+v", fd, got)
		}
	}
	v.write("file", "", 0o644)
	v.edit(func(s *specs.Spec) { s.Process.Cwd = "/file" })
	v.expectRefusal("process.cwd", "not a directory")
}

// TestRootSysctl: written in the container's namespaces and nowhere else.
func TestRootSysctl(t *testing.T) {
	before, err := os.ReadFile("/proc/sys/kernel/shmmax")
	must(t, err)
	v := newVessel(t, func(s *specs.Spec) {
		s.Linux.Sysctl = map[string]string{"kernel.shmmax": "12345", "net.ipv4.ip_forward": "1", "net/ipv4/conf/lo/forwarding": "1"}
	})
	if got := v.sh("cat /proc/sys/kernel/shmmax /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/lo/forwarding"); got != "12345\n1\n1\n" {
		t.Errorf("got %q", got)
	}
	if after, _ := os.ReadFile("/proc/sys/kernel/shmmax"); string(after) != string(before) {
		t.Errorf("the host's is %s", after)
	}
	v.edit(func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net.ipv4.no_such_thing": "1"} })
	v.expectRefusal("linux.sysctl.net.ipv4.no_such_thing", "(ENOENT)")
	v.edit(func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "never"} })
	v.expectRefusal("linux.sysctl.net.ipv4.ip_forward", "(EINVAL)")
}

// TestRootHome: where the config has no HOME it is that of the user, as the
// container's own /etc/passwd says.
func TestRootHome(t *testing.T) {
	passwd := t.TempDir() + "/passwd"
	must(t, os.WriteFile(passwd, []byte("root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n"), 0o644))
	v := newVessel(t, testkit.Args("env"), mount("/etc/passwd", "bind", passwd, "bind"))
	for uid, want := range map[uint32]string{0: "HOME=/root\n", 1000: "HOME=/home/me\n", 7: "HOME=/\n"} {
		v.edit(func(s *specs.Spec) { s.Process.Env, s.Process.User.UID = []string{"PATH=/bin"}, uid })
		if got := v.run(); got != (said{stdout: "PATH=/bin\n" + want}) {
			t.Errorf("%d: %+v", uid, got)
		}
	}
	v.edit(func(s *specs.Spec) { s.Process.Env, s.Process.User.UID = nil, 7 }, testkit.Args("/bin/env"))
	if got := v.run(); got.stdout != "HOME=/\n" {
		t.Errorf("no environment: %+v", got)
	}
}
