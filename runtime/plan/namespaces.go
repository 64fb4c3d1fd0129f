// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"sort"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// A namespaceKind is one kind in the order in which namespaces are entered: the
// user namespace first, as it owns those made after it; the mount namespace
// last, as joining it changes what paths mean.
type namespaceKind struct {
	kind specs.LinuxNamespaceType
	flag int
	text string
}

var namespaceKinds = [...]namespaceKind{
	{specs.UserNamespace, linux.CLONE_NEWUSER, "CLONE_NEWUSER"},
	{specs.CgroupNamespace, linux.CLONE_NEWCGROUP, "CLONE_NEWCGROUP"},
	{specs.IPCNamespace, linux.CLONE_NEWIPC, "CLONE_NEWIPC"},
	{specs.UTSNamespace, linux.CLONE_NEWUTS, "CLONE_NEWUTS"},
	{specs.NetworkNamespace, linux.CLONE_NEWNET, "CLONE_NEWNET"},
	{specs.PIDNamespace, linux.CLONE_NEWPID, "CLONE_NEWPID"},
	{specs.TimeNamespace, linux.CLONE_NEWTIME, "CLONE_NEWTIME"},
	{specs.MountNamespace, linux.CLONE_NEWNS, "CLONE_NEWNS"},
}

// namespace returns whether the config has one of this kind, and its index.
func (c *compiler) namespace(kind specs.LinuxNamespaceType) (ns specs.LinuxNamespace, i int, ok bool) {
	for i, ns := range c.spec.Linux.Namespaces {
		if ns.Type == kind {
			return ns, i, true
		}
	}
	return ns, -1, false
}

// fresh tells whether the container gets a new namespace of this kind.
func (c *compiler) fresh(kind specs.LinuxNamespaceType) bool {
	ns, _, ok := c.namespace(kind)
	return ok && ns.Path == ""
}

// ThreadNamespaces returns those, as flags of unshare(2), that are made by a thread of
// the parent, which then starts the process in them: the kernel takes as long for a
// network namespace as the parent for the rest of the plan. That is so where all
// namespaces are new and none is a user namespace, which would own the others.
func ThreadNamespaces(spec *specs.Spec) int {
	made := 0
	if spec.Linux == nil {
		return made
	}
	for _, ns := range spec.Linux.Namespaces {
		if ns.Path != "" || ns.Type == specs.UserNamespace || ns.Type == specs.TimeNamespace {
			return 0
		}
		for _, k := range namespaceKinds {
			if k.kind == ns.Type && k.flag&(linux.CLONE_NEWIPC|linux.CLONE_NEWUTS|linux.CLONE_NEWNET|linux.CLONE_NEWNS) != 0 {
				made |= k.flag
			}
		}
	}
	if made&linux.CLONE_NEWNET == 0 {
		return 0
	}
	return made
}

// threadNamespaces has the parent make them.
func (c *compiler) threadNamespaces() {
	if made := ThreadNamespaces(c.spec); made != 0 {
		c.host(HostStep{Do: MakeNamespaces, Mode: uint32(made), Doing: "make namespaces", From: "linux.namespaces"})
	}
}

// namespaceText names the flags of unshare(2).
func namespaceText(flags int) string {
	var text []string
	for _, k := range namespaceKinds {
		if flags&k.flag != 0 {
			text = append(text, k.text)
		}
	}
	return strings.Join(text, "|")
}

// namespaces enters those with a path, makes the others, and becomes the init
// of a PID namespace by one more clone, if it was not born as one.
func (c *compiler) namespaces() {
	b := &c.b
	if c.fresh(specs.UserNamespace) {
		c.userNamespace()
	}
	inThread := ThreadNamespaces(c.spec)
	var made, count, field int
	for _, k := range namespaceKinds {
		ns, i, ok := c.namespace(k.kind)
		switch {
		case !ok:
		case ns.Path != "":
			b.From(index("linux.namespaces", i))
			in := c.input(string(k.kind)+" namespace", HostStep{Do: OpenNamespace, Path: ns.Path, Doing: "open " + ns.Path, From: index("linux.namespaces", i) + ".path"})
			b.Do("join the "+string(k.kind)+" namespace "+ns.Path, prog.Setns, in.Arg(), flags(k.flag, k.text))
			if k.kind == specs.UserNamespace {
				c.becomeRoot("linux.namespaces")
			}
		case k.kind == specs.PIDNamespace && c.bornAsInit():
		case k.kind != specs.UserNamespace && k.kind != specs.CgroupNamespace && inThread&k.flag == 0:
			made, field = made|k.flag, i
			count++
		}
	}
	if made != 0 {
		b.From("linux.namespaces")
		if count == 1 {
			b.From(index("linux.namespaces", field))
		}
		b.Do("make namespaces", prog.Unshare, flags(made, namespaceText(made)))
	}
	c.cgroups()
	c.timeOffsets()
	c.becomeInit()
	c.session()
	c.names()
}

// session makes the process independent of its caller's session and keys.
func (c *compiler) session() {
	b := &c.b
	b.From("")
	b.Do("lead a session", prog.Setsid)
	c.keyring()
}

// userNamespace makes it and lets the parent write the maps.
func (c *compiler) userNamespace() {
	b := &c.b
	_, i, _ := c.namespace(specs.UserNamespace)
	b.From(index("linux.namespaces", i))
	b.Do("make a user namespace", prog.Unshare, flags(linux.CLONE_NEWUSER, "CLONE_NEWUSER"))
	c.tell(AtMaps, "ask for the id maps")
	c.receive(AtMaps)
	c.idMaps()
	if c.unprivileged() {
		c.untraceable()
	}
	c.becomeRoot("linux.uidMappings")
}

