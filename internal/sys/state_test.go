// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package sys_test

import (
	"os/exec"
	"testing"

	"github.com/coracle-oci/coracle/internal/sys"
)

// TestTicks: a process that starts between two looks at the clock has started then.
func TestTicks(t *testing.T) {
	for range 20 {
		before := sys.Ticks()
		cmd := exec.Command("sleep", "60")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		after := sys.Ticks()
		started, ended, err := sys.ProcessStart(cmd.Process.Pid)
		if err != nil || ended || started < before || started > after {
			t.Errorf("between %d and %d: %d, %v, %v", before, after, started, ended, err)
		}
		cmd.Process.Kill()
		cmd.Wait()
	}
}
