// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"path"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// Capabilities that the parent may lack.
const (
	capSetgid   = 6
	capSetuid   = 7
	capSysAdmin = 21
)

func (c *compiler) can(capability int) bool { return c.Facts.Capabilities&(1<<capability) != 0 }

// unprivileged tells whether an ordinary user calls: what takes privileges is
// done by the program then, which has them in the container's user namespace.
func (c *compiler) unprivileged() bool { return !c.can(capSysAdmin) }

// rootless refuses what an ordinary user cannot have.
func (c *compiler) rootless() {
	if _, _, user := c.namespace(specs.UserNamespace); user || !c.unprivileged() {
		return
	}
	c.refuse("linux.namespaces", "make namespaces", linux.EPERM,
		`coracle lacks CAP_SYS_ADMIN: run it as root, or add {"type": "user"} with id mappings, as "coracle spec --rootless" writes them`)
}

// withoutCgroups tells whether none are made, as this user may not make any and
// the config asks for no limits.
func (c *compiler) withoutCgroups() bool {
	l := c.spec.Linux
	if !c.Facts.Cgroup.Denied || l.CgroupsPath != "" {
		return false
	}
	r := l.Resources
	if r == nil {
		return true
	}
	if r.Memory != nil || r.CPU != nil || r.Pids != nil || r.BlockIO != nil || len(r.HugepageLimits) > 0 || r.Network != nil || len(r.Rdma) > 0 || len(r.Unified) > 0 {
		c.refuse("linux.resources", "limit the container: this user may not make cgroups", linux.EACCES,
			"use --systemd-cgroup, or have a cgroup delegated to you: systemd-run --user --scope -p Delegate=yes coracle …; or remove the limits")
		return true
	}
	if len(r.Devices) > 0 {
		c.warn("linux.resources.devices", "not applied, as this user may not make cgroups; what the user may open, the container may")
	}
	return true
}

// tree is a detached copy of a mount of the host. The parent makes it, as the
// root of a user namespace may not reach the source. Where the parent cannot,
// the caller's rights are all that the program has outside of its namespaces.
func (c *compiler) tree(name string, s HostStep) prog.Arg {
	if !c.unprivileged() {
		return c.input(name, s).Arg()
	}
	b := &c.b
	defer b.From(b.Field())
	b.From(s.From)
	f, text := linux.OPEN_TREE_CLONE|linux.OPEN_TREE_CLOEXEC, "OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC"
	if s.Recursive {
		f, text = f|linux.AT_RECURSIVE, text+"|AT_RECURSIVE"
	}
	if s.NoFollow {
		f, text = f|linux.AT_SYMLINK_NOFOLLOW, text+"|AT_SYMLINK_NOFOLLOW"
	}
	tree := b.Get("tree", s.Doing, prog.OpenTree, prog.Const(atFDCWD, "AT_FDCWD"), b.String(s.Path), flags(f, text))
	for _, a := range s.Attrs {
		if a.IDMap != nil {
			c.privileged(s.From, "map the ids of a mount")
		}
		c.setInherited(tree.Arg(), path.Base(s.Path), a)
	}
	return tree.Arg()
}

// setInherited sets attributes of a copy of a mount that is the host's. What the
// host has set cannot be cleared in a user namespace, mount_namespaces(7): it
// stays, which is less than asked for.
func (c *compiler) setInherited(tree prog.Arg, name string, a MountAttr) {
	const atime = linux.MOUNT_ATTR__ATIME | linux.MOUNT_ATTR_NODIRATIME
	set := func(a MountAttr) {
		if !a.empty() {
			c.setAttr(tree, name, mountOptions{flat: a})
		}
	}
	if a.Clear == 0 {
		set(a)
		return
	}
	set(MountAttr{Set: a.Set &^ atime, Propagation: a.Propagation, Recursive: a.Recursive, Text: a.Text + " but what it has"})
	a.Set, a.Propagation, a.Text = a.Set&atime, 0, a.Text+", as far as the host lets it"
	set(a)
	next := c.b.Label()
	c.b.Last().Branch = prog.Branch{Result: -int64(linux.EPERM), To: next}
	c.b.Place(next)
}

