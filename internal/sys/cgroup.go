// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package sys

import (
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// The files of cgroupfs are small, are read in one piece and take one value per
// write. An os.File would spend two more system calls on each.

// ReadInto appends what the kernel generates for the file path to buf, which
// should have room for all of it.
func ReadInto(buf []byte, path string) ([]byte, error) {
	fd, err := openFile(path, unix.O_RDONLY)
	if err != nil {
		return buf, err
	}
	defer unix.Close(fd)
	return ReadRest(buf, fd)
}

// ReadLine reads a file of the kernel's that holds one line: buf, which has to be
// large enough, gets it at once.
func ReadLine(buf []byte, path string) ([]byte, error) {
	fd, err := openFile(path, unix.O_RDONLY)
	if err != nil {
		return buf, err
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Read(fd, buf[:cap(buf)])
		if err != unix.EINTR {
			return buf[:max(n, 0)], err
		}
	}
}

// ReadOwned appends a file to buf that is replaced, never changed, so that it is read at
// once, and tells who owns it. Where somebody has put a FIFO, nobody is waited for.
func ReadOwned(buf []byte, path string) (data []byte, uid int, err error) {
	fd, err := openFile(path, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return buf, 0, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return buf, 0, err
	}
	const most = 256 << 20 // no file of ours is as long as that
	if st.Size > most {
		return buf, int(st.Uid), unix.EFBIG
	}
	data = append(buf, make([]byte, st.Size)...)
	n, err := unix.Read(fd, data[len(buf):])
	return data[:len(buf)+max(n, 0)], int(st.Uid), err
}

// ReadRest appends everything from the file's position on to buf.
func ReadRest(buf []byte, fd int) ([]byte, error) {
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, make([]byte, max(4096, cap(buf)))...)[:len(buf)]
		}
		n, err := unix.Read(fd, buf[len(buf):cap(buf)])
		switch {
		case err == unix.EINTR:
		case err != nil || n <= 0:
			return buf, err
		default:
			buf = buf[:len(buf)+n]
		}
	}
}

// OpenFile opens a file for reading.
func OpenFile(path string) (int, error) { return openFile(path, unix.O_RDONLY) }

// OpenForWriting opens a file that exists.
func OpenForWriting(path string) (int, error) { return openFile(path, unix.O_WRONLY) }

// WriteValue is one write(2): what a kernel file takes as one value.
func WriteValue(fd int, value string) error {
	return uninterrupted(func() error {
		_, err := unix.Write(fd, []byte(value))
		return err
	})
}

func openFile(path string, flags int) (int, error) {
	return OpenAt(unix.AT_FDCWD, path, flags, 0)
}

// OpenDir opens a directory for reading.
func OpenDir(path string) (int, error) { return openFile(path, unix.O_RDONLY|unix.O_DIRECTORY) }

// OpenChild opens a directory below another one; ".." is the one above.
func OpenChild(dirFD int, name string) (int, error) {
	return OpenAt(dirFD, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
}

// MakeDir is mkdir(2).
func MakeDir(path string, mode uint32) error { return unix.Mkdirat(unix.AT_FDCWD, path, mode) }

// Absent tells whether nothing has this name. It takes half as long as to open it.
func Absent(path string) bool {
	return unix.Faccessat(unix.AT_FDCWD, path, unix.F_OK, 0) == unix.ENOENT
}

// RemoveDir is rmdir(2).
func RemoveDir(path string) error { return unix.Rmdir(path) }

// AwaitNotice waits until the kernel says that the contents of the file have
// changed since they were read (POLLPRI, kernfs), or for the timeout.
func AwaitNotice(fd int, timeout time.Duration) error { return poll(fd, unix.POLLPRI, timeout) }

// AwaitExit waits until the process has exited, or for the timeout. A process
// that does not exist has exited.
func AwaitExit(pid int, timeout time.Duration) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return poll(fd, unix.POLLIN, timeout)
}

// poll waits for one event, or for the timeout, rounded up to milliseconds.
func poll(fd int, events int16, timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	for {
		left := max(0, time.Until(deadline))
		ms := min((left+time.Millisecond-1)/time.Millisecond, math.MaxInt32)
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, int(ms))
		if err != unix.EINTR {
			return err
		}
	}
}
