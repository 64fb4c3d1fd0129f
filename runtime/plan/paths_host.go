// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"path"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// HostPaths returns the paths of the host that the config names and that
// [Compile] wants to know the kind of: facts.Facts.Files.
func HostPaths(bundle string, spec *specs.Spec) []string {
	var list []string
	add := func(p string) {
		if p == "" {
			return
		}
		if !path.IsAbs(p) {
			p = path.Join(bundle, p)
		}
		list = append(list, p)
	}
	if spec.Root != nil {
		add(spec.Root.Path)
	}
	for i := range spec.Mounts {
		if parseOptions(spec.Mounts[i].Options).bind {
			add(spec.Mounts[i].Source)
		}
	}
	if spec.Linux != nil {
		for i := range spec.Linux.Devices {
			add(spec.Linux.Devices[i].Path)
		}
	}
	return list
}
