// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"slices"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/cgroup/resources"
	"github.com/coracle-oci/coracle/runtime/cgroup/unit"
	"github.com/coracle-oci/coracle/runtime/facts"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// CgroupManager is who makes the container's cgroups.
type CgroupManager int

// The managers, by crun's names for them.
const (
	Cgroupfs CgroupManager = iota // coracle, in the file system
	Systemd                       // systemd, which is asked for a scope
	Disabled                      // nobody: the container stays in those of the runtime
)

// compileCgroups compiles linux.cgroupsPath and linux.resources.
func (c *compiler) compileCgroups() {
	l := c.spec.Linux
	switch c.Cgroups {
	case Cgroupfs:
		if c.withoutCgroups() {
			c.plan.Cgroup, _ = resources.CompileNone(nil, c.Facts.Cgroup)
			break
		}
		c.plan.Cgroup, c.wrong = resources.All(c.ID, l.CgroupsPath, l.Resources, c.Facts.Cgroup)
	case Disabled:
		c.plan.Cgroup, c.wrong = resources.CompileNone(l.Resources, c.Facts.Cgroup)
	case Systemd:
		c.compileUnit()
	}
	c.plan.Warnings = append(c.plan.Warnings, c.plan.Cgroup.Warnings...)
}

func (c *compiler) compileUnit() {
	l, systemd := c.spec.Linux, facts.Systemd{ControlGroup: "/"}
	if c.Facts.Systemd != nil {
		systemd = *c.Facts.Systemd
	}
	u, err := unit.Compile(unit.Request{ID: c.ID, CgroupsPath: l.CgroupsPath, Annotations: c.spec.Annotations,
		Resources: l.Resources, Cgroup: c.Facts.Cgroup, Systemd: systemd})
	c.plan.Unit = &u
	c.plan.Cgroup, c.wrong = resources.CompileScope(resources.Scope{Path: u.Path, Subgroup: u.Subgroup}, l.Resources, c.Facts.Cgroup)
	if err != nil {
		c.wrong = append(c.wrong, err)
	}
}

// makeCgroups makes the cgroup that the process is born in, starts it, and makes
// the others and their limits while it makes mounts. systemd, if it is to make
// some, wants a process to put there.
func (c *compiler) makeCgroups() {
	g := &c.plan.Cgroup
	if dir, uid, ok := c.owner(); ok {
		g.Limit = append(g.Limit, resources.Owner(dir, uid))
	}
	c.cgroupOps(AtSpawn, g.Make, true)
	spawn := HostStep{Do: Spawn, Path: g.Into, Doing: "start the launch program"}
	if c.bornAsInit() {
		_, i, _ := c.namespace(specs.PIDNamespace)
		spawn.Mode, spawn.From = linux.CLONE_NEWPID, index("linux.namespaces", i)
	}
	c.host(spawn)
	if u := c.plan.Unit; u != nil {
		for i := range u.Properties {
			property := &u.Properties[i]
			c.host(HostStep{Do: UnitProperty, Property: property, Doing: "want " + property.Name, From: property.From})
		}
		c.host(HostStep{Do: StartUnit, Unit: u, Doing: "have systemd make the scope " + u.Name, From: "linux.cgroupsPath"})
	}
	c.cgroupOps(AtSpawn, g.Make, false)
	c.cgroupOps(AtSpawn, g.Adopt, false)
	c.cgroupOps(AtSpawn, g.Limit, false)
	c.delegate()
}

// cgroupOps adds those that make what the process is born in, or all others.
func (c *compiler) cgroupOps(at prog.Mark, list []resources.Op, born bool) {
	for i := range list {
		if list[i].Born != born {
			continue
		}
		h := HostStep{At: at, Do: CgroupOp, Op: &list[i], From: list[i].From}
		if list[i].Late { // it would stop the launch program from becoming the init
			h.At = AtCreated
		}
		c.host(h)
	}
}

// delegate moves the init to the cgroup below its own that it is to manage, once
// its cgroup namespace is there, whose root is the one above.
func (c *compiler) delegate() {
	if c.plan.Unit == nil || c.plan.Unit.Delegate == "" {
		return
	}
	leaves := c.plan.Cgroup.Leaves
	dir, from := leaves[len(leaves)-1]+"/"+c.plan.Unit.Delegate, `annotations["run.oci.delegate-cgroup"]`
	ops := []resources.Op{{Kind: resources.Mkdir, Path: dir, From: from}}
	if _, uid, ok := c.owner(); ok {
		ops = append(ops, resources.Owner(dir, uid))
	}
	c.cgroupOps(AtCreated, append(ops, resources.Op{Kind: resources.Enter, Path: dir, From: from}), false)
}

