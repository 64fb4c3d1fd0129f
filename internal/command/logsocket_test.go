// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package command

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coracle-oci/coracle/internal/fail"
)

// TestLogSockets: each record is one datagram in the daemon's form.
func TestLogSockets(t *testing.T) {
	for _, c := range []struct {
		name string
		form func(string, record) []byte
		want []string
	}{
		{"journald", journalRecord, []string{
			"PRIORITY=4\nSYSLOG_IDENTIFIER=boat\nMESSAGE=leaks\n",
			"PRIORITY=3\nSYSLOG_IDENTIFIER=boat\nMESSAGE\n\x03\x00\x00\x00\x00\x00\x00\x00a\nb\n"}},
		{"syslog", syslogRecord, []string{
			"<12>TIME boat[" + strconv.Itoa(os.Getpid()) + "]: leaks",
			"<11>TIME boat[" + strconv.Itoa(os.Getpid()) + "]: a\nb"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "socket")
			daemon, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
			if err != nil {
				t.Fatal(err)
			}
			defer daemon.Close()
			s, err := dial(path, "boat", c.form)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.write([]record{{levelWarning, "leaks"}, {levelError, "a\nb"}}); err != nil {
				t.Fatal(err)
			}
			stamp := regexp.MustCompile(`>[A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d `)
			for _, want := range c.want {
				buf := make([]byte, 4096)
				_ = daemon.SetReadDeadline(time.Now().Add(10 * time.Second))
				n, err := daemon.Read(buf)
				if got := stamp.ReplaceAllString(string(buf[:n]), ">TIME "); err != nil || got != want {
					t.Errorf("got %q, %v, want %q", got, err, want)
				}
			}
		})
	}
}

func TestLogNames(t *testing.T) {
	if got := identity("boat", "x"); got != "x" {
		t.Errorf("got %q", got)
	}
	file := filepath.Join(t.TempDir(), "log")
	s, err := openSink("boat", "file:"+file, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.write([]record{{levelError, "sinks"}}); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(file); !strings.HasPrefix(string(data), `{"level":"error","msg":"sinks"`) {
		t.Errorf("got %q", data)
	}
	_, err = dial(filepath.Join(t.TempDir(), "none"), "boat", syslogRecord)
	if err == nil || !strings.Contains(fail.Reason(err), "no such file or directory (ENOENT)") {
		t.Errorf("got %v", err)
	}
}
