// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package probe

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"syscall"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/facts"
)

// Container asks about a container: which of the namespaces of its init are not
// ours, and what a process writes to, or is born in, to be in its cgroups. Of
// these the one of v2, if there is one, is the last.
func Container(pid int, cgroups []string) (facts.Container, error) {
	c := facts.Container{Proc: "/proc/" + strconv.Itoa(pid), Cgroups: cgroups}
	for _, ns := range [...]struct{ file, kind string }{{"user", "user"}, {"cgroup", "cgroup"}, {"ipc", "ipc"}, {"uts", "uts"}, {"net", "network"}, {"pid", "pid"}, {"time", "time"}, {"mnt", "mount"}} {
		theirs, err := sys.ReadlinkAt(linux.AT_FDCWD, c.Proc+"/ns/"+ns.file)
		if errors.Is(err, syscall.ENOENT) && ns.kind == "time" { // a kernel without them
			continue
		}
		ours, err2 := sys.ReadlinkAt(linux.AT_FDCWD, "/proc/self/ns/"+ns.file)
		if err = errors.Join(err, err2); err != nil {
			return c, &fail.Error{Doing: "ask for the " + ns.kind + " namespace of the container", Err: err}
		}
		if ours != theirs {
			c.Namespaces = append(c.Namespaces, ns.kind)
		}
	}
	for i, dir := range cgroups {
		if i == len(cgroups)-1 {
			into, v2, err := into(c.Proc, dir)
			if err != nil {
				return c, err
			}
			if v2 {
				c.Into = into
				break
			}
		}
		c.Join = append(c.Join, dir+"/tasks")
	}
	return c, nil
}

// into returns the cgroup of v2 that a process can be born in: that of the
// container or, if processes of the container have passed its controllers on to
// cgroups of their own, the one that its init is in: cgroups(7), "no internal
// processes".
func into(proc, dir string) (into string, v2 bool, err error) {
	passed, err := sys.ReadInto(make([]byte, 0, 256), dir+"/cgroup.subtree_control")
	switch {
	case err == syscall.ENOENT:
		return "", false, nil
	case err != nil:
		return "", true, &fail.Error{Doing: "read " + dir + "/cgroup.subtree_control", Err: err}
	case len(bytes.TrimSpace(passed)) == 0:
		return dir, true, nil
	}
	mounts, err := sys.ReadInto(make([]byte, 0, 16<<10), "/proc/self/mountinfo")
	if err != nil {
		return "", true, &fail.Error{Doing: "read /proc/self/mountinfo", Err: err}
	}
	memberships, err := sys.ReadInto(make([]byte, 0, 2<<10), proc+"/cgroup")
	if err != nil {
		return "", true, &fail.Error{Doing: "read " + proc + "/cgroup", Err: err}
	}
	c := parseCgroup(mounts, memberships)
	if c.V2 == nil || !strings.HasPrefix(c.V2.Mount+c.V2.Own+"/", dir+"/") {
		return dir, true, nil // it has left; the kernel then says why it cannot be had
	}
	return c.V2.Mount + c.V2.Own, true, nil
}
