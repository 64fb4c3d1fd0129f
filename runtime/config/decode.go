// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/decode"
)

// The decoders stand in the order of the spec: config.md here and in
// decode_process.go, config-linux.md in the others. One function per object.

func spec(r *decode.Reader, s *specs.Spec) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "ociVersion":
			decode.Str(r, &s.Version)
		case "root":
			decode.Pointer(r, &s.Root, root)
		case "mounts":
			decode.Array(r, &s.Mounts, mount)
		case "process":
			decode.Pointer(r, &s.Process, process)
		case "hostname":
			decode.Str(r, &s.Hostname)
		case "domainname":
			decode.Str(r, &s.Domainname)
		case "hooks":
			decode.Pointer(r, &s.Hooks, hooks)
		case "linux":
			decode.Pointer(r, &s.Linux, linux)
		case "annotations":
			decode.Dictionary(r, &s.Annotations, decode.Str)
		case "vm", "solaris", "windows", "zos", "freebsd":
			r.Skip()
		default:
			r.Unknown()
		}
	})
}

func root(r *decode.Reader, s *specs.Root) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "path":
			decode.Str(r, &s.Path)
		case "readonly":
			decode.Bool(r, &s.Readonly)
		default:
			r.Unknown()
		}
	})
}

func mount(r *decode.Reader, m *specs.Mount) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "destination":
			decode.Str(r, &m.Destination)
		case "type":
			decode.Str(r, &m.Type)
		case "source":
			decode.Str(r, &m.Source)
		case "options":
			decode.Strings(r, &m.Options)
		case "uidMappings":
			decode.Array(r, &m.UIDMappings, idMapping)
		case "gidMappings":
			decode.Array(r, &m.GIDMappings, idMapping)
		default:
			r.Unknown()
		}
	})
}

func hooks(r *decode.Reader, h *specs.Hooks) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "prestart":
			decode.Array(r, &h.Prestart, hook)
		case "createRuntime":
			decode.Array(r, &h.CreateRuntime, hook)
		case "createContainer":
			decode.Array(r, &h.CreateContainer, hook)
		case "startContainer":
			decode.Array(r, &h.StartContainer, hook)
		case "poststart":
			decode.Array(r, &h.Poststart, hook)
		case "poststop":
			decode.Array(r, &h.Poststop, hook)
		default:
			r.Unknown()
		}
	})
}

func hook(r *decode.Reader, h *specs.Hook) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "path":
			decode.Str(r, &h.Path)
		case "args":
			decode.Strings(r, &h.Args)
		case "env":
			decode.Strings(r, &h.Env)
		case "timeout":
			decode.Pointer(r, &h.Timeout, decode.Number)
		default:
			r.Unknown()
		}
	})
}
