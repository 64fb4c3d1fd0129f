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

// rootfs attaches the root file system. The parent has made a detached copy of
// the bundle's tree; it is attached so that mounts can be made on it. All later
// work is done through its descriptor.
func (c *compiler) rootfs() {
	b := &c.b
	if !c.fresh(specs.MountNamespace) {
		c.sharedMounts()
		return
	}
	var isolated []MountAttr
	if a := c.isolation(); !a.empty() {
		isolated = append(isolated, a)
	} else { // mounts are made on it: none may appear in the bundle
		isolated = append(isolated, MountAttr{Propagation: linux.MS_SLAVE, Recursive: true, Text: "rslave"})
	}
	root := c.rootPath()
	tree := c.tree("root", HostStep{Do: CloneTree, Path: root, Recursive: true, Doing: "copy the mounts of " + root, From: "root.path", Attrs: isolated})
	if tree.Kind == prog.InputFD {
		c.plan.Root = prog.Input(tree.Value)
	}
	b.From("linux.rootfsPropagation")
	b.Do("keep mounts from reaching the host", prog.MountSetattr, prog.Const(atFDCWD, "AT_FDCWD"), b.String("/"), flags(linux.AT_RECURSIVE, "AT_RECURSIVE"),
		c.mountAttr(MountAttr{Propagation: linux.MS_SLAVE, Text: "slave"}), prog.Int(attrSize))
	if len(c.spec.Linux.MaskedPaths) > 0 && !c.watched() {
		c.scratch()
	}
	b.From("root.path")
	c.attachRoot(root, tree)
	c.root = tree
}

// watched tells whether somebody else looks at the mounts before the root is
// changed: hooks do.
func (c *compiler) watched() bool {
	h := c.spec.Hooks
	return h != nil && len(h.Prestart)+len(h.CreateRuntime)+len(h.CreateContainer) > 0 //nolint:staticcheck // prestart is deprecated, not gone
}

// attachRoot puts the root where pivot_root(2) wants it: somewhere. On top of "/"
// nobody finds it. But hooks look for it at root.path, in the container's mount
// namespace, and mount on it there; in a user namespace its root may have no way
// to that path.
func (c *compiler) attachRoot(name string, root prog.Arg) {
	b := &c.b
	const doing = "attach the root file system"
	host := prog.Const(atFDCWD, "AT_FDCWD")
	if !c.watched() {
		c.attach(doing, root, host, b.String("/"))
		return
	}
	step := b.Do(doing+" at "+name, prog.MoveMount, root, b.String(""), host, b.String(name), flags(linux.MOVE_MOUNT_F_EMPTY_PATH|linux.MOVE_MOUNT_T_SYMLINKS, "F_EMPTY_PATH|T_SYMLINKS"))
	if _, _, user := c.namespace(specs.UserNamespace); user {
		hidden, done := b.Label(), b.Label()
		step.Branch = prog.Branch{Result: -int64(linux.EACCES), To: hidden}
		b.Jump(done)
		b.Place(hidden)
		c.attach(doing, root, host, b.String("/"))
		b.Place(done)
	}
}

// rootDir is root.path on the host.
func (c *compiler) rootDir() string {
	if root := c.spec.Root.Path; path.IsAbs(root) {
		return root
	}
	return path.Join(c.Bundle, c.spec.Root.Path)
}

// rootPath is rootDir, which must be a directory.
func (c *compiler) rootPath() string {
	root := c.rootDir()
	kind, ok := c.Facts.Files[root]
	switch {
	case !ok || kind.Mode == 0:
		c.refuse("root.path", "open "+root, linux.ENOENT, "it is taken relative to the bundle "+c.Bundle)
	case kind.Mode&linux.S_IFMT != linux.S_IFDIR:
		c.refuse("root.path", "open "+root, linux.ENOTDIR, "")
	}
	return root
}

// isolation is what keeps mounts of the container from the host, unless
// rootfsPropagation says that they are to reach it. As in runc, mounts of the
// host's still arrive when it says nothing.
func (c *compiler) isolation() MountAttr {
	switch o, _ := mountOption(c.spec.Linux.RootfsPropagation); o.propagation {
	case linux.MS_SHARED:
		return MountAttr{}
	case linux.MS_PRIVATE:
		return MountAttr{Propagation: linux.MS_PRIVATE, Recursive: true, Text: "rprivate"}
	}
	return MountAttr{Propagation: linux.MS_SLAVE, Recursive: true, Text: "rslave"}
}

