// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package resources

import (
	"math"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
)

const fromCPU = "linux.resources.cpu."

// What kernel/sched/core.c accepts, in µs but for the shares.
const (
	leastSlice    = 1_000       // min_cfs_quota_period
	greatestSlice = 1_000_000   // max_cfs_quota_period
	greatestQuota = 1<<44 - 1   // MAX_BW
	defaultPeriod = 100_000     // default_cfs_period
	maxShares     = 256 * 1_024 // MAX_SHARES
	minShares     = 2           // MIN_SHARES
)

// cpu compiles linux.resources.cpu but for cpus and mems: config-linux.md, CPU.
func (c *compiler) cpu() {
	p := c.r.CPU
	if p == nil {
		return
	}
	for _, check := range []func(*specs.LinuxCPU) error{checkShares, checkQuota, checkPeriod, checkBurst, checkRealtime} {
		c.note(check(p))
	}
	for _, phase := range []func(*specs.LinuxCPU) error{c.idle, c.shares, c.bandwidth, c.burst, c.realtime} {
		c.note(phase(p))
	}
}

func checkShares(p *specs.LinuxCPU) error {
	switch shares := value(p.Shares); {
	case shares > maxShares:
		return invalid(fromCPU+"shares", "is "+strconv.FormatUint(shares, 10)+"; the kernel's greatest is 262144")
	case p.Idle != nil && *p.Idle != 0 && *p.Idle != 1:
		return invalid(fromCPU+"idle", "is "+strconv.FormatInt(*p.Idle, 10)+"; it is 0 or 1")
	}
	return nil
}

func checkQuota(p *specs.LinuxCPU) error {
	switch quota := value(p.Quota); {
	case quota < -1:
		return invalid(fromCPU+"quota", "is "+strconv.FormatInt(quota, 10)+"; the least value is -1, for unlimited")
	case quota > 0 && quota < leastSlice:
		return invalid(fromCPU+"quota", "is "+strconv.FormatInt(quota, 10)+" µs; the kernel's least is 1000")
	case quota > greatestQuota:
		return invalid(fromCPU+"quota", "is "+strconv.FormatInt(quota, 10)+" µs, more than the kernel can count; -1 is unlimited")
	}
	return nil
}

func checkPeriod(p *specs.LinuxCPU) error {
	if period := value(p.Period); period != 0 && (period < leastSlice || period > greatestSlice) {
		return invalid(fromCPU+"period", "is "+strconv.FormatUint(period, 10)+" µs; it goes from 1000 to 1000000")
	}
	return nil
}

func checkBurst(p *specs.LinuxCPU) error {
	switch quota, burst := value(p.Quota), value(p.Burst); {
	case burst != 0 && quota > 0 && burst > uint64(quota):
		return invalid(fromCPU+"burst", "is "+strconv.FormatUint(burst, 10)+" µs, more than cpu.quota")
	case burst > greatestQuota:
		return invalid(fromCPU+"burst", "is "+strconv.FormatUint(burst, 10)+" µs, more than the kernel can count")
	}
	return nil
}

func checkRealtime(p *specs.LinuxCPU) error {
	switch {
	case value(p.RealtimeRuntime) < -1:
		return invalid(fromCPU+"realtimeRuntime", "is "+strconv.FormatInt(*p.RealtimeRuntime, 10)+"; the least value is -1, for unlimited")
	case value(p.RealtimePeriod) > math.MaxInt32:
		return invalid(fromCPU+"realtimePeriod", "is "+strconv.FormatUint(*p.RealtimePeriod, 10)+" µs, more than the kernel can count")
	}
	return nil
}

func (c *compiler) idle(p *specs.LinuxCPU) error {
	if p.Idle == nil {
		return nil
	}
	h, err := c.on("cpu", fromCPU+"idle")
	if err != nil {
		return err
	}
	c.write(fromCPU+"idle", h.dir+"/cpu.idle", strconv.FormatInt(*p.Idle, 10))
	return nil
}

// shares come after idle: the kernel refuses them for an idle cgroup, whose
// weight is the least there is.
func (c *compiler) shares(p *specs.LinuxCPU) error {
	shares := value(p.Shares)
	if shares == 0 || value(p.Idle) == 1 {
		return nil
	}
	h, err := c.on("cpu", fromCPU+"shares")
	if err != nil {
		return err
	}
	if h.v2 {
		shares = Weight(shares)
	}
	c.write(fromCPU+"shares", h.file("cpu.shares", "cpu.weight"), strconv.FormatUint(shares, 10))
	return nil
}

