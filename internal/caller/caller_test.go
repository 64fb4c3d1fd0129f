// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package caller_test

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/coracle-oci/coracle/internal/caller"
)

// TestFiles runs itself with limits of its choice: they are known, although package
// syscall has changed them by then. It is no part of the package, which must import nothing.
func TestFiles(t *testing.T) {
	if os.Getenv("TEST_FILES") != "" {
		var now syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &now); err != nil {
			t.Fatal(err)
		}
		soft, hard := caller.Files()
		fmt.Println(soft, hard, now.Cur)
		os.Exit(0)
	}
	c := exec.Command("sh", "-c", `ulimit -S -n 100; ulimit -H -n 200; exec $TEST_EMULATOR "$0" -test.run TestFiles`, os.Args[0])
	c.Env = append(os.Environ(), "TEST_FILES=1")
	if out, err := c.Output(); err != nil || string(out) != "100 200 199\n" {
		t.Errorf("%q, %v", out, err)
	}
}
