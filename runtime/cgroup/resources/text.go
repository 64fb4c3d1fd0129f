// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package resources

import (
	"strconv"
	"strings"
)

// String returns the line of the plan: "write /sys/fs/cgroup/pids/c1/pids.max 10".
func (o Op) String() string {
	switch o.Kind {
	case Mkdir, Leaf:
		return "mkdir " + o.Path
	case Write:
		text := "write " + o.Path + " " + quoted(o.Value)
		if o.Or != nil {
			text += ", or if it does not exist: " + o.Or.String()
		}
		return text
	case WritePresent:
		return "write " + o.Path + " " + quoted(o.Value) + ", if it exists"
	case Inherit:
		return "copy " + o.parentFile() + " to " + o.Path
	case Enable:
		return "write " + o.Path + " " + quoted(o.Value) + ", as far as possible"
	case Below:
		return "check that " + o.Path + " is at most " + o.Value
	case Devices:
		return "attach a device program of " + strconv.Itoa(len(o.Program)/insnSize) + " instructions to " + o.Path
	case Enter:
		return "write " + o.Path + "/cgroup.procs PID"
	case Own:
		return "chown " + o.Value + " " + o.Path + " and those of its files that " + DelegateFile + " names"
	}
	return "unknown operation " + strconv.Itoa(int(o.Kind)) + " on " + o.Path
}

// DelegateFile is where the kernel says which files of a cgroup its manager is
// to own, cgroups(7): "Cgroups delegation".
const DelegateFile = "/sys/kernel/cgroup/delegate"

// Source returns the file from which an Inherit copies.
func (o Op) Source() string { return o.parentFile() }

// parentFile is the file of the same name one directory up.
func (o Op) parentFile() string {
	dir, file := cut(o.Path)
	parent, _ := cut(dir)
	return parent + "/" + file
}

// cut splits a path at its last slash.
func cut(path string) (dir, last string) {
	i := strings.LastIndexByte(path, '/')
	return path[:max(i, 0)], path[i+1:]
}

// quoted returns value, in quotes where its end would be in doubt.
func quoted(value string) string {
	if value == "" || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r == '"' || r == 0x7f }) {
		return strconv.Quote(value)
	}
	return value
}
