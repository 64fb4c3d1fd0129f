// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/plan"
)

// TestCrossedConfigs compiles random crossings of the configs of engines: each
// part is taken from one of them, some are left out, some get a path, an option
// or a hook that none of them has. What is valid compiles to a sound plan, or is
// refused by a field.
func TestCrossedConfigs(t *testing.T) {
	files, _ := filepath.Glob("testdata/configs/*.json")
	var all []specs.Spec
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, parse(t, data).Spec)
	}
	r := rand.New(rand.NewPCG(7, 8))
	compiled, refused := 0, 0
	for n := range 1500 {
		data, err := json.Marshal(cross(r, all))
		if err != nil {
			t.Fatal(err)
		}
		c, err := config.Parse(data)
		if err != nil || config.Validate(c) != nil {
			continue
		}
		m := machine(t, []string{"hybrid", "v2"}[r.IntN(2)])
		p, err := compile(c, m)
		m.Files = hostFiles(plan.HostPaths("/bundle", &c.Spec))
		wrong, _ := plan.Findings(request(c, m))
		if (err == nil) != (len(wrong) == 0) || err != nil && err.Error() != wrong[0].Error() {
			t.Errorf("config %d: create says %v, check %q", n, err, wrong)
		}
		if e, ok := errors.AsType[*fail.Error](err); err != nil && (!ok || e.Where == "") {
			t.Errorf("config %d: %v does not name a field\n%s", n, err, data)
		}
		if err != nil {
			refused++
			continue
		}
		compiled++
		if sound(t, p); t.Failed() {
			t.Fatalf("config %d: %s", n, data)
		}
	}
	t.Logf("%d compiled, %d refused", compiled, refused)
	if compiled < 300 || refused < 30 {
		t.Errorf("too few to prove anything: %d compiled, %d refused", compiled, refused)
	}
}

func cross(r *rand.Rand, all []specs.Spec) specs.Spec {
	one := func() *specs.Spec { return &all[r.IntN(len(all))] }
	maybe := func() bool { return r.IntN(3) == 0 }
	s := *one()
	process, linux := *one().Process, *one().Linux
	s.Process, s.Linux = &process, &linux
	s.Root, s.Hostname, s.Hooks = one().Root, one().Hostname, one().Hooks
	s.Mounts = nil
	for _, m := range one().Mounts {
		if maybe() {
			continue
		}
		if maybe() {
			extra := []string{"ro", "rro", "rprivate", "shared", "noatime", "strictatime", "rnosuid", "remount", "sync", "unbindable"}
			m.Options = append(append([]string(nil), m.Options...), extra[r.IntN(len(extra))])
		}
		s.Mounts = append(s.Mounts, m)
	}
	if maybe() {
		r.Shuffle(len(s.Mounts), func(i, j int) { s.Mounts[i], s.Mounts[j] = s.Mounts[j], s.Mounts[i] })
	}
	linux.Namespaces = nil
	for _, kind := range []specs.LinuxNamespaceType{specs.PIDNamespace, specs.NetworkNamespace, specs.MountNamespace, specs.IPCNamespace,
		specs.UTSNamespace, specs.UserNamespace, specs.CgroupNamespace, specs.TimeNamespace} {
		switch pick := r.IntN(8); {
		case pick == 0 && kind != specs.TimeNamespace:
			linux.Namespaces = append(linux.Namespaces, specs.LinuxNamespace{Type: kind, Path: "/proc/1/ns/" + string(kind)})
		case pick < 6 || kind == specs.MountNamespace:
			linux.Namespaces = append(linux.Namespaces, specs.LinuxNamespace{Type: kind})
		}
	}
	linux.Resources, linux.MaskedPaths, linux.ReadonlyPaths = one().Linux.Resources, one().Linux.MaskedPaths, one().Linux.ReadonlyPaths
	linux.Devices, linux.Sysctl, linux.RootfsPropagation = one().Linux.Devices, one().Linux.Sysctl, one().Linux.RootfsPropagation
	process.Terminal = maybe()
	process.Capabilities, process.Rlimits, process.User = one().Process.Capabilities, one().Process.Rlimits, one().Process.User
	if maybe() {
		hook := []specs.Hook{{Path: "/bin/true"}, {Path: "/bin/false", Args: []string{"false", "x"}}}
		s.Hooks = &specs.Hooks{CreateRuntime: hook, CreateContainer: hook, StartContainer: hook[:1]}
	}
	return s
}