// privileged refuses what only a privileged parent can do.
func (c *compiler) privileged(field, doing string) {
	c.refuse(field, doing, linux.EPERM, "coracle lacks CAP_SYS_ADMIN: run it as root, or remove this")
}

// ownGroup tells whether the container's user namespace is a new one that the user
// may only map its own group into.
func (c *compiler) ownGroup() bool {
	maps := c.spec.Linux.GIDMappings
	return c.fresh(specs.UserNamespace) && !c.can(capSetgid) && len(maps) == 1 && maps[0].Size == 1 && int(maps[0].HostID) == c.Facts.GID
}

// keepsGroups tells whether the supplementary groups of the caller stay, as no
// others can be set.
func (c *compiler) keepsGroups() bool {
	return c.spec.Annotations[KeepGroups] == "1" || c.Facts.NoGroups || c.ownGroup()
}

// idMaps has the parent write the maps of the new user namespace: by itself if it
// may, else with the help of newuidmap(1) and newgidmap(1), which know from
// /etc/subuid and /etc/subgid what the user may map. One's own id needs no help;
// for a group of one's own the kernel wants setgroups(2) to be forbidden first, as
// a process could leave a group that denies it something: user_namespaces(7).
func (c *compiler) idMaps() {
	l := c.spec.Linux
	write := func(file, value, field string) {
		c.host(HostStep{At: AtMaps, Do: WriteFile, Path: "/proc/PID/" + file, Value: value, Doing: "write /proc/PID/" + file, From: field})
	}
	for _, m := range []struct {
		file, field, tool string
		capability, own   int
		maps              []specs.LinuxIDMapping
	}{
		{"uid_map", "linux.uidMappings", "newuidmap", capSetuid, c.Facts.UID, l.UIDMappings},
		{"gid_map", "linux.gidMappings", "newgidmap", capSetgid, c.Facts.GID, l.GIDMappings},
	} {
		switch text := idMapText(m.maps); {
		case len(m.maps) == 0:
			c.refuse(m.field, "are missing for the user namespace", 0, "add at least one mapping")
		case c.can(m.capability):
			write(m.file, text, m.field)
		case len(m.maps) > 1 || m.maps[0].Size != 1 || int(m.maps[0].HostID) != m.own:
			c.host(HostStep{At: AtMaps, Do: MapIDs, Path: m.tool, Value: strings.Join(strings.Fields(text), " "), Doing: "map ids with " + m.tool, From: m.field})
		default:
			if m.file == "gid_map" {
				write("setgroups", "deny", m.field)
			}
			write(m.file, text, m.field)
		}
	}
}

// idMapText is mappings as the kernel reads them.
func idMapText(maps []specs.LinuxIDMapping) string {
	var text strings.Builder
	for _, id := range maps {
		for _, n := range []uint32{id.ContainerID, id.HostID} {
			text.WriteString(strconv.FormatUint(uint64(n), 10) + " ")
		}
		text.WriteString(strconv.FormatUint(uint64(id.Size), 10) + "\n")
	}
	return text.String()
}

// handRoot gives a parent that may not look at /proc/PID/root, as the process is
// not dumpable, the root of the container: there it looks args[0] up.
func (c *compiler) handRoot() {
	if !c.unprivileged() {
		return
	}
	b := &c.b
	b.From("process.args[0]")
	root := b.Get("root", "open the root", prog.Openat, prog.Const(atFDCWD, "AT_FDCWD"), b.String("/"), flags(linux.O_PATH|linux.O_DIRECTORY|linux.O_CLOEXEC, "O_PATH|O_DIRECTORY|O_CLOEXEC"))
	c.sendFD(Root, "show it to the parent", root)
}
