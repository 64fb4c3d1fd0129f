// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package profile

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
)

func parse(t *testing.T, text string) *Template {
	t.Helper()
	p, err := Parse("p.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestSpecForm: a linux.seccomp is taken as it is.
func TestSpecForm(t *testing.T) {
	p := parse(t, `{
		"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "architectures": ["SCMP_ARCH_X86"], "flags": ["SECCOMP_FILTER_FLAG_LOG"],
		"listenerPath": "/run/agent", "listenerMetadata": "m",
		"syscalls": [
			{"names": ["read", "write"], "action": "SCMP_ACT_NOTIFY"},
			{"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": 0, "args": [{"index": 5, "value": 18446744073709551615, "valueTwo": 1, "op": "SCMP_CMP_MASKED_EQ"}]}
		]}`)
	s, from, err := p.Resolve(Container{Arch: "amd64"})
	want := &specs.LinuxSeccomp{
		DefaultAction: specs.ActErrno, DefaultErrnoRet: ptr(38), Architectures: []specs.Arch{specs.ArchX86}, Flags: []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagLog},
		ListenerPath: "/run/agent", ListenerMetadata: "m",
		Syscalls: []specs.LinuxSyscall{
			{Names: []string{"read", "write"}, Action: specs.ActNotify},
			{Names: []string{"clone"}, Action: specs.ActErrno, ErrnoRet: ptr(0), Args: []specs.LinuxSeccompArg{{Index: 5, Value: 1<<64 - 1, ValueTwo: 1, Op: specs.OpMaskedEqual}}},
		},
	}
	if err != nil || !reflect.DeepEqual(s, want) || !slices.Equal(from, []int{0, 1}) {
		t.Errorf("got %+v %v %v", s, from, err)
	}
}

// TestResolve: which rules hold for whom. Their numbers are the answers.
func TestResolve(t *testing.T) {
	p := parse(t, `{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
		{"names": ["a"], "action": "SCMP_ACT_ALLOW", "comment": "for all", "includes": {}, "excludes": null},
		{"name": "b", "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF", "CAP_SYSLOG"]}},
		{"names": ["c"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_BPF", "CAP_SYSLOG"]}},
		{"names": ["d"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64", "s390x"]}},
		{"names": ["e"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["arm64", "s390x"]}},
		{"names": ["f"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "5.9"}},
		{"names": ["g"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "5.9"}},
		{"names": ["h"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF"], "arches": ["amd64"], "minKernel": "5.9"}, "excludes": {"caps": ["CAP_SYSLOG"]}}
	]}`)
	for _, c := range []struct {
		arch, kernel, caps string
		want               string
	}{
		{"amd64", "5.10.0-rc1", "", "[0 2 4 5]"},
		{"amd64", "5.9", "CAP_BPF", "[0 4 5 7]"},
		{"amd64", "5.8.99", "CAP_BPF", "[0 4 6]"},
		{"amd64", "4.19-amd64", "CAP_SYSLOG", "[0 4 6]"},
		{"amd64", "6.0", "CAP_SYSLOG CAP_BPF CAP_KILL", "[0 1 4 5]"},
		{"arm64", "6.18.44-fc", "CAP_BPF", "[0 3 5]"},
		{"s390x", "5.9.1", "CAP_KILL", "[0 2 3 5]"},
		{"riscv64", "5.14", "", "[0 2 4 5]"},
	} {
		s, from, err := p.Resolve(Container{Arch: c.arch, Kernel: c.kernel, Capabilities: strings.Fields(c.caps)})
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(from); got != c.want {
			t.Errorf("%v: got %s", c, got)
		}
		for i, n := range from {
			if want := string(rune('a' + n)); s.Syscalls[i].Names[0] != want {
				t.Errorf("%v: rule %d is %s, not %s", c, i, s.Syscalls[i].Names, want)
			}
		}
	}
}

// TestArchMap: the machine's own and its companions, nothing where it is not listed.
func TestArchMap(t *testing.T) {
	p := parse(t, `{"defaultAction": "SCMP_ACT_ALLOW", "archMap": [
		{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
		{"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": null},
		{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_ARM"]}
	]}`)
	for arch, want := range map[string]string{"amd64": "[SCMP_ARCH_X86_64 SCMP_ARCH_X86 SCMP_ARCH_X32]", "arm64": "[SCMP_ARCH_AARCH64]", "riscv64": "[]"} {
		s, _, err := p.Resolve(Container{Arch: arch})
		if got := fmt.Sprint(s.Architectures); err != nil || got != want {
			t.Errorf("%s: got %s %v", arch, got, err)
		}
	}
}

// TestErrnoNames is podman's: a name beside the number, or in its place.
func TestErrnoNames(t *testing.T) {
	s, _, err := parse(t, `{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "ENOSYS", "syscalls": [
		{"names": ["a"], "action": "SCMP_ACT_ERRNO", "errno": "EPERM", "errnoRet": 1},
		{"names": ["b"], "action": "SCMP_ACT_ERRNO", "errno": "EINVAL"},
		{"names": ["c"], "action": "SCMP_ACT_ERRNO", "errno": ""}
	]}`).Resolve(Container{Arch: "amd64"})
	if err != nil || *s.DefaultErrnoRet != 38 || *s.Syscalls[0].ErrnoRet != 1 || *s.Syscalls[1].ErrnoRet != 22 || s.Syscalls[2].ErrnoRet != nil {
		t.Errorf("got %+v %v", s, err)
	}
}

func TestParseRefuses(t *testing.T) {
	rule := func(more string) string {
		return `{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["a"], "action": "SCMP_ACT_ALLOW"}, {"action": "SCMP_ACT_ALLOW"` + more + `}]}`
	}
	named := func(more string) string { return rule(`, "names": ["b"]` + more) }
	for have, want := range map[string]string{
		``:                           `p.json: is empty`,
		`[]`:                         `p.json: must be an object, not a list`,
		`{`:                          `p.json:1:2: the text ends too early`,
		`{} {}`:                      `p.json:1:4: something follows the end of the JSON text`,
		`{}`:                         `p.json defaultAction: is missing`,
		`{"defaultaction": "x"}`:     `p.json defaultaction: unknown property`,
		`{"defaultAction": 1}`:       `p.json defaultAction: must be a string, not a number`,
		`{"defaultAction": "ALLOW"}`: `p.json defaultAction: unknown action "ALLOW"; did you mean SCMP_ACT_ALLOW?`,
		`{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "EFOO"}`:                                                                     `p.json defaultErrno: "EFOO" is no errno`,
		`{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "EPERM", "defaultErrnoRet": 38}`:                                             `p.json defaultErrno: EPERM is 1, but the number beside it is another`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "archMap": [{"architecture": "SCMP_ARCH_X86"}], "architectures": ["SCMP_ARCH_X86"]}`:         `p.json archMap: stands beside architectures: only one of them can count`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "archMap": [{"architecture": "SCMP_ARCH_X87"}]}`:                                             `p.json archMap[0].architecture: unknown architecture "SCMP_ARCH_X87"; did you mean SCMP_ARCH_X86?`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "archMap": [{"architecture": "SCMP_ARCH_X86", "subArchitectures": ["SCMP_ARCH_X32", "x"]}]}`: `p.json archMap[0].subArchitectures[1]: unknown architecture "x"`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "archMap": [{"architecture": "SCMP_ARCH_X86", "sub": ["SCMP_ARCH_X32"]}]}`:                   `p.json archMap[0].sub: unknown property`,
		`{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_AMD64"]}`:                                                       `p.json architectures[0]: unknown architecture "SCMP_ARCH_AMD64"`,
		`{"defaultAction": "SCMP_ACT_NOTIFY"}`:                                                                                            `p.json listenerPath: is missing: nobody would answer SCMP_ACT_NOTIFY; …`,
		rule(``):                                                                                                                          `p.json syscalls[1].names: is empty`,
		named(`, "name": "c"`):                                                                                                            `p.json syscalls[1].name: stands beside names: only one of them can count`,
		named(`, "errno": "EFOO"`):                                                                                                        `p.json syscalls[1].errno: "EFOO" is no errno`,
		named(`, "errno": "EPERM", "errnoRet": 2`):                                                                                        `p.json syscalls[1].errno: EPERM is 1, but the number beside it is another`,
		named(`, "errno": "EPERM"`):                                                                                                       `p.json syscalls[1].errnoRet: is set, but SCMP_ACT_ALLOW returns no errno; …`,
		named(`, "arg": []`):                                                                                                              `p.json syscalls[1].arg: unknown property`,
		named(`, "args": [{"idx": 1}]`):                                                                                                   `p.json syscalls[1].args[0].idx: unknown property`,
		named(`, "args": [{"op": "EQ"}]`):                                                                                                 `p.json syscalls[1].args[0].op: unknown operator "EQ"; …`,
		named(`, "args": [{"value": -1}]`):                                                                                                `p.json syscalls[1].args[0].value: -1 is out of range (0 to 18446744073709551615)`,
		named(`, "includes": {"cap": ["CAP_BPF"]}`):                                                                                       `p.json syscalls[1].includes.cap: unknown property`,
		named(`, "includes": {"caps": "CAP_BPF"}`):                                                                                        `p.json syscalls[1].includes.caps: must be a list, not a string`,
		named(`, "excludes": {"caps": ["SYS_ADMI"]}`):                                                                                     `p.json syscalls[1].excludes.caps[0]: unknown capability "SYS_ADMI"`,
		named(`, "excludes": {"caps": ["CAP_BPF", "CAP_SYS_ADMN"]}`):                                                                      `p.json syscalls[1].excludes.caps[1]: unknown capability "CAP_SYS_ADMN"; did you mean CAP_SYS_ADMIN?`,
		named(`, "excludes": {"arches": ["amd46"]}`):                                                                                      `p.json syscalls[1].excludes.arches[0]: unknown architecture "amd46"; did you mean amd64?`,
		named(`, "includes": {"minKernel": "5"}`):                                                                                         `p.json syscalls[1].includes.minKernel: "5" is no version such as 4.8`,
		named(`, "includes": {"minKernel": "5.10.1"}`):                                                                                    `p.json syscalls[1].includes.minKernel: "5.10.1" is no version such as 4.8`,
		named(`, "excludes": {"minKernel": "0.0"}`):                                                                                       `p.json syscalls[1].excludes.minKernel: "0.0" is no version such as 4.8`,
		named(`, "excludes": {"minKernel": "-4.8"}`):                                                                                      `p.json syscalls[1].excludes.minKernel: "-4.8" is no version such as 4.8`,
		named(`, "excludes": {"minKernel": 4.8}`):                                                                                         `p.json syscalls[1].excludes.minKernel: must be a string, not a number`,
	} {
		_, err := Parse("p.json", []byte(have))
		if err == nil {
			t.Errorf("%s\nis taken, want %s", have, want)
			continue
		}
		got := err.Error()
		if hint := fail.HintOf(err); hint != "" {
			got += "; " + hint
		}
		prefix, shortened := strings.CutSuffix(want, "…")
		if got != want && !(shortened && strings.HasPrefix(got, prefix)) {
			t.Errorf("%s\n got %s\nwant %s", have, got, want)
		}
	}
}