// Weight converts shares of v1 (2 to 262144, default 1024) to the weight of v2
// (1 to 10000, default 100).
//
// The curve is a parabola in the logarithms through the least, the default and
// the greatest values: all runtimes agreed on it in 2025, because the straight
// line of before gave the default of v1 a weight of 39.
func Weight(shares uint64) uint64 {
	switch {
	case shares <= minShares:
		return 1
	case shares >= maxShares:
		return 10_000
	}
	l := math.Log2(float64(shares))
	return uint64(math.Ceil(math.Pow(10, (l*l+125*l)/612-7.0/34)))
}

// bandwidth sets quota and period.
func (c *compiler) bandwidth(p *specs.LinuxCPU) error {
	quota, period := value(p.Quota), value(p.Period)
	if quota == 0 && period == 0 {
		return nil
	}
	from := fromCPU + "quota"
	if quota == 0 {
		from = fromCPU + "period"
	}
	h, err := c.on("cpu", from)
	if err != nil {
		return err
	}
	if h.v2 {
		// One file for both. A period of its own still needs a word before it.
		if period == 0 {
			period = defaultPeriod
		}
		text := "max"
		if quota > 0 {
			text = strconv.FormatInt(quota, 10)
		}
		c.write(from, h.dir+"/cpu.max", text+" "+strconv.FormatUint(period, 10))
		return nil
	}
	// The period comes first: together with the new quota, the old period may
	// be more than the parent has.
	if period != 0 {
		c.write(fromCPU+"period", h.dir+"/cpu.cfs_period_us", strconv.FormatUint(period, 10))
	}
	if quota != 0 {
		c.write(fromCPU+"quota", h.dir+"/cpu.cfs_quota_us", strconv.FormatInt(quota, 10))
	}
	return nil
}

// burst comes after quota: the kernel refuses one that is greater.
func (c *compiler) burst(p *specs.LinuxCPU) error {
	if p.Burst == nil {
		return nil
	}
	h, err := c.on("cpu", fromCPU+"burst")
	if err != nil {
		return err
	}
	path, text := h.file("cpu.cfs_burst_us", "cpu.max.burst"), strconv.FormatUint(*p.Burst, 10)
	if *p.Burst == 0 { // the default, also where the kernel has no such file
		c.writePresent(fromCPU+"burst", path, text)
	} else {
		c.write(fromCPU+"burst", path, text)
	}
	return nil
}

// realtime exists in v1 only, and only where the kernel has RT_GROUP_SCHED.
func (c *compiler) realtime(p *specs.LinuxCPU) error {
	for _, f := range []struct{ name, file, value string }{
		{"realtimePeriod", "cpu.rt_period_us", unlessZero(strconv.FormatUint(value(p.RealtimePeriod), 10))},
		{"realtimeRuntime", "cpu.rt_runtime_us", unlessZero(strconv.FormatInt(value(p.RealtimeRuntime), 10))},
	} {
		if f.value == "" {
			continue
		}
		h, err := c.on("cpu", fromCPU+f.name)
		if err != nil {
			return err
		}
		if h.v2 {
			return v1Only(fromCPU+f.name, "remove it; cgroup v2 does not share out realtime scheduling")
		}
		c.write(fromCPU+f.name, h.dir+"/"+f.file, f.value)
	}
	return nil
}

func unlessZero(text string) string {
	if text == "0" {
		return ""
	}
	return text
}

// cpuset compiles cpus and mems.
func (c *compiler) cpuset() {
	p := c.r.CPU
	if p == nil {
		return
	}
	for _, f := range []struct{ name, value string }{{"cpus", p.Cpus}, {"mems", p.Mems}} {
		if f.value == "" {
			continue
		}
		from := fromCPU + f.name
		if !isList(f.value) {
			c.note(&fail.Error{Where: configFile + from, Doing: "is " + strconv.Quote(f.value) + ", which is not a list of numbers and ranges",
				Hint: `write it as in "0-3,7"`})
			continue
		}
		h, err := c.on("cpuset", from)
		if c.note(err); err == nil {
			c.write(from, h.dir+"/cpuset."+f.name, f.value)
		}
	}
}

// isList reports whether s can be a List Format of cpuset(7). Besides numbers
// and ranges the kernel knows groups ("0-31:1/2"), "N" for the last and "all".
func isList(s string) bool {
	return s == "all" || strings.Trim(s, "0123456789-,:/N") == "" && strings.ContainsAny(s, "0123456789N")
}
