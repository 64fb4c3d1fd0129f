// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// defaultDevices are those of config-linux.md, "Default Devices", that are nodes.
var defaultDevices = [...]struct {
	name         string
	major, minor int64
}{{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}}

// defaultLinks are the symbolic links that the spec wants in /dev.
var defaultLinks = [...]struct{ name, target string }{
	{"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"},
}

// devices makes linux.devices and the default devices. Where /dev is a bind
// mount it is the host's, and nothing is made in it.
//
// On a /dev that is a new tmpfs, nodes are made; nothing can be there before. On
// any other, and in a user namespace, where nodes cannot be made, the host's
// nodes are mounted: whatever the image has at that path stays under the mount.
func (c *compiler) devices() {
	if !c.fresh(specs.MountNamespace) {
		return
	}
	dev := c.mountAt("dev")
	if dev != nil && config.IsBind(dev.Options) {
		return
	}
	made := map[string]bool{}
	for i, d := range c.spec.Linux.Devices {
		name := inside(d.Path)
		if made[name] {
			c.refuse(index("linux.devices", i)+".path", d.Path+" is listed twice", 0, "remove one of the two")
			continue
		}
		made[name] = true
		c.b.From(index("linux.devices", i))
		if c.device(index("linux.devices", i), name, d); c.refused() {
			return
		}
	}
	c.b.From("default devices")
	for _, d := range defaultDevices {
		if name := "dev/" + d.name; !made[name] && c.mountAt(name) == nil {
			mode := specs.LinuxDevice{Path: "/" + name, Type: "c", Major: d.major, Minor: d.minor}
			c.device("default devices", name, mode)
		}
	}
	c.links()
}

// mountAt returns the last mount of the config on name.
func (c *compiler) mountAt(name string) *specs.Mount {
	for i, target := range slices.Backward(c.targets) {
		if target == name {
			return &c.spec.Mounts[i]
		}
	}
	return nil
}

// onTmpfs tells whether name lies on a tmpfs that the config mounts, so that
// nothing can be there that we have not made.
func (c *compiler) onTmpfs(name string) bool {
	for dir := parentOf(name); dir != ""; dir = parentOf(dir) {
		if m := c.mountAt(dir); m != nil {
			return m.Type == "tmpfs" && !config.IsBind(m.Options)
		}
	}
	return false
}

func (c *compiler) device(field, name string, d specs.LinuxDevice) {
	if !c.lesser() && c.onTmpfs(name) || d.Type == "p" {
		c.makeNode(name, d)
		return
	}
	rdev := makedev(d.Major, d.Minor)
	kind, found := c.Facts.Files[d.Path]
	if field != "default devices" && (!found || kind.Mode == 0) {
		c.refuse(field+".path", "mount the host's "+d.Path, linux.ENOENT, "nodes cannot be made there; the host must have the device at the same path")
		return
	}
	tree := c.tree(d.Path, HostStep{Do: CloneDevice, Path: d.Path, Mode: nodeType(d.Type), Rdev: rdev, Doing: "copy the mount of " + d.Path, From: field})
	target := c.nodeTarget(name)
	c.attach("mount the host's "+d.Path, tree, target, onFD)
}

// nodeTarget makes sure that there is a file at name, and opens that very file:
// a symbolic link there is not followed.
func (c *compiler) nodeTarget(name string) prog.Arg {
	dir := c.deviceDirectory(name)
	base := c.b.String(path.Base(name))
	c.b.Try(linux.EEXIST, "make /"+name, prog.Mknodat, dir, base, flags(linux.S_IFREG, "S_IFREG"), prog.Int(0))
	return c.b.Get("/"+name, "open /"+name, prog.Openat, dir, base, flags(linux.O_PATH|linux.O_NOFOLLOW|linux.O_CLOEXEC, "O_PATH|O_NOFOLLOW|O_CLOEXEC")).Arg()
}

// deviceDirectory is the directory of a device; no component of it may be a
// symbolic link, as an image could have made one (CVE-2026-41579).
func (c *compiler) deviceDirectory(name string) prog.Arg {
	dir := parentOf(name)
	if dir == "" {
		return c.root
	}
	if fd, ok := c.dirs[dir]; ok && c.mountAt(dir) != nil { // the mount that was put there
		return fd.Arg()
	}
	return c.linkless(dir)
}

// linkless makes sure that a directory of the container is there and that no
// component of its path is a symbolic link.
func (c *compiler) linkless(dir string) prog.Arg {
	key := "nolink:" + dir
	if fd, ok := c.dirs[key]; ok {
		return fd.Arg()
	}
	_, known := c.dirs[dir]
	if !known {
		c.makeDirectory(dir)
	}
	fd := c.b.Get("/"+dir, "follow no link to /"+dir, prog.Openat2, c.root, c.b.String(dir),
		c.openHow(linux.O_PATH|linux.O_DIRECTORY, "O_PATH|O_DIRECTORY, IN_ROOT|NO_SYMLINKS", noLinks), prog.Int(howSize))
	c.dirs[key] = fd
	if !known {
		c.dirs[dir] = fd
	}
	return fd.Arg()
}

