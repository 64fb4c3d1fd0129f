// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// ordinary is an id that no user of the machine has, and that owns nothing.
const ordinary = "54321"

// A rootlessVessel is a vessel that an ordinary user works with: its config is
// what "coracle spec --rootless" writes for that user.
type rootlessVessel struct {
	vessel
	before []string // what stands in front of the command
}

// newRootless makes one whose commands are run by what stands in before.
func newRootless(t *testing.T, before ...string) rootlessVessel {
	testkit.Need(t, testkit.Root, testkit.Tool("setpriv"))
	dir, err := os.MkdirTemp("/tmp", "coracle-rootless-") // t.TempDir is root's alone
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	v := rootlessVessel{vessel{t: t, id: "rootless-" + itoa(os.Getpid()), state: dir + "/run/coracle", bundle: dir + "/bundle"}, before}
	writeRootfs(t, v.rootfs(""))
	must(t, os.Mkdir(dir+"/run", 0o700))
	must(t, exec.Command("chown", "-R", ordinary+":"+ordinary, dir).Run())
	if got := v.as("spec", "--rootless", "--bundle", v.bundle); got != (said{}) {
		t.Fatalf("spec: %+v", got)
	}
	v.edit(func(s *specs.Spec) { s.Process.Terminal = false })
	t.Cleanup(func() {
		if got := v.as("delete", "--force", v.id); got.code != 0 {
			t.Errorf("delete --force: %s", got.stderr)
		}
		v.expectGone()
	})
	return v
}

// as calls coracle as the ordinary user, with XDG_RUNTIME_DIR as a login has it.
func (v rootlessVessel) as(arguments ...string) said {
	v.t.Helper()
	list := append([]string{"setpriv", "--reuid", ordinary, "--regid", ordinary, "--clear-groups", "--inh-caps=-all"}, v.before...)
	c := exec.Command(list[0], append(append(list[1:], testkit.Bin(v.t, "coracle")), arguments...)...)
	c.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "XDG_RUNTIME_DIR=" + filepath.Dir(v.state)}
	return finish(v.t, c)
}

// sh runs a script in the container.
func (v rootlessVessel) sh(script string) said {
	v.t.Helper()
	v.edit(testkit.Args("/bin/sh", "-c", script))
	return v.as("run", "--bundle", v.bundle, v.id)
}

// TestRootRootless: what "coracle spec --rootless" writes runs as an ordinary
// user without any privilege, through a whole life.
func TestRootRootless(t *testing.T) {
	testkit.NoLeaks(t)
	v := newRootless(t)
	got := v.sh("id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; echo x > /dev/null && test -c /dev/null && echo null; cat /proc/keys; ls /proc/acpi; touch /written 2>&1; echo $HOME; stat -c %t:%T /dev/zero")
	text := strings.Join(strings.Fields(got.stdout), " ")
	if want := "0 0 0 " + ordinary + " 1 0 " + ordinary + " 1 deny null touch: /written: Read-only file system /root 1:5"; got.code != 0 || got.stderr != "" || text != want {
		t.Errorf("got %q %q, want %q", text, got.stderr, want)
	}
	v.edit(testkit.Args("sleep", "1000"))
	for _, call := range [][]string{{"create", "--bundle", v.bundle, v.id}, {"start", v.id}} {
		if got := v.as(call...); got != (said{}) {
			t.Fatalf("%q: %+v", call, got)
		}
	}
	if got := v.as("state", v.id); !strings.Contains(got.stdout, `"running"`) {
		t.Errorf("state: %+v", got)
	}
	if _, err := os.Stat(v.state + "/" + v.id + "/state.json"); err != nil {
		t.Errorf("the state is not below XDG_RUNTIME_DIR: %v", err)
	}
	if got := v.as("kill", v.id, "KILL"); got != (said{}) {
		t.Errorf("kill: %+v", got)
	}
	waitFor(t, "its end", func() bool { return strings.Contains(v.as("state", v.id).stdout, `"stopped"`) })
	if got := v.as("delete", v.id); got != (said{}) {
		t.Errorf("delete: %+v", got)
	}
}

