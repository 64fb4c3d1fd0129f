// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"path"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/facts"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// A FileSystem is one that the parent makes, as only it can map the ids of its
// mount, or fill it.
type FileSystem struct {
	Type       string
	Parameters []Parameter
	Set        uint64 // flags of fsmount(2)
	Text       string // of these
	CopyUp     string // directory below Root whose content is copied into it; "" for none
	Root       string // the image, or what is mounted on it there
	Most       int64  // bytes of files that are copied; 0: what the file system has room for
}

// hostFS makes a file system in the parent.
func (c *compiler) hostFS(i int, m *specs.Mount, name string, list []Parameter, o mountOptions) prog.Input {
	field := index("mounts", i)
	if c.unprivileged() {
		c.privileged(field+".options", "make a file system that is filled, or has its ids mapped, by the parent")
	}
	fs := &FileSystem{Type: m.Type, Parameters: list, Set: o.flat.Set, Text: o.flat.Text}
	if o.is(copyUp) {
		fs.Root, fs.CopyUp = c.covered(name)
		// What is copied is memory, and the container's limit was to be its limit.
		if r := c.spec.Linux.Resources; r != nil && r.Memory != nil && r.Memory.Limit != nil {
			fs.Most = max(0, *r.Memory.Limit)
		}
	}
	var attrs []MountAttr
	for _, a := range []MountAttr{o.propagation, o.idmap} {
		if !a.empty() {
			attrs = append(attrs, a)
		}
	}
	return c.input(field, HostStep{Do: MakeFS, FS: fs, Attrs: attrs, Doing: "make " + m.Type + " for /" + name, From: field})
}

// covered is what a mount on name covers: a directory of the host, and a name in
// it as in a root. Nothing, if that is a file system which is new too.
func (c *compiler) covered(name string) (root, in string) {
	for dir := parentOf(name); dir != ""; dir = parentOf(dir) {
		m := c.mountAt(dir)
		if m == nil {
			continue
		}
		switch o := parseOptions(m.Options); {
		case o.is(bind):
			source := m.Source
			if !path.IsAbs(source) {
				source = path.Join(c.Bundle, source)
			}
			return source, strings.TrimPrefix(name, dir+"/")
		case !o.is(copyUp):
			return "", ""
		}
	}
	return c.rootDir(), name
}

// tmpfsMode gives a tmpfs the mode of the directory of the image that it covers,
// as runc and crun do, unless its options say one.
func (c *compiler) tmpfsMode(name string, o *mountOptions) {
	if hasMode(o.data) {
		return
	}
	if kind, known := c.image(name); known && kind.Mode&linux.S_IFMT == linux.S_IFDIR {
		o.data = append(o.data, "mode="+octal(kind.Mode&0o7777))
	}
}

func hasMode(data []string) bool {
	for _, d := range data {
		if strings.Contains(","+d, ",mode=") {
			return true
		}
	}
	return false
}

// call is what the parent does, as people read it.
func (fs *FileSystem) call() string {
	text := "fsopen(" + fs.Type
	for _, p := range fs.Parameters {
		text += ", " + p.String()
	}
	text += ") fsmount(" + orZero(fs.Text) + ")"
	if fs.CopyUp != "" {
		text += " copy " + facts.InImage(fs.Root, fs.CopyUp)
	}
	return text
}