// rootPropagation sets what rootfsPropagation says when all is mounted: to a root
// that is shared or unbindable already, pivot_root(2) would not change. It says so
// of the root's own mount; those on it have options.
func (c *compiler) rootPropagation() {
	name := c.spec.Linux.RootfsPropagation
	o, _ := mountOption(name)
	if o.propagation != linux.MS_SHARED && o.propagation != linux.MS_UNBINDABLE {
		return
	}
	c.b.From("linux.rootfsPropagation")
	c.setAttr(c.root, "", mountOptions{propagation: MountAttr{Propagation: o.propagation, Text: name}})
}

// sharedMounts is for containers without a mount namespace of their own: what
// would change mounts would change those of others.
func (c *compiler) sharedMounts() {
	hint := `add {"type": "mount"} to linux.namespaces`
	_, i, joined := c.namespace(specs.MountNamespace)
	if joined {
		hint = "others are in the one that is joined: remove " + index("linux.namespaces", i) + ".path, or mount there what is wanted and leave it out here"
	}
	switch {
	case len(c.spec.Mounts) > 0:
		c.refuse("mounts", "there is no new mount namespace to make mounts in", 0, hint)
	case len(c.spec.Linux.MaskedPaths) > 0:
		c.refuse("linux.maskedPaths", "there is no new mount namespace to mask paths in", 0, hint)
	case len(c.spec.Linux.ReadonlyPaths) > 0:
		c.refuse("linux.readonlyPaths", "there is no new mount namespace to make paths read-only in", 0, hint)
	case c.spec.Root.Readonly:
		c.refuse("root.readonly", "there is no new mount namespace to make the root read-only in", 0, hint)
	case len(c.spec.Linux.Devices) > 0:
		c.refuse("linux.devices", "there is no new mount namespace to make devices in", 0, hint)
	case c.spec.Process.Terminal:
		c.refuse("process.terminal", "there is no new mount namespace for the terminal", 0, hint)
	}
	root := c.rootDir()
	if !joined {
		root = c.rootPath()
	}
	c.b.From("root.path")
	c.root = c.b.Get("root", "open "+root, prog.Openat, prog.Const(atFDCWD, "AT_FDCWD"), c.b.String(root),
		flags(linux.O_PATH|linux.O_DIRECTORY|linux.O_CLOEXEC, "O_PATH|O_DIRECTORY|O_CLOEXEC")).Arg()
}

// pivot makes root the root directory and detaches the old one.
//
// pivot_root(".", ".") stacks the old root on top of the new one, so no put_old
// directory is needed and a read-only root works: see NOTES in pivot_root(2).
// umount takes the topmost mount of the stack each time, so it is called once for
// every mount that lies there. It must be lazy: we are still standing on what it
// removes.
func (c *compiler) pivot() {
	b := &c.b
	b.From("root.path")
	b.Do("enter the root", prog.Fchdir, c.root)
	if !c.fresh(specs.MountNamespace) {
		b.Do("change the root", prog.Chroot, b.String("."))
		return
	}
	if c.NoPivot {
		b.Do("change the root", prog.Chroot, b.String("."))
	} else {
		b.Do("change the root", prog.PivotRoot, b.String("."), b.String("."))
		c.detachHost()
	}
	c.rootPropagation()
	if c.spec.Root.Readonly {
		b.From("root.readonly")
		b.Do("make the root read-only", prog.MountSetattr, c.root, b.String(""), flags(linux.AT_EMPTY_PATH, "AT_EMPTY_PATH"),
			c.mountAttr(MountAttr{Set: linux.MOUNT_ATTR_RDONLY, Text: "ro"}), prog.Int(attrSize))
	}
}

// detachHost detaches what lies on top of the new root.
func (c *compiler) detachHost() {
	b := &c.b
	for range max(1, c.Facts.RootMounts) {
		b.Do("detach the host's root", prog.Umount2, b.String("."), flags(linux.MNT_DETACH, "MNT_DETACH"))
	}
}

const attrSize = 32 // MOUNT_ATTR_SIZE_VER0

func (c *compiler) mountAttr(a MountAttr) prog.Arg {
	return c.b.Shared("{"+a.Text+"}", a.Set, a.Clear, a.Propagation, 0)
}

