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

// TestRootLabelsAbsent: what a module that is not there would have to enforce is
// refused, and "unconfined" asks for nothing.
func TestRootLabelsAbsent(t *testing.T) {
	testkit.NoLeaks(t)
	v := newVessel(t, func(s *specs.Spec) { s.Process.ApparmorProfile = "unconfined" })
	if got := v.run(); got != (said{}) {
		t.Errorf("unconfined: %+v", got)
	}
	inside := sleeping(t)
	if _, err := os.Stat("/sys/kernel/security/apparmor"); err != nil {
		expect255(t, inside.exec("--apparmor", "docker-default", "--", "true"), "process.apparmorProfile: AppArmor is not enabled")
		v.edit(func(s *specs.Spec) { s.Process.ApparmorProfile = "docker-default" })
		v.expectRefusal("process.apparmorProfile: AppArmor is not enabled")
	}
	if _, err := os.Stat("/sys/fs/selinux/enforce"); err != nil {
		expect255(t, inside.exec("--process-label", "u:r:t:s0", "--", "true"), "process.selinuxLabel: SELinux is not enabled")
		v.edit(func(s *specs.Spec) { s.Process.ApparmorProfile, s.Process.SelinuxLabel = "", "u:r:t:s0" })
		v.expectRefusal("process.selinuxLabel: SELinux is not enabled")
		v.edit(func(s *specs.Spec) { s.Process.SelinuxLabel, s.Linux.MountLabel = "", "u:r:t:s0" })
		v.expectRefusal("linux.mountLabel: SELinux is not enabled")
	}
}

// profiles are two that can be told apart: the first denies one file, the second
// allows everything and is for the runtime itself.
const profiles = `
abi <abi/4.0>,
profile coracle-test-inner flags=(attach_disconnected) {
  allow all,
  deny /etc/group r,
}
profile coracle-test-outer flags=(attach_disconnected) {
  allow all,
  change_profile -> &coracle-test-inner,
}
`

// loadProfiles loads them for the time of the test.
func loadProfiles(t *testing.T) {
	t.Helper()
	testkit.Need(t, testkit.Root, testkit.AppArmor, testkit.Tool("apparmor_parser"), testkit.Tool("aa-exec"))
	file := filepath.Join(t.TempDir(), "profiles")
	must(t, os.WriteFile(file, []byte(profiles), 0o644))
	if out, err := exec.Command("apparmor_parser", "--replace", "--skip-cache", file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("apparmor_parser", "--remove", file).Run() })
}

// confined makes a command one of the outer profile.
func confined(c *exec.Cmd) *exec.Cmd {
	c.Args = append([]string{"aa-exec", "-p", "coracle-test-outer", "--"}, c.Args...)
	c.Path, _ = exec.LookPath("aa-exec")
	return c
}

// TestRootAppArmor: the process has the profile and is held to it, also where the
// runtime is confined itself; a profile that nobody has loaded is an error.
func TestRootAppArmor(t *testing.T) {
	loadProfiles(t)
	v := newVessel(t, func(s *specs.Spec) { s.Process.ApparmorProfile = "coracle-test-inner" },
		testkit.Args("/bin/sh", "-c", "cat /proc/self/attr/apparmor/current; cat /etc/passwd >/dev/null && echo passwd; cat /etc/group 2>/dev/null || echo denied"))
	if got := v.run(); got != (said{stdout: "coracle-test-inner (enforce)\npasswd\ndenied\n"}) {
		t.Errorf("%+v", got)
	}
	v.edit(mapped)
	must(t, os.Chown(v.rootfs(""), 100000, 200000))
	if got := v.run(); got != (said{stdout: "coracle-test-inner (enforce)\npasswd\ndenied\n"}) {
		t.Errorf("in a user namespace: %+v", got)
	}
	v = newVessel(t, func(s *specs.Spec) {
		s.Process.ApparmorProfile, s.Process.NoNewPrivileges = "coracle-test-inner", true
	}, testkit.Args("/bin/sh", "-c", "cat /proc/self/attr/apparmor/current; cat /etc/group 2>/dev/null || echo denied"))
	if got := finish(t, confined(v.command("run", "--bundle", v.bundle, v.id))); got != (said{stdout: "coracle-test-inner//&coracle-test-outer (enforce)\ndenied\n"}) {
		t.Errorf("stacked: %+v", got)
	}
	v.edit(func(s *specs.Spec) { s.Process.ApparmorProfile = "coracle-test-absent" })
	v.expectRefusal("process.apparmorProfile: set the AppArmor profile to coracle-test-absent: no such file or directory (ENOENT)", "apparmor_parser")
}

// TestRootExecAppArmor: a process has the profile of its container, or that of
// --apparmor or of process.json, and is held to it.
func TestRootExecAppArmor(t *testing.T) {
	loadProfiles(t)
	const script = "cat /proc/self/attr/apparmor/current; cat /etc/passwd >/dev/null && echo passwd; cat /etc/group >/dev/null 2>&1 && echo group; true"
	const inner, outer = "coracle-test-inner (enforce)\npasswd", "coracle-test-outer (enforce)\npasswd\ngroup"
	for name, edit := range map[string]func(*specs.Spec){"plain": func(*specs.Spec) {}, "in a user namespace": mapped, "on the host's pids": noNamespace(specs.PIDNamespace)} {
		free, bound := sleeping(t, edit), sleeping(t, edit, func(s *specs.Spec) { s.Process.ApparmorProfile = "coracle-test-inner" })
		file := free.processFile(func(p *specs.Process) {
			p.Args, p.ApparmorProfile = []string{"/bin/sh", "-c", script}, "coracle-test-inner"
		})
		for _, c := range []struct{ what, got, want string }{
			{"without a profile", free.execSh(script), "unconfined\npasswd\ngroup"},
			{"--apparmor", free.execSh(script, "--apparmor", "coracle-test-inner"), inner},
			{"--process", strings.TrimSpace(free.coracle("exec", "--process", file, free.id).stdout), inner},
			{"the container's", bound.execSh(script), inner},
			{"another than the container's", bound.execSh(script, "--apparmor", "coracle-test-outer"), outer},
		} {
			if c.got != c.want {
				t.Errorf("%s, %s: %q, want %q", name, c.what, c.got, c.want)
			}
		}
		expect255(t, free.exec("--apparmor", "coracle-test-absent", "--", "true"), "process.apparmorProfile: set the AppArmor profile to coracle-test-absent: no such file or directory (ENOENT)", "apparmor_parser")
	}
	v := sleeping(t, func(s *specs.Spec) { s.Process.NoNewPrivileges = true })
	got := finish(t, confined(v.command("exec", "--apparmor", "coracle-test-inner", v.id, "/bin/sh", "-c", script)))
	if got != (said{stdout: "coracle-test-inner//&coracle-test-outer (enforce)\npasswd\n"}) {
		t.Errorf("stacked: %+v", got)
	}
}
