// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestMayExecute: the class of the caller decides alone, as in the kernel: an
// owner without the bit may not, though others may.
func TestMayExecute(t *testing.T) {
	user := executor{uid: 1000, gid: 1001, groups: []uint32{7}}
	root := executor{override: true}
	for _, c := range []struct {
		who            executor
		mode, uid, gid uint32
		want           bool
	}{
		{user, 0o700, 1000, 0, true}, {user, 0o077, 1000, 1001, false}, {user, 0o010, 0, 1001, true}, {user, 0o010, 0, 7, true},
		{user, 0o701, 0, 7, false}, {user, 0o001, 0, 0, true}, {user, 0o776, 0, 0, false},
		{root, 0o100, 5, 5, true}, {root, 0o001, 5, 5, true}, {root, 0o666, 0, 0, false},
		{executor{}, 0o700, 5, 5, false}, {executor{}, 0o700, 0, 5, true}, // root without the capability
		{executor{unknown: true}, 0o010, 5, 5, true}, {executor{unknown: true}, 0o600, 5, 5, false},
	} {
		if got := c.who.mayExecute(c.mode, c.uid, c.gid); got != c.want {
			t.Errorf("%+v, mode %o of %d:%d: %v", c.who, c.mode, c.uid, c.gid, got)
		}
	}
}

func TestExecutorIDs(t *testing.T) {
	spec := &specs.Spec{Process: &specs.Process{User: specs.User{UID: 5, GID: 6, AdditionalGids: []uint32{7, 70000}}}, Linux: &specs.Linux{
		Namespaces:  []specs.LinuxNamespace{{Type: specs.UserNamespace}},
		UIDMappings: []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100, Size: 5}, {ContainerID: 5, HostID: 1000, Size: 1}},
		GIDMappings: []specs.LinuxIDMapping{{ContainerID: 0, HostID: 200, Size: 100}},
	}}
	e := newExecutor(spec)
	if e.uid != 1000 || e.gid != 206 || e.groups[0] != 207 || e.groups[1] != ^uint32(0) || e.override || e.unknown {
		t.Errorf("%+v", e)
	}
	if spec.Process.User.AdditionalGids[0] != 7 {
		t.Error("the config was changed")
	}
	spec.Linux.Namespaces[0].Path = "/proc/1/ns/user"
	spec.Process.Capabilities = &specs.LinuxCapabilities{Effective: []string{"CAP_DAC_OVERRIDE"}}
	if e := newExecutor(spec); !e.unknown || !e.override {
		t.Errorf("%+v", e)
	}
}
