// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package layer

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"syscall"
	"time"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/inroot"
	"github.com/coracle-oci/coracle/internal/sys"
)

// PackOptions say how to write a layer.
type PackOptions struct {
	Where  string // the tree, for errors
	Single bool   // the tree belongs to the user who runs this: in the layer, to root
	// Interrupted is asked now and then; an error of it ends the work.
	Interrupted func() error
}

// Pack writes the tar of a layer with the given changes of a tree. The same
// changes give the same bytes: names are in the order of the changes, headers
// are pax with nanoseconds, there are no user names and no access times.
func Pack(out io.Writer, root *inroot.Dir, changes []Change, o PackOptions) error {
	p := &packer{tar: tar.NewWriter(out), root: root, options: o, first: map[uint64]string{}, buf: make([]byte, chunkSize)}
	for i := range changes {
		if o.Interrupted != nil {
			if err := o.Interrupted(); err != nil {
				return err
			}
		}
		if err := p.pack(&changes[i]); err != nil {
			return err
		}
	}
	return p.tar.Close()
}

type packer struct {
	tar     *tar.Writer
	root    *inroot.Dir
	options PackOptions
	first   map[uint64]string // inode → the name that has the content
	buf     []byte
}

func (p *packer) error(doing, name string, err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		err = errno
	}
	return &fail.Error{Where: p.options.Where, Doing: doing + " " + name, Err: err}
}

func (p *packer) pack(c *Change) error {
	if c.Deleted {
		dir, base := path.Split(c.Path)
		return p.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: dir + whiteoutPrefix + base, ModTime: time.Unix(0, 0), Format: tar.FormatPAX})
	}
	parent, name := p.root, "."
	if c.Path != "" {
		dir, base := splitPath(c.Path)
		var err error
		if dir == "" {
			dir = "."
		}
		if parent, err = p.root.OpenDir(dir); err != nil {
			return p.error("open the directory of", c.Path, err)
		}
		defer parent.Close()
		name = base
	}
	h := p.header(c)
	set, err := readXattrs(parent.FD(), name)
	if err != nil {
		return p.error("read the extended attributes of", c.Path, err)
	}
	for _, x := range set {
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords["SCHILY.xattr."+x.Name] = x.Value
	}
	if kind := c.stat.Mode & syscall.S_IFMT; kind != syscall.S_IFDIR && c.stat.Nlink > 1 {
		if first := p.first[c.stat.Ino]; first != "" {
			h.Typeflag, h.Linkname, h.Size, h.PAXRecords = tar.TypeLink, first, 0, nil
			return p.write(h)
		}
		p.first[c.stat.Ino] = h.Name
	}
	switch h.Typeflag {
	case tar.TypeReg:
		return p.file(parent, name, h)
	case tar.TypeSymlink:
		if h.Linkname, err = sys.ReadlinkAt(parent.FD(), name); err != nil {
			return p.error("read the link", c.Path, err)
		}
	}
	return p.write(h)
}

// header makes a header of what stat said.
func (p *packer) header(c *Change) *tar.Header {
	s := c.stat
	h := &tar.Header{
		Name: c.Path, Mode: int64(s.Mode & 0o7777), Uid: int(s.UID), Gid: int(s.GID),
		ModTime: time.Unix(s.Mtime.Sec, s.Mtime.Nsec), Format: tar.FormatPAX,
	}
	if p.options.Single {
		h.Uid, h.Gid = 0, 0
	}
	switch s.Mode & syscall.S_IFMT {
	case syscall.S_IFDIR:
		h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
		if c.Path == "" {
			h.Name = "./"
		}
	case syscall.S_IFLNK:
		h.Typeflag = tar.TypeSymlink
	case syscall.S_IFIFO:
		h.Typeflag = tar.TypeFifo
	case syscall.S_IFCHR, syscall.S_IFBLK:
		h.Typeflag = tar.TypeChar
		if s.Mode&syscall.S_IFMT == syscall.S_IFBLK {
			h.Typeflag = tar.TypeBlock
		}
		major, minor := sys.DeviceNumbers(s.Rdev)
		h.Devmajor, h.Devminor = int64(major), int64(minor)
	default:
		h.Typeflag, h.Size = tar.TypeReg, s.Size
	}
	return h
}

func (p *packer) write(h *tar.Header) error {
	if err := p.tar.WriteHeader(h); err != nil {
		return p.error("write the header of", h.Name, err)
	}
	return nil
}

// file writes a file that must be what it was when the tree was walked, as long
// as it takes to read it.
func (p *packer) file(parent *inroot.Dir, name string, h *tar.Header) error {
	f, err := parent.OpenFile(name)
	if err != nil {
		return p.error("read", h.Name, err)
	}
	defer f.Close()
	if err := p.write(h); err != nil {
		return err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{p.tar}, struct{ io.Reader }{io.LimitReader(f, h.Size)}, p.buf)
	if err != nil {
		return p.error("read", h.Name, err)
	}
	more, _ := f.Read(p.buf[:1])
	if n < h.Size || more > 0 {
		return p.error("read", h.Name, fmt.Errorf("the file changed meanwhile: it had %d bytes", h.Size))
	}
	return nil
}
