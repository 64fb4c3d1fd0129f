// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// lesser tells whether the container is in a user namespace that is not the
// machine's: there, the kernel refuses some file systems.
func (c *compiler) lesser() bool {
	_, _, user := c.namespace(specs.UserNamespace)
	return user || c.Facts.UserNamespace
}

// refusable tells whether a file system may be refused to the container, and the
// host's own is as good: sysfs takes control of the network namespace, and both
// are refused where mounts cover parts of the host's. The host's /proc is no
// substitute for that of another PID namespace.
func (c *compiler) refusable(kind string) bool {
	switch kind {
	case "sysfs":
		return c.lesser() && !c.fresh(specs.NetworkNamespace)
	case "proc":
		_, _, own := c.namespace(specs.PIDNamespace)
		return c.lesser() && !own
	}
	return false
}

// orHosts mounts a new file system or, if the kernel refuses it, a copy of what
// the host has at /proc or /sys.
func (c *compiler) orHosts(i int, m *specs.Mount, name, source string, o mountOptions) {
	b := &c.b
	field := index("mounts", i)
	host := map[string]string{"proc": "/proc", "sysfs": "/sys"}[m.Type]
	copied := o
	// A mount that covers a part of the host's must stay: in a user namespace of
	// the caller the kernel insists on it. What comes along must have the flags
	// too, and must not be written to (CVE-2023-25809).
	copied.recursive = c.Facts.UserNamespace
	copied.flat, copied.deep.Recursive = MountAttr{}, true
	copied.deep.merge(o.flat)
	if copied.recursive && m.Type == "sysfs" {
		copied.deep.Set |= linux.MOUNT_ATTR_RDONLY
		copied.deep.Clear &^= linux.MOUNT_ATTR_RDONLY
		copied.deep.Text = join(copied.deep.Text, "rro")
	}
	tree := c.tree(field, HostStep{Do: CloneTree, Path: host, Recursive: copied.recursive, Attrs: c.bindAttrs(copied), Doing: "copy the mount of " + host, From: field})
	target := c.target(m, name, o)
	refused, done := b.Label(), b.Label()
	first := b.Len()
	made := c.newFS(m.Type, name, source, o)
	c.unlessRefused(first, refused)
	c.setRest(made, name, o)
	c.attach("mount "+m.Type+" on /"+name, made.Arg(), target, onFD)
	b.Jump(done)
	b.Place(refused)
	c.attach("mount the host's "+host+" on /"+name, tree, target, onFD)
	b.Place(done)
	c.mounted(name, prog.Drop)
}

// unlessRefused leads from steps that make a file system to a label, if the
// kernel refuses it: which step that is depends on the file system.
func (c *compiler) unlessRefused(first int, to prog.Label) {
	for n := first; n < c.b.Len(); n++ {
		c.b.Step(n).Branch = prog.Branch{Result: -int64(linux.EPERM), To: to}
	}
}
