// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package resources

import (
	"slices"
	"strings"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/facts"
)

// fromPath is the field that asks for directories.
const fromPath = "linux.cgroupsPath"

// A place is where the container goes in one hierarchy.
type place struct {
	hierarchy facts.Hierarchy
	v2        bool
	above     []string // directories from the mount point, or the runtime's own, down to leaf's parent
	leaf      string   // the directory of the container's processes, and of its limits
	top       string   // what is the container's alone: leaf, or the scope above it
}

// locate sets the places, in the order of the mounts with v2 last.
func (c *compiler) locate(names []string, absolute bool, f facts.Cgroup) error {
	for _, h := range f.V1 {
		if err := c.add(h, h.Own, names, absolute); err != nil {
			return err
		}
	}
	if f.V2 == nil {
		return nil
	}
	// The runtime's own cgroup holds at least the runtime, and a cgroup of v2
	// that holds processes cannot give controllers to its children: cgroups(7),
	// "no internal processes". So start one level up.
	base, _ := cut(f.V2.Own)
	if err := c.add(*f.V2, base, names, absolute); err != nil {
		return err
	}
	c.places[len(c.places)-1].v2 = true
	return nil
}

// add appends the place below the mount point (absolute) or below base.
func (c *compiler) add(h facts.Hierarchy, base string, names []string, absolute bool) error {
	dir := strings.TrimSuffix(h.Mount, "/")
	if !absolute {
		if h.Own == "" {
			return &fail.Error{
				Where: configFile + fromPath,
				Doing: "is relative, but the runtime's own cgroup is outside of " + h.Mount,
				Hint:  "use an absolute cgroupsPath",
			}
		}
		dir += strings.TrimSuffix(base, "/")
	}
	p := place{hierarchy: h, above: []string{dir}}
	for _, name := range names {
		dir += "/" + name
		p.above = append(p.above, dir)
	}
	p.above, p.leaf, p.top = p.above[:len(p.above)-1], dir, dir
	if c.scope != nil && c.scope.Subgroup != "" {
		p.top = p.above[len(p.above)-1]
	}
	c.places = append(c.places, p)
	return nil
}

