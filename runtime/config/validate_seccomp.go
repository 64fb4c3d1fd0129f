// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/profile"
)

// seccomp checks linux.seccomp: config-linux.md, "Seccomp". Package profile knows
// its words.
func (v *validator) seccomp(s *specs.LinuxSeccomp) {
	if s == nil {
		return
	}
	for _, p := range profile.Check(s) {
		v.refuse(path("linux.seccomp%s", p.Path), "%s", p.What).Hint = p.Hint
	}
}
