// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"reflect"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/sys/linux"
)

// TestMountOption has every option of config.md, "Linux mount options".
func TestMountOption(t *testing.T) {
	const (
		ro, nosuid, nodev, noexec = linux.MOUNT_ATTR_RDONLY, linux.MOUNT_ATTR_NOSUID, linux.MOUNT_ATTR_NODEV, linux.MOUNT_ATTR_NOEXEC
		nosymfollow, nodiratime   = linux.MOUNT_ATTR_NOSYMFOLLOW, linux.MOUNT_ATTR_NODIRATIME
		noatime, strict, atime    = linux.MOUNT_ATTR_NOATIME, linux.MOUNT_ATTR_STRICTATIME, linux.MOUNT_ATTR__ATIME
	)
	want := map[string]option{
		"defaults": {}, "loud": {}, "silent": {}, "noiversion": {},
		"bind": {asks: bind}, "rbind": {asks: bind, recursive: true}, "remount": {asks: remount}, "tmpcopyup": {asks: copyUp},
		"copy-symlink": {asks: copySymlink}, "src-nofollow": {asks: srcNofollow}, "dest-nofollow": {asks: destNofollow},
		"idmap": {asks: idmap}, "ridmap": {asks: idmap, recursive: true}, "idmap=uids=0-1-2;gids=0-1-2": {asks: idmap},
		"ro": {set: ro}, "rw": {clear: ro}, "nosuid": {set: nosuid}, "suid": {clear: nosuid},
		"nodev": {set: nodev}, "dev": {clear: nodev}, "noexec": {set: noexec}, "exec": {clear: noexec},
		"nosymfollow": {set: nosymfollow}, "symfollow": {clear: nosymfollow},
		"nodiratime": {set: nodiratime}, "diratime": {clear: nodiratime},
		"noatime": {set: noatime, clear: atime}, "strictatime": {set: strict, clear: atime},
		"relatime": {clear: atime}, "atime": {clear: atime, undo: true, set: noatime}, "norelatime": {clear: atime, undo: true}, "nostrictatime": {clear: atime, undo: true, set: strict},
		"sync": {super: "sync"}, "async": {super: "async"}, "dirsync": {super: "dirsync"}, "lazytime": {super: "lazytime"}, "nolazytime": {super: "nolazytime"},
		"mand": {super: "mand"}, "nomand": {super: "nomand"}, "iversion": {super: "iversion"},
		"rsync": {super: "sync"}, "rasync": {super: "async"}, "rdirsync": {super: "dirsync"}, "rmand": {super: "mand"}, "rnomand": {super: "nomand"},
		"private": {propagation: linux.MS_PRIVATE}, "shared": {propagation: linux.MS_SHARED},
		"slave": {propagation: linux.MS_SLAVE}, "unbindable": {propagation: linux.MS_UNBINDABLE},
	}
	for _, name := range []string{"ro", "rw", "nosuid", "suid", "nodev", "dev", "noexec", "exec", "nosymfollow", "symfollow", "nodiratime", "diratime",
		"noatime", "strictatime", "relatime", "atime", "norelatime", "nostrictatime", "private", "shared", "slave", "unbindable"} {
		o := want[name]
		o.recursive = true
		want["r"+name] = o
	}
	for name, o := range want {
		if got, known := mountOption(name); !known || got != o {
			t.Errorf("%s: got %+v (%v), want %+v", name, got, known, o)
		}
	}
	for _, name := range []string{"", "r", "rdefaults", "rlazytime", "rrbind", "rremount", "rtmpcopyup", "rsrc-nofollow", "rrro", "rridmap", "mode=755", "size=1k", "Ro", "nosuid ", "idmaps"} {
		if got, known := mountOption(name); known {
			t.Errorf("%q is known as %+v", name, got)
		}
	}
}

