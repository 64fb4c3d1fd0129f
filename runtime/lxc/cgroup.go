// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package lxc

import (
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// cgroup converts the value of one file of a cgroup. What linux.resources has a
// field for works on both versions then; other files of v2 are written as they are.
func (c *converter) cgroup(file, value string, v2 bool) {
	switch controller, _, _ := strings.Cut(file, "."); {
	case controller == "devices":
		c.deviceRule(strings.TrimPrefix(file, "devices."), value, v2)
	case controller == "memory" && c.memory(file, value):
	case controller == "cpu" && c.cpu(file, value):
	case controller == "cpuset" && c.cpuset(file, value):
	case file == "pids.max":
		n := c.orUnlimited(value)
		c.spec.Linux.Resources.Pids = &specs.LinuxPids{Limit: &n}
	case controller == "hugetlb" && c.hugetlb(file, value):
	case controller == "blkio" && c.blockIO(file, value):
	case file == "net_cls.classid":
		n, err := strconv.ParseUint(value, 0, 32)
		if err != nil {
			c.bad("is no class")
		}
		id := uint32(n)
		c.netResources().ClassID = &id
	case file == "net_prio.ifpriomap":
		name, text, _ := strings.Cut(value, " ")
		n := c.number(text, 0, 1<<32-1)
		c.netResources().Priorities = append(c.netResources().Priorities, specs.LinuxInterfacePriority{Name: name, Priority: uint32(n)})
	case v2 && c.V1:
		c.without("this machine has cgroup v1, where LXC passes it over as well")
	case v2 && strings.Contains(file, "."):
		r := c.spec.Linux.Resources
		if r.Unified == nil {
			r.Unified = map[string]string{}
		}
		r.Unified[file] = value
	default:
		c.without("has no counterpart")
	}
}

func (c *converter) netResources() *specs.LinuxNetwork {
	if c.spec.Linux.Resources.Network == nil {
		c.spec.Linux.Resources.Network = &specs.LinuxNetwork{}
	}
	return c.spec.Linux.Resources.Network
}

func (c *converter) memory(file, value string) bool {
	r := c.spec.Linux.Resources
	if r.Memory == nil {
		r.Memory = &specs.LinuxMemory{}
	}
	switch file {
	case "memory.limit_in_bytes", "memory.max":
		r.Memory.Limit = c.bytes(value)
	case "memory.soft_limit_in_bytes", "memory.low":
		r.Memory.Reservation = c.bytes(value)
	case "memory.memsw.limit_in_bytes":
		r.Memory.Swap = c.bytes(value)
	case "memory.swappiness":
		n := uint64(c.number(value, 0, 100))
		r.Memory.Swappiness = &n
	case "memory.oom_control":
		off := value == "1"
		r.Memory.DisableOOMKiller = &off
	default:
		return false
	}
	return true
}

func (c *converter) cpu(file, value string) bool {
	r := c.spec.Linux.Resources
	if r.CPU == nil {
		r.CPU = &specs.LinuxCPU{}
	}
	unsigned := func() *uint64 { n := uint64(c.number(value, 0, 1<<62)); return &n }
	signed := func() *int64 { n := c.number(value, -1, 1<<62); return &n }
	switch file {
	case "cpu.shares":
		r.CPU.Shares = unsigned()
	case "cpu.cfs_quota_us":
		r.CPU.Quota = signed()
	case "cpu.cfs_period_us":
		r.CPU.Period = unsigned()
	case "cpu.rt_runtime_us":
		r.CPU.RealtimeRuntime = signed()
	case "cpu.rt_period_us":
		r.CPU.RealtimePeriod = unsigned()
	case "cpu.idle":
		r.CPU.Idle = signed()
	case "cpu.max":
		quota, period, two := strings.Cut(value, " ")
		n := c.orUnlimited(quota)
		r.CPU.Quota = &n
		if two {
			p := uint64(c.number(period, 1, 1<<32))
			r.CPU.Period = &p
		}
	default:
		return false
	}
	return true
}

func (c *converter) cpuset(file, value string) bool {
	r := c.spec.Linux.Resources
	if r.CPU == nil {
		r.CPU = &specs.LinuxCPU{}
	}
	switch file {
	case "cpuset.cpus":
		r.CPU.Cpus = value
	case "cpuset.mems":
		r.CPU.Mems = value
	default:
		return false
	}
	return true
}

// hugetlb reads hugetlb.2MB.limit_in_bytes and hugetlb.2MB.max.
func (c *converter) hugetlb(file, value string) bool {
	size, ok := strings.CutPrefix(file, "hugetlb.")
	size, v1 := strings.CutSuffix(size, ".limit_in_bytes")
	size, v2 := strings.CutSuffix(size, ".max")
	limit := c.bytes(value)
	if !ok || v1 == v2 || strings.Contains(size, ".") || *limit < 0 {
		return false
	}
	r := c.spec.Linux.Resources
	r.HugepageLimits = append(r.HugepageLimits, specs.LinuxHugepageLimit{Pagesize: size, Limit: uint64(*limit)})
	return true
}

func (c *converter) blockIO(file, value string) bool {
	r := c.spec.Linux.Resources
	if r.BlockIO == nil {
		r.BlockIO = &specs.LinuxBlockIO{}
	}
	b := r.BlockIO
	if file == "blkio.weight" {
		n := uint16(c.number(value, 10, 1000))
		b.Weight = &n
		return true
	}
	list := map[string]*[]specs.LinuxThrottleDevice{
		"blkio.throttle.read_bps_device": &b.ThrottleReadBpsDevice, "blkio.throttle.write_bps_device": &b.ThrottleWriteBpsDevice,
		"blkio.throttle.read_iops_device": &b.ThrottleReadIOPSDevice, "blkio.throttle.write_iops_device": &b.ThrottleWriteIOPSDevice,
	}[file]
	if list == nil {
		return false
	}
	device, rate, _ := strings.Cut(value, " ")
	major, minor, _ := strings.Cut(device, ":")
	d := specs.LinuxThrottleDevice{Rate: uint64(c.number(rate, 0, 1<<62))}
	d.Major, d.Minor = c.number(major, 0, 1<<32), c.number(minor, 0, 1<<32)
	*list = append(*list, d)
	return true
}

// deviceRule reads "c 1:3 rwm" or "a".
func (c *converter) deviceRule(file, value string, v2 bool) {
	if file != "allow" && file != "deny" {
		c.without("has no counterpart")
		return
	}
	r := specs.LinuxDeviceCgroup{Allow: file == "allow", Access: "rwm"}
	f := strings.Fields(value)
	if len(f) == 0 || len(f) == 2 || len(f) > 3 || !strings.Contains("abc", f[0]) {
		c.bad("is not TYPE MAJOR:MINOR ACCESS")
		return
	}
	r.Type = f[0]
	if len(f) == 3 {
		major, minor, _ := strings.Cut(f[1], ":")
		r.Major, r.Minor, r.Access = c.orAny(major), c.orAny(minor), f[2]
	}
	version := 0
	if v2 {
		version = 1
	}
	c.devices[version] = append(c.devices[version], r)
}

func (c *converter) orAny(text string) *int64 {
	if text == "*" {
		return nil
	}
	n := c.number(text, 0, 1<<32-1)
	return &n
}

// deviceRules takes the rules of v2 where there are any: LXC's configs have both.
// A container has all devices unless its first rule takes them away.
func (c *converter) deviceRules() {
	rules := c.devices[1]
	if rules == nil {
		rules = c.devices[0]
	}
	if len(rules) == 0 || rules[0].Allow || rules[0].Type != "a" {
		rules = append([]specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}, rules...)
	}
	c.spec.Linux.Resources.Devices = rules
	if len(c.devices[0]) > 0 && len(c.devices[1]) > 0 && len(c.devices[0]) != len(c.devices[1]) {
		c.line = line{c.File, "lxc.cgroup.devices", strconv.Itoa(len(c.devices[0])) + " rules"}
		c.without("those of lxc.cgroup2 are used instead")
	}
}

// bytes reads a number with a unit: "512M", "1G", "max".
func (c *converter) bytes(text string) *int64 {
	digits := strings.TrimRight(text, "KMGTkmgtBb")
	shift := map[string]int{"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
	bits, ok := shift[strings.TrimSuffix(strings.ToUpper(text[len(digits):]), "B")]
	n := c.orUnlimited(digits)
	if !ok || n > 1<<62>>bits {
		c.bad("is no number of bytes")
	}
	if n > 0 {
		n <<= bits
	}
	return &n
}

// orUnlimited reads a number, -1 or "max".
func (c *converter) orUnlimited(text string) int64 {
	if text == "max" {
		return -1
	}
	return c.number(text, -1, 1<<62)
}
