// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import "github.com/opencontainers/runtime-spec/specs-go"

func process(r *reader, p *specs.Process) {
	r.object(func(name []byte) {
		switch string(name) {
		case "terminal":
			boolean(r, &p.Terminal)
		case "consoleSize":
			pointer(r, &p.ConsoleSize, consoleSize)
		case "user":
			user(r, &p.User)
		case "args":
			array(r, &p.Args, str)
		case "commandLine":
			r.skip() // Windows only
		case "env":
			array(r, &p.Env, str)
		case "cwd":
			str(r, &p.Cwd)
		case "capabilities":
			pointer(r, &p.Capabilities, capabilities)
		case "rlimits":
			array(r, &p.Rlimits, rlimit)
		case "noNewPrivileges":
			boolean(r, &p.NoNewPrivileges)
		case "apparmorProfile":
			str(r, &p.ApparmorProfile)
		case "oomScoreAdj":
			pointer(r, &p.OOMScoreAdj, number)
		case "scheduler":
			pointer(r, &p.Scheduler, scheduler)
		case "selinuxLabel":
			str(r, &p.SelinuxLabel)
		case "ioPriority":
			pointer(r, &p.IOPriority, ioPriority)
		case "execCPUAffinity":
			pointer(r, &p.ExecCPUAffinity, execCPUAffinity)
		default:
			r.unknown()
		}
	})
}

func consoleSize(r *reader, b *specs.Box) {
	r.object(func(name []byte) {
		switch string(name) {
		case "height":
			number(r, &b.Height)
		case "width":
			number(r, &b.Width)
		default:
			r.unknown()
		}
	})
}

func user(r *reader, u *specs.User) {
	r.object(func(name []byte) {
		switch string(name) {
		case "uid":
			number(r, &u.UID)
		case "gid":
			number(r, &u.GID)
		case "umask":
			pointer(r, &u.Umask, number)
		case "additionalGids":
			array(r, &u.AdditionalGids, number)
		case "username":
			r.skip() // Windows only
		default:
			r.unknown()
		}
	})
}

func capabilities(r *reader, c *specs.LinuxCapabilities) {
	r.object(func(name []byte) {
		switch string(name) {
		case "bounding":
			array(r, &c.Bounding, str)
		case "effective":
			array(r, &c.Effective, str)
		case "inheritable":
			array(r, &c.Inheritable, str)
		case "permitted":
			array(r, &c.Permitted, str)
		case "ambient":
			array(r, &c.Ambient, str)
		default:
			r.unknown()
		}
	})
}

func rlimit(r *reader, l *specs.POSIXRlimit) {
	r.object(func(name []byte) {
		switch string(name) {
		case "type":
			str(r, &l.Type)
		case "hard":
			number(r, &l.Hard)
		case "soft":
			number(r, &l.Soft)
		default:
			r.unknown()
		}
	})
}

func scheduler(r *reader, s *specs.Scheduler) {
	r.object(func(name []byte) {
		switch string(name) {
		case "policy":
			str(r, &s.Policy)
		case "nice":
			number(r, &s.Nice)
		case "priority":
			number(r, &s.Priority)
		case "flags":
			array(r, &s.Flags, str)
		case "runtime":
			number(r, &s.Runtime)
		case "deadline":
			number(r, &s.Deadline)
		case "period":
			number(r, &s.Period)
		default:
			r.unknown()
		}
	})
}

func ioPriority(r *reader, p *specs.LinuxIOPriority) {
	r.object(func(name []byte) {
		switch string(name) {
		case "class":
			str(r, &p.Class)
		case "priority":
			number(r, &p.Priority)
		default:
			r.unknown()
		}
	})
}

func execCPUAffinity(r *reader, a *specs.CPUAffinity) {
	r.object(func(name []byte) {
		switch string(name) {
		case "initial":
			str(r, &a.Initial)
		case "final":
			str(r, &a.Final)
		default:
			r.unknown()
		}
	})
}
