// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// linux checks linux: config-linux.md.
func (v *validator) linux() {
	l := v.config.Linux
	if l == nil {
		return
	}
	v.namespaces(l.Namespaces)
	v.idMappings(l.UIDMappings, "linux.uidMappings")
	v.idMappings(l.GIDMappings, "linux.gidMappings")
	v.timeOffsets(l.TimeOffsets)
	v.devices(l.Devices)
	v.sysctl(l.Sysctl)
	if slices.Contains(strings.Split(l.CgroupsPath, "/"), "..") {
		v.refuse(path("linux.cgroupsPath"), "%q leads upwards", l.CgroupsPath)
	}
	if l.RootfsPropagation != "" {
		v.oneOf(l.RootfsPropagation, propagations, path("linux.rootfsPropagation"), "propagation")
	}
	for i, name := range l.MaskedPaths {
		v.absolute(name, path("linux.maskedPaths[%d]", i))
	}
	for i, name := range l.ReadonlyPaths {
		v.absolute(name, path("linux.readonlyPaths[%d]", i))
	}
	v.seccomp(l.Seccomp)
	v.label(l.MountLabel, path("linux.mountLabel"))
	v.intelRdt(l.IntelRdt)
	v.netDevices(l.NetDevices)
	v.memoryPolicy(l.MemoryPolicy)
	v.personality(l.Personality)
}

// namespace returns the namespace of a type, nil if the config has none.
func (v *validator) namespace(kind specs.LinuxNamespaceType) *specs.LinuxNamespace {
	if v.config.Linux == nil {
		return nil
	}
	for i, n := range v.config.Linux.Namespaces {
		if n.Type == kind {
			return &v.config.Linux.Namespaces[i]
		}
	}
	return nil
}

func (v *validator) namespaces(list []specs.LinuxNamespace) {
	seen := map[specs.LinuxNamespaceType]bool{}
	for i, n := range list {
		v.oneOf(string(n.Type), namespaces, path("linux.namespaces[%d].type", i), "namespace type")
		if seen[n.Type] {
			v.refuse(path("linux.namespaces[%d].type", i), "%s is given twice", n.Type)
		}
		seen[n.Type] = true
		if n.Path != "" {
			v.absolute(n.Path, path("linux.namespaces[%d].path", i))
		}
	}
}

// idMappings checks what user_namespaces(7), "Defining user and group ID
// mappings", asks of the lines of uid_map; the kernel's own answer is a bare
// EINVAL for all of them.
func (v *validator) idMappings(list []specs.LinuxIDMapping, field string) {
	user := v.namespace("user")
	switch {
	case len(list) > 0 && user == nil:
		v.refuse(path(field), "needs a user namespace").Hint = `add {"type": "user"} to linux.namespaces, or remove ` + field
	case len(list) == 0 && user != nil && user.Path == "":
		v.refuse(path(field), "is missing: a new user namespace has no ids without it")
	}
	v.ranges(list, path(field))
}

// ranges checks the lines of a uid_map or gid_map.
func (v *validator) ranges(list []specs.LinuxIDMapping, field at) {
	const most = 340 // UID_GID_MAP_MAX_EXTENTS, since Linux 4.15
	if len(list) > most {
		v.refuse(field, "has %d entries; the kernel takes %d", len(list), most)
	}
	for i, m := range list {
		entry := func(rest string) at { return at{field.format + "[%d]" + rest, append(slices.Clone(field.index), i)} }
		if m.Size == 0 {
			v.refuse(entry(".size"), "is zero or missing")
		}
		if uint64(m.ContainerID)+uint64(m.Size) > noID || uint64(m.HostID)+uint64(m.Size) > noID {
			v.refuse(entry(".size"), "%d leads beyond the last id, %d", m.Size, uint32(noID-1))
		}
		for j, other := range list[:i] {
			if overlap(m.ContainerID, other.ContainerID, m.Size, other.Size) || overlap(m.HostID, other.HostID, m.Size, other.Size) {
				v.refuse(entry(""), "overlaps with %s[%d]", strings.TrimPrefix(field.String(), Name+" "), j)
			}
		}
	}
}

// overlap tells whether the ranges [a, a+sizeA) and [b, b+sizeB) have an id in common.
func overlap(a, b, sizeA, sizeB uint32) bool {
	return uint64(a) < uint64(b)+uint64(sizeB) && uint64(b) < uint64(a)+uint64(sizeA)
}

// timeOffsets checks linux.timeOffsets: time_namespaces(7), /proc/PID/timens_offsets.
func (v *validator) timeOffsets(offsets map[string]specs.LinuxTimeOffset) {
	if len(offsets) == 0 {
		return
	}
	if ns := v.namespace("time"); ns == nil || ns.Path != "" {
		v.refuse(path("linux.timeOffsets"), "needs a new time namespace").Hint = `add {"type": "time"} to linux.namespaces`
	}
	for _, clock := range sorted(offsets) {
		v.oneOf(clock, []string{"boottime", "monotonic"}, path("linux.timeOffsets"), "clock")
		if offsets[clock].Nanosecs >= 1e9 {
			v.refuse(path("linux.timeOffsets.%s.nanosecs", clock), "%d is not below 1000000000", offsets[clock].Nanosecs)
		}
	}
}

// devices checks linux.devices. Numbers that do not fit dev_t are cut off by
// mknod(2): the container would get another device than the one that was asked for.
func (v *validator) devices(list []specs.LinuxDevice) {
	const majorMost, minorMost = 1<<12 - 1, 1<<20 - 1 // include/linux/kdev_t.h
	for i, d := range list {
		v.absolute(d.Path, path("linux.devices[%d].path", i))
		v.oneOf(d.Type, []string{"b", "c", "p", "u"}, path("linux.devices[%d].type", i), "device type")
		if d.Type != "p" {
			if d.Major < 0 || d.Major > majorMost {
				v.refuse(path("linux.devices[%d].major", i), "%d is not between 0 and %d", d.Major, majorMost)
			}
			if d.Minor < 0 || d.Minor > minorMost {
				v.refuse(path("linux.devices[%d].minor", i), "%d is not between 0 and %d", d.Minor, minorMost)
			}
		}
		if d.UID != nil {
			v.id(*d.UID, path("linux.devices[%d].uid", i))
		}
		if d.GID != nil {
			v.id(*d.GID, path("linux.devices[%d].gid", i))
		}
	}
}

// sorted makes findings the same in every run.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
