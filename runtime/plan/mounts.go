// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"path"
	"strings"

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
}

func (c *compiler) mount(i int, m *specs.Mount) {
	field := index("mounts", i)
	c.b.From(field)
	o := parseOptions(m.Options)
	name := c.targets[i]
	switch {
	case name == "":
		c.refuse(field+".destination", m.Destination+" is the root itself", 0, "root.path says what is mounted there")
	case o.copyUp:
		c.refuse(field+".options", "tmpcopyup is not supported yet", 0, "")
	case o.remount:
		c.remount(name, o)
	case o.bind:
		c.bind(field, m, name, o)
	case m.Type == "cgroup" || m.Type == "cgroup2":
		c.cgroupMount(field, m, name, o)
	default:
		c.fileSystem(field, m, name, o)
	}
}

// remount changes the flags of what is mounted already.
func (c *compiler) remount(name string, o mountOptions) {
	target := c.b.Reg("/" + name)
	c.lookup(name).Ret = target
	c.setAttr(target.Arg(), name, o)
}

// bind mounts a part of the host. The parent copies the tree, as the source may
// not be reachable for the container's root, and sets the flags.
func (c *compiler) bind(field string, m *specs.Mount, name string, o mountOptions) {
	source := m.Source
	if !path.IsAbs(source) {
		source = path.Join(c.Bundle, source)
	}
	kind := c.Facts.Files[source]
	if kind.Mode == 0 {
		c.refuse(field+".source", "bind "+source+" on "+m.Destination, linux.ENOENT, source+" does not exist on the host; create it or remove "+field)
		return
	}
	if len(o.data) > 0 {
		c.refuse(field+".options", "a bind mount takes no "+o.data[0], 0, "")
		return
	}
	in := c.input(field, HostStep{Do: CloneTree, Path: source, Recursive: o.recursive, Attrs: c.bindAttrs(o), Doing: "copy the mount of " + source, From: field + ".source"})
	if kind.Mode&linux.S_IFMT == linux.S_IFDIR {
		c.attach("bind "+source+" on "+m.Destination, in.Arg(), c.directory(name), onFD)
	} else {
		c.attach("bind "+source+" on "+m.Destination, in.Arg(), c.file(name), onFD)
	}
	c.mounted(name, prog.Drop)
}

