// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package resources

import (
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/runtime/facts"
)

// Update returns the operations that give a container that has the directories
// dirs the limits r. What r does not name stays as it is; zero counts as not
// named, as engines send zeros for what their user has not given. Rules for
// devices are left out: engines send them too, and they would take away what
// others have granted meanwhile.
//
// read returns what a file holds now: some values can only be set together with
// others, or in an order that depends on them.
func Update(dirs []string, r *specs.LinuxResources, f facts.Cgroup, read func(path string) string) (Change, error) {
	changed := *r
	changed.Devices = nil
	c := compiler{r: &changed}
	c.settled(dirs, f)
	c.complete(read)
	for _, phase := range []func(){
		c.memory, c.cpu, c.cpuset, c.pids, c.blockIO, c.hugepageLimits, c.rdma, c.network, c.unified,
	} {
		phase()
	}
	if len(c.wrong) > 0 {
		return Change{}, c.wrong[0]
	}
	c.order(read)
	return Change{c.out.Limit, c.r, c.out.Warnings}, nil
}

// A Change is how limits are changed.
type Change struct {
	Ops      []Op
	Limits   *specs.LinuxResources // with the values that they have to be set together with
	Warnings []string
}

// settled takes the places from the directories that the container has.
func (c *compiler) settled(dirs []string, f facts.Cgroup) {
	below := func(h facts.Hierarchy) string {
		i := slices.IndexFunc(dirs, func(dir string) bool { return strings.HasPrefix(dir, strings.TrimSuffix(h.Mount, "/")+"/") })
		if i < 0 {
			return ""
		}
		return dirs[i]
	}
	for _, h := range f.V1 {
		if dir := below(h); dir != "" {
			c.places = append(c.places, place{hierarchy: h, leaf: dir})
		}
	}
	if f.V2 == nil {
		return
	}
	if dir := below(*f.V2); dir != "" {
		c.places = append(c.places, place{hierarchy: *f.V2, v2: true, leaf: dir})
	}
}

// complete adds what the kernel has to values that need a partner: a period to a
// quota on v2, where both are one value, and a limit of memory to that of memory
// and swap.
func (c *compiler) complete(read func(string) string) {
	if h, ok := c.find("cpu"); ok && h.v2 && c.r.CPU != nil && (value(c.r.CPU.Quota) == 0) != (value(c.r.CPU.Period) == 0) {
		quota, period, _ := strings.Cut(strings.TrimSpace(read(h.dir+"/cpu.max")), " ")
		cpu := *c.r.CPU
		if n, err := strconv.ParseInt(quota, 10, 64); err == nil && value(cpu.Quota) == 0 {
			cpu.Quota = &n
		}
		if n, err := strconv.ParseUint(period, 10, 64); err == nil && value(cpu.Period) == 0 {
			cpu.Period = &n
		}
		c.r.CPU = &cpu
	}
	if h, ok := c.find("memory"); ok && c.r.Memory != nil && value(c.r.Memory.Swap) > 0 && value(c.r.Memory.Limit) == 0 {
		memory := *c.r.Memory
		if n, err := strconv.ParseInt(strings.TrimSpace(read(h.file("memory.limit_in_bytes", "memory.max"))), 10, 64); err == nil && n < maxBytes {
			memory.Limit = &n
		}
		c.r.Memory = &memory
	}
}

// order puts values of v1 that limit each other into the order that leads through
// valid pairs only: memory is at most memory and swap together, and a quota's
// share of its period at most the parent's.
func (c *compiler) order(read func(string) string) {
	c.swapIf("/memory.limit_in_bytes", "/memory.memsw.limit_in_bytes", func(limit, sum Op) bool {
		now, err := strconv.ParseInt(strings.TrimSpace(read(limit.Path)), 10, 64)
		wanted, err2 := strconv.ParseInt(sum.Value, 10, 64)
		return err == nil && err2 == nil && (wanted < 0 || wanted >= now)
	})
	c.swapIf("/cpu.cfs_period_us", "/cpu.cfs_quota_us", func(period, _ Op) bool {
		now, err := strconv.ParseInt(strings.TrimSpace(read(period.Path)), 10, 64)
		wanted, err2 := strconv.ParseInt(period.Value, 10, 64)
		return err == nil && err2 == nil && wanted < now
	})
}

// swapIf exchanges the writes to two files if the first comes before the second
// and the condition holds.
func (c *compiler) swapIf(first, second string, condition func(first, second Op) bool) {
	of := func(file string) int {
		return slices.IndexFunc(c.out.Limit, func(o Op) bool { return strings.HasSuffix(o.Path, file) })
	}
	i, j := of(first), of(second)
	if i >= 0 && j > i && condition(c.out.Limit[i], c.out.Limit[j]) {
		c.out.Limit[i], c.out.Limit[j] = c.out.Limit[j], c.out.Limit[i]
	}
}
