// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// mounts makes the config's mounts in their order. Each is made detached, gets
// its flags while it is, and is then put onto the descriptor of its target:
// nothing is ever remounted by path.
func (c *compiler) mounts() {
	for i := range c.spec.Mounts {
		if c.mount(i, &c.spec.Mounts[i]); c.refused() {
			return
		}
	}
	c.laterCgroups()
}

func (c *compiler) mount(i int, m *specs.Mount) {
	field := index("mounts", i)
	c.b.From(field)
	o := parseOptions(m.Options)
	name := c.targets[i]
	if o.is(idmap) || len(m.UIDMappings) > 0 {
		c.mapIDs(i, &o)
	}
	switch {
	case name == "" && !o.is(remount):
		c.refuse(field+".destination", m.Destination+" is the root itself", 0, "root.path says what is mounted there")
	case o.is(remount):
		c.remount(m, name, o)
	case o.is(bind):
		c.bind(i, m, name, o)
	case m.Type == "cgroup" || m.Type == "cgroup2":
		c.laterCgroups()
		c.b.From(field)
		c.cgroupMount(field, m, name, o)
	default:
		c.fileSystem(i, m, name, o)
	}
}

// remount changes the flags of what is mounted already and, unless it is a bind
// mount, the options of the file system.
func (c *compiler) remount(m *specs.Mount, name string, o mountOptions) {
	target := c.b.Reg("/" + name)
	c.lookup(name).Ret = target
	if !o.is(bind) && len(o.super)+len(o.data) > 0 {
		fs := c.b.Get("fs", "pick the file system of /"+name, prog.Fspick, target.Arg(), c.b.String(""), flags(linux.FSPICK_EMPTY_PATH|linux.FSPICK_CLOEXEC, "EMPTY_PATH|CLOEXEC"))
		c.configure(fs, parameters(m.Type, "", mountOptions{super: o.super, data: o.data}))
		c.b.Do("change the file system of /"+name, prog.Fsconfig, fs.Arg(), flags(linux.FSCONFIG_CMD_RECONFIGURE, "CMD_RECONFIGURE"), prog.Int(0), prog.Int(0), prog.Int(0))
	}
	c.setAttr(target.Arg(), name, o)
}

// setAttr sets all that the options say on a mount, in up to three calls.
func (c *compiler) setAttr(mount prog.Arg, name string, o mountOptions) {
	for _, a := range []MountAttr{o.flat, o.deep, o.propagation} {
		if a.empty() {
			continue
		}
		f, text := linux.AT_EMPTY_PATH, "AT_EMPTY_PATH"
		if a.Recursive {
			f, text = f|linux.AT_RECURSIVE, text+"|AT_RECURSIVE"
		}
		c.b.Do("set "+a.Text+" on /"+name, prog.MountSetattr, mount, c.b.String(""), flags(f, text), c.mountAttr(a), prog.Int(attrSize))
	}
}

// fileSystem makes a new instance of a file system.
func (c *compiler) fileSystem(i int, m *specs.Mount, name string, o mountOptions) {
	field := index("mounts", i)
	source := m.Source
	if source == "" {
		source = m.Type
	}
	o.flat.merge(o.deep) // there is nothing below yet
	o.deep = MountAttr{Recursive: true}
	late := o.flat.Set&linux.MOUNT_ATTR_RDONLY != 0 && (m.Type == "tmpfs" || name == "dev")
	if late { // what the config mounts below it, and devices, are to be made first
		o.flat.Set &^= linux.MOUNT_ATTR_RDONLY
		o.flat.Text += ",rw"
	}
	if m.Type == "tmpfs" {
		c.tmpfsMode(name, &o)
	}
	if o.idmap.empty() && c.refusable(m.Type) {
		c.orHosts(i, m, name, source, o)
		return
	}
	list := c.labelled(m.Type, parameters(m.Type, source, o))
	for _, p := range list {
		if len(p.Value) > valueMost {
			c.refuse(field+".options", p.Key+" is longer than "+strconv.Itoa(valueMost)+" bytes", 0, "")
		}
	}
	var fd prog.Arg
	var made prog.Reg
	if o.idmap.empty() && !o.is(copyUp) {
		made = c.newFS(m.Type, name, source, o)
		fd = made.Arg()
	} else {
		fd = c.hostFS(i, m, name, list, o).Arg()
	}
	target := c.target(m, name, o)
	if made != prog.Drop {
		c.labelQueues(m.Type, made)
		c.setRest(made, name, o)
	}
	c.attach("mount "+m.Type+" on /"+name, fd, target, onFD)
	c.mounted(name, made)
	if late {
		c.late = append(c.late, lateReadonly{field, name, fd})
	}
	if m.Type == "devpts" && name == "dev/pts" {
		c.devpts = made
	}
}

