// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package sys

import (
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

// SealedMemfd makes a memfd, memfd_create(2), that holds content, can be
// executed, and can no longer be changed by anybody.
func SealedMemfd(name string, content []byte) (int, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_EXEC)
	if err == unix.EINVAL { // before Linux 6.3 there is no MFD_EXEC, and no need for it
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return -1, err
	}
	if err := WriteAll(fd, content); err != nil {
		unix.Close(fd)
		return -1, err
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// Memfd makes an empty memfd for data.
func Memfd(name string) (int, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_NOEXEC_SEAL)
	if err == unix.EINVAL { // before Linux 6.3
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	}
	return fd, err
}

// ReadAt reads what the memfd or file fd holds, up to limit bytes.
func ReadAt(fd, limit int) ([]byte, error) {
	b := make([]byte, limit)
	n, err := unix.Pread(fd, b, 0)
	return b[:max(n, 0)], err
}

// ReadEnd reads the last bytes of a file, and tells whether there are more.
func ReadEnd(fd, limit int) (text []byte, cut bool) {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return nil, false
	}
	b := make([]byte, limit)
	n, _ := unix.Pread(fd, b, max(0, st.Size-int64(limit)))
	return b[:max(n, 0)], st.Size > int64(limit)
}

// SeqPacketPair makes two connected sockets that keep messages apart, unix(7).
func SeqPacketPair() (ours, theirs int, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	return fds[0], fds[1], err
}

// SeqPacketListen makes a socket that listens at name in the directory dirFD.
// The path goes through /proc, as a socket's address has room for 107 bytes.
func SeqPacketListen(dirFD int, name string) (int, error) {
	return listenUnix(unix.SOCK_SEQPACKET, dirFD, name, 1)
}

// StreamListen is [SeqPacketListen] for a stream socket to which many may come at once.
func StreamListen(dirFD int, name string) (int, error) {
	return listenUnix(unix.SOCK_STREAM, dirFD, name, 128)
}

// Accept takes a connection to a socket that listens.
func Accept(fd int) (conn int, err error) {
	err = uninterrupted(func() error {
		conn, _, err = unix.Accept4(fd, unix.SOCK_CLOEXEC)
		return err
	})
	return conn, err
}

