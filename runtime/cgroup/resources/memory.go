// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package resources

import (
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
)

const fromMemory = "linux.resources.memory."

// maxBytes is the greatest limit that the kernel can count: PAGE_COUNTER_MAX
// pages of 4 KiB, in linux/page_counter.h. More would silently be no limit.
const maxBytes = 1<<63 - 4096

// memory compiles linux.resources.memory: config-linux.md, Memory.
func (c *compiler) memory() {
	m := c.r.Memory
	if m == nil {
		return
	}
	c.checkMemory(m)
	for _, phase := range []func(*specs.LinuxMemory) error{
		c.checkUsage, c.memoryLimits, c.memoryReservation, c.swappiness, c.oomKiller,
	} {
		c.note(phase(m))
	}
}

// checkMemory refuses what is wrong in itself and warns of what has gone.
func (c *compiler) checkMemory(m *specs.LinuxMemory) {
	for _, f := range []struct {
		name  string
		value *int64
	}{
		{"limit", m.Limit}, {"reservation", m.Reservation}, {"swap", m.Swap}, {"kernel", m.Kernel}, {"kernelTCP", m.KernelTCP},
	} {
		c.note(checkBytes(fromMemory+f.name, value(f.value)))
	}
	if value(m.Kernel) > 0 {
		c.warn(fromMemory+"kernel", "is ignored: the kernel dropped the separate limit for its own memory")
	}
	if value(m.KernelTCP) > 0 {
		c.warn(fromMemory+"kernelTCP", "is ignored: the kernel accounts TCP buffers with memory.limit")
	}
	if m.UseHierarchy != nil && !*m.UseHierarchy {
		c.warn(fromMemory+"useHierarchy", "cannot be false: since Linux 5.11 memory is always accounted hierarchically")
	}
	limit, swap := value(m.Limit), value(m.Swap)
	switch {
	case swap > 0 && limit <= 0:
		c.note(&fail.Error{Where: configFile + fromMemory + "swap", Doing: "needs a memory.limit: it is the limit of memory and swap together",
			Hint: "set memory.limit to at most memory.swap"})
	case swap > 0 && swap < limit:
		c.note(invalid(fromMemory+"swap", "is "+strconv.FormatInt(swap, 10)+", less than memory.limit: it is the limit of memory and swap together"))
	}
}

// checkBytes refuses a number of bytes that the kernel cannot count; -1 is
// unlimited.
func checkBytes(from string, v int64) error {
	switch {
	case v < -1:
		return invalid(from, "is "+strconv.FormatInt(v, 10)+"; the least value is -1, for unlimited")
	case v > maxBytes:
		return invalid(from, "is "+strconv.FormatInt(v, 10)+", more than the kernel can count; -1 is unlimited")
	}
	return nil
}

// checkUsage compares a new limit with what is used already. v2 would kill
// processes until the new limit holds; a new cgroup uses nothing.
func (c *compiler) checkUsage(m *specs.LinuxMemory) error {
	if m.CheckBeforeUpdate == nil || !*m.CheckBeforeUpdate || value(m.Limit) <= 0 {
		return nil
	}
	h, err := c.on("memory", fromMemory+"checkBeforeUpdate")
	if err != nil {
		return err
	}
	c.out.Limit = append(c.out.Limit, Op{Kind: Below, Path: h.file("memory.usage_in_bytes", "memory.current"),
		Value: strconv.FormatInt(*m.Limit, 10), From: fromMemory + "checkBeforeUpdate"})
	return nil
}

// memoryLimits sets limit and swap in the order that a new cgroup accepts.
//
// v1 counts memory and swap together and refuses a sum below the limit, so the
// sum comes last; it comes first where both are lifted. v2 counts swap alone.
func (c *compiler) memoryLimits(m *specs.LinuxMemory) error {
	limit, swap := value(m.Limit), value(m.Swap)
	if limit == 0 && swap == 0 {
		return nil
	}
	from := fromMemory + "limit"
	if limit == 0 || swap < 0 {
		from = fromMemory + "swap"
	}
	h, err := c.on("memory", from)
	if err != nil {
		return err
	}
	if h.v2 {
		c.memoryLimitsV2(h.dir, limit, swap)
		return nil
	}
	sum := h.dir + "/memory.memsw.limit_in_bytes"
	if swap < 0 || limit < 0 {
		c.writePresent(from, sum, "-1")
	}
	if limit != 0 {
		c.write(fromMemory+"limit", h.dir+"/memory.limit_in_bytes", strconv.FormatInt(limit, 10))
	}
	if swap > 0 {
		c.write(fromMemory+"swap", sum, strconv.FormatInt(swap, 10))
	}
	return nil
}

func (c *compiler) memoryLimitsV2(dir string, limit, swap int64) {
	if limit != 0 {
		c.write(fromMemory+"limit", dir+"/memory.max", orMax(limit))
	}
	// Without swap in the kernel there is no file, and "none" and "unlimited"
	// come to the same.
	file := dir + "/memory.swap.max"
	switch {
	case swap < 0 || swap == 0 && limit < 0:
		c.writePresent(fromMemory+"swap", file, "max")
	case swap > 0 && swap == limit:
		c.writePresent(fromMemory+"swap", file, "0")
	case swap > 0:
		c.write(fromMemory+"swap", file, strconv.FormatInt(swap-limit, 10))
	}
}

func (c *compiler) memoryReservation(m *specs.LinuxMemory) error {
	v := value(m.Reservation)
	if v == 0 {
		return nil
	}
	h, err := c.on("memory", fromMemory+"reservation")
	if err != nil {
		return err
	}
	text := strconv.FormatInt(v, 10)
	if h.v2 {
		text = orMax(v)
	}
	c.write(fromMemory+"reservation", h.file("memory.soft_limit_in_bytes", "memory.low"), text)
	return nil
}

func (c *compiler) swappiness(m *specs.LinuxMemory) error {
	from := fromMemory + "swappiness"
	if m.Swappiness == nil {
		return nil
	}
	if *m.Swappiness > 100 {
		return invalid(from, "is "+strconv.FormatUint(*m.Swappiness, 10)+"; it goes from 0 to 100")
	}
	h, err := c.on("memory", from)
	if err != nil {
		return err
	}
	if h.v2 {
		return v1Only(from, "remove it; vm.swappiness of the host holds for all cgroups")
	}
	c.write(from, h.dir+"/memory.swappiness", strconv.FormatUint(*m.Swappiness, 10))
	return nil
}

func (c *compiler) oomKiller(m *specs.LinuxMemory) error {
	from := fromMemory + "disableOOMKiller"
	if m.DisableOOMKiller == nil || !*m.DisableOOMKiller {
		return nil // engines always send false; it is what a new cgroup has
	}
	h, err := c.on("memory", from)
	if err != nil {
		return err
	}
	if h.v2 {
		return v1Only(from, "remove it; memory.high in linux.resources.unified slows processes down instead of killing them")
	}
	c.write(from, h.dir+"/memory.oom_control", "1")
	return nil
}

// orMax returns how v2 spells a limit; -1 is unlimited.
func orMax(v int64) string {
	if v < 0 {
		return "max"
	}
	return strconv.FormatInt(v, 10)
}

// value returns what p points to, zero if that is nothing.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
