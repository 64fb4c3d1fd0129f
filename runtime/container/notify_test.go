// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/coracle-oci/coracle/internal/sys"
)

// TestNotifyDeaf: a service manager that takes no messages is waited for once, and
// told of; the container can still say that it is ready.
func TestNotifyDeaf(t *testing.T) {
	dir, err := os.MkdirTemp("", "notify") // a socket's address is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "manager")
	deaf, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	to, err := sys.DatagramConnect(socket, 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	from, err := sys.DatagramListen(dir, notifyName)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	n := &notifier{from, to, "web", func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) }}
	defer n.Close()
	say := func(message string) bool {
		c, err := net.Dial("unixgram", filepath.Join(dir, notifyName))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte(message)); err != nil {
			t.Fatal(err)
		}
		return n.pass(7)
	}
	const most = 10_000 // sysctl net.unix.max_dgram_qlen is how many there is room for
	for i := 0; len(told) == 0 && i < most; i++ {
		say("STATUS=up")
	}
	if want := "web: who listens at NOTIFY_SOCKET has taken no message for 5s, and gets no more: what the container says is lost"; len(told) != 1 || told[0] != want {
		t.Fatalf("%q", told)
	}
	if !say("READY=1") || n.to >= 0 || len(told) != 1 {
		t.Errorf("%q, %d", told, n.to)
	}
}
