// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/decode"
)

func process(r *decode.Reader, p *specs.Process) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "terminal":
			decode.Bool(r, &p.Terminal)
		case "consoleSize":
			decode.Pointer(r, &p.ConsoleSize, consoleSize)
		case "user":
			user(r, &p.User)
		case "args":
			decode.Strings(r, &p.Args)
		case "commandLine":
			r.Skip() // Windows only
		case "env":
			decode.Strings(r, &p.Env)
		case "cwd":
			decode.Str(r, &p.Cwd)
		case "capabilities":
			decode.Pointer(r, &p.Capabilities, capabilities)
		case "rlimits":
			decode.Array(r, &p.Rlimits, rlimit)
		case "noNewPrivileges":
			decode.Bool(r, &p.NoNewPrivileges)
		case "apparmorProfile":
			decode.Str(r, &p.ApparmorProfile)
		case "oomScoreAdj":
			decode.Pointer(r, &p.OOMScoreAdj, decode.Number)
		case "scheduler":
			decode.Pointer(r, &p.Scheduler, scheduler)
		case "selinuxLabel":
			decode.Str(r, &p.SelinuxLabel)
		case "ioPriority":
			decode.Pointer(r, &p.IOPriority, ioPriority)
		case "execCPUAffinity":
			decode.Pointer(r, &p.ExecCPUAffinity, execCPUAffinity)
		default:
			r.Unknown()
		}
	})
}

func consoleSize(r *decode.Reader, b *specs.Box) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "height":
			decode.Number(r, &b.Height)
		case "width":
			decode.Number(r, &b.Width)
		default:
			r.Unknown()
		}
	})
}

func user(r *decode.Reader, u *specs.User) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "uid":
			decode.Number(r, &u.UID)
		case "gid":
			decode.Number(r, &u.GID)
		case "umask":
			decode.Pointer(r, &u.Umask, decode.Number)
		case "additionalGids":
			decode.Array(r, &u.AdditionalGids, decode.Number)
		case "username":
			r.Skip() // Windows only
		default:
			r.Unknown()
		}
	})
}

func capabilities(r *decode.Reader, c *specs.LinuxCapabilities) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "bounding":
			decode.Strings(r, &c.Bounding)
		case "effective":
			decode.Strings(r, &c.Effective)
		case "inheritable":
			decode.Strings(r, &c.Inheritable)
		case "permitted":
			decode.Strings(r, &c.Permitted)
		case "ambient":
			decode.Strings(r, &c.Ambient)
		default:
			r.Unknown()
		}
	})
}

func rlimit(r *decode.Reader, l *specs.POSIXRlimit) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "type":
			decode.Str(r, &l.Type)
		case "hard":
			decode.Number(r, &l.Hard)
		case "soft":
			decode.Number(r, &l.Soft)
		default:
			r.Unknown()
		}
	})
}

func scheduler(r *decode.Reader, s *specs.Scheduler) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "policy":
			decode.Str(r, &s.Policy)
		case "nice":
			decode.Number(r, &s.Nice)
		case "priority":
			decode.Number(r, &s.Priority)
		case "flags":
			decode.Array(r, &s.Flags, decode.Str)
		case "runtime":
			decode.Number(r, &s.Runtime)
		case "deadline":
			decode.Number(r, &s.Deadline)
		case "period":
			decode.Number(r, &s.Period)
		default:
			r.Unknown()
		}
	})
}

func ioPriority(r *decode.Reader, p *specs.LinuxIOPriority) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "class":
			decode.Str(r, &p.Class)
		case "priority":
			decode.Number(r, &p.Priority)
		default:
			r.Unknown()
		}
	})
}

func execCPUAffinity(r *decode.Reader, a *specs.CPUAffinity) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "initial":
			decode.Str(r, &a.Initial)
		case "final":
			decode.Str(r, &a.Final)
		default:
			r.Unknown()
		}
	})
}
