// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package profile

import (
	"slices"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/decode"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys/linux"
)

// Seccomp decodes a linux.seccomp.
func Seccomp(r *decode.Reader, s *specs.LinuxSeccomp) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "syscalls":
			decode.Array(r, &s.Syscalls, syscall)
		default:
			field(r, s, name)
		}
	})
}

// field decodes what profiles of both forms have beside their rules.
func field(r *decode.Reader, s *specs.LinuxSeccomp, name []byte) {
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
	default:
		r.Unknown()
	}
}

func syscall(r *decode.Reader, s *specs.LinuxSyscall) {
	r.Object(func(name []byte) { syscallField(r, s, name) })
}

func syscallField(r *decode.Reader, s *specs.LinuxSyscall, name []byte) {
	switch string(name) {
	case "names":
		decode.Strings(r, &s.Names)
	case "action":
		decode.Str(r, &s.Action)
	case "errnoRet":
		decode.Pointer(r, &s.ErrnoRet, decode.Number)
	case "args":
		decode.Array(r, &s.Args, argument)
	default:
		r.Unknown()
	}
}

func argument(r *decode.Reader, a *specs.LinuxSeccompArg) {
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

// template decodes a file of either form.
func template(r *decode.Reader, t *Template) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "archMap":
			decode.Array(r, &t.archMap, family)
		case "defaultErrno":
			decode.Str(r, &t.errno)
		case "syscalls":
			decode.Array(r, &t.rules, rule)
		default:
			field(r, &t.common, name)
		}
	})
}

func family(r *decode.Reader, f *archFamily) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "architecture":
			architecture(r, &f.native)
		case "subArchitectures":
			decode.Array(r, &f.others, architecture)
		default:
			r.Unknown()
		}
	})
}

func rule(r *decode.Reader, t *templateRule) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "name":
			decode.Str(r, &t.name)
		case "comment":
			r.Skip()
		case "errno":
			decode.Str(r, &t.errno)
		case "includes":
			filter(r, &t.includes)
		case "excludes":
			filter(r, &t.excludes)
		default:
			syscallField(r, &t.LinuxSyscall, name)
		}
	})
}

func filter(r *decode.Reader, f *condition) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "caps":
			decode.Array(r, &f.caps, capability)
		case "arches":
			decode.Array(r, &f.machines, machineName)
		case "minKernel":
			minKernel(r, &f.kernel)
		default:
			r.Unknown()
		}
	})
}

func architecture(r *decode.Reader, to *string) { word(r, to, "architecture", Architectures()) }
func machineName(r *decode.Reader, to *string)  { word(r, to, "architecture", machineNames()) }
func capability(r *decode.Reader, to *string)   { word(r, to, "capability", linux.Capabilities[:]) }

// word reads one of some words. A misspelt one would never hold, and what it
// excludes then is included.
func word(r *decode.Reader, to *string, kind string, known []string) {
	decode.Str(r, to)
	if !slices.Contains(known, *to) {
		r.Refuse("unknown "+kind+" "+strconv.Quote(*to), fail.Nearest(*to, known))
	}
}

// minKernel reads a version such as "4.8".
func minKernel(r *decode.Reader, to *version) {
	var text string
	decode.Str(r, &text)
	v, rest, ok := parseVersion(text)
	if text != "" && (!ok || rest != "") {
		r.Bad(strconv.Quote(text) + " is no version such as 4.8")
	}
	*to = v
}
