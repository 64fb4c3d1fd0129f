// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"errors"
	"os/exec"
	"strings"
	"syscall"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
)

// mapIDs has newuidmap(1) or newgidmap(1) map the ids of a process.
func mapIDs(tool string, pid int, ids string) error {
	file := "/etc/subuid"
	if tool == "newgidmap" {
		file = "/etc/subgid"
	}
	path, err := exec.LookPath(tool)
	if err != nil {
		return &fail.Error{Doing: "map " + ids + ": there is no program " + tool,
			Hint: "install it (Debian: apt install uidmap), or map nothing but your own id, as coracle spec --rootless does"}
	}
	output, err := exec.Command(path, append([]string{itoa(pid)}, strings.Fields(ids)...)...).CombinedOutput()
	if _, ran := errors.AsType[*exec.ExitError](err); ran {
		return &fail.Error{Doing: tool + " " + ids + ": " + strings.TrimSpace(string(output)), Hint: "a user may map ids that a line of " + file + " gives to it: NAME:FIRST:COUNT"}
	} else if err != nil {
		return &fail.Error{Doing: "run " + path, Err: err}
	}
	return nil
}

// openRoot opens the root of the container, to look something up in it: the mount
// that was sent for it, or what the process has shown, or its root. ESRCH: the
// process is ending, which gives its root up before it is seen to have ended.
func (c *child) openRoot() (int, error) {
	if c.root > 0 {
		return sys.OpenIn(c.root, ".", linux.O_PATH|linux.O_DIRECTORY)
	}
	if i := c.plan.Root; i > 0 {
		return sys.OpenIn(c.inputs[i], ".", linux.O_PATH|linux.O_DIRECTORY)
	}
	fd, err := sys.Open("/proc/"+itoa(c.process)+"/root", linux.O_PATH|linux.O_DIRECTORY)
	if err == syscall.ENOENT {
		err = syscall.ESRCH
	}
	return fd, err
}
