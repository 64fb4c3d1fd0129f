// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"os"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// TestRootCgroupOwner: a container that can write to its cgroups owns its own one,
// as far as it needs to make more; not its limits, and nothing otherwise.
func TestRootCgroupOwner(t *testing.T) {
	testkit.Need(t, testkit.Root, testkit.CgroupV2)
	const try = `cd /sys/fs/cgroup; mkdir own 2>/dev/null && echo 0 2>/dev/null >own/cgroup.procs && echo moved
		(echo max >memory.max) 2>/dev/null && echo lifted; true`
	writable := mount("/sys/fs/cgroup", "cgroup", "cgroup", "rw", "nosuid")
	limited := func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](64 * mebibyte)}}
	}
	for _, c := range []struct {
		name  string
		edits []func(*specs.Spec)
		want  string
	}{
		{"writable, in a namespace", []func(*specs.Spec){mapped, writable}, "moved\n"},
		{"read-only", []func(*specs.Spec){mapped, mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro")}, ""},
		{"without a namespace of its own", []func(*specs.Spec){mapped, writable, noNamespace(specs.CgroupNamespace)}, ""},
		{"a user without a user namespace", []func(*specs.Spec){writable, func(s *specs.Spec) { s.Process.User = specs.User{UID: 1234, GID: 1234} }}, "moved\n"},
	} {
		v := newVessel(t, append(c.edits, limited)...)
		if got := v.sh(try); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// TestRootCgroupDisabled: with no manager the container stays in the cgroups of the
// runtime; limits, which would not hold, are refused.
func TestRootCgroupDisabled(t *testing.T) {
	testkit.NoLeaks(t)
	v := newVessel(t, testkit.Args("cat", "/proc/self/cgroup"), noNamespace(specs.CgroupNamespace), mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro"))
	own, err := os.ReadFile("/proc/self/cgroup")
	must(t, err)
	if got := v.coracle("--systemd-cgroup", "--cgroup-manager", "disabled", "run", "--bundle", v.bundle, v.id); got != (said{stdout: string(own)}) {
		t.Errorf("got %+v, want %q", got, own)
	}
	v.edit(testkit.Args("sleep", "1000"))
	v.quiet("--cgroup-manager=disabled", "create", "--bundle", v.bundle, v.id)
	v.quiet("start", v.id)
	v.quiet("kill", "--all", v.id, "KILL")
	waitFor(t, "its end", func() bool { return v.status().Status == "stopped" })
	v.quiet("delete", v.id)

	v.edit(func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Access: "rwm"}}}
	}, testkit.Args("true"))
	got := v.coracle("--cgroup-manager=disabled", "run", "--bundle", v.bundle, v.id)
	if got.code != 0 || !strings.Contains(got.stderr, "warning: config.json linux.resources.devices: is not applied") {
		t.Errorf("rules for devices: %+v", got)
	}
	v.edit(func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](5)}}
	})
	expectError(t, v.coracle("--cgroup-manager=disabled", "create", "--bundle", v.bundle, v.id), "config.json linux.resources.pids.limit: cannot be applied: cgroups are disabled")
	expectError(t, v.coracle("--cgroup-manager=other", "create", "--bundle", v.bundle, v.id), "--cgroup-manager")
	v.expectGone()
}
