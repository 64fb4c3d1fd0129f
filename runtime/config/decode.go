// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import "github.com/opencontainers/runtime-spec/specs-go"

// The decoders stand in the order of the spec: config.md here and in
// decode_process.go, config-linux.md in the others. One function per object.

func spec(r *reader, s *specs.Spec) {
	r.object(func(name []byte) {
		switch string(name) {
		case "ociVersion":
			str(r, &s.Version)
		case "root":
			pointer(r, &s.Root, root)
		case "mounts":
			array(r, &s.Mounts, mount)
		case "process":
			pointer(r, &s.Process, process)
		case "hostname":
			str(r, &s.Hostname)
		case "domainname":
			str(r, &s.Domainname)
		case "hooks":
			pointer(r, &s.Hooks, hooks)
		case "linux":
			pointer(r, &s.Linux, linux)
		case "annotations":
			dictionary(r, &s.Annotations, str)
		case "vm", "solaris", "windows", "zos", "freebsd":
			r.skip()
		default:
			r.unknown()
		}
	})
}

func root(r *reader, s *specs.Root) {
	r.object(func(name []byte) {
		switch string(name) {
		case "path":
			str(r, &s.Path)
		case "readonly":
			boolean(r, &s.Readonly)
		default:
			r.unknown()
		}
	})
}

func mount(r *reader, m *specs.Mount) {
	r.object(func(name []byte) {
		switch string(name) {
		case "destination":
			str(r, &m.Destination)
		case "type":
			str(r, &m.Type)
		case "source":
			str(r, &m.Source)
		case "options":
			array(r, &m.Options, str)
		case "uidMappings":
			array(r, &m.UIDMappings, idMapping)
		case "gidMappings":
			array(r, &m.GIDMappings, idMapping)
		default:
			r.unknown()
		}
	})
}

func hooks(r *reader, h *specs.Hooks) {
	r.object(func(name []byte) {
		switch string(name) {
		case "prestart":
			array(r, &h.Prestart, hook)
		case "createRuntime":
			array(r, &h.CreateRuntime, hook)
		case "createContainer":
			array(r, &h.CreateContainer, hook)
		case "startContainer":
			array(r, &h.StartContainer, hook)
		case "poststart":
			array(r, &h.Poststart, hook)
		case "poststop":
			array(r, &h.Poststop, hook)
		default:
			r.unknown()
		}
	})
}

func hook(r *reader, h *specs.Hook) {
	r.object(func(name []byte) {
		switch string(name) {
		case "path":
			str(r, &h.Path)
		case "args":
			array(r, &h.Args, str)
		case "env":
			array(r, &h.Env, str)
		case "timeout":
			pointer(r, &h.Timeout, number)
		default:
			r.unknown()
		}
	})
}
