// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"sort"

	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// sysctl writes linux.sysctl through a procfs of our own.
func (c *compiler) sysctl() {
	if len(c.spec.Linux.Sysctl) == 0 {
		return
	}
	c.b.From("linux.sysctl")
	proc := c.hostProcfs()
	names := make([]string, 0, len(c.spec.Linux.Sysctl))
	for name := range c.spec.Linux.Sysctl {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		c.b.From("linux.sysctl." + name)
		value := c.spec.Linux.Sysctl[name]
		file, _ := config.SysctlPath(name)
		c.writeProc(proc, "sys/"+file, "open "+name, "set "+name+" to "+value, value)
	}
}

// paths makes readonlyPaths read-only and covers maskedPaths. What is not there
// is passed over, as runc does.
func (c *compiler) paths() {
	for i, p := range c.spec.Linux.ReadonlyPaths {
		c.b.From(index("linux.readonlyPaths", i))
		c.readonlyPath(inside(p))
	}
	if len(c.spec.Linux.MaskedPaths) > 0 && c.watched() {
		c.scratch()
	}
	for i, p := range c.spec.Linux.MaskedPaths {
		c.b.From(index("linux.maskedPaths", i))
		c.maskedPath(inside(p), c.null, c.empty)
	}
}

const copyTree, copyTreeText = linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC | linux.AT_EMPTY_PATH, "OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_EMPTY_PATH"

func (c *compiler) readonlyPath(name string) {
	b := &c.b
	absent := b.Label()
	there := b.Reg("/" + name)
	step := c.lookup(name)
	step.Ret, step.Branch = there, prog.Branch{Result: -int64(linux.ENOENT), To: absent}
	tree := b.Get("copy", "copy its mounts", prog.OpenTree, there.Arg(), b.String(""), flags(copyTree|linux.AT_RECURSIVE, copyTreeText+"|AT_RECURSIVE"))
	b.Do("make the copy read-only", prog.MountSetattr, tree.Arg(), b.String(""), flags(linux.AT_EMPTY_PATH, "AT_EMPTY_PATH"),
		c.mountAttr(MountAttr{Set: linux.MOUNT_ATTR_RDONLY, Text: "ro"}), prog.Int(attrSize))
	c.attach("cover /"+name+" with it", tree.Arg(), there.Arg(), onFD)
	b.Place(absent)
}

// scratch makes a read-only tmpfs with what masks are made of: a null device and
// an empty directory. It is attached on the host's /proc, which the process has no
// more use for: it goes with the host's root then, where to be detached by itself is
// one more wait for RCU, and before Linux 6.15 only mounts of a namespace can be
// copied. Hooks that enter the mount namespace want /proc, so it comes after them.
//
// In a user namespace nodes cannot be made; the null device is the host's then,
// which the parent verifies.
func (c *compiler) scratch() {
	b := &c.b
	b.From("linux.maskedPaths")
	tmpfs := c.newFS("tmpfs", "masks", "tmpfs", mountOptions{flat: MountAttr{Set: linux.MOUNT_ATTR_NOSUID | linux.MOUNT_ATTR_NOEXEC, Text: "nosuid,noexec"}, data: []string{"mode=755"}})
	c.attach("attach it where the host's root goes", tmpfs.Arg(), prog.Const(atFDCWD, "AT_FDCWD"), b.String("/proc"))
	b.Do("make an empty directory", prog.Mkdirat, tmpfs.Arg(), b.String("empty"), prog.Const(0o555, "0555"))
	if c.lesser() {
		b.Do("make a file for the null device", prog.Mknodat, tmpfs.Arg(), b.String("null"), flags(linux.S_IFREG, "S_IFREG"), prog.Int(0))
		tree := c.tree("null", HostStep{Do: CloneDevice, Path: "/dev/null", Mode: linux.S_IFCHR, Rdev: makedev(1, 3), Doing: "copy the mount of /dev/null", From: "linux.maskedPaths"})
		c.attach("mount the host's /dev/null", tree, tmpfs.Arg(), b.String("null"))
		c.null = tree
	} else {
		b.Do("make a null device", prog.Mknodat, tmpfs.Arg(), b.String("null"), flags(linux.S_IFCHR|0o666, "S_IFCHR|0666"), prog.Const(makedev(1, 3), ""))
		c.null = b.Get("null", "open it", prog.Openat, tmpfs.Arg(), b.String("null"), flags(linux.O_PATH|linux.O_NOFOLLOW|linux.O_CLOEXEC, "O_PATH|O_NOFOLLOW|O_CLOEXEC")).Arg()
	}
	c.empty = b.Get("empty", "open the directory", prog.Openat, tmpfs.Arg(), b.String("empty"), flags(linux.O_PATH|linux.O_DIRECTORY|linux.O_CLOEXEC, "O_PATH|O_DIRECTORY|O_CLOEXEC")).Arg()
	b.Do("make it read-only", prog.MountSetattr, tmpfs.Arg(), b.String(""), flags(linux.AT_EMPTY_PATH, "AT_EMPTY_PATH"),
		c.mountAttr(MountAttr{Set: linux.MOUNT_ATTR_RDONLY, Text: "ro"}), prog.Int(attrSize))
}

// maskedPath covers a file with the null device, and a directory with the empty
// directory. Which it is, its descriptor tells: "." of a file is ENOTDIR.
func (c *compiler) maskedPath(name string, null, empty prog.Arg) {
	b := &c.b
	absent, file := b.Label(), b.Label()
	there := b.Reg("/" + name)
	step := c.lookup(name)
	step.Ret, step.Branch = there, prog.Branch{Result: -int64(linux.ENOENT), To: absent}
	b.Do("see whether /"+name+" is a directory", prog.Openat, there.Arg(), b.String("."), flags(linux.O_PATH|linux.O_DIRECTORY|linux.O_CLOEXEC, "O_PATH|O_DIRECTORY|O_CLOEXEC")).
		Branch = prog.Branch{Result: -int64(linux.ENOTDIR), To: file}
	dir := b.Get("mask", "copy the empty directory", prog.OpenTree, empty, b.String(""), flags(copyTree, copyTreeText))
	c.attach("cover the directory /"+name, dir.Arg(), there.Arg(), onFD)
	b.Jump(absent)
	b.Place(file)
	device := b.Get("mask", "copy the null device", prog.OpenTree, null, b.String(""), flags(copyTree, copyTreeText))
	c.attach("cover the file /"+name, device.Arg(), there.Arg(), onFD)
	b.Place(absent)
}
