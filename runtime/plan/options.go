// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"strings"

	"github.com/coracle-oci/coracle/internal/sys/linux"
)

// An option is what one mount option of config.md asks for.
type option struct {
	set, clear  uint64 // of struct mount_attr
	propagation uint64
	recursive   bool
	super       string // flag of the superblock: FSCONFIG_SET_FLAG
	bind        bool
	remount     bool
	copyUp      bool
}

// mountOption returns the meaning of a mount option, and whether the spec knows
// it; anything else is for the file system itself. The recursive forms (rro,
// rnosuid, …) act on the mounts below too.
func mountOption(name string) (option, bool) {
	if o, ok := plainOption(name); ok {
		return o, true
	}
	if rest, ok := strings.CutPrefix(name, "r"); ok && rest != "bind" {
		if o, ok := plainOption(rest); ok && o.super == "" && o.set|o.clear|o.propagation != 0 {
			o.recursive = true
			return o, true
		}
	}
	return option{}, false
}

func plainOption(name string) (option, bool) {
	const atime = linux.MOUNT_ATTR__ATIME // a field, not a flag: set after it is cleared
	switch name {
	case "bind":
		return option{bind: true}, true
	case "rbind":
		return option{bind: true, recursive: true}, true
	case "remount":
		return option{remount: true}, true
	case "tmpcopyup":
		return option{copyUp: true}, true
	case "defaults", "loud", "silent", "nomand", "noiversion", "nolazytime":
		return option{}, true
	case "async":
		return option{}, true
	case "ro":
		return option{set: linux.MOUNT_ATTR_RDONLY}, true
	case "rw":
		return option{clear: linux.MOUNT_ATTR_RDONLY}, true
	case "nosuid":
		return option{set: linux.MOUNT_ATTR_NOSUID}, true
	case "suid":
		return option{clear: linux.MOUNT_ATTR_NOSUID}, true
	case "nodev":
		return option{set: linux.MOUNT_ATTR_NODEV}, true
	case "dev":
		return option{clear: linux.MOUNT_ATTR_NODEV}, true
	case "noexec":
		return option{set: linux.MOUNT_ATTR_NOEXEC}, true
	case "exec":
		return option{clear: linux.MOUNT_ATTR_NOEXEC}, true
	case "nosymfollow":
		return option{set: linux.MOUNT_ATTR_NOSYMFOLLOW}, true
	case "symfollow":
		return option{clear: linux.MOUNT_ATTR_NOSYMFOLLOW}, true
	case "nodiratime":
		return option{set: linux.MOUNT_ATTR_NODIRATIME}, true
	case "diratime":
		return option{clear: linux.MOUNT_ATTR_NODIRATIME}, true
	case "noatime":
		return option{set: linux.MOUNT_ATTR_NOATIME, clear: atime}, true
	case "strictatime":
		return option{set: linux.MOUNT_ATTR_STRICTATIME, clear: atime}, true
	case "relatime", "atime", "norelatime", "nostrictatime":
		return option{clear: atime}, true // relatime is the kernel's default, and its value 0
	case "sync", "dirsync", "lazytime", "mand", "iversion":
		return option{super: name}, true
	case "private":
		return option{propagation: linux.MS_PRIVATE}, true
	case "shared":
		return option{propagation: linux.MS_SHARED}, true
	case "slave":
		return option{propagation: linux.MS_SLAVE}, true
	case "unbindable":
		return option{propagation: linux.MS_UNBINDABLE}, true
	}
	return option{}, false
}

// mountOptions is the sum of a mount's options.
type mountOptions struct {
	flat, deep  MountAttr // of the mount itself; of it and those below
	propagation MountAttr
	super       []string
	data        []string // for the file system: "mode=755"
	bind        bool
	recursive   bool // rbind
	remount     bool
	copyUp      bool
}

// parseOptions sums up options: a later one wins over an earlier one.
func parseOptions(options []string) mountOptions {
	var m mountOptions
	for _, name := range options {
		o, known := mountOption(name)
		switch {
		case !known:
			m.data = append(m.data, name)
		case o.bind:
			m.bind, m.recursive = true, m.recursive || o.recursive
		case o.propagation != 0:
			m.propagation = MountAttr{Propagation: o.propagation, Recursive: o.recursive, Text: name}
		case o.super != "":
			m.super = append(m.super, o.super)
		case o.set|o.clear != 0 && o.recursive:
			m.deep.add(o, name)
		case o.set|o.clear != 0:
			m.flat.add(o, name)
		}
		m.remount, m.copyUp = m.remount || o.remount, m.copyUp || o.copyUp
	}
	m.deep.Recursive = true
	return m
}

// add applies one option on top of those before it.
func (a *MountAttr) add(o option, name string) {
	a.Set = a.Set&^o.clear | o.set
	a.Clear = a.Clear&^o.set | o.clear
	if o.clear&linux.MOUNT_ATTR__ATIME != 0 {
		a.Clear |= linux.MOUNT_ATTR__ATIME
	}
	if a.Text != "" {
		a.Text += ","
	}
	a.Text += name
}

// merge makes a do what b does after it; of two propagations there can be but one.
func (a *MountAttr) merge(b MountAttr) {
	a.Set = a.Set&^b.Clear | b.Set
	a.Clear = a.Clear&^b.Set | b.Clear
	a.Propagation |= b.Propagation
	a.Text = join(a.Text, b.Text)
}

func (a MountAttr) empty() bool { return a.Set|a.Clear|a.Propagation == 0 }
