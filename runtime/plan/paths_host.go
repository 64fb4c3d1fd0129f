// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"path"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/runtime/facts"
)

// HostPaths returns the paths of the host that the config names and that
// [Compile] wants to know the kind of: facts.Facts.Files. Those of the image are
// of mounts that depend on what they cover.
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
	root := ""
	if len(list) > 0 {
		root = list[0]
	}
	for i := range spec.Mounts {
		m := &spec.Mounts[i]
		switch o := parseOptions(m.Options); {
		case o.is(remount):
		case o.is(bind):
			add(m.Source)
			if o.is(copySymlink) {
				list = append(list, facts.InImage(root, inside(m.Destination)))
			}
		case m.Type == "tmpfs" && !hasMode(o.data):
			list = append(list, facts.InImage(root, inside(m.Destination)))
		}
	}
	list = labelPaths(spec, list)
	if spec.Linux != nil && spec.Linux.IntelRdt != nil {
		for _, p := range rdtPaths(spec.Linux.IntelRdt.ClosID) {
			add(p)
		}
	}
	if spec.Linux != nil {
		for i := range spec.Linux.Devices {
			add(spec.Linux.Devices[i].Path)
		}
		if s := spec.Linux.Seccomp; s != nil && notifies(s) {
			add(s.ListenerPath)
		}
	}
	return list
}

// labelPaths appends those that tell whether there are security modules.
func labelPaths(spec *specs.Spec, list []string) []string {
	if p := spec.Process; p != nil && p.ApparmorProfile != "" {
		list = append(list, AppArmorDir)
	}
	if p := spec.Process; p != nil && p.SelinuxLabel != "" || spec.Linux != nil && spec.Linux.MountLabel != "" {
		list = append(list, SELinuxFile)
	}
	return list
}
