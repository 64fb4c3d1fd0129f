// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"encoding/binary"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// cwd enters process.cwd, making it if it is missing. It is opened below the
// root, so it cannot be a directory of the host (CVE-2024-21626).
func (c *compiler) cwd() {
	c.b.From("process.cwd")
	c.dirs = map[string]prog.Reg{} // hooks may have mounted over what was there
	name := inside(c.spec.Process.Cwd)
	dir := c.root
	if name != "" {
		dir = c.directory(name)
	}
	c.b.Do("enter "+c.spec.Process.Cwd, prog.Fchdir, dir)
}

// identity takes the user, groups and capabilities of the process.
func (c *compiler) identity() {
	b := &c.b
	p := c.spec.Process
	if p.Terminal {
		b.From("process.terminal")
		for fd := range 3 {
			b.Do("make it descriptor "+strconv.Itoa(fd), prog.Dup3, c.slave.Arg(), prog.Int(fd), prog.Int(0))
		}
		b.Do("make it the controlling terminal", prog.Ioctl, prog.Int(0), flags(linux.TIOCSCTTY, "TIOCSCTTY"), prog.Int(0))
	}
	b.From("")
	b.Do("close what is needed no more", prog.CloseRange, prog.Int(3+c.PreserveFDs+c.kept), prog.Const(^uint64(0)>>32, "~0"), prog.Int(0))
	caps := c.capabilities()
	b.From("process.capabilities.bounding")
	for n := range c.Facts.LastCap + 1 {
		if caps.bounding&(1<<n) == 0 {
			b.Do("drop "+capability(n), prog.Prctl, flags(linux.PR_CAPBSET_DROP, "PR_CAPBSET_DROP"), prog.Const(uint64(n), capability(n)))
		}
	}
	b.From("process.user")
	b.Do("keep capabilities", prog.Prctl, flags(linux.PR_SET_KEEPCAPS, "PR_SET_KEEPCAPS"), prog.Int(1))
	c.groups(p.User.AdditionalGids)
	gid, uid := prog.Int(int(p.User.GID)), prog.Int(int(p.User.UID))
	b.Do("become group "+strconv.Itoa(int(p.User.GID)), prog.Setresgid, gid, gid, gid)
	b.Do("become user "+strconv.Itoa(int(p.User.UID)), prog.Setresuid, uid, uid, uid)
	b.Do("keep others from tracing it", prog.Prctl, flags(linux.PR_SET_DUMPABLE, "PR_SET_DUMPABLE"), prog.Int(0))
	b.From("process.capabilities")
	if c.compileFilter(); c.filter != nil && !p.NoNewPrivileges {
		// It is loaded last, which takes CAP_SYS_ADMIN. That need not be dropped
		// again: execve(2) computes all sets from the bounding, inheritable and
		// ambient ones, whatever is permitted before, capabilities(7).
		caps.effective, caps.permitted = caps.effective|1<<capSysAdmin, caps.permitted|1<<capSysAdmin
	}
	c.setCapabilities(caps)
	if p.NoNewPrivileges {
		b.From("process.noNewPrivileges")
		b.Do("never gain privileges", prog.Prctl, flags(linux.PR_SET_NO_NEW_PRIVS, "PR_SET_NO_NEW_PRIVS"), prog.Int(1), prog.Int(0), prog.Int(0), prog.Int(0))
	}
}

// groups sets the supplementary groups; those of the caller never stay.
func (c *compiler) groups(gids []uint32) {
	if c.keepsGroups() {
		if len(gids) > 0 && c.spec.Annotations[KeepGroups] == "1" {
			c.refuse("process.user.additionalGids", "the annotation "+KeepGroups+" keeps those of the caller", 0, "remove one of the two")
		} else if len(gids) > 0 {
			c.refuse("process.user.additionalGids", "the supplementary groups cannot be set, as only the user's own group is mapped", 0,
				"have a range in /etc/subgid and map it in linux.gidMappings; or remove them")
		}
		return
	}
	list := make([]byte, 0, 4*len(gids)+4)
	for _, g := range gids {
		list = binary.LittleEndian.AppendUint32(list, g)
	}
	c.b.From("process.user.additionalGids")
	text := "[]"
	for i, g := range gids {
		if i == 0 {
			text = "["
		} else {
			text += " "
		}
		text += strconv.Itoa(int(g))
		if i == len(gids)-1 {
			text += "]"
		}
	}
	c.b.Do("set the supplementary groups", prog.Setgroups, prog.Int(len(gids)), c.b.Struct(text, append(list, 0, 0, 0, 0)))
	c.b.From("process.user")
}

// capabilitySets are the five sets of capabilities(7) as bits.
type capabilitySets struct{ bounding, effective, permitted, inheritable, ambient uint64 }

// capabilities returns the sets asked for, less what cannot be granted: that
// leaves less privilege than asked for, which is a warning.
func (c *compiler) capabilities() capabilitySets {
	p := c.spec.Process
	if p.Capabilities == nil {
		return capabilitySets{}
	}
	set := func(name string, names []string, limit uint64) (bits uint64) {
		for i, n := range names {
			number, known := config.CapabilityNumber(n)
			if !known || number > c.Facts.LastCap {
				continue // package config has warned of names that do not exist
			}
			if limit&(1<<number) == 0 {
				c.warn(index("process.capabilities."+name, i), n+" cannot be granted; left out")
				continue
			}
			bits |= 1 << number
		}
		return bits
	}
	can := c.Facts.Capabilities
	if _, _, user := c.namespace(specs.UserNamespace); user {
		can = ^uint64(0)
	}
	k := p.Capabilities
	s := capabilitySets{bounding: set("bounding", k.Bounding, can), permitted: set("permitted", k.Permitted, can)}
	s.inheritable = set("inheritable", k.Inheritable, can)
	s.effective = set("effective", k.Effective, s.permitted)
	s.ambient = set("ambient", k.Ambient, s.permitted&s.inheritable)
	return s
}

// setCapabilities makes the sets those asked for: capset(2), then the ambient set,
// which only takes what is both permitted and inheritable.
func (c *compiler) setCapabilities(s capabilitySets) {
	b := &c.b
	header := binary.LittleEndian.AppendUint32(nil, linux.LINUX_CAPABILITY_VERSION_3)
	header = append(header, 0, 0, 0, 0)
	var data []byte
	for shift := 0; shift < 64; shift += 32 {
		for _, set := range []uint64{s.effective, s.permitted, s.inheritable} {
			data = binary.LittleEndian.AppendUint32(data, uint32(set>>shift))
		}
	}
	text := "{effective " + hex(s.effective) + ", permitted " + hex(s.permitted) + ", inheritable " + hex(s.inheritable) + "}"
	b.Do("take the capabilities", prog.Capset, b.Struct("{VERSION_3, 0}", header), b.Struct(text, data))
	for n := range c.Facts.LastCap + 1 {
		if s.ambient&(1<<n) != 0 {
			b.Do("raise "+capability(n), prog.Prctl, flags(linux.PR_CAP_AMBIENT, "PR_CAP_AMBIENT"), flags(linux.PR_CAP_AMBIENT_RAISE, "RAISE"), prog.Const(uint64(n), capability(n)), prog.Int(0), prog.Int(0))
		}
	}
}

// capability is the name of a capability, for people.
func capability(n int) string {
	if name := config.CapabilityName(n); name != "" {
		return name
	}
	return "CAP_" + strconv.Itoa(n)
}

func hex(n uint64) string { return "0x" + strconv.FormatUint(n, 16) }
