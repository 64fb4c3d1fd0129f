// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"path"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/facts"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// bind mounts a part of the host. The parent copies the tree, as the source may
// not be reachable for the container's root, and sets the flags.
func (c *compiler) bind(i int, m *specs.Mount, name string, o mountOptions) {
	field := index("mounts", i)
	source := m.Source
	if !path.IsAbs(source) {
		source = path.Join(c.Bundle, source)
	}
	kind := c.Facts.Files[source]
	mode := kind.Mode
	if o.is(srcNofollow|copySymlink) && kind.Link != "" {
		mode = linux.S_IFLNK
	}
	switch {
	case mode == 0:
		c.refuse(field+".source", "bind "+source+" on "+m.Destination, linux.ENOENT, source+" does not exist on the host; create it or remove "+field)
		return
	case len(o.data) > 0:
		c.refuse(index(field+".options", slices.Index(m.Options, o.data[0])), "a bind mount takes no "+o.data[0], 0, "")
		return
	case o.is(copySymlink) && mode == linux.S_IFLNK:
		c.copyLink(field, name, kind.Link)
		return
	}
	for _, flag := range o.super {
		j := slices.Index(m.Options, flag)
		c.warn(index(field+".options", max(j, 0)), flag+" is of a whole file system: a bind mount keeps that of its source")
	}
	tree := c.tree(field, HostStep{Do: CloneTree, Path: source, Recursive: o.recursive, NoFollow: o.is(srcNofollow), Attrs: c.bindAttrs(o), Doing: "copy the mount of " + source, From: field + ".source"})
	c.attach("bind "+source+" on "+m.Destination, tree, c.bindTarget(name, mode&linux.S_IFMT == linux.S_IFDIR, o), onFD)
	c.mounted(name, prog.Drop)
}

// bindTarget makes sure that there is something that can be mounted on.
func (c *compiler) bindTarget(name string, directory bool, o mountOptions) prog.Arg {
	switch {
	case !o.is(destNofollow) && directory:
		return c.directory(name)
	case !o.is(destNofollow):
		return c.file(name)
	case directory:
		c.makeDirectory(name)
		return c.unfollowed(name)
	}
	c.b.Try(linux.EEXIST, "make /"+name, prog.Mknodat, c.directory(parentOf(name)), c.b.String(path.Base(name)), flags(linux.S_IFREG|0o644, "S_IFREG|0644"), prog.Int(0))
	return c.unfollowed(name)
}

// unfollowed opens what is at name itself, if that is a symbolic link.
func (c *compiler) unfollowed(name string) prog.Arg {
	return c.b.Get("/"+name, "open /"+name, prog.Openat, c.directory(parentOf(name)), c.b.String(path.Base(name)), flags(linux.O_PATH|linux.O_NOFOLLOW|linux.O_CLOEXEC, "O_PATH|O_NOFOLLOW|O_CLOEXEC")).Arg()
}

// copyLink makes the symbolic link that the source is. The image may have it, as
// it has after the first run of a container.
func (c *compiler) copyLink(field, name, to string) {
	if old, known := c.image(name); known && old != (facts.Kind{}) {
		if old.Link != to {
			c.refuse(field+".destination", "link /"+name+" to "+to, linux.EEXIST, "the image has something else there")
		}
		return
	}
	c.b.Do("link /"+name+" to "+to, prog.Symlinkat, c.b.String(to), c.directory(parentOf(name)), c.b.String(path.Base(name)))
}

// image is what the image has at a path of the container, if that is known: no
// mount of the config is on the way to it.
func (c *compiler) image(name string) (facts.Kind, bool) {
	for dir := parentOf(name); dir != ""; dir = parentOf(dir) {
		if c.mountAt(dir) != nil {
			return facts.Kind{}, false
		}
	}
	kind, known := c.Facts.Files[facts.InImage(c.rootDir(), name)]
	return kind, known
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
	if !o.idmap.empty() {
		o.idmap.Recursive = o.idmap.Recursive && o.recursive
		calls = append(calls, o.idmap)
	}
	return calls
}
