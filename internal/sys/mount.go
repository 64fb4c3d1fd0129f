// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package sys

import "golang.org/x/sys/unix"

// A MountAttr is struct mount_attr of mount_setattr(2).
type MountAttr struct{ Set, Clear, Propagation, UsernsFD uint64 }

// MountSetattr changes the mount that fd is the root of, and with recursive
// those below it.
func MountSetattr(fd int, recursive bool, a MountAttr) error {
	flags := uint(unix.AT_EMPTY_PATH)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	return unix.MountSetattr(fd, "", flags, &unix.MountAttr{Attr_set: a.Set, Attr_clr: a.Clear, Propagation: a.Propagation, Userns_fd: a.UsernsFD})
}

// CloneTree makes a detached copy of the mount at path, open_tree(2), and with
// recursive of those below it. With noFollow a symbolic link at path is what is
// copied.
func CloneTree(path string, recursive, noFollow bool) (int, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	if noFollow {
		flags |= unix.AT_SYMLINK_NOFOLLOW
	}
	return unix.OpenTree(unix.AT_FDCWD, path, flags)
}

// MountFlags returns the flags of the mount that fd is on, as mount_setattr(2)
// has them: statfs(2).
func MountFlags(fd int) (attr uint64, err error) {
	var s unix.Statfs_t
	if err := uninterrupted(func() error { return unix.Fstatfs(fd, &s) }); err != nil {
		return 0, err
	}
	for _, f := range [...]struct{ st, attr uint64 }{
		{unix.ST_RDONLY, unix.MOUNT_ATTR_RDONLY}, {unix.ST_NOSUID, unix.MOUNT_ATTR_NOSUID}, {unix.ST_NODEV, unix.MOUNT_ATTR_NODEV},
		{unix.ST_NOEXEC, unix.MOUNT_ATTR_NOEXEC}, {unix.ST_NOATIME, unix.MOUNT_ATTR_NOATIME}, {unix.ST_NODIRATIME, unix.MOUNT_ATTR_NODIRATIME},
	} {
		if uint64(s.Flags)&f.st != 0 {
			attr |= f.attr
		}
	}
	return attr, nil
}

// FileSystem returns the type of the file system that path is on, as statfs(2)
// numbers it.
func FileSystem(path string) (magic int64, err error) {
	var s unix.Statfs_t
	err = uninterrupted(func() error { return unix.Statfs(path, &s) })
	return int64(s.Type), err
}

// A FSContext is a file system in the making: fsopen(2).
type FSContext int

// OpenFS begins to make a file system of a type.
func OpenFS(kind string) (FSContext, error) {
	fd, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	return FSContext(fd), err
}

// SetFlag and Set give it a parameter: fsconfig(2).
func (fs FSContext) SetFlag(key string) error    { return unix.FsconfigSetFlag(int(fs), key) }
func (fs FSContext) Set(key, value string) error { return unix.FsconfigSetString(int(fs), key, value) }

// Create makes it.
func (fs FSContext) Create() error { return unix.FsconfigCreate(int(fs)) }

// Mount makes a detached mount of it, fsmount(2), with MOUNT_ATTR flags.
func (fs FSContext) Mount(attr uint64) (int, error) {
	return unix.Fsmount(int(fs), unix.FSMOUNT_CLOEXEC, int(attr))
}

// Close ends the making.
func (fs FSContext) Close() { unix.Close(int(fs)) }

// CopyFile copies what is left of one open file into another, up to most bytes;
// it tells how many it has copied. Holes stay holes.
func CopyFile(to, from int, most int64) (copied int64, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(from, &st); err != nil {
		return 0, err
	}
	for at := int64(0); ; {
		data, err := unix.Seek(from, at, unix.SEEK_DATA)
		if err == unix.ENXIO {
			break // only a hole is left
		} else if err != nil {
			return copied, err
		}
		hole, err := unix.Seek(from, data, unix.SEEK_HOLE)
		if err != nil {
			return copied, err
		}
		if copied += hole - data; copied > most {
			return copied, unix.ENOSPC
		}
		if err := copyRange(to, from, data, hole); err != nil {
			return copied, err
		}
		at = hole
	}
	return copied, unix.Ftruncate(to, st.Size)
}

func copyRange(to, from int, at, end int64) error {
	if _, err := unix.Seek(to, at, unix.SEEK_SET); err != nil {
		return err
	}
	for at < end {
		n, err := unix.Sendfile(to, from, &at, int(min(end-at, 1<<30)))
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return err // a file that became shorter is copied as it is
		}
	}
	return nil
}