func TestResolveRefuses(t *testing.T) {
	p := parse(t, `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["a"], "action": "SCMP_ACT_ALLOW"}, {"names": ["b"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "4.8"}}]}`)
	for _, c := range []struct {
		c    Container
		want string
	}{
		{Container{Arch: "amd64"}, `p.json syscalls[1]: depends on the kernel's version, and "" tells none`},
		{Container{Arch: "amd64", Kernel: "six"}, `p.json syscalls[1]: depends on the kernel's version, and "six" tells none`},
		{Container{Arch: "wasm", Kernel: "6.0"}, `p.json: is not for machines of the kind "wasm"`},
		{Container{Kernel: "6.0"}, `p.json: is not for machines of the kind ""`},
	} {
		if _, _, err := p.Resolve(c.c); err == nil || err.Error() != c.want {
			t.Errorf("got %v\nwant %s", err, c.want)
		}
	}
}

// TestResolveAgain: a template is as it was, whatever has been made of it.
func TestResolveAgain(t *testing.T) {
	p := parse(t, `{"defaultAction": "SCMP_ACT_ALLOW", "archMap": [{"architecture": "SCMP_ARCH_X86_64"}], "syscalls": [{"names": ["a"], "action": "SCMP_ACT_LOG", "includes": {"caps": ["CAP_BPF"]}}]}`)
	for _, caps := range [][]string{{"CAP_BPF"}, nil, {"CAP_BPF"}} {
		s, _, err := p.Resolve(Container{Arch: "amd64", Capabilities: caps})
		if err != nil || len(s.Syscalls) != len(caps) || len(s.Architectures) != 1 {
			t.Errorf("%s: got %+v %v", caps, s, err)
		}
	}
}