// owner returns the container's cgroup of v2 and the user of the host that is to
// own it: config-linux.md, "Cgroup ownership". It is nobody unless the container
// has a cgroup namespace of its own and can write there.
func (c *compiler) owner() (dir, uid string, ok bool) {
	leaves := c.plan.Cgroup.Leaves
	if len(c.Facts.Cgroup.V1) > 0 || c.Cgroups == Disabled || len(leaves) == 0 || !c.fresh(specs.CgroupNamespace) ||
		!slices.ContainsFunc(c.spec.Mounts, writableCgroup) {
		return "", "", false
	}
	user := c.spec.Process.User.UID
	if _, _, separate := c.namespace(specs.UserNamespace); separate {
		i := slices.IndexFunc(c.spec.Linux.UIDMappings, func(m specs.LinuxIDMapping) bool {
			return user >= m.ContainerID && user-m.ContainerID < m.Size
		})
		if i < 0 {
			return "", "", false
		}
		user += c.spec.Linux.UIDMappings[i].HostID - c.spec.Linux.UIDMappings[i].ContainerID
	}
	return leaves[len(leaves)-1], strconv.FormatUint(uint64(user), 10), int(user) != c.Facts.UID
}

// writableCgroup tells whether a mount shows the container its cgroup, writable.
func writableCgroup(m specs.Mount) bool {
	readonly := false
	for _, o := range m.Options {
		switch o {
		case "ro", "rro":
			readonly = true
		case "rw", "rrw":
			readonly = false
		}
	}
	return (m.Type == "cgroup" || m.Type == "cgroup2") && inside(m.Destination) == "sys/fs/cgroup" && !readonly
}

// cgroups joins the cgroups between the other namespaces and their own: the root
// of a new cgroup namespace is the cgroup that its maker is in, and what the other
// namespaces take, most of all a network namespace, is not memory of the
// container, whose limit may be low.
//
// The parent takes as long to make those of v1 as the program takes for most mounts.
// If nothing needs them before, they are joined after these.
func (c *compiler) cgroups() {
	asked := len(c.received) > 0
	if !asked {
		c.receive(AtSpawn)
	}
	if c.joinsLater = !asked && len(c.plan.Cgroup.Join) > 0 && c.fresh(specs.MountNamespace) && !c.clonesInit(); !c.joinsLater {
		c.joinCgroups()
		c.cgroupNamespace()
	}
}

// laterCgroups is what cgroups has left for later: at a mount that shows cgroups, or
// behind all mounts.
func (c *compiler) laterCgroups() {
	if !c.joinsLater {
		return
	}
	c.joinsLater = false
	c.b.From("")
	c.spare = c.b.Do("free the numbers of what comes now", prog.CloseRange, prog.Int(0), prog.Int(0), prog.Int(0)).Args
	c.receiveMore(len(c.plan.Cgroup.Join))
	c.joinCgroups()
	c.receiveMore(len(c.spec.Mounts) + len(c.spec.Linux.Devices) + 32) // opened meanwhile
	c.cgroupNamespace()
}

func (c *compiler) cgroupNamespace() {
	if _, i, _ := c.namespace(specs.CgroupNamespace); c.fresh(specs.CgroupNamespace) {
		c.b.From(index("linux.namespaces", i))
		c.b.Do("make a cgroup namespace", prog.Unshare, flags(linux.CLONE_NEWCGROUP, "CLONE_NEWCGROUP"))
	}
}

// joinCgroups lets the process enter its cgroups by itself: on v1 a thread that
// writes "0" for itself does not wait for an RCU grace period, which a parent
// that writes a pid does. On v2 the process is born in its cgroup.
func (c *compiler) joinCgroups() {
	b := &c.b
	b.From("linux.cgroupsPath")
	for i, file := range c.plan.Cgroup.Join {
		in := c.input(index("tasks", i), HostStep{Do: OpenTasks, Path: file, Doing: "open " + file, From: "linux.cgroupsPath"})
		b.Do("join "+file, prog.Write, in.Arg(), b.String("0"), prog.Int(1))
	}
}

// unitCall is a request to systemd as people read it.
func (h *HostStep) unitCall() string {
	if h.Do == UnitProperty {
		return "property " + h.Property.String()
	}
	manager := "systemd"
	if h.Unit.User {
		manager = "the user's systemd"
	}
	return manager + ": StartTransientUnit(" + strconv.Quote(h.Unit.Name) + `, "replace", PIDs=[PID] and the properties), wait for the job`
}
