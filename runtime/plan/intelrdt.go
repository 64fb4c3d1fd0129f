// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/sys/linux"
)

// Resctrl is where the kernel's documentation mounts its file system
// (Documentation/filesystems/resctrl.rst), and where all tools look for it.
const Resctrl = "/sys/fs/resctrl"

// resctrlFile is there if it is mounted.
const resctrlFile = Resctrl + "/schemata"

// rdtPaths are the host's paths that linux.intelRdt is about.
func rdtPaths(closID string) []string {
	if closID == "" {
		return []string{resctrlFile}
	}
	return []string{resctrlFile, Resctrl + "/" + closID}
}

// intelRdt puts the init into its group of resctrl when all is made, so that all
// the container's processes are in it. A group that the config names is the
// administrator's: it is made if schemas say what it is to be, compared with them
// if it is there, and never removed. One that has no name is the container's own.
func (c *compiler) intelRdt() {
	r := c.spec.Linux.IntelRdt
	if r == nil {
		return
	}
	if c.Facts.Files[resctrlFile].Mode == 0 {
		c.refuse("linux.intelRdt", "resctrl is not mounted: there is no "+resctrlFile, 0, "mount it, if the CPU has it: mount -t resctrl resctrl "+Resctrl)
		return
	}
	step := func(do HostKind, path, value, doing, field string) {
		c.host(HostStep{At: AtCreated, Do: do, Path: path, Value: value, Doing: doing, From: "linux.intelRdt" + field})
	}
	schemas := Schemata(r)
	group, there := ResctrlGroup(c.ID, r), true
	switch {
	case r.ClosID == "":
		there = false
		step(OwnGroup, group, "", "make the group "+group, "")
	case r.ClosID != "/":
		there = c.Facts.Files[group].Mode != 0
		if !there && schemas == "" {
			c.refuse("linux.intelRdt.closID", "use the group "+group, linux.ENOENT, "make it first, or say with schemata what it is to be")
		} else if !there {
			step(MakeGroup, group, "", "make the group "+group, ".closID")
		}
	}
	switch {
	case schemas == "":
	case there:
		step(CompareSchemata, group+"/schemata", schemas, "compare with "+group+"/schemata", ".schemata")
	default:
		step(WriteSchemata, group+"/schemata", schemas, "write "+group+"/schemata", ".schemata")
	}
	if r.EnableMonitoring {
		monitor := group + "/mon_groups/" + c.ID
		step(OwnGroup, monitor, "", "make the group "+monitor, ".enableMonitoring")
	}
	c.joinRdt()
}

// ResctrlGroup is the directory of the group that a container is in.
func ResctrlGroup(id string, r *specs.LinuxIntelRdt) string {
	switch r.ClosID {
	case "":
		return Resctrl + "/" + id
	case "/":
		return Resctrl
	}
	return Resctrl + "/" + r.ClosID
}

// joinRdt puts the process into its groups: its children go with it.
func (c *compiler) joinRdt() {
	r := c.spec.Linux.IntelRdt
	if r == nil {
		return
	}
	join := func(group, field string) {
		c.host(HostStep{At: AtCreated, Do: JoinGroup, Path: group + "/tasks", Value: "PID", Doing: "join " + group, From: "linux.intelRdt" + field})
	}
	group := ResctrlGroup(c.ID, r)
	join(group, ".closID")
	if r.EnableMonitoring {
		join(group+"/mon_groups/"+c.ID, ".enableMonitoring")
	}
}

// Schemata is what is written to the file of that name, one line after the other:
// later ones replace what earlier ones say of the same resource.
func Schemata(r *specs.LinuxIntelRdt) string {
	var all strings.Builder
	for _, line := range append([]string{r.L3CacheSchema, r.MemBwSchema}, r.Schemata...) {
		if line != "" {
			all.WriteString(line + "\n")
		}
	}
	return all.String()
}