func listenUnix(kind, dirFD int, name string, queue int) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	err = unix.Bind(fd, &unix.SockaddrUnix{Name: FDPath(dirFD) + "/" + name})
	if err == nil {
		err = unix.Listen(fd, queue)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// SeqPacketConnect connects to a socket of [SeqPacketListen]; kind is SOCK_SEQPACKET.
func SeqPacketConnect(dirFD int, name string) (int, error) {
	return connectUnix(unix.SOCK_SEQPACKET, FDPath(dirFD)+"/"+name)
}

// StreamConnectWithin connects to the stream socket at path, of any length, for as long
// as the other side may take to accept, and then to read. Too late is ETIMEDOUT.
func StreamConnectWithin(path string, patience time.Duration) (int, error) {
	at, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(at)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err = sendWithin(fd, patience); err == nil {
		err = tooLate(uninterrupted(func() error { return unix.Connect(fd, &unix.SockaddrUnix{Name: FDPath(at)}) }))
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// sendWithin limits how long connect(2) and each send over the socket may take.
func sendWithin(fd int, patience time.Duration) error {
	limit := unix.NsecToTimeval(int64(patience))
	return unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit)
}

// tooLate says what a blocking socket's EAGAIN means: SO_SNDTIMEO, socket(7).
func tooLate(err error) error {
	if err == unix.EAGAIN {
		return unix.ETIMEDOUT
	}
	return err
}

// DatagramConnect connects to a daemon's datagram socket. What the daemon has no room
// for within the time is not sent: ETIMEDOUT.
func DatagramConnect(path string, patience time.Duration) (int, error) {
	fd, err := connectUnix(unix.SOCK_DGRAM, path)
	if err != nil {
		return -1, err
	}
	if err := sendWithin(fd, patience); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// DatagramListen makes a socket in a directory that everybody may send datagrams to.
func DatagramListen(dir, name string) (int, error) {
	dirFD, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(dirFD)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	err = unix.Bind(fd, &unix.SockaddrUnix{Name: FDPath(dirFD) + "/" + name})
	if err == nil {
		err = unix.Fchmodat(dirFD, name, 0o777, 0)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// ReadDatagram returns the next datagram, or nothing if there is none. Descriptors
// that came with it are closed by the kernel, as there is no room for them.
func ReadDatagram(fd int) []byte {
	b := make([]byte, 16<<10)
	n, _ := unix.Read(fd, b)
	return b[:max(n, 0)]
}

func connectUnix(kind int, path string) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := uninterrupted(func() error { return unix.Connect(fd, &unix.SockaddrUnix{Name: path}) }); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// FDPath is the path of a descriptor of this process: proc(5).
func FDPath(fd int) string { return "/proc/self/fd/" + itoa(fd) }

func itoa(n int) string {
	if n < 0 {
		return "-" + itoa(-n)
	}
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

// Receive reads one message of up to len(b) bytes and the descriptors that came
// with it, which are close-on-exec. n is 0 when the other side is gone.
func Receive(fd int, b []byte) (n int, fds []int, err error) {
	control := make([]byte, unix.CmsgSpace(4*4))
	var controlLen int
	err = uninterrupted(func() error {
		n, controlLen, _, _, err = unix.Recvmsg(fd, b, control, unix.MSG_CMSG_CLOEXEC)
		return err
	})
	if err != nil || controlLen == 0 {
		return n, nil, err
	}
	messages, err := unix.ParseSocketControlMessage(control[:controlLen])
	if err != nil {
		return n, nil, err
	}
	for _, m := range messages {
		if got, err := unix.ParseUnixRights(&m); err == nil {
			fds = append(fds, got...)
		}
	}
	return n, fds, nil
}

// Send sends one message, with descriptors if there are any.
func Send(fd int, b []byte, fds ...int) error {
	var control []byte
	if len(fds) > 0 {
		control = unix.UnixRights(fds...)
	}
	return tooLate(uninterrupted(func() error { return unix.Sendmsg(fd, b, control, nil, unix.MSG_NOSIGNAL) }))
}

// SendAll sends bytes over a stream, and descriptors with the first of them.
func SendAll(fd int, b []byte, fds ...int) error {
	control := unix.UnixRights(fds...)
	for len(b) > 0 {
		var n int
		err := uninterrupted(func() (err error) {
			n, err = unix.SendmsgN(fd, b, control, nil, unix.MSG_NOSIGNAL)
			return err
		})
		if err != nil {
			return tooLate(err)
		}
		b, control = b[n:], nil
	}
	return nil
}

// Close closes a descriptor; closing -1 does nothing.
func Close(fd int) {
	if fd >= 0 {
		unix.Close(fd)
	}
}

// Wait polls the descriptors until one is readable (or its other side has gone)
// and returns its index; -1 after the time-out. milliseconds < 0 waits for ever.
//
// What coracle waits for mostly comes within a few milliseconds. For so long it
// waits without telling Go's scheduler, which else would start a thread to take
// over what this one might have to do: there is nothing.
func Wait(milliseconds int, fds ...int) (int, error) {
	const short = 20
	poll := make([]unix.PollFd, len(fds))
	for i, fd := range fds {
		poll[i] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
	}
	n, err := 0, error(nil)
	if milliseconds < 0 || milliseconds > short {
		n, err = pollRaw(poll, short)
		if milliseconds > 0 {
			milliseconds -= short
		}
	}
	for err == unix.EINTR || n == 0 && err == nil {
		if n, err = unix.Poll(poll, milliseconds); n == 0 && err == nil {
			return -1, nil
		}
	}
	if err != nil {
		return -1, err
	}
	for i := range poll {
		if poll[i].Revents != 0 {
			return i, nil
		}
	}
	return -1, nil
}

// Monotonic returns the milliseconds of the monotonic clock.
func Monotonic() int {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0
	}
	return int(t.Sec)*1000 + int(t.Nsec)/1_000_000
}

// PidfdOpen returns a descriptor of the process, pidfd_open(2).
func PidfdOpen(pid int) (int, error) { return unix.PidfdOpen(pid, 0) }

// PidfdSignal sends a signal to the process, pidfd_send_signal(2).
func PidfdSignal(pidFD, signal int) error {
	return unix.PidfdSendSignal(pidFD, unix.Signal(signal), nil, 0)
}

// Reap waits for the end of a child and returns its wait status, wait4(2).
func Reap(pid int) (unix.WaitStatus, error) {
	var status unix.WaitStatus
	err := uninterrupted(func() error {
		_, err := unix.Wait4(pid, &status, 0, nil)
		return err
	})
	return status, err
}

// ReapEnded reaps a child that has ended, and waits for none.
func ReapEnded(pid int) {
	_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
}

// Prlimit sets a resource limit of a process, prlimit(2).
func Prlimit(pid, resource int, soft, hard uint64) error {
	return unix.Prlimit(pid, resource, &unix.Rlimit{Cur: soft, Max: hard}, nil)
}

// HardLimits returns the hard limits of this process, by their numbers.
func HardLimits() ([]uint64, error) {
	const count = 16 // RLIM_NLIMITS
	limits := make([]uint64, count)
	for n := range limits {
		var limit unix.Rlimit
		if err := unix.Prlimit(0, n, nil, &limit); err != nil {
			return nil, err
		}
		limits[n] = limit.Max
	}
	return limits, nil
}

// Fstat returns type, mode and device number of what fd refers to.
func Fstat(fd int) (mode uint32, rdev uint64, err error) {
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	return st.Mode, uint64(st.Rdev), err
}

// OpenIn opens name below the directory dirFD as if that were the root,
// openat2(2): no symbolic link leads out of it, and none is a magic one.
func OpenIn(dirFD int, name string, flags int) (int, error) {
	fd := -1
	err := uninterrupted(func() (err error) {
		fd, err = unix.Openat2(dirFD, name, &unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
		return err
	})
	return fd, err
}

// Open opens a path of the host.
func Open(path string, flags int) (int, error) {
	fd := -1
	err := uninterrupted(func() (err error) { fd, err = unix.Open(path, flags|unix.O_CLOEXEC, 0); return err })
	return fd, err
}

// OpenAppend opens a file to append to, and makes it if it is missing.
func OpenAppend(path string) (int, error) {
	fd := -1
	err := uninterrupted(func() (err error) {
		fd, err = unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND|unix.O_CLOEXEC|unix.O_NOCTTY, 0o600)
		return err
	})
	return fd, err
}

// WriteFile writes to an existing file, in one write(2), as the kernel's own
// files want it.
func WriteFile(path, value string) error {
	fd, err := Open(path, unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(value))
	return err
}

// Kill sends a signal, kill(2).
func Kill(pid, signal int) error { return unix.Kill(pid, unix.Signal(signal)) }

// Dup returns one more descriptor of what fd refers to.
func Dup(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0) }