// attach puts a detached mount onto a directory's or file's descriptor, or onto
// name below it.
func (c *compiler) attach(doing string, mount, dir, name prog.Arg) {
	f, text := linux.MOVE_MOUNT_F_EMPTY_PATH, "F_EMPTY_PATH"
	if name.Kind == prog.Constant {
		f, text, name = f|linux.MOVE_MOUNT_T_EMPTY_PATH, text+"|T_EMPTY_PATH", c.b.String("")
	}
	c.b.Do(doing, prog.MoveMount, mount, c.b.String(""), dir, name, flags(f, text))
}

// onFD is the name that attach takes for the descriptor itself.
var onFD prog.Arg

// inRoot is struct open_how for a path in the container: absolute links and ".."
// stay below the root, magic links are refused.
func (c *compiler) openHow(open int, text string, resolve uint64) prog.Arg {
	return c.b.Shared("{"+text+"}", uint64(open|linux.O_CLOEXEC), 0, resolve)
}

const (
	inRoot   = linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_MAGICLINKS
	noLinks  = inRoot | linux.RESOLVE_NO_SYMLINKS
	howSize  = 24
	pathOnly = "O_PATH, IN_ROOT|NO_MAGICLINKS"

	directoryOnly = "O_PATH|O_DIRECTORY, IN_ROOT|NO_MAGICLINKS"
)

// lookup opens a path of the container, to be worked on and never looked up again.
func (c *compiler) lookup(name string) *prog.Step {
	return c.b.Do("find /"+name, prog.Openat2, c.root, c.b.String(orDot(name)), c.openHow(linux.O_PATH, pathOnly, inRoot), prog.Int(howSize))
}

func orDot(name string) string {
	if name == "" {
		return "."
	}
	return name
}

// directory makes sure that a directory of the container is there, and returns
// its descriptor. Every component is made first and opened then, so what other
// processes do meanwhile can lead nowhere but below the root.
func (c *compiler) directory(name string) prog.Arg {
	if name == "" {
		return c.root
	}
	if fd, ok := c.dirs[name]; ok {
		return fd.Arg()
	}
	c.makeDirectory(name)
	fd := c.b.Reg("/" + name)
	step := c.b.Do("open /"+name, prog.Openat2, c.root, c.b.String(name), c.openHow(linux.O_PATH|linux.O_DIRECTORY, directoryOnly, inRoot), prog.Int(howSize))
	step.Ret = fd
	c.dirs[name] = fd
	return fd.Arg()
}

// makeDirectory makes a directory of the container, and those above it, if
// they are missing.
func (c *compiler) makeDirectory(name string) {
	parent := c.directory(parentOf(name))
	c.b.Try(linux.EEXIST, "make /"+name, prog.Mkdirat, parent, c.b.String(path.Base(name)), prog.Const(0o755, "0755"))
}

// file makes sure that there is something at a path of the container that a file
// can be mounted on, and returns its descriptor. A symbolic link that dangles
// gets the file that it points to: that is what /etc/resolv.conf often is.
func (c *compiler) file(name string) prog.Arg {
	b := &c.b
	c.directory(parentOf(name))
	fd := b.Reg("/" + name)
	missing, found := b.Label(), b.Label()
	step := c.lookup(name)
	step.Ret, step.Branch = fd, prog.Branch{Result: -int64(linux.ENOENT), To: missing}
	b.Jump(found)
	b.Place(missing)
	how := b.Shared("{O_CREAT, 0644, IN_ROOT|NO_MAGICLINKS}", linux.O_CREAT|linux.O_CLOEXEC, 0o644, inRoot)
	b.Do("make /"+name, prog.Openat2, c.root, b.String(name), how, prog.Int(howSize)).Ret = fd
	b.Place(found)
	return fd.Arg()
}

// mounted notes that something now lies over name: descriptors of what was
// there, and below, no longer are what the container sees.
func (c *compiler) mounted(name string, fd prog.Reg) {
	for dir := range c.dirs {
		if dir == name || strings.HasPrefix(dir, name+"/") {
			delete(c.dirs, dir)
		}
	}
	if fd != prog.Drop {
		c.dirs[name] = fd
	}
}

func parentOf(name string) string {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i]
	}
	return ""
}

// inside is a path of the container without its leading slash: "" for the root.
func inside(name string) string {
	if !path.IsAbs(name) {
		name = "/" + name
	}
	return path.Clean(name)[1:]
}
