// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package sys

import "golang.org/x/sys/unix"

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

// CopySize gives terminal to the size of terminal from.
func CopySize(to, from int) error {
	size, err := unix.IoctlGetWinsize(from, unix.TIOCGWINSZ)
	if err != nil {
		return err
	}
	return unix.IoctlSetWinsize(to, unix.TIOCSWINSZ, size)
}

// SetNonblock makes reads and writes of fd return EAGAIN rather than wait.
func SetNonblock(fd int) error { return unix.SetNonblock(fd, true) }

// SignalNumber returns the number of a signal such as "SIGTERM", or 0.
func SignalNumber(name string) int { return int(unix.SignalNum(name)) }

// SignalName is the reverse, or "" for a number without a name.
func SignalName(number int) string { return unix.SignalName(unix.Signal(number)) }
