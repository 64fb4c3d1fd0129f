// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	oci "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/facts"
	"github.com/coracle-oci/coracle/runtime/plan"
	"github.com/coracle-oci/coracle/specs"
)

// promised is what features says.
func promised(t *testing.T) features.Features {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(featuresJSON()))
	decoder.DisallowUnknownFields()
	var f features.Features
	if err := decoder.Decode(&f); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestFeatures: every property of features.md and features-linux.md is there; one
// that is null or missing would say "unknown".
func TestFeatures(t *testing.T) {
	f := promised(t)
	if f.OCIVersionMax != oci.Version || f.OCIVersionMin != "1.0.0" {
		t.Errorf("versions: %s to %s", f.OCIVersionMin, f.OCIVersionMax)
	}
	known(t, "", reflect.ValueOf(f))
	if !slices.Contains(f.MountOptions, "rro") || !slices.Equal(f.Linux.Capabilities, config.Capabilities()) || len(f.Hooks) != 6 {
		t.Errorf("got %+v", f)
	}
	if s := f.Linux.Seccomp; *s.Enabled {
		for _, flag := range s.SupportedFlags {
			if !slices.Contains(s.KnownFlags, flag) {
				t.Errorf("flag %s is supported and not known", flag)
			}
		}
	}
}

func known(t *testing.T, name string, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		if v.IsNil() {
			t.Errorf("%s is unknown", name)
			return
		}
		if v.Kind() == reflect.Pointer {
			known(t, name, v.Elem())
		}
	case reflect.Struct:
		if strings.HasSuffix(name, ".Seccomp") && !*v.FieldByName("Enabled").Interface().(*bool) {
			return
		}
		for i := range v.NumField() {
			known(t, name+"."+v.Type().Field(i).Name, v.Field(i))
		}
	}
}

// TestFeaturesAreOfTheBuild: nothing in the environment changes them.
func TestFeaturesAreOfTheBuild(t *testing.T) {
	before := featuresJSON()
	t.Setenv("XDG_RUNTIME_DIR", "/elsewhere")
	t.Setenv("PATH", "")
	if featuresJSON() != before {
		t.Error("they differ")
	}
}

// problems is everything that create would say of the default config with a
// change, on a machine that has what it names.
func problems(t *testing.T, change func(*oci.Spec)) []string {
	t.Helper()
	var s oci.Spec
	if err := json.Unmarshal(specs.Config(), &s); err != nil {
		t.Fatal(err)
	}
	change(&s)
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	c, wrong := config.Check(text)
	if c == nil {
		t.Fatalf("%q\n%s", wrong, text)
	}
	m := facts.Facts{Kernel: "6.18.0", Arch: runtime.GOARCH, LastCap: 40, Capabilities: 1<<41 - 1, RootMounts: 1,
		Cgroup: facts.Cgroup{V2: &facts.Hierarchy{Mount: "/sys/fs/cgroup", Own: "/", Controllers: []string{"cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc"}}},
		Files:  map[string]facts.Kind{}}
	for _, path := range plan.HostPaths("/bundle", &c.Spec) {
		m.Files[path] = facts.Kind{Mode: 0o40755}
		if path == "/run/listener" {
			m.Files[path] = facts.Kind{Mode: 0o140666} // S_IFSOCK
		}
	}
	refused, warnings := plan.Findings(plan.Request{ID: "c1", Bundle: "/bundle", Config: c, Facts: m})
	var all []string
	for _, e := range wrong {
		all = append(all, e.Error())
	}
	for _, e := range refused {
		all = append(all, e.Error())
	}
	return slices.Concat(all, c.Warnings, warnings)
}

