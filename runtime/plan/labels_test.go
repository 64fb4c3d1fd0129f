// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan_test

import (
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/runtime/facts"
	"github.com/coracle-oci/coracle/runtime/plan"
)

// TestAppArmor: the profile is that of the next execve; a runtime that is
// confined itself can only add one to its own if no privileges are to be gained.
func TestAppArmor(t *testing.T) {
	for _, c := range []struct {
		confined, noNewPrivileges bool
		want                      string
	}{{false, true, "exec"}, {true, false, "exec"}, {true, true, "stack"}} {
		p, err := compileOn(edit(t, func(s *specs.Spec) {
			s.Process.ApparmorProfile, s.Process.NoNewPrivileges = "docker-default", c.noNewPrivileges
		}), machine(t, "hybrid"), func(f *facts.Facts) { f.Confined = c.confined })
		if err != nil {
			t.Fatal(err)
		}
		sound(t, p)
		got := lines(p.Text(), "process.apparmorProfile")
		want := []string{` fs fsopen("proc", FSOPEN_CLOEXEC) process.apparmorProfile`, ` fsconfig(fs, CMD_CREATE, 0, 0, 0) process.apparmorProfile`,
			` proc fsmount(fs, FSMOUNT_CLOEXEC, nosuid,nodev,noexec) process.apparmorProfile`,
			` attr openat2(proc, "self/attr/apparmor/exec", {O_WRONLY, BENEATH|NO_XDEV|NO_MAGICLINKS}, 24) process.apparmorProfile`,
			` write(attr, "` + c.want + ` docker-default", ` + map[string]string{"exec": "19", "stack": "20"}[c.want] + `) process.apparmorProfile`}
		if !slices.Equal(got, want) {
			t.Errorf("%+v:\n%s", c, strings.Join(got, "\n"))
		}
	}
	for _, profile := range []string{"", "unconfined"} {
		if text := planOf(t, func(s *specs.Spec) { s.Process.ApparmorProfile = profile }); strings.Contains(text, "attr/") {
			t.Errorf("%q is written", profile)
		}
	}
}

// TestSELinux: the label of the process, of its keyring, and of new file systems
// but those that have labels of their own.
func TestSELinux(t *testing.T) {
	text := planOf(t, func(s *specs.Spec) {
		s.Process.SelinuxLabel, s.Linux.MountLabel = "u:r:p:s0:c1,c2", "u:r:m:s0:c1,c2"
		s.Mounts = append(s.Mounts, mount("/labelled", "tmpfs", "tmpfs", "rootcontext=u:r:x:s0"))
	})
	want := []string{
		` write(attr, "u:r:p:s0:c1,c2", 14) process.selinuxLabel`, ` write(attr, "", 0) process.selinuxLabel`, ` write(attr, "u:r:p:s0:c1,c2", 14) process.selinuxLabel`,
	}
	if got := lines(text, "write(attr"); !slices.Equal(got, want) {
		t.Errorf("the process: %q", got)
	}
	labelled := ` fsconfig(fs, SET_STRING, "context", "u:r:m:s0:c1,c2", 0)`
	want = []string{labelled, labelled, labelled, labelled, ` fsetxattr(queues, "security.selinux", "u:r:m:s0:c1,c2", 15, 0) linux.mountLabel`, labelled}
	var got []string
	for _, l := range lines(text, "u:r:m:") {
		l, _, _ = strings.Cut(l, " mounts[")
		l, _, _ = strings.Cut(l, " linux.maskedPaths")
		got = append(got, l)
	}
	if !slices.Equal(got, want) { // what masks are made of, /dev, /dev/pts, /dev/shm, /dev/mqueue, the directory of cgroups
		t.Errorf("mounts: %s", strings.Join(got, "\n"))
	}
	text = planOf(t, func(s *specs.Spec) {
		s.Linux.MountLabel, s.Annotations = "u:r:m:s0", map[string]string{plan.MountContext: "fscontext"}
	})
	if len(lines(text, `"fscontext", "u:r:m:s0"`)) != 5 || strings.Contains(text, `"context"`) {
		t.Errorf("the annotation is not heeded")
	}
}
