// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package inroot works below one directory, by its fd and never by a joined
// path: open, make, rename and remove.
//
// Names are resolved by openat2(2). Where the tree is somebody else's (the
// rootfs of a container that may be running), no name leads out of it: a link is
// followed as the container would follow it, or not at all. It makes no images
// and no containers; imgmgr and the runtime call it.
package inroot

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"syscall"

	"github.com/coracle-oci/coracle/internal/sys"
)

// A Dir is an open directory.
type Dir struct{ fd int }

// Open opens a directory of the host by its path; links in it are followed. The
// error is an fs.PathError.
func Open(path string) (*Dir, error) {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, pathError("open", path, err)
	}
	return &Dir{fd}, nil
}

// FD returns the directory's fd, open for reading. It belongs to d.
func (d *Dir) FD() int { return d.fd }

// Close closes the directory.
func (d *Dir) Close() error { return sys.CloseFD(d.fd) }

// OpenDir opens a directory below d, through no link and no mount.
func (d *Dir) OpenDir(name string) (*Dir, error) {
	fd, err := sys.OpenWithin(d.fd, name, syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0, sys.Beneath)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return &Dir{fd}, nil
}

// ReadFile reads a regular file of at most limit bytes. Links are followed as if
// d were the root of the file system; a fifo or a device is refused unopened.
func (d *Dir) ReadFile(name string, limit int64) ([]byte, error) {
	fd, err := sys.OpenWithin(d.fd, name, syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0, sys.InRoot)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, pathError("read", name, errors.New("is not a regular file"))
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = pathError("read", name, errors.New("has more than "+strconv.FormatInt(limit, 10)+" bytes"))
	}
	return data, err
}

// OpenFile opens a regular file for reading, through no link and no mount.
func (d *Dir) OpenFile(name string) (*os.File, error) {
	fd, err := sys.OpenWithin(d.fd, name, syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW|syscall.O_NOCTTY, 0, sys.Beneath)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = pathError("open", name, errors.New("is not a regular file"))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// WriteFile makes a file that does not exist yet.
func (d *Dir) WriteFile(name string, data []byte, mode uint32) error {
	fd, err := sys.OpenAt(d.fd, name, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL, mode)
	if err != nil {
		return pathError("make", name, err)
	}
	err = sys.WriteAll(fd, data)
	if e := sys.CloseFD(fd); err == nil {
		err = e
	}
	if err != nil {
		return pathError("write", name, err)
	}
	return nil
}

// Mkdir makes a directory directly in d.
func (d *Dir) Mkdir(name string, mode uint32) error {
	if err := sys.MkdirAt(d.fd, name, mode); err != nil {
		return pathError("mkdir", name, err)
	}
	return nil
}

// Rename gives what is directly in d another name, which must be free.
func (d *Dir) Rename(from, to string) error {
	if err := sys.RenameAt(d.fd, from, d.fd, to); err != nil {
		return pathError("rename", to, err)
	}
	return nil
}

// Names returns the names directly in d, in the kernel's order.
func (d *Dir) Names() ([]string, error) {
	if err := sys.SeekTo(d.fd, 0); err != nil {
		return nil, err
	}
	return sys.ReadNames(d.fd)
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}