// TestWordsAreRecognised: each word that a list of features has can stand where
// the spec has it, and a word that is in no list cannot (features.md: everything
// listed is recognised).
func TestWordsAreRecognised(t *testing.T) {
	f := promised(t)
	seccomp := func(change func(*oci.LinuxSeccomp)) func(*oci.Spec) {
		return func(s *oci.Spec) {
			s.Linux.Seccomp = &oci.LinuxSeccomp{DefaultAction: oci.ActAllow}
			change(s.Linux.Seccomp)
		}
	}
	rule := func(action oci.LinuxSeccompAction, op oci.LinuxSeccompOperator) []oci.LinuxSyscall {
		return []oci.LinuxSyscall{{Names: []string{"getpid"}, Action: action, Args: []oci.LinuxSeccompArg{{Op: op}}}}
	}
	lists := []struct {
		name  string
		words []string
		ask   func(word string) func(*oci.Spec)
	}{
		{"mountOptions", f.MountOptions, func(w string) func(*oci.Spec) {
			return func(s *oci.Spec) {
				id := []oci.LinuxIDMapping{{HostID: 1000, Size: 1}}
				m := oci.Mount{Destination: "/mnt", Source: "/srv", Options: []string{"rbind", w}}
				if w == "idmap" || w == "ridmap" {
					m.UIDMappings, m.GIDMappings = id, id
				}
				wholeFS := []string{"async", "sync", "dirsync", "mand", "nomand", "lazytime", "nolazytime", "iversion", "noiversion", "silent", "loud"}
				if w == "tmpcopyup" || slices.Contains(wholeFS, strings.TrimPrefix(w, "r")) {
					m = oci.Mount{Destination: "/mnt", Type: "tmpfs", Source: "tmpfs", Options: []string{w}}
				}
				s.Mounts = append(s.Mounts, m)
			}
		}},
		{"namespaces", f.Linux.Namespaces, func(w string) func(*oci.Spec) {
			return func(s *oci.Spec) {
				if slices.ContainsFunc(s.Linux.Namespaces, func(n oci.LinuxNamespace) bool { return string(n.Type) == w }) {
					return
				}
				s.Linux.Namespaces = append(s.Linux.Namespaces, oci.LinuxNamespace{Type: oci.LinuxNamespaceType(w)})
				if w == "user" {
					s.Linux.UIDMappings = []oci.LinuxIDMapping{{HostID: 1000, Size: 100}}
					s.Linux.GIDMappings = s.Linux.UIDMappings
				}
			}
		}},
		{"capabilities", f.Linux.Capabilities, func(w string) func(*oci.Spec) {
			return func(s *oci.Spec) { s.Process.Capabilities = &oci.LinuxCapabilities{Bounding: []string{w}} }
		}},
		{"memoryPolicy.modes", f.Linux.MemoryPolicy.Modes, func(w string) func(*oci.Spec) {
			return func(s *oci.Spec) {
				s.Linux.MemoryPolicy = &oci.LinuxMemoryPolicy{Mode: oci.MemoryPolicyModeType(w), Nodes: "0"}
				if w == "MPOL_DEFAULT" || w == "MPOL_LOCAL" {
					s.Linux.MemoryPolicy.Nodes = ""
				}
			}
		}},
		{"memoryPolicy.flags", f.Linux.MemoryPolicy.Flags, func(w string) func(*oci.Spec) {
			return func(s *oci.Spec) {
				s.Linux.MemoryPolicy = &oci.LinuxMemoryPolicy{Mode: "MPOL_BIND", Nodes: "0", Flags: []oci.MemoryPolicyFlagType{oci.MemoryPolicyFlagType(w)}}
			}
		}},
	}
	if s := f.Linux.Seccomp; *s.Enabled {
		lists = append(lists, []struct {
			name  string
			words []string
			ask   func(word string) func(*oci.Spec)
		}{
			{"seccomp.actions", s.Actions, func(w string) func(*oci.Spec) {
				return seccomp(func(p *oci.LinuxSeccomp) {
					p.Syscalls = rule(oci.LinuxSeccompAction(w), oci.OpEqualTo)
					if w == string(oci.ActNotify) {
						p.ListenerPath = "/run/listener"
					}
					if w == string(oci.ActAllow) { // more than the default would be nothing
						p.DefaultAction = oci.ActErrno
					}
				})
			}},
			{"seccomp.operators", s.Operators, func(w string) func(*oci.Spec) {
				return seccomp(func(p *oci.LinuxSeccomp) { p.Syscalls = rule(oci.ActErrno, oci.LinuxSeccompOperator(w)) })
			}},
			{"seccomp.archs", s.Archs, func(w string) func(*oci.Spec) {
				return seccomp(func(p *oci.LinuxSeccomp) { p.Architectures = []oci.Arch{oci.Arch(w)} })
			}},
			{"seccomp.supportedFlags", s.SupportedFlags, func(w string) func(*oci.Spec) {
				return seccomp(func(p *oci.LinuxSeccomp) { p.Flags = []oci.LinuxSeccompFlag{oci.LinuxSeccompFlag(w)} })
			}},
		}...)
	}
	for _, l := range lists {
		if len(l.words) == 0 {
			t.Errorf("%s is empty", l.name)
		}
		for _, w := range l.words {
			if got := problems(t, l.ask(w)); len(got) > 0 {
				t.Errorf("%s: %s: %q", l.name, w, got)
			}
		}
		if got := problems(t, l.ask("SOME_OTHER")); len(got) == 0 {
			t.Errorf("%s: a word that is not listed is taken", l.name)
		}
	}
}

