// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package sys

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/coracle-oci/coracle/internal/sys/linux"
)

// ExitStatus returns the wait status of a process that has ended, whoever its
// parent is: from /proc while it waits to be reaped, and then, since Linux 6.15,
// from its pidfd. ok is false where neither knows.
//
// The pidfd must have been opened before the process was reaped, and must have
// become readable.
func ExitStatus(pidFD, pid int) (status unix.WaitStatus, ok bool) {
	if code, err := zombieStatus(pid); err == nil && Alive(pidFD) { // it is still that process
		return unix.WaitStatus(code), true
	}
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
	if err := unix.IoctlPidfdInfo(pidFD, &info); err != nil || info.Mask&unix.PIDFD_INFO_EXIT == 0 {
		return 0, false
	}
	return unix.WaitStatus(info.Exit_code), true
}

// Alive tells whether the process of a pidfd is there, be it as a zombie.
func Alive(pidFD int) bool { return unix.PidfdSendSignal(pidFD, 0, nil, 0) == nil }

// zombieStatus reads the exit status from /proc/PID/stat; only those who may trace
// the process are shown it.
func zombieStatus(pid int) (uint32, error) {
	s, err := readStat(pid)
	if err == nil && s.state != "Z" {
		err = unix.ESRCH
	}
	return uint32(s.exitCode), err
}

// A stat is some of /proc/PID/stat, proc_pid_stat(5).
type stat struct {
	state                           string
	flags, threads, start, exitCode uint64
}

// readStat is called for every container of a list, and allocates little.
func readStat(pid int) (s stat, err error) {
	data, err := ReadLine(make([]byte, 0, 1024), "/proc/"+strconv.Itoa(pid)+"/stat")
	if err != nil {
		return s, err
	}
	// The command's name may hold anything; what follows the last ")" does not.
	_, rest, _ := bytes.Cut(bytes.TrimSpace(data[max(0, bytes.LastIndexByte(data, ')')):]), []byte(" "))
	for field := 3; field <= 52 && err == nil; field++ {
		var text []byte
		text, rest, _ = bytes.Cut(rest, []byte(" "))
		switch field {
		case 3:
			s.state = string(text)
		case 9:
			s.flags, err = strconv.ParseUint(string(text), 10, 32)
		case 20:
			s.threads, err = strconv.ParseUint(string(text), 10, 32)
		case 22:
			s.start, err = strconv.ParseUint(string(text), 10, 64)
		case 52:
			s.exitCode, err = strconv.ParseUint(string(text), 10, 32)
		}
	}
	return s, err
}

// Poll waits until one of the descriptors has one of its events, or for the time
// left (none: for ever), and returns what each has. An error or an end
// (POLLERR, POLLHUP) is always told.
func Poll(left time.Duration, fds []linux.PollFd) (ready int, err error) {
	milliseconds := -1
	if left >= 0 {
		milliseconds = int((left + time.Millisecond - 1) / time.Millisecond)
	}
	ready, err = unix.Poll(fds, milliseconds)
	if err == unix.EINTR { // the caller looks at the clock again
		return 0, nil
	}
	return ready, err
}

// A FileEvent is what inotify(7) tells.
type FileEvent struct {
	Watch int
	Mask  uint32
	Name  string // in a directory that is watched
}

// Inotify makes an instance of inotify(7).
func Inotify() (int, error) { return unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK) }

// Watch adds a path to an instance and returns the number of the watch.
func Watch(inotifyFD int, path string, mask uint32) (int, error) {
	return unix.InotifyAddWatch(inotifyFD, path, mask)
}

// FileEvents reads what has happened; nothing if nothing has.
func FileEvents(inotifyFD int) ([]FileEvent, error) {
	buf := make([]byte, 16<<10)
	n, err := unix.Read(inotifyFD, buf)
	if err == unix.EAGAIN || err == unix.EINTR {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var events []FileEvent
	for rest := buf[:n]; len(rest) >= unix.SizeofInotifyEvent; {
		length := int(binary.NativeEndian.Uint32(rest[12:]))
		end := unix.SizeofInotifyEvent + length
		events = append(events, FileEvent{
			Watch: int(int32(binary.NativeEndian.Uint32(rest))), Mask: binary.NativeEndian.Uint32(rest[4:]),
			Name: string(bytes.TrimRight(rest[unix.SizeofInotifyEvent:end], "\x00")),
		})
		rest = rest[end:]
	}
	return events, nil
}

// OOMNotice returns an eventfd that is readable after each time that the cgroup
// v1 directory has run out of memory: cgroup-v1/memory.rst of the kernel.
func OOMNotice(dir string) (int, error) {
	control, err := OpenFile(dir + "/memory.oom_control")
	if err != nil {
		return -1, err
	}
	defer unix.Close(control)
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return -1, err
	}
	if err := WriteFile(dir+"/cgroup.event_control", strconv.Itoa(fd)+" "+strconv.Itoa(control)); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// Drain reads an eventfd, so that it is readable again only after the next event.
func Drain(eventFD int) {
	var count [8]byte
	_, _ = unix.Read(eventFD, count[:])
}

// TerminalSize returns the columns and rows of a terminal.
func TerminalSize(fd int) (columns, rows int, err error) {
	size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0, err
	}
	return int(size.Col), int(size.Row), nil
}
