// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package resources

import (
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/runtime/facts"
)

// A Scope is where systemd puts a container.
type Scope struct {
	Path     string // from the root of the hierarchies: "/system.slice/docker-c1.scope"
	Subgroup string // a directory in it that the container gets, and the limits; "": the scope itself
}

// CompileScope is [All] for a container in a scope of systemd.
//
// On v2, and in its own hierarchy of v1, systemd makes the directory and moves
// the process: Adopt is what is left to do then, and Limit comes after it. The
// other hierarchies of v1 get directories of the same path, as systemd itself
// would make them.
func CompileScope(s Scope, r *specs.LinuxResources, f facts.Cgroup) (Cgroup, []error) {
	names := strings.Split(strings.TrimPrefix(s.Path, "/"), "/")
	if s.Subgroup != "" {
		names = append(names, s.Subgroup)
	}
	return (&compiler{scope: &s}).compile(names, true, r, f)
}

// bySystemd reports whether systemd makes the directory of a place.
func (c *compiler) bySystemd(p place) bool {
	return c.scope != nil && (p.v2 || slices.Contains(p.hierarchy.Controllers, "name=systemd"))
}

// adopt adds what makes a directory of systemd usable. systemd passes on the
// controllers that it knows, and only where a unit of its own wants them.
func (c *compiler) adopt(p place) {
	enable := func(dir string) {
		if words := c.enabled(p); words != "" {
			c.out.Adopt = append(c.out.Adopt, Op{Kind: Enable, Path: dir + "/cgroup.subtree_control", Value: words, From: fromPath})
		}
	}
	above := p.above
	if p.leaf != p.top {
		above = above[:len(above)-1]
	}
	for _, dir := range above {
		enable(dir)
	}
	if p.leaf == p.top {
		return
	}
	// The process goes first: a cgroup of v2 that holds one cannot give
	// controllers to its children.
	c.out.Adopt = append(c.out.Adopt, Op{Kind: Mkdir, Path: p.leaf, From: fromPath}, Op{Kind: Enter, Path: p.leaf, From: fromPath})
	enable(p.top)
}

// CompileNone is [All] for a container that stays where the runtime is. The
// caller has asked for that, but not for limits that do not hold.
func CompileNone(r *specs.LinuxResources, f facts.Cgroup) (Cgroup, []error) {
	var out Cgroup
	for _, h := range f.V1 {
		out.Leaves = append(out.Leaves, own(h))
	}
	if f.V2 != nil {
		out.Leaves = append(out.Leaves, own(*f.V2))
	}
	if r == nil {
		return out, nil
	}
	limits := *r
	limits.Devices = nil
	_, wrong := (&compiler{disabled: true}).compile([]string{"none"}, true, &limits, facts.Cgroup{})
	if len(r.Devices) > 0 {
		out.Warnings = append(out.Warnings, configFile+fromDevices+": is not applied, as cgroups are disabled by --cgroup-manager")
	}
	return out, wrong
}

// own is the runtime's own directory of a hierarchy.
func own(h facts.Hierarchy) string {
	return strings.TrimSuffix(h.Mount, "/") + strings.TrimSuffix(h.Own, "/")
}

// Owner returns the operation that gives a container's cgroup to its user, who
// then can make cgroups below it: config-linux.md, "Cgroup ownership".
func Owner(dir, uid string) Op { return Op{Kind: Own, Path: dir, Value: uid, From: fromPath} }
