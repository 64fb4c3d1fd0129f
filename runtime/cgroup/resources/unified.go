// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package resources

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/coracle-oci/coracle/internal/fail"
)

// unified compiles linux.resources.unified: files of v2 with their values, in
// the order of their names. They come after the other fields and so win.
//
// A file that is not of a known controller is written as well (config-linux.md,
// Unified); the kernel decides.
func (c *compiler) unified() {
	for _, file := range slices.Sorted(maps.Keys(c.r.Unified)) {
		c.note(c.unifiedFile("linux.resources.unified["+strconv.Quote(file)+"]", file))
	}
}

func (c *compiler) unifiedFile(from, file string) error {
	controller, _, dotted := strings.Cut(file, ".")
	if !dotted || controller == "" || strings.ContainsAny(file, "/\x00") {
		return invalid(from, "is no file of a cgroup: those are called CONTROLLER.NAME")
	}
	dir := ""
	for _, p := range c.places {
		if p.v2 {
			dir = p.leaf
		} else if slices.Contains(p.hierarchy.Controllers, v1Name(controller)) {
			return &fail.Error{Where: configFile + from, Doing: "cannot be applied: the controller " + controller + " is on a cgroup v1 hierarchy",
				Hint: "use the other fields of linux.resources"}
		}
	}
	if dir == "" {
		return &fail.Error{Where: configFile + from, Doing: "cannot be applied: cgroup v2 is not mounted",
			Hint: "use the other fields of linux.resources"}
	}
	if _, ok := c.find(v1Name(controller)); ok {
		c.use(home{dir, true}, v1Name(controller))
	}
	// The kernel takes one line per write.
	for line := range strings.SplitSeq(strings.TrimRight(c.r.Unified[file], "\n"), "\n") {
		c.write(from, dir+"/"+file, line)
	}
	return nil
}