// target is the directory that a file system is mounted on.
func (c *compiler) target(m *specs.Mount, name string, o mountOptions) prog.Arg {
	switch {
	case m.Type == "proc" || m.Type == "sysfs":
		// What masks and read-only paths are about has to be where they look for
		// it: an image must not send these elsewhere (CVE-2019-19921, CVE-2023-27561).
		return c.linkless(name)
	case o.is(destNofollow):
		c.makeDirectory(name)
		return c.unfollowed(name)
	}
	return c.directory(name)
}

// A lateReadonly is a mount that becomes read-only when all is made on it.
type lateReadonly struct {
	field, name string
	mount       prog.Arg
}

// readonlyMounts makes those mounts read-only that had to be written to before.
func (c *compiler) readonlyMounts() {
	for _, l := range c.late {
		c.b.From(l.field)
		c.setAttr(l.mount, l.name, mountOptions{flat: MountAttr{Set: linux.MOUNT_ATTR_RDONLY, Text: "ro"}})
	}
}

// newFS makes a detached mount of a new file system: fsopen(2), fsconfig(2),
// fsmount(2) with the flags of the mount itself.
func (c *compiler) newFS(kind, name, source string, o mountOptions) prog.Reg {
	b := &c.b
	on := ""
	if name != "" {
		on = " for /" + name
	}
	fs := b.Get("fs", "open "+kind+on, prog.Fsopen, b.String(kind), flags(linux.FSOPEN_CLOEXEC, "FSOPEN_CLOEXEC"))
	c.configure(fs, c.labelled(kind, parameters(kind, source, o)))
	b.Do("create "+kind+on, prog.Fsconfig, fs.Arg(), flags(linux.FSCONFIG_CMD_CREATE, "CMD_CREATE"), prog.Int(0), prog.Int(0), prog.Int(0))
	return b.Get(kind, "make the mount of "+kind+on, prog.Fsmount, fs.Arg(), flags(linux.FSMOUNT_CLOEXEC, "FSMOUNT_CLOEXEC"), prog.Const(o.flat.Set, orZero(o.flat.Text)))
}

func orZero(text string) string {
	if text == "" {
		return "0"
	}
	return text
}

// configure sets the parameters of a file system.
func (c *compiler) configure(fs prog.Reg, list []Parameter) {
	b := &c.b
	for _, p := range list {
		if p.Flag {
			step := b.Do("set "+p.String(), prog.Fsconfig, fs.Arg(), flags(linux.FSCONFIG_SET_FLAG, "SET_FLAG"), b.String(p.Key), prog.Int(0), prog.Int(0))
			if p.Optional {
				next := b.Label()
				step.Branch = prog.Branch{Result: -int64(linux.EINVAL), To: next}
				b.Place(next)
			}
			continue
		}
		b.Do("set "+p.String(), prog.Fsconfig, fs.Arg(), flags(linux.FSCONFIG_SET_STRING, "SET_STRING"), b.String(p.Key), b.String(p.Value), prog.Int(0))
	}
}

// setRest sets what fsmount(2) cannot.
func (c *compiler) setRest(fd prog.Reg, name string, o mountOptions) {
	o.flat = MountAttr{}
	c.setAttr(fd.Arg(), name, o)
}
