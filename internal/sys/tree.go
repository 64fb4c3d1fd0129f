// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package sys

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The calls of this file take a directory's fd and a name, as the *at(2) calls
// do, and never follow a symbolic link in the last component. They are the raw
// calls: an os.File costs four more system calls per file (fcntl and epoll),
// which is most of what unpacking an image would spend in the kernel.

// InRoot and Beneath are how OpenWithin resolves a name, openat2(2).
const (
	// Beneath refuses to leave the directory, to follow any link and to cross
	// a mount: for trees that we made and that somebody else may have changed.
	Beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV
	// InRoot follows links as if the directory were the root, never out of it.
	InRoot = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV
)

// OpenPath is O_PATH, which package syscall does not have.
const OpenPath = unix.O_PATH

// A Time is a time of a file: seconds since 1970, which may be negative, and
// 0 to 999,999,999 nanoseconds.
type Time struct {
	Sec  int64
	Nsec int64
}

// A FileStat is what statx(2) tells of a file.
type FileStat struct {
	Dev, Ino, Rdev uint64
	Size           int64
	Mode           uint32 // type and permissions, as st_mode
	UID, GID       uint32
	Nlink          uint32
	Mtime, Ctime   Time
	MountRoot      bool   // the root of a mount: what lies below is of another tree
	MountID        uint64 // of the mount that it is on; 0 before Linux 5.8, unique since 6.8
}

