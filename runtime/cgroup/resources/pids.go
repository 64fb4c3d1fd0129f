// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package resources

import "strconv"

// maxPids is PID_MAX_LIMIT of 64-bit kernels, the greatest limit that
// kernel/cgroup/pids.c takes.
const maxPids = 4 << 20

// pids compiles linux.resources.pids. A limit of 0 is a limit: the process that
// is there may not fork.
func (c *compiler) pids() { c.note(c.pidsLimit()) }

func (c *compiler) pidsLimit() error {
	const from = "linux.resources.pids.limit"
	if c.r.Pids == nil || c.r.Pids.Limit == nil {
		return nil
	}
	limit := *c.r.Pids.Limit
	switch {
	case limit < -1:
		return invalid(from, "is "+strconv.FormatInt(limit, 10)+"; the least value is -1, for unlimited")
	case limit > maxPids:
		return invalid(from, "is "+strconv.FormatInt(limit, 10)+"; the kernel's greatest is 4194304, and -1 is unlimited")
	}
	h, err := c.on("pids", from)
	if err != nil {
		return err
	}
	c.write(from, h.dir+"/pids.max", orMax(limit))
	// The process that clones the init and the init are two.
	c.out.Limit[len(c.out.Limit)-1].Late = limit == 0 || limit == 1
	return nil
}
