// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

import (
	"os"

	moby "github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/profile"
)

// Capabilities are those that docker gives a container.
var Capabilities = []string{"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD", "CAP_NET_BIND_SERVICE",
	"CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT"}

// Docker is docker's default profile, as its own code makes it for this machine.
func Docker() (*specs.LinuxSeccomp, error) {
	return moby.GetDefaultProfile(&specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: Capabilities}}})
}

// PodmanFile is where Debian's golang-github-containers-common has podman's.
const PodmanFile = "/usr/share/containers/seccomp.json"

// Podman is podman's default profile for a Go port, and a container with
// capabilities.
func Podman(goarch string, caps []string) (*specs.LinuxSeccomp, error) {
	data, err := os.ReadFile(PodmanFile)
	if err != nil {
		return nil, err
	}
	t, err := profile.Parse(PodmanFile, data)
	if err != nil {
		return nil, err
	}
	s, _, err := t.Resolve(profile.Container{Arch: goarch, Capabilities: caps})
	return s, err
}
