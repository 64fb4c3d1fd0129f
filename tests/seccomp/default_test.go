// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp_test

import (
	"encoding/json"
	"runtime"
	"slices"
	"testing"

	moby "github.com/moby/profiles/seccomp"
	oci "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/profile"
	"github.com/coracle-oci/coracle/runtime/seccomp"
	"github.com/coracle-oci/coracle/specs"
)

// ports are machines by Go's names, and their architectures where docker's profile
// does not list them.
var ports = []struct {
	goarch string
	arch   oci.Arch
}{
	{"amd64", ""}, {"arm64", ""}, {"riscv64", ""}, {"s390x", ""}, {"loong64", ""}, {"mips64", ""}, {"mips64le", ""},
	{"ppc64le", oci.ArchPPC64LE}, {"386", oci.ArchX86}, {"arm", oci.ArchARM},
}

// A filter is a profile for one container, compiled.
type filter struct {
	profile *seccomp.Profile
	program []seccomp.Instruction
}

func (f *filter) answer(t *testing.T, d seccomp.Data) uint32 {
	t.Helper()
	ret, _, err := seccomp.Run(f.program, d)
	if err != nil {
		t.Fatal(err)
	}
	return ret
}

func filterOf(t *testing.T, s *oci.LinuxSeccomp) *filter {
	t.Helper()
	p, program := compile(t, s)
	return &filter{p, program}
}

// resolve makes the filter of a template for a container.
func resolve(t *testing.T, template []byte, goarch string, arch oci.Arch, caps []string) *filter {
	t.Helper()
	p, err := profile.Parse("template", template)
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := p.Resolve(profile.Container{Arch: goarch, Kernel: "5.14", Capabilities: caps})
	if err != nil {
		t.Fatal(err)
	}
	if arch != "" {
		if s.Architectures != nil {
			t.Fatalf("%s is listed now: %s", goarch, s.Architectures)
		}
		s.Architectures = []oci.Arch{arch}
	}
	return filterOf(t, s)
}

// questions are calls that two filters may answer differently: each call that an
// architecture has and some that it has not, those that are decided by their
// arguments with many of them.
func questions(one, two *filter) (list []seccomp.Data) {
	for _, a := range two.profile.Archs {
		numbers := []uint32{0, 1<<30 - 1, 1 << 30, 0xf0000, 0xfffff, 1<<31 - 1, 1 << 31, 1<<32 - 1}
		for _, name := range a.Names() {
			n, _ := a.Number(name)
			numbers = append(numbers, n-1, n, n+1, n+20)
		}
		slices.Sort(numbers)
		for _, n := range slices.Compact(numbers) {
			list = append(list, seccomp.Data{Number: n, Arch: a.Token}, seccomp.Data{Number: n, Arch: a.Token, Args: [6]uint64{1<<64 - 1, 1<<64 - 1, 1<<64 - 1, 1<<64 - 1, 1<<64 - 1, 1<<64 - 1}})
			if name := a.NameOf(n); !decides(one.profile, name) && !decides(two.profile, name) && name != "socketcall" && name != "ipc" {
				continue
			}
			for _, v := range slices.Concat(values(one.profile, a), values(two.profile, a)) {
				for arg := range 6 {
					d := seccomp.Data{Number: n, Arch: a.Token}
					d.Args[arg] = v
					list = append(list, d)
				}
			}
		}
	}
	return append(list, seccomp.Data{Arch: 0x1234}) // no architecture of any machine
}

// decides tells whether a profile has rules with conditions for a call.
func decides(p *seccomp.Profile, name string) bool {
	return slices.ContainsFunc(p.Rules, func(r seccomp.Rule) bool { return len(r.Conditions) > 0 && slices.Contains(r.Names, name) })
}

// differences counts the questions that two filters answer differently, and tells
// of the first if tell is set.
func differences(t *testing.T, what string, ours, theirs *filter, tell bool) (count, asked int) {
	t.Helper()
	list := questions(ours, theirs)
	for _, d := range list {
		got, want := ours.answer(t, d), theirs.answer(t, d)
		if got == want {
			continue
		}
		if count == 0 && tell {
			name := ""
			for _, a := range theirs.profile.Archs {
				if a.Token == d.Arch && name == "" {
					name = a.NameOf(d.Number)
				}
			}
			t.Errorf("%s: %s (%d) of %#x with %#x: %s, docker's says %s", what, name, d.Number, d.Arch, d.Args, seccomp.ActionText(got), seccomp.ActionText(want))
		}
		count++
	}
	return count, len(list)
}