// TestHooksAreRecognised: they are properties.
func TestHooksAreRecognised(t *testing.T) {
	for _, kind := range append(promised(t).Hooks, "other") {
		c, wrong := config.Check([]byte(fmt.Sprintf(`{"process":{},"hooks":{%q:[{"path":"relative"}]}}`, kind)))
		refused := slices.ContainsFunc(wrong, func(e *fail.Error) bool { return strings.Contains(e.Error(), "hooks."+kind+"[0].path") })
		if refused != (kind != "other") || len(c.Warnings) > 0 != (kind == "other") {
			t.Errorf("%s: %q, %q", kind, wrong, c.Warnings)
		}
	}
}

// TestEnabledIsTrue: what is enabled is not refused as unsupported, and the reverse.
func TestEnabledIsTrue(t *testing.T) {
	l := promised(t).Linux
	for _, c := range []struct {
		name    string
		enabled *bool
		ask     func(*oci.Spec)
	}{
		{"seccomp", l.Seccomp.Enabled, func(s *oci.Spec) { s.Linux.Seccomp = &oci.LinuxSeccomp{DefaultAction: oci.ActAllow} }},
		{"apparmor", l.Apparmor.Enabled, func(s *oci.Spec) { s.Process.ApparmorProfile = "p" }},
		{"selinux", l.Selinux.Enabled, func(s *oci.Spec) { s.Process.SelinuxLabel = "a:b:c:s0" }},
		{"selinux", l.Selinux.Enabled, func(s *oci.Spec) { s.Linux.MountLabel = "a:b:c:s0" }},
		{"intelRdt", l.IntelRdt.Enabled, func(s *oci.Spec) { s.Linux.IntelRdt = &oci.LinuxIntelRdt{ClosID: "x"} }},
		{"intelRdt.schemata", l.IntelRdt.Schemata, func(s *oci.Spec) { s.Linux.IntelRdt = &oci.LinuxIntelRdt{Schemata: []string{"L3:0=f"}} }},
		{"intelRdt.monitoring", l.IntelRdt.Monitoring, func(s *oci.Spec) { s.Linux.IntelRdt = &oci.LinuxIntelRdt{EnableMonitoring: true} }},
		{"netDevices", l.NetDevices.Enabled, func(s *oci.Spec) { s.Linux.NetDevices = map[string]oci.LinuxNetDevice{"eth7": {}} }},
		{"mountExtensions.idmap", l.MountExtensions.IDMap.Enabled, func(s *oci.Spec) {
			m := []oci.LinuxIDMapping{{Size: 1}}
			s.Mounts = append(s.Mounts, oci.Mount{Destination: "/m", Source: "/m", Options: []string{"bind", "idmap"}, UIDMappings: m, GIDMappings: m})
		}},
		{"cgroup.rdma", l.Cgroup.Rdma, func(s *oci.Spec) {
			n := uint32(1)
			s.Linux.Resources.Rdma = map[string]oci.LinuxRdma{"mlx5_0": {HcaHandles: &n}}
		}},
	} {
		refused := slices.ContainsFunc(problems(t, c.ask), func(p string) bool {
			return strings.Contains(p, "not supported yet")
		})
		if refused == *c.enabled {
			t.Errorf("%s: enabled is %v, and the config says %q", c.name, *c.enabled, problems(t, c.ask))
		}
	}
}

// TestUnsafeAnnotationsAreListed: every annotation that the runtime acts on.
func TestUnsafeAnnotationsAreListed(t *testing.T) {
	listed := promised(t).PotentiallyUnsafeConfigAnnotations
	covers := func(name string) bool {
		return slices.ContainsFunc(listed, func(l string) bool { return l == name || strings.HasSuffix(l, ".") && strings.HasPrefix(name, l) })
	}
	literal := regexp.MustCompile(`"((?:run\.oci|org\.systemd\.property|org\.criu)\.[A-Za-z_.-]*)"`)
	used := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "cli/features.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range literal.FindAllStringSubmatch(string(text), -1) {
			used[m[1]] = true
			if !covers(m[1]) && m[1] != "run.oci.handler" { // of which there is a warning, and no more
				t.Errorf("%s acts on %s", path, m[1])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range listed {
		if !slices.ContainsFunc(mapKeys(used), func(u string) bool { return strings.HasPrefix(u, strings.TrimSuffix(l, ".")) }) {
			t.Errorf("nobody acts on %s", l)
		}
	}
}

func mapKeys(m map[string]bool) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	return keys
}

// TestVersionsAreAccepted: the least, the greatest, and those between and after.
func TestVersionsAreAccepted(t *testing.T) {
	f := promised(t)
	for _, v := range []string{f.OCIVersionMin, f.OCIVersionMax, "1.0.2-dev", "1.2.0", "1.99.0"} {
		if got := problems(t, func(s *oci.Spec) { s.Version = v }); len(got) > 0 {
			t.Errorf("%s: %q", v, got)
		}
	}
	if got := problems(t, func(s *oci.Spec) { s.Version = "2.0.0" }); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}