// becomeRoot takes the ids of the namespace's root, if they are mapped: what is
// made from here on belongs to it.
func (c *compiler) becomeRoot(from string) {
	b := &c.b
	b.From(from)
	zero := prog.Int(0)
	if mapped(c.spec.Linux.GIDMappings, 0) || len(c.spec.Linux.GIDMappings) == 0 {
		b.Do("become the namespace's root group", prog.Setresgid, zero, zero, zero)
	}
	if mapped(c.spec.Linux.UIDMappings, 0) || len(c.spec.Linux.UIDMappings) == 0 {
		b.Do("become the namespace's root", prog.Setresuid, zero, zero, zero)
	}
}

func mapped(maps []specs.LinuxIDMapping, id uint32) bool {
	for _, m := range maps {
		if id >= m.ContainerID && id-m.ContainerID < m.Size {
			return true
		}
	}
	return false
}

// timeOffsets shifts the clocks of a new time namespace, time_namespaces(7).
// They can be set for as long as no process is in it.
func (c *compiler) timeOffsets() {
	offsets := c.spec.Linux.TimeOffsets
	if len(offsets) == 0 {
		return
	}
	if !c.fresh(specs.TimeNamespace) {
		c.refuse("linux.timeOffsets", "there is no new time namespace", 0, `add {"type": "time"} to linux.namespaces`)
		return
	}
	clocks := make([]string, 0, len(offsets))
	for clock := range offsets {
		clocks = append(clocks, clock)
	}
	sort.Strings(clocks)
	c.b.From("linux.timeOffsets")
	c.waitByte(AtOffsets, "ask for the clock offsets")
	for _, clock := range clocks {
		o := offsets[clock]
		value := clock + " " + strconv.FormatInt(o.Secs, 10) + " " + strconv.FormatUint(uint64(o.Nanosecs), 10)
		c.host(HostStep{At: AtOffsets, Do: WriteFile, Path: "/proc/PID/timens_offsets", Value: value, Doing: "shift the clock " + clock, From: "linux.timeOffsets." + clock})
	}
}

// becomeInit clones the process that becomes the container's init, where that
// takes a clone: a process cannot move into a PID or time namespace itself.
func (c *compiler) becomeInit() {
	if c.clonesInit() {
		c.becomeChild("clone the container's init")
	}
}

func (c *compiler) clonesInit() bool {
	_, _, pid := c.namespace(specs.PIDNamespace)
	_, _, clock := c.namespace(specs.TimeNamespace)
	return pid && !c.bornAsInit() || clock
}

// bornAsInit tells whether the process is the first one of a new PID namespace from
// the start. It cannot be where it enters the user namespace that owns this one later,
// or a time namespace, which takes a clone anyway.
func (c *compiler) bornAsInit() bool {
	_, _, user := c.namespace(specs.UserNamespace)
	_, _, clock := c.namespace(specs.TimeNamespace)
	return c.fresh(specs.PIDNamespace) && !user && !clock
}

// becomeChild goes on in a clone. With CLONE_PARENT that is the child of our
// parent, and this process ends.
func (c *compiler) becomeChild(doing string) {
	b := &c.b
	b.From("linux.namespaces")
	child := b.Label()
	message := b.Struct("pid", prog.MarkBytes(Born, 0))
	b.Do(doing, prog.Clone, flags(linux.CLONE_PARENT|linux.CLONE_PARENT_SETTID|linux.SIGCHLD, "CLONE_PARENT|CLONE_PARENT_SETTID|SIGCHLD"),
		prog.Int(0), b.Inside(message, 4)).Branch = prog.Branch{Result: 0, To: child}
	b.Do("tell its pid", prog.Sendto, c.gate.Arg(), message, prog.Int(8), flags(linux.MSG_NOSIGNAL, "MSG_NOSIGNAL"), prog.Int(0), prog.Int(0))
	b.Do("leave the rest to it", prog.Exit, prog.Int(0))
	b.Place(child)
	c.plan.Clones = true
}

// names sets what belongs to the UTS namespace, and brings up the loopback
// device of a new network namespace, as all runtimes do.
func (c *compiler) names() {
	b := &c.b
	for _, n := range []struct {
		call         prog.Syscall
		field, value string
	}{{prog.Sethostname, "hostname", c.spec.Hostname}, {prog.Setdomainname, "domainname", c.spec.Domainname}} {
		if n.value == "" {
			continue
		}
		b.From(n.field)
		b.Do("set the "+n.field+" to "+n.value, n.call, b.String(n.value), prog.Int(len(n.value)))
	}
	if !c.fresh(specs.NetworkNamespace) {
		return
	}
	_, i, _ := c.namespace(specs.NetworkNamespace)
	b.From(index("linux.namespaces", i))
	ifreq := make([]byte, 40) // netdevice(7)
	copy(ifreq, "lo")
	ifreq[16] = linux.IFF_UP
	s := b.Get("inet", "open a socket", prog.Socket, flags(linux.AF_INET, "AF_INET"), flags(linux.SOCK_DGRAM|linux.SOCK_CLOEXEC, "SOCK_DGRAM|SOCK_CLOEXEC"), prog.Int(0))
	b.Do("bring up lo", prog.Ioctl, s.Arg(), flags(linux.SIOCSIFFLAGS, "SIOCSIFFLAGS"), b.Struct(`{"lo", IFF_UP}`, ifreq))
}