// TestDefaultIsDockers: for every machine and every capability, our default profile
// answers every call as docker's does. There are no exceptions.
func TestDefaultIsDockers(t *testing.T) {
	template := dockerTemplate(t)
	sets := capabilitySets(t, template)
	total := 0
	for _, m := range ports {
		for _, caps := range sets {
			theirs := resolve(t, template, m.goarch, m.arch, caps)
			if m.goarch == runtime.GOARCH { // docker's own code says for this machine
				s, err := moby.GetDefaultProfile(&oci.Spec{Process: &oci.Process{Capabilities: &oci.LinuxCapabilities{Bounding: caps}}})
				if err != nil {
					t.Fatal(err)
				}
				theirs = filterOf(t, s)
			}
			_, asked := differences(t, m.goarch, resolve(t, specs.Seccomp(), m.goarch, m.arch, caps), theirs, true)
			if total += asked; t.Failed() {
				t.Fatalf("with %s", caps)
			}
		}
	}
	t.Logf("%d calls", total)
}

// TestDefaultIsNeeded takes each word out of our default profile: each rule, each
// name of it, each condition and each architecture. The comparison with docker's
// must notice, or it would not notice when docker's has it no more.
func TestDefaultIsNeeded(t *testing.T) {
	docker := dockerTemplate(t)
	ways := 0
	type object = map[string]any
	without := func(what string, caps []string, change func(p object)) {
		t.Helper()
		var p object
		if err := json.Unmarshal(specs.Seccomp(), &p); err != nil {
			t.Fatal(err)
		}
		change(p)
		changed, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		ways++
		for _, m := range ports {
			if n, _ := differences(t, m.goarch, resolve(t, changed, m.goarch, m.arch, caps), resolve(t, docker, m.goarch, m.arch, caps), false); n > 0 {
				return
			}
		}
		t.Errorf("nothing notices a profile without %s", what)
	}
	var p object
	if err := json.Unmarshal(specs.Seccomp(), &p); err != nil {
		t.Fatal(err)
	}
	list := func(o object, name string) []any { l, _ := o[name].([]any); return l }
	cut := func(o object, name string, i int) { o[name] = slices.Delete(list(o, name), i, i+1) }
	text := func(v any) string { data, _ := json.Marshal(v); return string(data) }
	for i, v := range list(p, "archMap") {
		without(text(v), nil, func(p object) { cut(p, "archMap", i) })
		for n, sub := range list(v.(object), "subArchitectures") {
			without(text(sub), nil, func(p object) { cut(list(p, "archMap")[i].(object), "subArchitectures", n) })
		}
	}
	for i, v := range list(p, "syscalls") {
		rule := v.(object)
		var caps []string
		if in, ok := rule["includes"].(object); ok {
			for _, c := range list(in, "caps") {
				caps = append(caps, c.(string))
			}
		}
		names := list(rule, "names")
		if len(names) == 1 {
			without(text(rule), caps, func(p object) { cut(p, "syscalls", i) })
		} else {
			for n, name := range names {
				without(text(name), caps, func(p object) { cut(list(p, "syscalls")[i].(object), "names", n) })
			}
		}
		if len(list(rule, "args")) > 0 {
			without("conditions of "+text(rule), caps, func(p object) { delete(list(p, "syscalls")[i].(object), "args") })
		}
		if _, ok := rule["includes"]; ok {
			without("includes of "+text(rule), nil, func(p object) { delete(list(p, "syscalls")[i].(object), "includes") })
		}
		if out, ok := rule["excludes"].(object); ok {
			for _, c := range list(out, "caps") {
				caps = append(caps, c.(string))
			}
			without("excludes of "+text(rule), caps, func(p object) { delete(list(p, "syscalls")[i].(object), "excludes") })
		}
	}
	if ways < 450 {
		t.Errorf("only %d ways were tried", ways)
	}
}
