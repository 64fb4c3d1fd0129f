// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/decode"
)

func seccomp(r *decode.Reader, s *specs.LinuxSeccomp) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "defaultAction":
			decode.Str(r, &s.DefaultAction)
		case "defaultErrnoRet":
			decode.Pointer(r, &s.DefaultErrnoRet, decode.Number)
		case "architectures":
			decode.Array(r, &s.Architectures, decode.Str)
		case "flags":
			decode.Array(r, &s.Flags, decode.Str)
		case "listenerPath":
			decode.Str(r, &s.ListenerPath)
		case "listenerMetadata":
			decode.Str(r, &s.ListenerMetadata)
		case "syscalls":
			decode.Array(r, &s.Syscalls, syscall)
		default:
			r.Unknown()
		}
	})
}

func syscall(r *decode.Reader, s *specs.LinuxSyscall) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "names":
			decode.Array(r, &s.Names, decode.Str)
		case "action":
			decode.Str(r, &s.Action)
		case "errnoRet":
			decode.Pointer(r, &s.ErrnoRet, decode.Number)
		case "args":
			decode.Array(r, &s.Args, syscallArg)
		default:
			r.Unknown()
		}
	})
}

func syscallArg(r *decode.Reader, a *specs.LinuxSeccompArg) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "index":
			decode.Number(r, &a.Index)
		case "value":
			decode.Number(r, &a.Value)
		case "valueTwo":
			decode.Number(r, &a.ValueTwo)
		case "op":
			decode.Str(r, &a.Op)
		default:
			r.Unknown()
		}
	})
}