// split returns the components of cgroupsPath, or of id if that is empty.
func split(id, cgroupsPath string) (names []string, absolute bool, err error) {
	if cgroupsPath == "" {
		if id == "" || id == "." || id == ".." || strings.ContainsAny(id, "/\n\x00") {
			return nil, false, invalid(fromPath, "is empty, and the container id is not fit to name a cgroup")
		}
		return []string{id}, false, nil
	}
	absolute = cgroupsPath[0] == '/'
	if !absolute && strings.Count(cgroupsPath, ":") == 2 {
		return nil, false, &fail.Error{
			Where: configFile + fromPath,
			Doing: "has systemd's form slice:prefix:name, which needs the systemd driver",
			Hint:  "give --systemd-cgroup, or use a path such as /parent/name",
		}
	}
	for name := range strings.SplitSeq(cgroupsPath, "/") {
		switch {
		case name == "" || name == ".":
		case name == "..":
			return nil, false, invalid(fromPath, `must not contain ".."`)
		case strings.ContainsAny(name, "\n\x00"):
			return nil, false, invalid(fromPath, "must not contain line breaks or zero bytes: cgroups(7) cannot name them")
		default:
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, false, invalid(fromPath, "names no cgroup below the root")
	}
	return names, absolute, nil
}

// directories adds what makes the places and what joins them.
func (c *compiler) directories() {
	for _, p := range c.places {
		c.out.Dirs = append(c.out.Dirs, p.top)
		c.out.Leaves = append(c.out.Leaves, p.leaf)
		if c.bySystemd(p) {
			c.adopt(p)
			continue
		}
		c.descend(p, c.enabled(p))
		if p.v2 {
			// v2 has no tasks file, and cgroup.procs waits for a grace period
			// of RCU whenever the machine was idle, 12 ms, beside v1 as well.
			c.out.Into = p.leaf
		} else {
			// A single-threaded process that writes 0 into tasks waits for
			// nobody; cgroup.procs would make it wait.
			c.out.Join = append(c.out.Join, p.leaf+"/tasks")
		}
	}
}

// enabled returns the controllers that the directories above p are to pass on,
// as cgroup.subtree_control reads them.
//
// On v2 alone that is all of them, as engines read the statistics also of those
// without a limit. Beside v1 it is those with a limit: one that is enabled can
// no longer be mounted as v1, as administrators of such machines do.
func (c *compiler) enabled(p place) string {
	if !p.v2 {
		return ""
	}
	list := p.hierarchy.Controllers
	if len(c.places) > 1 {
		list = c.used
	}
	if len(list) == 0 {
		return ""
	}
	return "+" + strings.Join(list, " +")
}

// descend adds the directories of one place from the top down.
func (c *compiler) descend(p place, controllers string) {
	for i, dir := range p.above {
		if i > 0 {
			c.make(p, Mkdir, dir, "")
			c.inherit(p, dir)
		}
		if controllers != "" {
			c.make(p, Enable, dir+"/cgroup.subtree_control", controllers)
		}
	}
	kind := Leaf
	if c.scope != nil { // systemd may have made it already, and moved the process there
		kind = Mkdir
	}
	c.make(p, kind, p.leaf, "")
	c.inherit(p, p.leaf)
}

func (c *compiler) make(p place, kind Kind, path, value string) {
	c.out.Make = append(c.out.Make, Op{Kind: kind, Path: path, Value: value, Born: p.v2, From: fromPath})
}

// inherit fills the two files without which a v1 cpuset takes no process, but
// for those that the config sets.
func (c *compiler) inherit(p place, dir string) {
	if p.v2 || !slices.Contains(p.hierarchy.Controllers, "cpuset") {
		return
	}
	cpu, leaf := c.r.CPU, dir == p.leaf
	if !leaf || cpu == nil || cpu.Cpus == "" {
		c.make(p, Inherit, dir+"/cpuset.cpus", "")
	}
	if !leaf || cpu == nil || cpu.Mems == "" {
		c.make(p, Inherit, dir+"/cpuset.mems", "")
	}
}

// A home is the directory in which a controller's files are.
type home struct {
	dir string
	v2  bool
}

// file returns the path of the file that is called v1 there and v2 here.
func (h home) file(v1, v2 string) string {
	if h.v2 {
		return h.dir + "/" + v2
	}
	return h.dir + "/" + v1
}

// find returns where a controller is; names are v1's.
func (c *compiler) find(controller string) (home, bool) {
	for _, p := range c.places {
		name := controller
		if p.v2 {
			name = v2Name(name)
		}
		if slices.Contains(p.hierarchy.Controllers, name) {
			return home{p.leaf, p.v2}, true
		}
	}
	return home{}, false
}

// on is find for a field that cannot do without the controller.
func (c *compiler) on(controller, from string) (home, error) {
	h, ok := c.find(controller)
	if ok {
		c.use(h, controller)
		return h, nil
	}
	if c.disabled {
		return home{}, &fail.Error{Where: configFile + from, Doing: "cannot be applied: cgroups are disabled by --cgroup-manager",
			Hint: "remove the limit, or use the manager cgroupfs or systemd"}
	}
	what := "the controller " + controller + " is on no mounted cgroup hierarchy"
	if len(c.places) == 0 {
		what = "no cgroup hierarchy is mounted"
	}
	return home{}, &fail.Error{Where: configFile + from, Doing: "cannot be applied: " + what,
		Hint: "compare /proc/cgroups, /sys/fs/cgroup/cgroup.controllers and /proc/self/mountinfo"}
}

// use notes that a controller of v2 has to be enabled.
func (c *compiler) use(h home, controller string) {
	if name := v2Name(controller); h.v2 && !slices.Contains(c.used, name) {
		c.used = append(c.used, name)
	}
}

// v2Name returns what v2 calls a controller of v1.
func v2Name(controller string) string {
	if controller == "blkio" {
		return "io"
	}
	return controller
}

// v1Name is its inverse.
func v1Name(controller string) string {
	if controller == "io" {
		return "blkio"
	}
	return controller
}

// v1Only is the error for a field that cgroup v2 has no file for.
func v1Only(from, instead string) error {
	return &fail.Error{Where: configFile + from, Doing: "has no equivalent in cgroup v2", Hint: instead}
}
