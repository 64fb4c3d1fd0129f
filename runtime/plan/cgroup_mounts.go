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
		c.hierarchy(field, m, name, "cgroup2", o, own, c.plan.Cgroup.Leaves[len(c.plan.Cgroup.Leaves)-1])
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
		c.hierarchy(field, m, name+"/"+below, "cgroup", v1, own, c.plan.Cgroup.Leaves[i])
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
	if len(c.plan.Cgroup.Dirs) == 0 { // others are in it: CVE-2023-25809
		o.flat.merge(MountAttr{Set: linux.MOUNT_ATTR_RDONLY, Text: "ro"})
	}
	if o.propagation.empty() {
		o.propagation = MountAttr{Propagation: linux.MS_PRIVATE, Text: "private"}
	}
	tree := c.tree(field+" "+path.Base(name), HostStep{Do: CloneTree, Path: dir, Attrs: c.bindAttrs(o), Doing: "copy the mount of " + dir, From: field})
	c.attach("bind "+dir+" on /"+name, tree, c.directory(name), onFD)
	c.mounted(name, prog.Drop)
}