func (c *compiler) makeNode(name string, d specs.LinuxDevice) {
	mode := uint32(0o666)
	if d.FileMode != nil {
		mode = uint32(*d.FileMode) & 0o7777
	}
	dir, base := c.deviceDirectory(name), c.b.String(path.Base(name))
	text := map[string]string{"c": "S_IFCHR", "u": "S_IFCHR", "b": "S_IFBLK", "p": "S_IFIFO"}[d.Type]
	c.b.Do("make /"+name, prog.Mknodat, dir, base, prog.Const(uint64(nodeType(d.Type)|mode), text+"|0"+octal(mode)), prog.Const(makedev(d.Major, d.Minor), ""))
	if d.UID != nil || d.GID != nil {
		c.b.Do("give /"+name+" to its owner", prog.Fchownat, dir, base, id(d.UID), id(d.GID), flags(linux.AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW"))
	}
}

func id(n *uint32) prog.Arg {
	if n == nil {
		return prog.Int(0)
	}
	return prog.Int(int(*n))
}

func nodeType(t string) uint32 {
	switch t {
	case "b":
		return linux.S_IFBLK
	case "p":
		return linux.S_IFIFO
	}
	return linux.S_IFCHR
}

// links makes the symbolic links of /dev. What the image has at these names
// stays, but for a /dev that is new.
func (c *compiler) links() {
	dir := c.deviceDirectory("dev/x")
	if c.mountAt("proc") != nil {
		for _, l := range defaultLinks {
			c.b.Try(linux.EEXIST, "link /dev/"+l.name, prog.Symlinkat, c.b.String(l.target), dir, c.b.String(l.name))
		}
	}
	if c.mountAt("dev/pts") != nil {
		c.b.Try(linux.EEXIST, "link /dev/ptmx", prog.Symlinkat, c.b.String("pts/ptmx"), dir, c.b.String("ptmx"))
	}
}

// makedev is the device number as mknod(2) takes it on Linux.
func makedev(major, minor int64) uint64 {
	ma, mi := uint64(major), uint64(minor)
	return ma&0xfff<<8 | ma&0xfffff000<<32 | mi&0xff | mi&0xffffff00<<12
}

func octal(n uint32) string {
	var digits []byte
	for ; n > 0; n >>= 3 {
		digits = append([]byte{byte('0' + n&7)}, digits...)
	}
	return strings.TrimLeft(string(digits), "0")
}

// console makes a terminal and mounts it on /dev/console.
func (c *compiler) console() {
	if !c.spec.Process.Terminal {
		return
	}
	c.terminal()
	b := &c.b
	tree := b.Get("console", "copy the mount of the terminal", prog.OpenTree, c.slave.Arg(), b.String(""),
		flags(linux.OPEN_TREE_CLONE|linux.OPEN_TREE_CLOEXEC|linux.AT_EMPTY_PATH, "OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_EMPTY_PATH"))
	if dev := c.mountAt("dev"); dev == nil || !config.IsBind(dev.Options) {
		c.attach("mount it on /dev/console", tree.Arg(), c.nodeTarget("dev/console"), onFD)
	}
}

// terminal makes one in the container's own devpts: the slave is had from the
// master by TIOCGPTPEER, never by path (CVE-2025-52565). The master goes to the
// parent.
func (c *compiler) terminal() {
	b := &c.b
	p := c.spec.Process
	if !p.Terminal {
		return
	}
	b.From("process.terminal")
	const open, openText = linux.O_RDWR | linux.O_NOCTTY, "O_RDWR|O_NOCTTY"
	if c.devpts != prog.Drop {
		c.ptmx = b.Get("ptmx", "open a terminal", prog.Openat, c.devpts.Arg(), b.String("ptmx"), flags(open|linux.O_CLOEXEC, openText+"|O_CLOEXEC"))
	} else {
		c.ptmx = b.Get("ptmx", "open a terminal", prog.Openat2, c.root, b.String("dev/pts/ptmx"), c.openHow(open, openText+", IN_ROOT|NO_SYMLINKS", noLinks), prog.Int(howSize))
	}
	b.Do("unlock it", prog.Ioctl, c.ptmx.Arg(), flags(linux.TIOCSPTLCK, "TIOCSPTLCK"), b.Struct("{0}", make([]byte, 8)))
	c.slave = b.Get("tty", "get its other side", prog.Ioctl, c.ptmx.Arg(), flags(linux.TIOCGPTPEER, "TIOCGPTPEER"), flags(open|linux.O_CLOEXEC, openText+"|O_CLOEXEC"))
	b.Do("give it to the user", prog.Fchown, c.slave.Arg(), prog.Int(int(p.User.UID)), prog.Const(^uint64(0), "-1"))
	if s := p.ConsoleSize; s != nil {
		b.From("process.consoleSize")
		size := []byte{byte(s.Height), byte(s.Height >> 8), byte(s.Width), byte(s.Width >> 8), 0, 0, 0, 0}
		b.Do("set its size", prog.Ioctl, c.ptmx.Arg(), flags(linux.TIOCSWINSZ, "TIOCSWINSZ"), b.Struct("size", size))
		b.From("process.terminal")
	}
	c.plan.Terminal = b.Len()
	if c.ConsoleSocket != "" {
		c.host(HostStep{At: Console, Do: SendTerminal, Path: c.ConsoleSocket, Doing: "send the terminal to " + c.ConsoleSocket, From: "process.terminal"})
	}
	c.sendFD(Console, "hand it over", c.ptmx)
}
