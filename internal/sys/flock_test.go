// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package sys

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestFlockWithin gives up in time, says who holds the lock, and gets it when that
// one lets it go.
func TestFlockWithin(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	open := func() int {
		fd, err := OpenAt(-100, name, os.O_CREATE|os.O_RDONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	holder, waiter, hasty := open(), open(), open()
	if err := FlockWithin(holder, syscall.LOCK_EX, time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := FlockWithin(waiter, syscall.LOCK_SH|syscall.LOCK_NB, time.Minute); err != syscall.EWOULDBLOCK {
		t.Error(err)
	}
	if err := FlockWithin(hasty, syscall.LOCK_SH, 20*time.Millisecond); err != syscall.ETIMEDOUT {
		t.Error(err)
	}
	Close(hasty)
	if pid := FlockHolder(waiter); pid != os.Getpid() && pid != 0 { // 0: a file system whose locks show other numbers
		t.Errorf("process %d holds it", pid)
	}
	time.AfterFunc(20*time.Millisecond, func() { syscall.Flock(holder, syscall.LOCK_UN) })
	if err := FlockWithin(waiter, syscall.LOCK_EX, time.Minute); err != nil {
		t.Error(err)
	}
	Close(holder)
	Close(waiter)
}
