// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import "github.com/opencontainers/runtime-spec/specs-go"

func linux(r *reader, l *specs.Linux) {
	r.object(func(name []byte) {
		switch string(name) {
		case "uidMappings":
			array(r, &l.UIDMappings, idMapping)
		case "gidMappings":
			array(r, &l.GIDMappings, idMapping)
		case "sysctl":
			dictionary(r, &l.Sysctl, str)
		case "resources":
			pointer(r, &l.Resources, resources)
		case "cgroupsPath":
			str(r, &l.CgroupsPath)
		case "namespaces":
			array(r, &l.Namespaces, namespace)
		case "devices":
			array(r, &l.Devices, device)
		case "netDevices":
			dictionary(r, &l.NetDevices, netDevice)
		case "seccomp":
			pointer(r, &l.Seccomp, seccomp)
		case "rootfsPropagation":
			str(r, &l.RootfsPropagation)
		case "maskedPaths":
			array(r, &l.MaskedPaths, str)
		case "readonlyPaths":
			array(r, &l.ReadonlyPaths, str)
		case "mountLabel":
			str(r, &l.MountLabel)
		case "intelRdt":
			pointer(r, &l.IntelRdt, intelRdt)
		case "memoryPolicy":
			pointer(r, &l.MemoryPolicy, memoryPolicy)
		case "personality":
			pointer(r, &l.Personality, personality)
		case "timeOffsets":
			dictionary(r, &l.TimeOffsets, timeOffset)
		default:
			r.unknown()
		}
	})
}

func namespace(r *reader, n *specs.LinuxNamespace) {
	r.object(func(name []byte) {
		switch string(name) {
		case "type":
			str(r, &n.Type)
		case "path":
			str(r, &n.Path)
		default:
			r.unknown()
		}
	})
}

func idMapping(r *reader, m *specs.LinuxIDMapping) {
	r.object(func(name []byte) {
		switch string(name) {
		case "containerID":
			number(r, &m.ContainerID)
		case "hostID":
			number(r, &m.HostID)
		case "size":
			number(r, &m.Size)
		default:
			r.unknown()
		}
	})
}

func device(r *reader, d *specs.LinuxDevice) {
	r.object(func(name []byte) {
		switch string(name) {
		case "path":
			str(r, &d.Path)
		case "type":
			str(r, &d.Type)
		case "major":
			number(r, &d.Major)
		case "minor":
			number(r, &d.Minor)
		case "fileMode":
			pointer(r, &d.FileMode, number)
		case "uid":
			pointer(r, &d.UID, number)
		case "gid":
			pointer(r, &d.GID, number)
		default:
			r.unknown()
		}
	})
}

func netDevice(r *reader, d *specs.LinuxNetDevice) {
	r.object(func(name []byte) {
		switch string(name) {
		case "name":
			str(r, &d.Name)
		default:
			r.unknown()
		}
	})
}

func intelRdt(r *reader, i *specs.LinuxIntelRdt) {
	r.object(func(name []byte) {
		switch string(name) {
		case "closID":
			str(r, &i.ClosID)
		case "schemata":
			array(r, &i.Schemata, str)
		case "l3CacheSchema":
			str(r, &i.L3CacheSchema)
		case "memBwSchema":
			str(r, &i.MemBwSchema)
		case "enableMonitoring":
			boolean(r, &i.EnableMonitoring)
		default:
			r.unknown()
		}
	})
}

func memoryPolicy(r *reader, p *specs.LinuxMemoryPolicy) {
	r.object(func(name []byte) {
		switch string(name) {
		case "mode":
			str(r, &p.Mode)
		case "nodes":
			str(r, &p.Nodes)
		case "flags":
			array(r, &p.Flags, str)
		default:
			r.unknown()
		}
	})
}

func personality(r *reader, p *specs.LinuxPersonality) {
	r.object(func(name []byte) {
		switch string(name) {
		case "domain":
			str(r, &p.Domain)
		case "flags":
			array(r, &p.Flags, str)
		default:
			r.unknown()
		}
	})
}

func timeOffset(r *reader, o *specs.LinuxTimeOffset) {
	r.object(func(name []byte) {
		switch string(name) {
		case "secs":
			number(r, &o.Secs)
		case "nanosecs":
			number(r, &o.Nanosecs)
		default:
			r.unknown()
		}
	})
}
