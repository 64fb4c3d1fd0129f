// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import "github.com/opencontainers/runtime-spec/specs-go"

func seccomp(r *reader, s *specs.LinuxSeccomp) {
	r.object(func(name []byte) {
		switch string(name) {
		case "defaultAction":
			str(r, &s.DefaultAction)
		case "defaultErrnoRet":
			pointer(r, &s.DefaultErrnoRet, number)
		case "architectures":
			array(r, &s.Architectures, str)
		case "flags":
			array(r, &s.Flags, str)
		case "listenerPath":
			str(r, &s.ListenerPath)
		case "listenerMetadata":
			str(r, &s.ListenerMetadata)
		case "syscalls":
			array(r, &s.Syscalls, syscall)
		default:
			r.unknown()
		}
	})
}

func syscall(r *reader, s *specs.LinuxSyscall) {
	r.object(func(name []byte) {
		switch string(name) {
		case "names":
			array(r, &s.Names, str)
		case "action":
			str(r, &s.Action)
		case "errnoRet":
			pointer(r, &s.ErrnoRet, number)
		case "args":
			array(r, &s.Args, syscallArg)
		default:
			r.unknown()
		}
	})
}

func syscallArg(r *reader, a *specs.LinuxSeccompArg) {
	r.object(func(name []byte) {
		switch string(name) {
		case "index":
			number(r, &a.Index)
		case "value":
			number(r, &a.Value)
		case "valueTwo":
			number(r, &a.ValueTwo)
		case "op":
			str(r, &a.Op)
		default:
			r.unknown()
		}
	})
}