// TestParseOptions: a later option wins over an earlier one, and what is nobody's
// goes to the file system.
func TestParseOptions(t *testing.T) {
	const atime = uint64(linux.MOUNT_ATTR__ATIME)
	for _, c := range []struct {
		options []string
		want    mountOptions
	}{
		{nil, mountOptions{}},
		{[]string{"ro"}, mountOptions{flat: MountAttr{Set: linux.MOUNT_ATTR_RDONLY, Text: "ro"}}},
		{[]string{"ro", "rw"}, mountOptions{flat: MountAttr{Clear: linux.MOUNT_ATTR_RDONLY, Text: "ro,rw"}}},
		{[]string{"rw", "ro"}, mountOptions{flat: MountAttr{Set: linux.MOUNT_ATTR_RDONLY, Text: "rw,ro"}}},
		{[]string{"noatime", "strictatime"}, mountOptions{flat: MountAttr{Set: linux.MOUNT_ATTR_STRICTATIME, Clear: atime, Text: "noatime,strictatime"}}},
		{[]string{"noatime", "relatime"}, mountOptions{flat: MountAttr{Clear: atime, Text: "noatime,relatime"}}},
		{[]string{"noatime", "nostrictatime"}, mountOptions{flat: MountAttr{Set: linux.MOUNT_ATTR_NOATIME, Clear: atime, Text: "noatime"}}},
		{[]string{"strictatime", "nostrictatime"}, mountOptions{flat: MountAttr{Clear: atime, Text: "strictatime,nostrictatime"}}},
		{[]string{"noatime", "norelatime"}, mountOptions{flat: MountAttr{Set: linux.MOUNT_ATTR_NOATIME, Clear: atime, Text: "noatime"}}},
		{[]string{"noatime", "atime"}, mountOptions{flat: MountAttr{Clear: atime, Text: "noatime,atime"}}},
		{[]string{"ratime"}, mountOptions{deep: MountAttr{Clear: atime, Text: "ratime"}}},
		{[]string{"rrelatime"}, mountOptions{deep: MountAttr{Clear: atime, Text: "rrelatime"}}},
		{[]string{"rbind", "ridmap"}, mountOptions{asks: bind | idmap, recursive: true}},
		{[]string{"ridmap", "bind"}, mountOptions{asks: bind | idmap}},
		{[]string{"sync", "async"}, mountOptions{super: []string{"sync", "async"}}},
		{[]string{"rbind", "rro", "nosuid", "rprivate"}, mountOptions{asks: bind, recursive: true,
			flat: MountAttr{Set: linux.MOUNT_ATTR_NOSUID, Text: "nosuid"}, deep: MountAttr{Set: linux.MOUNT_ATTR_RDONLY, Text: "rro"},
			propagation: MountAttr{Propagation: linux.MS_PRIVATE, Recursive: true, Text: "rprivate"}}},
		{[]string{"slave", "shared"}, mountOptions{propagation: MountAttr{Propagation: linux.MS_SHARED, Text: "shared"}}},
		{[]string{"rbind", "bind"}, mountOptions{asks: bind, recursive: true}},
		{[]string{"mode=755", "sync", "size=1k", "noexec"}, mountOptions{flat: MountAttr{Set: linux.MOUNT_ATTR_NOEXEC, Text: "noexec"}, super: []string{"sync"}, data: []string{"mode=755", "size=1k"}}},
		{[]string{"remount", "tmpcopyup"}, mountOptions{asks: remount | copyUp}},
	} {
		c.want.deep.Recursive = true
		if got := parseOptions(c.options); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q:\n got %+v\nwant %+v", c.options, got, c.want)
		}
	}
}

