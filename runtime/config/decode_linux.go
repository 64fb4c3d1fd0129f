// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/decode"
	"github.com/coracle-oci/coracle/internal/profile"
)

func linux(r *decode.Reader, l *specs.Linux) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "uidMappings":
			decode.Array(r, &l.UIDMappings, idMapping)
		case "gidMappings":
			decode.Array(r, &l.GIDMappings, idMapping)
		case "sysctl":
			decode.Dictionary(r, &l.Sysctl, decode.Str)
		case "resources":
			decode.Pointer(r, &l.Resources, resources)
		case "cgroupsPath":
			decode.Str(r, &l.CgroupsPath)
		case "namespaces":
			decode.Array(r, &l.Namespaces, namespace)
		case "devices":
			decode.Array(r, &l.Devices, device)
		case "netDevices":
			decode.Dictionary(r, &l.NetDevices, netDevice)
		case "seccomp":
			decode.Pointer(r, &l.Seccomp, profile.Seccomp)
		case "rootfsPropagation":
			decode.Str(r, &l.RootfsPropagation)
		case "maskedPaths":
			decode.Strings(r, &l.MaskedPaths)
		case "readonlyPaths":
			decode.Strings(r, &l.ReadonlyPaths)
		case "mountLabel":
			decode.Str(r, &l.MountLabel)
		case "intelRdt":
			decode.Pointer(r, &l.IntelRdt, intelRdt)
		case "memoryPolicy":
			decode.Pointer(r, &l.MemoryPolicy, memoryPolicy)
		case "personality":
			decode.Pointer(r, &l.Personality, personality)
		case "timeOffsets":
			decode.Dictionary(r, &l.TimeOffsets, timeOffset)
		default:
			r.Unknown()
		}
	})
}

func namespace(r *decode.Reader, n *specs.LinuxNamespace) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "type":
			decode.Str(r, &n.Type)
		case "path":
			decode.Str(r, &n.Path)
		default:
			r.Unknown()
		}
	})
}

func idMapping(r *decode.Reader, m *specs.LinuxIDMapping) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "containerID":
			decode.Number(r, &m.ContainerID)
		case "hostID":
			decode.Number(r, &m.HostID)
		case "size":
			decode.Number(r, &m.Size)
		default:
			r.Unknown()
		}
	})
}

func device(r *decode.Reader, d *specs.LinuxDevice) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "path":
			decode.Str(r, &d.Path)
		case "type":
			decode.Str(r, &d.Type)
		case "major":
			decode.Number(r, &d.Major)
		case "minor":
			decode.Number(r, &d.Minor)
		case "fileMode":
			decode.Pointer(r, &d.FileMode, decode.Number)
		case "uid":
			decode.Pointer(r, &d.UID, decode.Number)
		case "gid":
			decode.Pointer(r, &d.GID, decode.Number)
		default:
			r.Unknown()
		}
	})
}

func netDevice(r *decode.Reader, d *specs.LinuxNetDevice) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "name":
			decode.Str(r, &d.Name)
		default:
			r.Unknown()
		}
	})
}

func intelRdt(r *decode.Reader, i *specs.LinuxIntelRdt) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "closID":
			decode.Str(r, &i.ClosID)
		case "schemata":
			decode.Strings(r, &i.Schemata)
		case "l3CacheSchema":
			decode.Str(r, &i.L3CacheSchema)
		case "memBwSchema":
			decode.Str(r, &i.MemBwSchema)
		case "enableMonitoring":
			decode.Bool(r, &i.EnableMonitoring)
		default:
			r.Unknown()
		}
	})
}

func memoryPolicy(r *decode.Reader, p *specs.LinuxMemoryPolicy) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "mode":
			decode.Str(r, &p.Mode)
		case "nodes":
			decode.Str(r, &p.Nodes)
		case "flags":
			decode.Array(r, &p.Flags, decode.Str)
		default:
			r.Unknown()
		}
	})
}

func personality(r *decode.Reader, p *specs.LinuxPersonality) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "domain":
			decode.Str(r, &p.Domain)
		case "flags":
			decode.Array(r, &p.Flags, decode.Str)
		default:
			r.Unknown()
		}
	})
}

func timeOffset(r *decode.Reader, o *specs.LinuxTimeOffset) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "secs":
			decode.Number(r, &o.Secs)
		case "nanosecs":
			decode.Number(r, &o.Nanosecs)
		default:
			r.Unknown()
		}
	})
}
