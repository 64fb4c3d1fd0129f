// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// noID is (uid_t)-1: setresuid(2) and chown(2) read it as "leave the id as it
// is", which would leave the process with the ids of the runtime.
const noID = 1<<32 - 1

// NoProcess stands for the process of a config that has none: its container waits
// for a start that never comes.
func NoProcess() *specs.Process { return &specs.Process{Cwd: "/"} }

// process checks process: config.md, "Process".
func (v *validator) process() {
	p := v.config.Process
	if p == nil { // which only start requires
		v.warn(path("process"), "is missing: the container can be created, but not started")
		p = NoProcess()
		v.user(&p.User)
		return
	}
	v.user(&p.User)
	v.absolute(p.Cwd, path("process.cwd"))
	switch {
	case len(p.Args) == 0:
		v.refuse(path("process.args"), "is missing")
	case p.Args[0] == "":
		// The words that engines translate into exit status 127.
		v.refuse(path("process.args[0]"), `exec: "": executable file not found in $PATH`)
	}
	v.environment(p.Env, "process.env")
	if size := p.ConsoleSize; size != nil && p.Terminal {
		const most = 1<<16 - 1 // struct winsize, ioctl_tty(2)
		if size.Height > most || size.Width > most {
			v.refuse(path("process.consoleSize"), "%d x %d is more than %d", size.Width, size.Height, most)
		}
	}
	v.rlimits(p.Rlimits)
	v.capabilities(p.Capabilities)
	if adj := p.OOMScoreAdj; adj != nil && (*adj < -1000 || *adj > 1000) {
		v.refuse(path("process.oomScoreAdj"), "%d is not between -1000 and 1000", *adj)
	}
	v.label(p.ApparmorProfile, path("process.apparmorProfile"))
	v.label(p.SelinuxLabel, path("process.selinuxLabel"))
	v.scheduler(p.Scheduler)
	v.ioPriority(p.IOPriority)
	if a := p.ExecCPUAffinity; a != nil {
		v.cpus(a.Initial, path("process.execCPUAffinity.initial"))
		v.cpus(a.Final, path("process.execCPUAffinity.final"))
	}
}

// label notes a label that would end, or be another order, in the file that it is
// written to.
func (v *validator) label(label string, where at) {
	if strings.ContainsFunc(label, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		v.refuse(where, "%q has a control character", label)
	}
}

func (v *validator) user(u *specs.User) {
	uids, gids := v.idMaps()
	v.mappedID(u.UID, uids, path("process.user.uid"), "linux.uidMappings")
	v.mappedID(u.GID, gids, path("process.user.gid"), "linux.gidMappings")
	for i, gid := range u.AdditionalGids {
		v.mappedID(gid, gids, path("process.user.additionalGids[%d]", i), "linux.gidMappings")
	}
	if u.Umask != nil && *u.Umask > 0o777 {
		// Written in decimal in JSON, which is how 0022 becomes 22.
		v.refuse(path("process.user.umask"), "%d (octal %o) is more than 511 (octal 777)", *u.Umask, *u.Umask)
	}
}

// idMaps returns the mappings of the container's new user namespace, nil if it has
// none.
func (v *validator) idMaps() (uids, gids []specs.LinuxIDMapping) {
	if user := v.namespace("user"); user == nil || user.Path != "" {
		return nil, nil
	}
	return v.config.Linux.UIDMappings, v.config.Linux.GIDMappings
}

// mappedID notes an id that does not exist in the container's user namespace: for
// setresuid(2) that is a bare EINVAL.
func (v *validator) mappedID(id uint32, maps []specs.LinuxIDMapping, where at, field string) {
	if v.id(id, where); id == noID || len(maps) == 0 {
		return
	}
	for _, m := range maps {
		if m.Size == 0 || id >= m.ContainerID && id-m.ContainerID < m.Size { // of nothing: idMappings says so
			return
		}
	}
	v.refuse(where, "%d is not mapped", id).Hint = "add it to " + field
}

func (v *validator) id(id uint32, where at) {
	if id == noID {
		v.refuse(where, "%d is no id: the kernel reads it as -1", id)
	}
}

func (v *validator) rlimits(limits []specs.POSIXRlimit) {
	seen := map[string]bool{}
	for i, l := range limits {
		v.oneOf(l.Type, rlimitNames, path("process.rlimits[%d].type", i), "limit")
		if seen[l.Type] {
			v.refuse(path("process.rlimits[%d].type", i), "%s is given twice", l.Type)
		}
		seen[l.Type] = true
		if l.Soft > l.Hard {
			v.refuse(path("process.rlimits[%d].soft", i), "%d is more than the hard limit %d", l.Soft, l.Hard)
		}
	}
}

// capabilities warns of unknown ones: they leave less privilege than asked for,
// and engines that are newer than the runtime send them (config.md, "Linux Process").
func (v *validator) capabilities(c *specs.LinuxCapabilities) {
	if c == nil {
		return
	}
	warned := map[string]bool{}
	for _, set := range []struct {
		name string
		list []string
	}{
		{"bounding", c.Bounding}, {"effective", c.Effective}, {"inheritable", c.Inheritable},
		{"permitted", c.Permitted}, {"ambient", c.Ambient},
	} {
		for i, name := range set.list {
			if _, ok := CapabilityNumber(name); !ok && !warned[name] {
				warned[name] = true
				v.warn(path("process.capabilities.%s[%d]", set.name, i), "unknown capability %q is ignored", name)
			}
		}
	}
}
