// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

import (
	"encoding/json"
	"os"
	"slices"

	moby "github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// capabilities are those that docker gives a container.
var capabilities = []string{"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD", "CAP_NET_BIND_SERVICE",
	"CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT"}

// Docker is docker's default profile, as its own code makes it for this machine.
func Docker() (*specs.LinuxSeccomp, error) {
	return moby.GetDefaultProfile(&specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: capabilities}}})
}

// PodmanFile is where Debian's golang-github-containers-common has podman's.
const PodmanFile = "/usr/share/containers/seccomp.json"

// A template is a profile as podman and docker write it: rules for the
// capabilities and architectures that a container may have.
type template struct {
	specs.LinuxSeccomp
	ArchMap []struct {
		Architecture     specs.Arch
		SubArchitectures []specs.Arch
	}
	Syscalls []struct {
		specs.LinuxSyscall
		Includes, Excludes struct {
			Caps, Arches []string
			MinKernel    string
		}
	}
}

// Podman is podman's default profile for an architecture: by the spec's name and
// by the name that the profile has for it.
func Podman(arch specs.Arch, name string) (*specs.LinuxSeccomp, error) {
	data, err := os.ReadFile(PodmanFile)
	if err != nil {
		return nil, err
	}
	var t template
	if err := json.Unmarshal(data, &t); err != nil {
		return nil, err
	}
	s := t.LinuxSeccomp
	for _, m := range t.ArchMap {
		if m.Architecture == arch {
			s.Architectures = append([]specs.Arch{arch}, m.SubArchitectures...)
		}
	}
	has := func(c string) bool { return slices.Contains(capabilities, c) }
	for _, c := range t.Syscalls {
		if in := c.Includes; len(in.Arches) > 0 && !slices.Contains(in.Arches, name) || slices.ContainsFunc(in.Caps, func(c string) bool { return !has(c) }) {
			continue
		}
		if out := c.Excludes; slices.Contains(out.Arches, name) || slices.ContainsFunc(out.Caps, has) || out.MinKernel != "" {
			continue
		}
		s.Syscalls = append(s.Syscalls, c.LinuxSyscall)
	}
	return &s, nil
}
