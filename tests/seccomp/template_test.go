// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"runtime"
	"slices"
	"testing"

	moby "github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/profile"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/internal/testkit"
	"github.com/coracle-oci/coracle/runtime/seccomp"
	other "github.com/coracle-oci/coracle/tests/seccomp"
)

// dockerTemplate is docker's default profile as its file has it.
func dockerTemplate(t *testing.T) []byte {
	t.Helper()
	data, err := json.Marshal(moby.DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// capabilitySets are none, all, each alone, all but each, and some at random, of
// those that docker's file speaks of and one that it does not.
func capabilitySets(t *testing.T, template []byte) [][]string {
	t.Helper()
	all := []string{"CAP_KILL"}
	for _, name := range linux.Capabilities {
		if bytes.Contains(template, []byte(`"`+name+`"`)) {
			all = append(all, name)
		}
	}
	sets := [][]string{nil, all}
	for i, name := range all {
		sets = append(sets, []string{name}, slices.Concat(all[:i], all[i+1:]))
	}
	r := testkit.Seed(t)
	for range 10 {
		set := slices.Clone(all)
		r.Shuffle(len(set), func(i, j int) { set[i], set[j] = set[j], set[i] })
		sets = append(sets, set[:r.IntN(len(set))])
	}
	return sets
}

// TestDockerTemplate: we make the same of docker's file as docker does.
func TestDockerTemplate(t *testing.T) {
	kernel, err := sys.Release()
	if err != nil {
		t.Fatal(err)
	}
	template := dockerTemplate(t)
	for _, caps := range capabilitySets(t, template) {
		want, err := moby.LoadProfile(string(template), &specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: caps}}})
		if err != nil {
			t.Fatal(err)
		}
		p, err := profile.Parse("docker", template)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := p.Resolve(profile.Container{Arch: runtime.GOARCH, Kernel: kernel, Capabilities: caps})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: got %+v, %v\nwant %+v", caps, got, err, want)
		}
	}
}

// TestPodmanTemplate: podman's file, which has names of errnos, is read, too.
func TestPodmanTemplate(t *testing.T) {
	for _, c := range []struct {
		goarch string
		caps   []string
		call   string
		want   string
	}{
		{"amd64", nil, "open_by_handle_at", "SCMP_ACT_ERRNO(1)"},
		{"amd64", []string{"CAP_DAC_READ_SEARCH"}, "open_by_handle_at", "SCMP_ACT_ALLOW"},
		{"amd64", nil, "arch_prctl", "SCMP_ACT_ALLOW"},
		{"arm64", nil, "set_mempolicy_home_node", "SCMP_ACT_ERRNO(38)"},
		{"amd64", nil, "swapon", "SCMP_ACT_ERRNO(1)"},
	} {
		s, err := other.Podman(c.goarch, c.caps)
		if err != nil {
			t.Fatal(err)
		}
		p, err := seccomp.Parse(s, c.goarch, "")
		if err != nil {
			t.Fatal(err)
		}
		number, _ := p.Archs[0].Number(c.call)
		if got := seccomp.ActionText(p.Decide(seccomp.Data{Arch: p.Archs[0].Token, Number: number}).Return); got != c.want {
			t.Errorf("%s with %s on %s: got %s, want %s", c.call, c.caps, c.goarch, got, c.want)
		}
	}
}
