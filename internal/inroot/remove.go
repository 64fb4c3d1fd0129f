// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package inroot

import (
	"errors"
	"strconv"
	"syscall"

	"github.com/coracle-oci/coracle/internal/sys"
)

// maxDepth is how many directories removal holds open. What lies deeper is first
// moved up, so that neither fds nor the stack bound the depth of a tree.
const maxDepth = 64

// RemoveAll removes what is directly in d under a name, with everything below.
// It goes through no link and into no mount: one that is there is EBUSY or
// EXDEV, and what is in it stays. A missing name is no error.
func (d *Dir) RemoveAll(name string) error {
	err := sys.RemoveAt(d.fd, name, false)
	if err == nil || errors.Is(err, syscall.ENOENT) {
		return nil
	}
	if !errors.Is(err, syscall.EISDIR) && !errors.Is(err, syscall.EPERM) {
		return pathError("remove", name, err)
	}
	sub, err := d.openToEmpty(name)
	if err != nil {
		return pathError("open", name, err)
	}
	err = sub.RemoveContent()
	sub.Close()
	if err != nil {
		return err
	}
	if err := sys.RemoveAt(d.fd, name, true); err != nil {
		return pathError("remove", name, err)
	}
	return nil
}

// RemoveContent removes everything below d.
func (d *Dir) RemoveContent() error {
	r := &remover{top: d}
	for {
		r.moved = 0
		if err := r.empty(d, 0); err != nil {
			return err
		}
		if r.moved == 0 {
			return nil
		}
	}
}

type remover struct {
	top   *Dir
	moved int
	names int
}

func (r *remover) empty(d *Dir, depth int) error {
	names, err := d.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		err := sys.RemoveAt(d.fd, name, false)
		if err == nil || errors.Is(err, syscall.ENOENT) {
			continue
		}
		// unlink(2) of a directory is EISDIR on Linux, EPERM by POSIX.
		if !errors.Is(err, syscall.EISDIR) && !errors.Is(err, syscall.EPERM) {
			return pathError("remove", name, err)
		}
		if err := r.directory(d, name, depth); err != nil {
			return err
		}
	}
	return nil
}

func (r *remover) directory(d *Dir, name string, depth int) error {
	if depth == maxDepth {
		return r.moveUp(d, name)
	}
	sub, err := d.openToEmpty(name)
	if err != nil {
		return pathError("open", name, err)
	}
	err = r.empty(sub, depth+1)
	sub.Close()
	if err != nil {
		return err
	}
	if err := sys.RemoveAt(d.fd, name, true); err != nil {
		return pathError("remove", name, err)
	}
	return nil
}

// moveUp puts a directory right under the top, to be removed in the next round.
func (r *remover) moveUp(d *Dir, name string) error {
	for {
		r.names++
		err := sys.RenameAt(d.fd, name, r.top.fd, ".deep-"+strconv.Itoa(r.names))
		if err == nil {
			r.moved++
			return nil
		}
		if !errors.Is(err, syscall.EEXIST) {
			return pathError("remove", name, err)
		}
	}
}

// openToEmpty opens a directory whose owner may have no rights on it: without
// root, an image's 0555 or 0000 directories are in the way of their removal.
func (d *Dir) openToEmpty(name string) (*Dir, error) {
	sub, err := d.OpenDir(name)
	if err == nil {
		if stat, e := sys.StatAt(sub.fd, ""); e == nil && stat.Mode&0o700 != 0o700 {
			_ = sys.ChmodFD(sub.fd, 0o700) // if it fails, so will what follows
		}
		return sub, nil
	}
	if !errors.Is(err, syscall.EACCES) {
		return nil, err
	}
	// No link can be followed: open by O_PATH, which needs no right on name
	// itself, and change what that is.
	fd, err := sys.OpenWithin(d.fd, name, sys.OpenPath|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0, sys.Beneath)
	if err != nil {
		return nil, err
	}
	defer sys.CloseFD(fd)
	if err := sys.ChmodAt(fd, ".", 0o700); err != nil {
		// "." needs search permission, too; the magic link does not.
		if err := sys.ChmodAt(-1, "/proc/self/fd/"+strconv.Itoa(fd), 0o700); err != nil {
			return nil, err
		}
	}
	return d.OpenDir(name)
}
