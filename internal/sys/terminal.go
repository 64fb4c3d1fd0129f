// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package sys

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// A Terminal is the settings that a terminal had: termios(3).
type Terminal struct {
	fd    int
	state unix.Termios
}

// IsTerminal tells whether fd is a terminal: it answers TCGETS, tty_ioctl(4).
func IsTerminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}

// MakeRaw lets every character through as it is: no echo, no lines, no signals.
// Output is still the terminal's own. It returns what was before.
func MakeRaw(fd int) (*Terminal, error) {
	old, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, err
	}
	raw := *old
	raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	raw.Oflag &^= unix.OPOST
	raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	raw.Cflag = raw.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	return &Terminal{fd: fd, state: *old}, unix.IoctlSetTermios(fd, unix.TCSETS, &raw)
}

// Restore sets what was before.
func (t *Terminal) Restore() error { return unix.IoctlSetTermios(t.fd, unix.TCSETS, &t.state) }

// Settings returns the settings of a terminal as TCSETS takes them, tty_ioctl(4).
func Settings(fd int) ([]byte, error) {
	s, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, 36)
	for _, flags := range []uint32{s.Iflag, s.Oflag, s.Cflag, s.Lflag} {
		b = binary.NativeEndian.AppendUint32(b, flags)
	}
	return append(append(b, s.Line), s.Cc[:]...), nil
}

// IsMaster tells whether fd is the master of a terminal: the device that makes
// them, of a devpts. Neither can be faked by who has made the file.
func IsMaster(fd int) (bool, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return false, err
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return false, err
	}
	return st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == unix.Mkdev(5, 2) && fs.Type == unix.DEVPTS_SUPER_MAGIC, nil
}

// CopySize gives terminal to the size of terminal from.
func CopySize(to, from int) error {
	size, err := unix.IoctlGetWinsize(from, unix.TIOCGWINSZ)
	if err != nil {
		return err
	}
	return unix.IoctlSetWinsize(to, unix.TIOCSWINSZ, size)
}

// Columns is how wide a terminal is, 0 if nobody knows or fd is none.
func Columns(fd int) int {
	size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}

// SetNonblock makes reads and writes of fd return EAGAIN rather than wait.
func SetNonblock(fd int) error { return unix.SetNonblock(fd, true) }

// SignalNumber returns the number of a signal such as "SIGTERM", or 0.
func SignalNumber(name string) int { return int(unix.SignalNum(name)) }

// SignalName is the reverse, or "" for a number without a name.
func SignalName(number int) string { return unix.SignalName(unix.Signal(number)) }