func TestMachines(t *testing.T) {
	for _, m := range machines {
		if !slices.Contains(Architectures(), m.spec) {
			t.Errorf("%s is none of the spec's", m.spec)
		}
	}
	for _, a := range Architectures() {
		if !slices.ContainsFunc(machines[:], func(m machine) bool { return m.spec == a }) {
			t.Errorf("templates have no name for %s", a)
		}
	}
}

// FuzzParse: whatever a file has, it is an error of its own or resolves to what
// package seccomp takes.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"defaultAction": "SCMP_ACT_ERRNO", "archMap": [{"architecture": "SCMP_ARCH_X86_64"}], "syscalls": [{"name": "b", "action": "SCMP_ACT_ALLOW", "errno": "", "includes": {"caps": ["CAP_BPF"], "minKernel": "4.8"}, "args": [{"index": 1, "op": "SCMP_CMP_EQ"}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse("p.json", data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "p.json") {
				t.Errorf("%q: %v", data, err)
			}
			return
		}
		s, from, err := p.Resolve(Container{Arch: "amd64", Kernel: "6.1", Capabilities: []string{"CAP_BPF"}})
		if err != nil || len(from) != len(s.Syscalls) {
			t.Fatalf("%q: %v, %d rules from %d", data, err, len(s.Syscalls), len(from))
		}
		if problems := Check(s); problems != nil {
			t.Errorf("%q: %v", data, problems)
		}
	})
}