// TestRootRootlessRange: newuidmap and newgidmap map what /etc/subuid and
// /etc/subgid give to the user.
func TestRootRootlessRange(t *testing.T) {
	testkit.Need(t, testkit.Tool("newuidmap"), testkit.Tool("newgidmap"))
	testkit.NoLeaks(t)
	v := newRootless(t)
	giveRange(t, "/etc/subuid", ordinary+":500000:1000\n")
	giveRange(t, "/etc/subgid", ordinary+":600000:1000\n")
	user(t, ordinary)
	v.edit(func(s *specs.Spec) {
		s.Linux.UIDMappings = append(s.Linux.UIDMappings, specs.LinuxIDMapping{ContainerID: 1, HostID: 500000, Size: 1000})
		s.Linux.GIDMappings = append(s.Linux.GIDMappings, specs.LinuxIDMapping{ContainerID: 1, HostID: 600000, Size: 1000})
		s.Process.User = specs.User{UID: 7, GID: 8, AdditionalGids: []uint32{9, 10}}
	})
	got := v.sh("id -u; id -G; cat /proc/self/uid_map /proc/self/setgroups")
	if text, want := strings.Join(strings.Fields(got.stdout), " "), "7 8 9 10 0 "+ordinary+" 1 1 500000 1000 allow"; got.code != 0 || text != want {
		t.Errorf("got %q %q, want %q", text, got.stderr, want)
	}
	v.edit(func(s *specs.Spec) { s.Linux.UIDMappings[1].HostID = 1 })
	expectError(t, v.as("create", "--bundle", v.bundle, v.id), "config.json linux.uidMappings: newuidmap 0 "+ordinary+" 1 1 1 1000: ", "/etc/subuid")
	v.expectGone()
}

// giveRange adds a line to a file for the time of the test.
func giveRange(t *testing.T, file, line string) {
	t.Helper()
	before, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	must(t, os.WriteFile(file, append(before, line...), 0o644))
	t.Cleanup(func() { os.WriteFile(file, before, 0o644) })
}

// user makes a user of the id, whom newuidmap wants to be in /etc/passwd.
func user(t *testing.T, id string) {
	t.Helper()
	giveRange(t, "/etc/passwd", "coracle-test:x:"+id+":"+id+"::/:/bin/false\n")
	giveRange(t, "/etc/group", "coracle-test:x:"+id+":\n")
}

// TestRootRootlessNested: in a user namespace that the user has made before, as
// its root, where nothing of the host can be mounted anew.
func TestRootRootlessNested(t *testing.T) {
	testkit.Need(t, testkit.Tool("unshare"))
	testkit.NoLeaks(t)
	v := newRootless(t, "unshare", "--user", "--map-root-user", "--mount")
	got := v.sh("id -u; echo x > /dev/null && echo null; cat /proc/self/uid_map")
	text := strings.Join(strings.Fields(got.stdout), " ")
	if want := "0 null 0 0 1"; got.code != 0 || text != want {
		t.Errorf("got %q %+v, want %q", text, got, want)
	}
	// Without a user namespace of its own it has that of its caller.
	v.edit(func(s *specs.Spec) { s.Linux.UIDMappings, s.Linux.GIDMappings = nil, nil }, noNamespace(specs.UserNamespace))
	if got := v.sh("id -u; test -c /dev/null && echo x > /dev/null && echo null"); got.code != 0 || got.stdout != "0\nnull\n" {
		t.Errorf("without one of its own: %+v", got)
	}
}

// TestRootRootlessRefused: what an ordinary user cannot have is said with the way
// to get it, and nothing is left.
func TestRootRootlessRefused(t *testing.T) {
	testkit.NoLeaks(t)
	v := newRootless(t)
	for _, c := range []struct {
		change func(*specs.Spec)
		words  []string
	}{
		{func(s *specs.Spec) {
			noNamespace(specs.UserNamespace)(s)
			s.Linux.UIDMappings, s.Linux.GIDMappings = nil, nil
		}, []string{"linux.namespaces", "(EPERM)", "coracle spec --rootless"}},
		{func(s *specs.Spec) { s.Linux.UIDMappings[0].HostID = 0 }, []string{"linux.uidMappings: newuidmap 0 0 1", "/etc/subuid"}},
		{func(s *specs.Spec) { s.Process.User.AdditionalGids = []uint32{0} }, []string{"process.user.additionalGids", "/etc/subgid"}},
		{func(s *specs.Spec) { s.Process.User.UID = 7 }, []string{"process.user.uid: 7 is not mapped", "linux.uidMappings"}},
		{func(s *specs.Spec) {
			s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](9)}}
		}, []string{"linux.resources", "(EACCES)", "Delegate=yes"}},
		{func(s *specs.Spec) { s.Linux.CgroupsPath = "/coracle-rootless" }, []string{"linux.cgroupsPath", "(EACCES)"}},
		{func(s *specs.Spec) { s.Process.OOMScoreAdj = ptr(-500) }, []string{"process.oomScoreAdj", "CAP_SYS_RESOURCE"}},
		{func(s *specs.Spec) {
			s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 1 << 40, Hard: 1 << 40}}
		}, []string{"process.rlimits[0]", "CAP_SYS_RESOURCE"}},
	} {
		original, err := os.ReadFile(v.bundle + "/config.json")
		must(t, err)
		v.edit(c.change)
		expectError(t, v.as("create", "--bundle", v.bundle, v.id), c.words...)
		v.expectGone()
		must(t, os.WriteFile(v.bundle+"/config.json", original, 0o644))
	}
	v.before = []string{"env", "--unset=XDG_RUNTIME_DIR"}
	expectError(t, v.as("create", "--bundle", v.bundle, v.id), "--root: make the ", "(EACCES)", "with --root")
}