// bindAttrs is what is set on the copy of a mount, in as few calls of
// mount_setattr(2) as it takes: each sets flags and propagation to one depth.
//
// A copy is at first a peer of what it was copied from: a mount in the container
// would appear on the host. As in runc, what rootfsPropagation says holds for
// every mount, and on top of that its own options; so a shared mount reaches the
// host only if the root is shared too.
func (c *compiler) bindAttrs(o mountOptions) []MountAttr {
	var calls []MountAttr
	own := o.propagation
	own.Recursive = own.Recursive && o.recursive
	if own.empty() || own.Propagation == linux.MS_SHARED || own.Recursive != o.recursive {
		if a := c.isolation(); !a.empty() {
			a.Recursive = o.recursive
			calls = append(calls, a)
		}
	}
	if !own.empty() {
		calls = append(calls, own)
	}
	for _, a := range []MountAttr{o.flat, o.deep} {
		a.Recursive = a.Recursive && o.recursive
		switch last := len(calls) - 1; {
		case a.empty():
		case last >= 0 && calls[last].Recursive == a.Recursive:
			calls[last].merge(a)
		default:
			calls = append(calls, a)
		}
	}
	return calls
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "," + b
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
func (c *compiler) fileSystem(field string, m *specs.Mount, name string, o mountOptions) {
	source := m.Source
	if source == "" {
		source = m.Type
	}
	fd := c.newFS(m.Type, name, source, o)
	directory := c.directory
	if m.Type == "proc" || m.Type == "sysfs" {
		// What masks and read-only paths are about has to be where they look for
		// it: an image must not send these elsewhere (CVE-2019-19921, CVE-2023-27561).
		directory = c.linkless
	}
	target := directory(name)
	c.setRest(fd, name, o)
	c.attach("mount "+m.Type+" on /"+name, fd.Arg(), target, onFD)
	c.mounted(name, fd)
	if m.Type == "devpts" && name == "dev/pts" {
		c.devpts = fd
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
	set := func(key, value string) {
		b.Do("set "+key+"="+value, prog.Fsconfig, fs.Arg(), flags(linux.FSCONFIG_SET_STRING, "SET_STRING"), b.String(key), b.String(value), prog.Int(0))
	}
	if source != "" {
		set("source", source)
	}
	for _, flag := range o.super {
		b.Do("set "+flag, prog.Fsconfig, fs.Arg(), flags(linux.FSCONFIG_SET_FLAG, "SET_FLAG"), b.String(flag), prog.Int(0), prog.Int(0))
	}
	for _, data := range o.data {
		for _, item := range strings.Split(data, ",") {
			if key, value, ok := strings.Cut(item, "="); ok {
				set(key, value)
			} else {
				b.Do("set "+item, prog.Fsconfig, fs.Arg(), flags(linux.FSCONFIG_SET_FLAG, "SET_FLAG"), b.String(item), prog.Int(0), prog.Int(0))
			}
		}
	}
	b.Do("create "+kind+on, prog.Fsconfig, fs.Arg(), flags(linux.FSCONFIG_CMD_CREATE, "CMD_CREATE"), prog.Int(0), prog.Int(0), prog.Int(0))
	text := o.flat.Text
	if text == "" {
		text = "0"
	}
	return b.Get(kind, "make the mount of "+kind+on, prog.Fsmount, fs.Arg(), flags(linux.FSMOUNT_CLOEXEC, "FSMOUNT_CLOEXEC"), prog.Const(o.flat.Set, text))
}

// setRest sets what fsmount(2) cannot.
func (c *compiler) setRest(fd prog.Reg, name string, o mountOptions) {
	o.flat = MountAttr{}
	c.setAttr(fd.Arg(), name, o)
}

// cgroupMount shows the container its cgroups: with cgroup v2 one file system,
// with v1 a tmpfs with one mount for each hierarchy. Inside a new cgroup
// namespace these are new mounts, whose root is the container's cgroup; outside,
// they are binds of the container's directories.
func (c *compiler) cgroupMount(field string, m *specs.Mount, name string, o mountOptions) {
	own := c.fresh(specs.CgroupNamespace)
	cgroups := c.Facts.Cgroup
	if len(cgroups.V1) == 0 {
		if cgroups.V2 == nil {
			c.refuse(field+".type", "no cgroup hierarchy is mounted on this machine", 0, "")
			return
		}
		o.data = nil // engines write v1's options here
		c.hierarchy(field, m, name, "cgroup2", o, own, c.plan.Cgroup.Dirs[len(c.plan.Cgroup.Dirs)-1])
		return
	}
	if m.Type == "cgroup2" {
		c.refuse(field+".type", "cgroup v2 is not what this machine's controllers are on", 0, `"cgroup" mounts what the machine has`)
		return
	}
	readonly := o.flat.Set&linux.MOUNT_ATTR_RDONLY != 0
	tmpfs := o
	if readonly { // its directories are to be made first
		tmpfs.flat.Set &^= linux.MOUNT_ATTR_RDONLY
		tmpfs.flat.Text += ",rw"
	}
	tmpfs.data = []string{"mode=755"}
	fd := c.newFS("tmpfs", name, "tmpfs", tmpfs)
	c.setRest(fd, name, o)
	c.attach("mount tmpfs on /"+name, fd.Arg(), c.directory(name), onFD)
	c.mounted(name, fd)
	for i, h := range cgroups.V1 {
		below := path.Base(h.Mount)
		v1 := o
		v1.data = h.Controllers
		if strings.HasPrefix(h.Controllers[0], "name=") {
			v1.data = append([]string{"none"}, h.Controllers...)
		}
		c.hierarchy(field, m, name+"/"+below, "cgroup", v1, own, c.plan.Cgroup.Dirs[i])
		if len(h.Controllers) > 1 { // "cpu,cpuacct" is found as cpu and as cpuacct too
			for _, controller := range h.Controllers {
				if controller != below {
					c.b.Do("link "+controller+" to "+below, prog.Symlinkat, c.b.String(below), fd.Arg(), c.b.String(controller))
				}
			}
		}
	}
	if readonly {
		c.setAttr(fd.Arg(), name, mountOptions{flat: MountAttr{Set: linux.MOUNT_ATTR_RDONLY, Text: "ro"}})
	}
}

func (c *compiler) hierarchy(field string, m *specs.Mount, name, kind string, o mountOptions, own bool, dir string) {
	if own {
		fd := c.newFS(kind, name, "cgroup", o)
		c.setRest(fd, name, o)
		c.attach("mount "+kind+" on /"+name, fd.Arg(), c.directory(name), onFD)
		c.mounted(name, fd)
		return
	}
	if o.propagation.empty() {
		o.propagation = MountAttr{Propagation: linux.MS_PRIVATE, Text: "private"}
	}
	in := c.input(field+" "+path.Base(name), HostStep{Do: CloneTree, Path: dir, Attrs: c.bindAttrs(o), Doing: "copy the mount of " + dir, From: field})
	c.attach("bind "+dir+" on /"+name, in.Arg(), c.directory(name), onFD)
	c.mounted(name, prog.Drop)
}
