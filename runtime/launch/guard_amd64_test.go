// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package launch

import (
	"strings"
	"syscall"
	"testing"
)

// TestGuardPatience runs a launch program of this machine, which no emulator does: a guard that does nothing, as somebody has stopped it, is not
// waited for in vain, neither for its word nor for its end.
func TestGuardPatience(t *testing.T) {
	g, err := GuardTerminal(make([]byte, 64))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(g.pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	const moment = 50 // milliseconds
	if err := g.listen(moment); err == nil || !strings.HasPrefix(err.Error(), "wait for the guard of the terminal, process ") || !strings.Contains(err.Error(), "(ETIMEDOUT)") {
		t.Error(err)
	}
	g.end(moment)
	if err := syscall.Kill(g.pid, 0); err != syscall.ESRCH {
		t.Errorf("process %d is still there: %v", g.pid, err)
	}
}
