// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/coracle-oci/coracle/internal/fail"
)

// subCgroups lets the process join cgroups below the container's: --cgroup is
// "PATH" for all of them or, on v1, "CONTROLLER[,CONTROLLER]:PATH" for some.
func (c *compiler) subCgroups() {
	given := map[string]bool{}
	for _, arg := range c.SubCgroups {
		list, sub, some := strings.Cut(arg, ":")
		if !some {
			if len(c.SubCgroups) > 1 {
				c.refuseFlag("--cgroup", arg+" lacks the controllers that it is for", "give CONTROLLER:PATH, or one path for all")
				return
			}
			c.descend(arg, func(string) bool { return true })
			return
		}
		for controller := range strings.SplitSeq(list, ",") {
			dir, known := c.controllerDir(controller)
			switch {
			case !known:
				c.refuseFlag("--cgroup", "the container is in no cgroup of the controller "+strconv.Quote(controller), "")
				return
			case given[controller]:
				c.refuseFlag("--cgroup", "the controller "+controller+" is given twice", "")
				return
			}
			given[controller] = true
			c.descend(sub, func(d string) bool { return d == dir })
		}
	}
}

// controllerDir returns the container's directory that has a controller.
func (c *compiler) controllerDir(name string) (dir string, known bool) {
	hierarchies := c.Facts.Cgroup.V1
	if v2 := c.Facts.Cgroup.V2; v2 != nil {
		hierarchies = append(slices.Clone(hierarchies), *v2)
	}
	for _, h := range hierarchies {
		for _, dir := range c.container.Cgroups {
			if slices.Contains(h.Controllers, name) && strings.HasPrefix(dir, strings.TrimSuffix(h.Mount, "/")+"/") {
				return dir, true
			}
		}
	}
	return "", false
}

// descend replaces those of the container's directories that are wanted by one
// below them.
func (c *compiler) descend(sub string, wanted func(dir string) bool) {
	for i, dir := range c.container.Cgroups {
		if !wanted(dir) {
			continue
		}
		if slices.Contains(strings.Split(sub, "/"), "..") {
			c.refuseFlag("--cgroup", strconv.Quote(sub)+" is no path below the container's cgroup", "")
			return
		}
		if below := path.Join(dir, sub); i < len(c.plan.Cgroup.Join) {
			c.plan.Cgroup.Join[i] = path.Join(below, path.Base(c.plan.Cgroup.Join[i]))
		} else {
			c.plan.Cgroup.Into = below
		}
	}
}

func (c *compiler) refuseFlag(flag, what, hint string) {
	if !c.refused() {
		c.wrong = append(c.wrong, &fail.Error{Where: flag, Doing: what, Hint: hint})
	}
}
