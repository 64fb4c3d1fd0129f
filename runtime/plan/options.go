// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"strings"

	"github.com/coracle-oci/coracle/internal/sys/linux"
)

// A request is what an option asks of the runtime itself.
type request uint8

const (
	bind         request = 1 << iota
	remount              // change what is mounted there
	copyUp               // fill the tmpfs with what the image has there
	copySymlink          // make the symbolic link that the source is, instead of mounting
	srcNofollow          // mount the symbolic link that the source is
	destNofollow         // mount on the symbolic link that the destination is
	idmap                // map the ids of the owners: package config knows how
)

// An option is what one mount option of config.md asks for.
type option struct {
	set, clear  uint64 // of struct mount_attr
	undo        bool   // only takes back what set is, if that was asked for
	propagation uint64
	recursive   bool
	super       string // flag of the superblock: FSCONFIG_SET_FLAG
	asks        request
}

// mountOption returns the meaning of a mount option, and whether it is known;
// anything else is for the file system itself. The recursive forms (rro,
// rnosuid, …) act on the mounts below too; those of the superblock (rsync, …)
// are crun's, and there they mean no more than the plain ones.
func mountOption(name string) (option, bool) {
	if o, ok := plainOption(name); ok {
		return o, true
	}
	if rest, ok := strings.CutPrefix(name, "r"); ok {
		switch o, ok := plainOption(rest); {
		case !ok || o.asks&^idmap != 0:
		case o.super != "":
			return o, recursiveSuper(rest)
		case o != option{}:
			o.recursive = true
			return o, true
		}
	}
	return option{}, false
}

func recursiveSuper(name string) bool {
	switch name {
	case "sync", "async", "dirsync", "mand", "nomand":
		return true
	}
	return false
}

func plainOption(name string) (option, bool) {
	if kind, _, _ := strings.Cut(name, "="); kind == "idmap" {
		return option{asks: idmap}, true
	}
	switch name {
	case "bind":
		return option{asks: bind}, true
	case "rbind":
		return option{asks: bind, recursive: true}, true
	case "remount":
		return option{asks: remount}, true
	case "tmpcopyup":
		return option{asks: copyUp}, true
	case "copy-symlink":
		return option{asks: copySymlink}, true
	case "src-nofollow":
		return option{asks: srcNofollow}, true
	case "dest-nofollow":
		return option{asks: destNofollow}, true
	case "defaults", "loud", "silent", "noiversion":
		return option{}, true // silent is about the kernel's log, and fsopen(2) knows no such thing
	case "sync", "async", "dirsync", "lazytime", "nolazytime", "mand", "nomand", "iversion":
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
	return attrOption(name)
}

// attrOption is those that mount_setattr(2) sets.
func attrOption(name string) (option, bool) {
	const atime = linux.MOUNT_ATTR__ATIME // a field, not a flag: set after it is cleared
	switch name {
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
	case "relatime":
		return option{clear: atime}, true // it is the kernel's default, and its value 0
	case "atime":
		return option{clear: atime, undo: true, set: linux.MOUNT_ATTR_NOATIME}, true
	case "norelatime":
		return option{clear: atime, undo: true}, true
	case "nostrictatime":
		return option{clear: atime, undo: true, set: linux.MOUNT_ATTR_STRICTATIME}, true
	}
	return option{}, false
}

// mountOptions is the sum of a mount's options.
type mountOptions struct {
	flat, deep  MountAttr // of the mount itself; of it and those below
	propagation MountAttr
	idmap       MountAttr
	super       []string
	data        []string // for the file system: "mode=755"
	recursive   bool     // rbind
	asks        request
}

func (m *mountOptions) is(r request) bool { return m.asks&r != 0 }

// parseOptions sums up options: a later one wins over an earlier one.
func parseOptions(options []string) mountOptions {
	var m mountOptions
	for _, name := range options {
		o, known := mountOption(name)
		switch {
		case !known:
			m.data = append(m.data, name)
		case o.asks != 0:
			m.asks |= o.asks
			m.recursive = m.recursive || o.asks == bind && o.recursive
		case o.propagation != 0:
			m.propagation = MountAttr{Propagation: o.propagation, Recursive: o.recursive, Text: name}
		case o.super != "":
			m.super = append(m.super, o.super)
		case o.set|o.clear != 0 && o.recursive:
			m.deep.add(o, name)
		case o.set|o.clear != 0:
			m.flat.add(o, name)
		}
	}
	m.deep.Recursive = true
	return m
}

// add applies one option on top of those before it.
func (a *MountAttr) add(o option, name string) {
	const atime = uint64(linux.MOUNT_ATTR__ATIME)
	if o.undo {
		if asked := a.Set & atime; asked != 0 && asked != o.set {
			return // "noatime,nostrictatime" is noatime
		}
		o.set = 0
	}
	a.Set = a.Set&^o.clear | o.set
	a.Clear = a.Clear&^o.set | o.clear
	if o.clear&atime != 0 {
		a.Clear |= atime
	}
	a.Text = join(a.Text, name)
}

// merge makes a do what b does after it; of two propagations there can be but one.
func (a *MountAttr) merge(b MountAttr) {
	a.Set = a.Set&^b.Clear | b.Set
	a.Clear = a.Clear&^b.Set | b.Clear
	a.Propagation |= b.Propagation
	a.Text = join(a.Text, b.Text)
}

func (a MountAttr) empty() bool { return a.Set|a.Clear|a.Propagation == 0 && a.IDMap == nil }

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "," + b
}
