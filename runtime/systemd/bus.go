// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package systemd asks systemd for the scopes of containers, over D-Bus: the
// requests that package unit compiled. It decides nothing about them. Package
// container calls it, and only with the systemd driver.
package systemd

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/runtime/dbus"
)

const (
	service   = "org.freedesktop.systemd1"
	object    = "/org/freedesktop/systemd1"
	manager   = "org.freedesktop.systemd1.Manager"
	patience  = 30_000 // milliseconds for an answer: a busy systemd takes its time
	patienceS = "30 s"
)

// A Bus is a connection to systemd.
type Bus struct {
	fd     int
	user   bool
	broker bool // a message bus is between us, not systemd alone
	serial uint32
	input  []byte
	jobs   []dbus.Message // JobRemoved signals that nobody has asked for yet
}

// Connect connects to the systemd of the machine or of this user: to its own
// socket, as systemctl(1) does, and where that is not to be had to the bus.
func Connect(user bool) (*Bus, error) {
	var first error
	for _, s := range sockets(user) {
		fd, err := sys.StreamConnectWithin(s.path, patience*time.Millisecond)
		if err != nil {
			if first == nil || errors.Is(first, syscall.ENOENT) {
				first = err
			}
			continue
		}
		b := &Bus{fd: fd, user: user, broker: s.broker}
		if err := b.greet(); err != nil {
			b.Close()
			return nil, &fail.Error{Doing: "talk to " + b.name() + " at " + s.path, Err: err}
		}
		return b, nil
	}
	e := &fail.Error{Where: "--systemd-cgroup", Doing: "connect to systemd", Err: first, Hint: "systemd must be running; use the cgroupfs driver without it"}
	if user {
		e.Doing, e.Hint = "connect to the systemd of this user", "log in as this user, or run: loginctl enable-linger; XDG_RUNTIME_DIR must be /run/user/"+strconv.Itoa(os.Geteuid())
	}
	return nil, e
}

// A socket is where systemd may be reached.
type socket struct {
	path   string
	broker bool
}

func sockets(user bool) []socket {
	dir, address := "/run", os.Getenv("DBUS_SYSTEM_BUS_ADDRESS")
	bus := "/run/dbus/system_bus_socket"
	if user {
		if dir, address = os.Getenv("XDG_RUNTIME_DIR"), os.Getenv("DBUS_SESSION_BUS_ADDRESS"); dir == "" {
			dir = "/run/user/" + strconv.Itoa(os.Geteuid())
		}
		bus = filepath.Join(dir, "bus")
	}
	list := []socket{{filepath.Join(dir, "systemd/private"), false}}
	// D-Bus Specification, "Server Addresses": only sockets with a name.
	for _, a := range strings.Split(address, ";") {
		if rest, ok := strings.CutPrefix(a, "unix:path="); ok {
			name, _, _ := strings.Cut(rest, ",")
			list = append(list, socket{name, true})
		}
	}
	return append(list, socket{bus, true})
}

func (b *Bus) name() string {
	if b.user {
		return "the systemd of this user"
	}
	return "systemd"
}

// Close ends the connection.
func (b *Bus) Close() { sys.Close(b.fd) }

// greet authenticates, by what the kernel tells the other side of us: the
// identity is left out, as it would be another one in a user namespace. A message
// bus then wants to be said hello to, and sends signals to those who ask.
func (b *Bus) greet() error {
	if err := sys.WriteAll(b.fd, []byte("\x00AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")); err != nil {
		return err
	}
	for range 2 { // to AUTH and to DATA
		line, err := b.line()
		if err != nil {
			return err
		}
		if !strings.HasPrefix(line, "DATA") && !strings.HasPrefix(line, "OK ") {
			return errors.New("it says " + strconv.Quote(line))
		}
	}
	if !b.broker {
		return nil
	}
	const daemon, path = "org.freedesktop.DBus", "/org/freedesktop/DBus"
	if _, err := b.call(dbus.Message{Destination: daemon, Path: path, Interface: daemon, Member: "Hello"}); err != nil {
		return err
	}
	_, err := b.call(dbus.Message{Destination: daemon, Path: path, Interface: daemon, Member: "AddMatch", Signature: "s",
		Body: []any{"type='signal',sender='" + service + "',path='" + object + "',interface='" + manager + "',member='JobRemoved'"}})
	if err == nil {
		_, err = b.manager("Subscribe", "")
	}
	return err
}

// line reads up to the next end of a line.
func (b *Bus) line() (string, error) {
	for {
		if line, rest, ok := bytes.Cut(b.input, []byte("\r\n")); ok {
			b.input = rest
			return string(line), nil
		}
		if err := b.fill(patience); err != nil {
			return "", err
		}
	}
}

// fill reads what comes next.
func (b *Bus) fill(milliseconds int) error {
	if ready, err := sys.Wait(milliseconds, b.fd); err != nil {
		return err
	} else if ready < 0 {
		return syscall.ETIMEDOUT
	}
	buf := make([]byte, 4096)
	n, err := sys.ReadSome(b.fd, buf)
	if err == nil && n == 0 {
		err = syscall.ECONNRESET
	}
	b.input = append(b.input, buf[:n]...)
	return err
}

// receive returns the next message.
func (b *Bus) receive(milliseconds int) (dbus.Message, error) {
	for until := sys.Monotonic() + milliseconds; ; {
		size, err := dbus.Size(b.input)
		if err != nil {
			return dbus.Message{}, err
		}
		if size > 0 && len(b.input) >= size {
			m, err := dbus.Decode(b.input[:size])
			b.input = b.input[size:]
			return m, err
		}
		if err := b.fill(max(0, until-sys.Monotonic())); err != nil {
			return dbus.Message{}, err
		}
	}
}

// A failure is an error that systemd answered with.
type failure struct{ name, text string }

func (f *failure) Error() string {
	if f.text == "" {
		return f.name
	}
	return f.text
}

// call sends a method call and waits for its answer.
func (b *Bus) call(m dbus.Message) ([]any, error) {
	b.serial++
	m.Type, m.Serial = dbus.Call, b.serial
	data, err := m.Encode()
	if err == nil {
		err = sys.WriteAll(b.fd, data)
	}
	if err != nil {
		return nil, err
	}
	for until := sys.Monotonic() + patience; ; {
		answer, err := b.receive(max(0, until-sys.Monotonic()))
		switch {
		case err != nil:
			return nil, err
		case answer.Type == dbus.Signal && answer.Member == "JobRemoved":
			b.jobs = append(b.jobs, answer)
		case answer.ReplySerial != b.serial:
		case answer.Type == dbus.Error:
			f := &failure{name: answer.ErrorName}
			if len(answer.Body) > 0 {
				f.text, _ = answer.Body[0].(string)
			}
			return nil, f
		case answer.Type == dbus.Return:
			return answer.Body, nil
		}
	}
}

// manager calls a method of systemd's manager.
func (b *Bus) manager(member, signature string, body ...any) ([]any, error) {
	m := dbus.Message{Path: object, Interface: manager, Member: member, Signature: signature, Body: body}
	if b.broker {
		m.Destination = service
	}
	return b.call(m)
}