// uninterrupted calls f until it is not interrupted.
func uninterrupted(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

// OpenAt is openat(2), close-on-exec; it does not follow a link that name is.
func OpenAt(dirFD int, name string, flags int, mode uint32) (int, error) {
	for {
		fd, err := unix.Openat(dirFD, name, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW, mode)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// OpenWithin is openat2(2), close-on-exec, with resolve being Beneath, InRoot or
// flags like theirs.
func OpenWithin(dirFD int, name string, flags int, mode uint32, resolve uint64) (int, error) {
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Mode: uint64(mode), Resolve: resolve}
	for {
		fd, err := unix.Openat2(dirFD, name, &how)
		// EAGAIN: a rename or mount elsewhere made the kernel unsure; try again.
		if err != unix.EINTR && err != unix.EAGAIN {
			return fd, err
		}
	}
}

// CloseFD is close(2).
func CloseFD(fd int) error { return unix.Close(fd) }

// WriteAll writes all of p at the file's position, or returns an error.
func WriteAll(fd int, p []byte) error {
	for len(p) > 0 {
		n, err := unix.Write(fd, p)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// SkipAhead moves the file's position by n bytes, which leaves a hole.
func SkipAhead(fd int, n int64) error {
	_, err := unix.Seek(fd, n, unix.SEEK_CUR)
	return err
}

// SeekTo moves the file's position to n bytes from its beginning.
func SeekTo(fd int, n int64) error {
	_, err := unix.Seek(fd, n, unix.SEEK_SET)
	return err
}

// TruncateFD is ftruncate(2).
func TruncateFD(fd int, size int64) error {
	return uninterrupted(func() error { return unix.Ftruncate(fd, size) })
}

// MkdirAt is mkdirat(2).
func MkdirAt(dirFD int, name string, mode uint32) error { return unix.Mkdirat(dirFD, name, mode) }

// RemoveAt is unlinkat(2); dir says that name is a directory.
func RemoveAt(dirFD int, name string, dir bool) error {
	flags := 0
	if dir {
		flags = unix.AT_REMOVEDIR
	}
	return unix.Unlinkat(dirFD, name, flags)
}

// RenameAt is renameat2(2) with RENAME_NOREPLACE: an existing target is EEXIST.
func RenameAt(fromFD int, from string, toFD int, to string) error {
	return unix.Renameat2(fromFD, from, toFD, to, unix.RENAME_NOREPLACE)
}

// SymlinkAt is symlinkat(2).
func SymlinkAt(target string, dirFD int, name string) error {
	return unix.Symlinkat(target, dirFD, name)
}

// LinkAt is linkat(2) without flags: a symbolic link is linked, not followed.
func LinkAt(fromFD int, from string, toFD int, to string) error {
	return unix.Linkat(fromFD, from, toFD, to, 0)
}

// MknodAt is mknodat(2); rdev is the kernel's number of a device, see Device.
func MknodAt(dirFD int, name string, mode uint32, rdev uint64) error {
	return unix.Mknodat(dirFD, name, mode, int(rdev))
}

// Device joins a device's numbers, makedev(3).
func Device(major, minor uint32) uint64 { return unix.Mkdev(major, minor) }

// DeviceNumbers splits a device's number, makedev(3).
func DeviceNumbers(rdev uint64) (major, minor uint32) { return unix.Major(rdev), unix.Minor(rdev) }

// ReadlinkAt is readlinkat(2); "" reads the link that dirFD is (O_PATH).
func ReadlinkAt(dirFD int, name string) (string, error) {
	for size := 256; ; size *= 4 {
		buf := make([]byte, size)
		n, err := unix.Readlinkat(dirFD, name, buf)
		if err != nil {
			return "", err
		}
		if n < size {
			return string(buf[:n]), nil
		}
	}
}

// ChownAt is fchownat(2), of a link itself where name is one.
func ChownAt(dirFD int, name string, uid, gid uint32) error {
	return unix.Fchownat(dirFD, name, int(uid), int(gid), unix.AT_SYMLINK_NOFOLLOW)
}

// ChownFD is fchown(2).
func ChownFD(fd int, uid, gid uint32) error { return unix.Fchown(fd, int(uid), int(gid)) }

// ChmodAt is fchmodat(2), which follows a link: name must be none.
func ChmodAt(dirFD int, name string, mode uint32) error { return unix.Fchmodat(dirFD, name, mode, 0) }

// ChmodFD is fchmod(2).
func ChmodFD(fd int, mode uint32) error { return unix.Fchmod(fd, mode) }

// SetTimesAt is utimensat(2), of a link itself where name is one; both times
// become t.
func SetTimesAt(dirFD int, name string, t Time) error {
	ts := []unix.Timespec{{Sec: t.Sec, Nsec: t.Nsec}, {Sec: t.Sec, Nsec: t.Nsec}}
	return unix.UtimesNanoAt(dirFD, name, ts, unix.AT_SYMLINK_NOFOLLOW)
}

// SetTimesFD is futimens(3): both times of an open file become t.
func SetTimesFD(fd int, t Time) error {
	ts := []unix.Timespec{{Sec: t.Sec, Nsec: t.Nsec}, {Sec: t.Sec, Nsec: t.Nsec}}
	return unix.UtimesNanoAt(unix.AT_FDCWD, FDPath(fd), ts, 0)
}

// StatAt is statx(2), of a link itself where name is one; "" is dirFD itself.
func StatAt(dirFD int, name string) (FileStat, error) {
	var x unix.Statx_t
	flags := unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	err := uninterrupted(func() error {
		return unix.Statx(dirFD, name, flags, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID|unix.STATX_MNT_ID_UNIQUE, &x)
	})
	if err != nil {
		return FileStat{}, err
	}
	return FileStat{
		Dev: unix.Mkdev(x.Dev_major, x.Dev_minor), Ino: x.Ino, Rdev: unix.Mkdev(x.Rdev_major, x.Rdev_minor),
		Size: int64(x.Size), Mode: uint32(x.Mode), UID: x.Uid, GID: x.Gid, Nlink: x.Nlink,
		Mtime:     Time{x.Mtime.Sec, int64(x.Mtime.Nsec)},
		Ctime:     Time{x.Ctime.Sec, int64(x.Ctime.Nsec)},
		MountRoot: x.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0,
		MountID:   x.Mnt_id,
	}, nil
}

// ReadNames returns the names in the directory that fd has open for reading,
// without "." and "..", in the kernel's order.
func ReadNames(fd int) ([]string, error) {
	var names []string
	buf := make([]byte, 32<<10)
	for {
		n, err := unix.ReadDirent(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return names, err
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}

// below names a file by its directory's fd for the xattr calls, which have no
// at-form before Linux 6.13. The magic link is resolved to what the fd is, and
// the l-forms do not follow name.
func below(dirFD int, name string) string {
	return "/proc/self/fd/" + strconv.Itoa(dirFD) + "/" + name
}

// SetXattrAt is lsetxattr(2).
func SetXattrAt(dirFD int, name, attr string, value []byte) error {
	return unix.Lsetxattr(below(dirFD, name), attr, value, 0)
}

// SetXattrFD is fsetxattr(2).
func SetXattrFD(fd int, attr string, value []byte) error { return unix.Fsetxattr(fd, attr, value, 0) }

// ListXattrAt is llistxattr(2): the names of the extended attributes.
func ListXattrAt(dirFD int, name string) ([]string, error) {
	path := below(dirFD, name)
	for size := 256; ; size *= 8 {
		buf := make([]byte, size)
		n, err := unix.Llistxattr(path, buf)
		if errors.Is(err, unix.ERANGE) && size < 1<<20 {
			continue
		}
		if err != nil {
			return nil, err
		}
		return strings.FieldsFunc(string(buf[:n]), func(r rune) bool { return r == 0 }), nil
	}
}

// GetXattrAt is lgetxattr(2): the value of one extended attribute.
func GetXattrAt(dirFD int, name, attr string) ([]byte, error) {
	path := below(dirFD, name)
	for size := 256; ; size *= 8 {
		buf := make([]byte, size)
		n, err := unix.Lgetxattr(path, attr, buf)
		if errors.Is(err, unix.ERANGE) && size < 1<<20 {
			continue
		}
		if err != nil {
			return nil, err
		}
		return buf[:n], nil
	}
}

// ListXattrFD is flistxattr(2): the names of the extended attributes.
func ListXattrFD(fd int) ([]string, error) {
	buf := make([]byte, 64<<10)
	n, err := unix.Flistxattr(fd, buf)
	if err != nil {
		return nil, err
	}
	return strings.FieldsFunc(string(buf[:n]), func(r rune) bool { return r == 0 }), nil
}

// GetXattrFD is fgetxattr(2): the value of one extended attribute.
func GetXattrFD(fd int, attr string) ([]byte, error) {
	buf := make([]byte, 64<<10)
	n, err := unix.Fgetxattr(fd, attr, buf)
	return buf[:max(n, 0)], err
}

// LockFD takes the exclusive flock(2) of an open file or directory; where it
// would have to wait and wait is false, the error is EWOULDBLOCK.
func LockFD(fd int, wait bool) error {
	how := unix.LOCK_EX
	if !wait {
		how |= unix.LOCK_NB
	}
	return uninterrupted(func() error { return unix.Flock(fd, how) })
}

// FreeBytes returns what an unprivileged user may still write to the file
// system of fd, statfs(2).
func FreeBytes(fd int) (int64, error) {
	var s unix.Statfs_t
	if err := uninterrupted(func() error { return unix.Fstatfs(fd, &s) }); err != nil {
		return 0, err
	}
	if s.Blocks == 0 {
		return math.MaxInt64, nil // a tmpfs without a limit
	}
	return int64(s.Bavail) * s.Bsize, nil
}

// SetUmask is umask(2). It belongs to the process, not to the thread.
func SetUmask(mask int) (old int) { return unix.Umask(mask) }

// CoarseNow returns the clock that the kernel stamps files with: it moves with
// the timer tick, some milliseconds.
func CoarseNow() (Time, error) {
	var ts unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &ts)
	return Time{ts.Sec, ts.Nsec}, err
}