// TestBindAttrs: no bind is a peer of the host's mounts unless the root is shared,
// and flags go as deep as they say and no deeper.
func TestBindAttrs(t *testing.T) {
	for _, c := range []struct {
		root    string // linux.rootfsPropagation
		options []string
		want    string
	}{
		{"", []string{"bind"}, "rslave"},
		{"", []string{"rbind"}, "rslave+"},
		{"private", []string{"rbind"}, "rprivate+"},
		{"shared", []string{"rbind"}, ""},
		{"", []string{"rbind", "rprivate"}, "rprivate+"},
		{"", []string{"rbind", "private"}, "rslave+ private"},
		{"", []string{"bind", "rshared"}, "rslave rshared"},
		{"shared", []string{"rbind", "rshared"}, "rshared+"},
		{"", []string{"bind", "ro"}, "rslave,ro"},
		{"", []string{"rbind", "ro", "rprivate"}, "rprivate+ ro"},
		{"", []string{"rbind", "rro", "nosuid", "rprivate"}, "rprivate+ nosuid rro+"},
	} {
		compiler := compiler{spec: &specs.Spec{Linux: &specs.Linux{RootfsPropagation: c.root}}}
		var got []string
		for _, a := range compiler.bindAttrs(parseOptions(c.options)) {
			text := a.Text
			if a.Recursive {
				text += "+"
			}
			got = append(got, text)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q in a root %q: got %q, want %q", c.options, c.root, got, c.want)
		}
	}
}

// TestParameters: what fsconfig(2) is told.
func TestParameters(t *testing.T) {
	long := strings.Repeat("/a", 100)
	for _, c := range []struct {
		kind, source string
		options      []string
		want         string
	}{
		{"tmpfs", "shm", []string{"size=1k,mode=755", "nosuid"}, "source=shm size=1k mode=755"},
		{"tmpfs", "", []string{"ro", "noswap"}, "noswap"},
		{"ext4", "/dev/x", []string{"ro", "sync", "iversion", "lazytime"}, "source=/dev/x sync i_version lazytime ro"},
		{"ext4", "/dev/x", []string{"ro", "rw"}, "source=/dev/x"},
		{"tmpfs", "", []string{"sync", "rasync", "mand"}, "sync async mand"},
		{"overlay", "overlay", []string{`lowerdir=/a\,b:/c,upperdir=/d`}, `source=overlay lowerdir=/a\,b:/c upperdir=/d`},
		{"overlay", "", []string{"lowerdir=" + long + ":/b" + long + `\:c`}, "lowerdir+=" + long + " lowerdir+=/b" + long + ":c"},
		{"x", "", []string{"a=", "b"}, "a= b"},
	} {
		var got []string
		for _, p := range parameters(c.kind, c.source, parseOptions(c.options)) {
			got = append(got, p.String())
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s %q: got %q, want %q", c.kind, c.options, got, c.want)
		}
	}
}

func TestMakedev(t *testing.T) {
	for _, c := range []struct {
		major, minor int64
		want         uint64
	}{{1, 3, 0x103}, {136, 0, 0x8800}, {259, 300, 0x11032c}, {0xfffff, 0xfffff, 0xff000ffffffff}} { // of makedev(3)
		if got := makedev(c.major, c.minor); got != c.want {
			t.Errorf("%d:%d is %#x, want %#x", c.major, c.minor, got, c.want)
		}
	}
}

func TestInside(t *testing.T) {
	for name, want := range map[string]string{"/": "", "": "", ".": "", "/a/b": "a/b", "a": "a", "/a/../b": "b", "/../..": "", "../x": "x", "//a///b/": "a/b", "/a/./b": "a/b"} {
		if got := inside(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{"": "", "a": "", "a/b": "a", "a/b/c": "a/b"} {
		if got := parentOf(name); got != want {
			t.Errorf("parent of %q: got %q, want %q", name, got, want)
		}
	}
}

func TestOctal(t *testing.T) {
	for n, want := range map[uint32]string{0o755: "755", 0o4755: "4755", 0o7: "7", 0o22: "22"} {
		if got := octal(n); got != want {
			t.Errorf("%o: got %q", n, got)
		}
	}
}
