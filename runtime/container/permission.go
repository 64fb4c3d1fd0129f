// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// An executor is who will execute the program, in ids of the host. Whether it
// may is asked at create, as engines tell their users 126 for what create says.
type executor struct {
	uid, gid uint32
	groups   []uint32
	override bool // it has CAP_DAC_OVERRIDE
	unknown  bool // its ids on the host are not known: a user namespace is joined
}

// newExecutor translates the user of the process.
func newExecutor(spec *specs.Spec) executor {
	p := spec.Process
	e := executor{uid: p.User.UID, gid: p.User.GID, groups: slices.Clone(p.User.AdditionalGids)}
	e.override = p.Capabilities != nil && slices.Contains(p.Capabilities.Effective, "CAP_DAC_OVERRIDE")
	for _, ns := range spec.Linux.Namespaces {
		if ns.Type != specs.UserNamespace {
			continue
		}
		if ns.Path != "" {
			e.unknown = true
			break
		}
		e.uid = onHost(e.uid, spec.Linux.UIDMappings)
		e.gid = onHost(e.gid, spec.Linux.GIDMappings)
		for i := range e.groups {
			e.groups[i] = onHost(e.groups[i], spec.Linux.GIDMappings)
		}
	}
	return e
}

// onHost translates an id of the container; one that is not mapped is nobody's.
func onHost(id uint32, maps []specs.LinuxIDMapping) uint32 {
	for _, m := range maps {
		if id >= m.ContainerID && id-m.ContainerID < m.Size {
			return m.HostID + id - m.ContainerID
		}
	}
	return ^uint32(0)
}

// mayExecute is the check of mode bits of path_resolution(7). It knows no access
// control lists and not the directories on the way: where those say no, start
// tells.
func (e executor) mayExecute(mode, uid, gid uint32) bool {
	switch {
	case e.override || e.unknown:
		return mode&0o111 != 0
	case e.uid == uid:
		return mode&0o100 != 0
	case e.gid == gid || slices.Contains(e.groups, gid):
		return mode&0o010 != 0
	}
	return mode&0o001 != 0
}
