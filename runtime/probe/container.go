// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package probe

import (
	"bytes"
	"errors"
	"slices"
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
	c := container{Container: facts.Container{Proc: "/proc/" + strconv.Itoa(pid), Cgroups: cgroups}}
	for _, ns := range [...]struct{ file, kind string }{{"user", "user"}, {"cgroup", "cgroup"}, {"ipc", "ipc"}, {"uts", "uts"}, {"net", "network"}, {"pid", "pid"}, {"time", "time"}, {"mnt", "mount"}} {
		theirs, err := sys.ReadlinkAt(linux.AT_FDCWD, c.Proc+"/ns/"+ns.file)
		if errors.Is(err, syscall.ENOENT) && ns.kind == "time" { // a kernel without them
			continue
		}
		ours, err2 := sys.ReadlinkAt(linux.AT_FDCWD, "/proc/self/ns/"+ns.file)
		if err = errors.Join(err, err2); err != nil {
			return c.Container, &fail.Error{Doing: "ask for the " + ns.kind + " namespace of the container", Err: err}
		}
		if ours != theirs {
			c.Namespaces = append(c.Namespaces, ns.kind)
		}
	}
	err := c.joinCgroups()
	return c.Container, err
}

// A container is what is asked about.
type container struct {
	facts.Container
	own *facts.Cgroup // where the init is, once that matters
}

// joinCgroups finds out how to get into the cgroups. Where the container's own
// cannot be joined, a process goes to where the init is.
func (c *container) joinCgroups() error {
	for i, dir := range c.Cgroups {
		v2, free, err := joinable(dir, i == len(c.Cgroups)-1)
		if err == nil && !free {
			dir, v2, err = c.ofInit(dir, v2)
		}
		switch {
		case err != nil:
			return err
		case v2:
			c.Into = dir
		default:
			c.Join = append(c.Join, dir+"/tasks")
		}
	}
	return nil
}

// joinable tells whether the cgroup is one of v2, which only the last can be, and
// whether a process can join it: it is there and, on v2, its controllers are not
// passed on to cgroups in it: cgroups(7), "no internal processes". The root of
// threads is free of that rule.
func joinable(dir string, last bool) (v2, free bool, err error) {
	passed, err := []byte(nil), error(syscall.ENOENT)
	if last {
		passed, err = sys.ReadInto(make([]byte, 0, 256), dir+"/cgroup.subtree_control")
	}
	switch {
	case err == syscall.ENOENT || err == syscall.ENODEV: // of v1, or gone
		_, err := sys.StatAt(linux.AT_FDCWD, dir)
		return false, err == nil, nil
	case err != nil:
		return true, false, &fail.Error{Doing: "read " + dir + "/cgroup.subtree_control", Err: err}
	case len(bytes.TrimSpace(passed)) == 0:
		return true, true, nil
	}
	kind, _ := sys.ReadInto(make([]byte, 0, 64), dir+"/cgroup.type") // the root has none
	return true, string(bytes.TrimSpace(kind)) == "domain threaded", nil
}

// ofInit is the cgroup of the init in the hierarchy of dir. If it is not known, dir
// is returned: the kernel then says why that cannot be had.
func (c *container) ofInit(dir string, v2 bool) (string, bool, error) {
	if c.own == nil {
		own, _, err := hierarchies(c.Proc)
		if err != nil {
			return "", v2, err
		}
		c.own = &own
	}
	all := c.own.V1
	if c.own.V2 != nil {
		all = append(slices.Clone(all), *c.own.V2)
	}
	var at *facts.Hierarchy
	for i := range all {
		if h := &all[i]; strings.HasPrefix(dir, h.Mount+"/") && (at == nil || len(h.Mount) > len(at.Mount)) {
			at = h
		}
	}
	if at == nil || at.Own == "" {
		return dir, v2, nil
	}
	return strings.TrimSuffix(at.Mount+at.Own, "/"), at == &all[len(all)-1] && c.own.V2 != nil, nil
}
