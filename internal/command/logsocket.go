// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package command

import (
	"encoding/binary"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/coracle-oci/coracle/internal/sys"
)

// A logSocket is a daemon's: one datagram for each record.
type logSocket struct {
	fd   int
	name string // who speaks
	form func(name string, r record) []byte
}

const (
	journalSocket = "/run/systemd/journal/socket"
	syslogSocket  = "/dev/log"
)

// patience is how long a daemon may have no room for a record.
const patience = 5 * time.Second

func dial(path, name string, form func(string, record) []byte) (sink, error) {
	fd, err := sys.DatagramConnect(path, patience)
	if err != nil {
		return nil, &os.PathError{Op: "connect", Path: path, Err: err}
	}
	return logSocket{fd, name, form}, nil
}

func (s logSocket) write(records []record) error {
	for _, r := range records {
		if err := sys.Send(s.fd, s.form(s.name, r)); err != nil {
			return err
		}
	}
	return nil
}

// identity is the name that a daemon files the records under: as in crun, what
// stands behind the colon.
func identity(program, name string) string {
	if name == "" {
		return program
	}
	return name
}

// priorities are syslog(3)'s, by our levels.
var priorities = [...]int{levelError: 3, levelWarning: 4, levelDebug: 7}

// journalRecord is systemd's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL):
// NAME=value lines; a value with line breaks follows its length.
func journalRecord(name string, r record) []byte {
	head := "PRIORITY=" + strconv.Itoa(priorities[r.level]) + "\nSYSLOG_IDENTIFIER=" + name + "\n"
	if !strings.Contains(r.text, "\n") {
		return []byte(head + "MESSAGE=" + r.text + "\n")
	}
	b := binary.LittleEndian.AppendUint64([]byte(head+"MESSAGE\n"), uint64(len(r.text)))
	return append(append(b, r.text...), '\n')
}

// syslogRecord is RFC 3164's form as libc sends it to /dev/log: facility "user".
func syslogRecord(name string, r record) []byte {
	const user = 1 << 3
	return []byte("<" + strconv.Itoa(user|priorities[r.level]) + ">" + time.Now().Format(time.Stamp) + " " +
		name + "[" + strconv.Itoa(os.Getpid()) + "]: " + r.text)
}
