// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package sys

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestVisitFails: who cannot go to another namespace has its signals again.
func TestVisitFails(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := blocked(t)
	if fd, err := NetlinkSocketIn(-1, -1, syscall.NETLINK_ROUTE); err != syscall.EBADF {
		t.Errorf("a socket in no namespace: %d, %v", fd, err)
	}
	if fd, err := OpenInNetns(-1, -1, "/proc/sys/net/ipv4/ip_forward", syscall.O_RDONLY); err != syscall.EBADF {
		t.Errorf("a file in no namespace: %d, %v", fd, err)
	}
	if after := blocked(t); after != before {
		t.Errorf("%s became %s", before, after)
	}
}

// blocked is the line of the thread's status that tells which signals are blocked.
func blocked(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	i := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "SigBlk:") })
	if i < 0 {
		t.Fatalf("no SigBlk in %s", text)
	}
	return lines[i]
}
