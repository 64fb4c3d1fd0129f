// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"errors"
	"math"
	"slices"
	"syscall"

	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/plan"
)

// copyUp fills a new file system with what a directory of the image holds. The
// image is not trusted and may change meanwhile: every name is looked up in the
// descriptor of its directory, and no symbolic link is followed. Devices and
// sockets are left behind.
//
// It is the parent that copies, so that no code runs in the container for it.
// The bounds are those of the file system, of the container's memory, and
// deepest.
func copyUp(to int, fs *plan.FileSystem) error {
	root, err := sys.Open(fs.Root, linux.O_PATH|linux.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer sys.Close(root)
	from, err := sys.OpenIn(root, fs.CopyUp, linux.O_RDONLY|linux.O_DIRECTORY)
	if errors.Is(err, syscall.ENOENT) {
		return nil // the image has no such directory
	} else if err != nil {
		return err
	}
	defer sys.Close(from)
	c := copier{left: fs.Most}
	if c.left == 0 {
		c.left = math.MaxInt64
	}
	dir, err := sys.OpenAt(to, ".", linux.O_RDONLY|linux.O_DIRECTORY, 0) // a mount's own descriptor is one of O_PATH
	if err != nil {
		return err
	}
	defer sys.Close(dir)
	if err := c.entries(dir, from, 0); err != nil {
		return err
	}
	if ownerGiven(fs) {
		return nil
	}
	uid, gid, err := sys.Owner(from)
	if err != nil {
		return err
	}
	return sys.ChownFD(dir, uid, gid) // its mode is one of the parameters
}

// ownerGiven tells whether the options say who owns the root of the file system.
func ownerGiven(fs *plan.FileSystem) bool {
	return slices.ContainsFunc(fs.Parameters, func(p plan.Parameter) bool { return p.Key == "uid" || p.Key == "gid" })
}

// deepest is how many directories may lie in each other: each takes descriptors.
const deepest = 200

// A copier copies a tree.
type copier struct{ left int64 }

// directory copies what one open directory holds into another, and then what it
// is itself.
func (c *copier) directory(to, from, depth int) error {
	if err := c.entries(to, from, depth); err != nil {
		return err
	}
	st, err := sys.StatAt(from, "")
	if err != nil {
		return err
	}
	return finish(to, from, st)
}

func (c *copier) entries(to, from, depth int) error {
	if depth > deepest {
		return syscall.ENAMETOOLONG
	}
	names, err := sys.ReadNames(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		err := c.entry(to, from, name, depth)
		if err != nil && !errors.Is(err, syscall.ENOENT) { // it may have gone meanwhile
			return err
		}
	}
	return nil
}

func (c *copier) entry(to, from int, name string, depth int) error {
	st, err := sys.StatAt(from, name)
	if err != nil {
		return err
	}
	switch st.Mode & linux.S_IFMT {
	case linux.S_IFDIR:
		if err := sys.MkdirAt(to, name, 0o700); err != nil {
			return err
		}
		return c.both(to, from, name, linux.O_RDONLY|linux.O_DIRECTORY, linux.O_RDONLY|linux.O_DIRECTORY, func(to, from int) error {
			return c.directory(to, from, depth+1)
		})
	case linux.S_IFREG:
		// What was a file a moment ago may be a fifo now: do not wait for it.
		return c.both(to, from, name, linux.O_WRONLY|linux.O_CREAT|linux.O_EXCL, linux.O_RDONLY|linux.O_NONBLOCK, c.file)
	case linux.S_IFLNK:
		return c.link(to, from, name, st)
	case linux.S_IFIFO:
		err := sys.MknodAt(to, name, st.Mode, 0)
		if err == nil {
			err = sys.ChownAt(to, name, st.UID, st.GID)
		}
		if err == nil {
			err = sys.ChmodAt(to, name, st.Mode&0o7777) // mknod(2) takes the mask off
		}
		return err
	}
	return nil
}

// both opens a name in both directories.
func (c *copier) both(to, from int, name string, write, read int, then func(to, from int) error) error {
	source, err := sys.OpenAt(from, name, read, 0)
	if err != nil {
		return err
	}
	defer sys.Close(source)
	copied, err := sys.OpenAt(to, name, write, 0o600)
	if err != nil {
		return err
	}
	defer sys.Close(copied)
	return then(copied, source)
}

func (c *copier) file(to, from int) error {
	st, err := sys.StatAt(from, "")
	if err != nil || st.Mode&linux.S_IFMT != linux.S_IFREG {
		return err
	}
	n, err := sys.CopyFile(to, from, c.left)
	if c.left -= n; err != nil {
		return err
	}
	return finish(to, from, st)
}

func (c *copier) link(to, from int, name string, st sys.FileStat) error {
	target, err := sys.ReadlinkAt(from, name)
	if err == nil {
		err = sys.SymlinkAt(target, to, name)
	}
	if err == nil {
		err = sys.ChownAt(to, name, st.UID, st.GID)
	}
	if err == nil {
		err = sys.SetTimesAt(to, name, st.Mtime)
	}
	return err
}

// finish gives a copy the owner, the mode and the attributes of what it is of.
// The owner comes first: a change of it takes set-user-ID bits and capabilities.
func finish(to, from int, st sys.FileStat) error {
	if err := sys.ChownFD(to, st.UID, st.GID); err != nil {
		return err
	}
	if err := sys.ChmodFD(to, st.Mode&0o7777); err != nil {
		return err
	}
	names, err := sys.ListXattrFD(from)
	if err != nil {
		return unlessUnsupported(err)
	}
	for _, name := range names {
		value, err := sys.GetXattrFD(from, name)
		if err == nil {
			err = sys.SetXattrFD(to, name, value)
		}
		if err := unlessUnsupported(err); err != nil {
			return err
		}
	}
	return sys.SetTimesFD(to, st.Mtime)
}

// unlessUnsupported passes over attributes that a file system does not have:
// those of overlayfs and NFS, or of a kernel without access control lists.
func unlessUnsupported(err error) error {
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENODATA) || errors.Is(err, syscall.EPERM) {
		return nil
	}
	return err
}
