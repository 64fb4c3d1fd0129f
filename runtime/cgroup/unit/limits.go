// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package unit

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/runtime/cgroup/resources"
	"github.com/coracle-oci/coracle/runtime/dbus"
)

const fromResources = "linux.resources."

// unlimited is how systemd says that there is no limit.
const unlimited = math.MaxUint64

// Limits returns the properties for limits that change.
func Limits(r *specs.LinuxResources) []Property {
	var u Unit
	u.limits(r)
	u.unified(r.Unified)
	return u.Properties
}

// limits adds the properties of systemd.resource-control(5) for those limits that
// it knows. On version 1 it sets what comes closest by itself.
func (u *Unit) limits(r *specs.LinuxResources) {
	if m := r.Memory; m != nil {
		limit := value(m.Limit)
		u.bytes("memory.limit", "MemoryMax", limit)
		u.bytes("memory.reservation", "MemoryLow", value(m.Reservation))
		switch swap := value(m.Swap); { // of memory and swap together
		case swap > 0 && limit > 0:
			u.add(fromResources+"memory.swap", "MemorySwapMax", dbus.Uint64(uint64(swap-limit)))
		case swap < 0 || limit < 0:
			u.add(fromResources+"memory.swap", "MemorySwapMax", dbus.Uint64(unlimited))
		}
	}
	if p := r.CPU; p != nil {
		u.cpu(p)
	}
	// Limits of 0 and 1 leave no room for making the container: those are set
	// when it is made.
	if p := r.Pids; p != nil && p.Limit != nil && (*p.Limit > 1 || *p.Limit < 0) {
		u.bytes("pids.limit", "TasksMax", *p.Limit)
	}
	if b := r.BlockIO; b != nil && value(b.Weight) != 0 {
		u.add(fromResources+"blockIO.weight", "IOWeight", dbus.Uint64(resources.IOWeight(*b.Weight)))
	}
}

// bytes adds a limit of which 0 is none and less is unlimited.
func (u *Unit) bytes(from, name string, v int64) {
	switch {
	case v > 0:
		u.add(fromResources+from, name, dbus.Uint64(uint64(v)))
	case v < 0:
		u.add(fromResources+from, name, dbus.Uint64(unlimited))
	}
}

func (u *Unit) cpu(p *specs.LinuxCPU) {
	// systemd knows idle since version 252 only; without the property it leaves
	// the file alone.
	if shares := value(p.Shares); shares != 0 && value(p.Idle) != 1 {
		u.add(fromResources+"cpu.shares", "CPUWeight", dbus.Uint64(resources.Weight(shares)))
	}
	if quota := value(p.Quota); quota != 0 {
		u.quota(fromResources+"cpu.quota", quota, value(p.Period))
	}
	u.set(fromResources+"cpu.cpus", "AllowedCPUs", p.Cpus)
	u.set(fromResources+"cpu.mems", "AllowedMemoryNodes", p.Mems)
}

// quota adds the share of a second. systemd counts in hundredths of a CPU: what
// is between is rounded up, as the exact limit is in the file.
func (u *Unit) quota(from string, quota int64, period uint64) {
	const hundredth = 10_000
	if period == 0 {
		period = 100_000
	}
	perSecond := uint64(unlimited)
	if quota > 0 {
		perSecond = (uint64(quota)*1_000_000/period + hundredth - 1) / hundredth * hundredth
	}
	u.add(from, "CPUQuotaPerSecUSec", dbus.Uint64(perSecond))
	u.add(from, "CPUQuotaPeriodUSec", dbus.Uint64(period))
}

// set adds a list of CPUs or of memory nodes as a mask. Those that only the
// kernel can read ("all", "0-31:1/2") stand in the file alone.
func (u *Unit) set(from, name, list string) {
	if mask, ok := bitmask(list); ok && list != "" {
		u.add(from, name, dbus.Bytes(mask))
	}
}

// bitmask returns "0-2,9" as bytes, the lowest number first.
func bitmask(list string) ([]byte, bool) {
	const most = 1 << 16
	var mask []byte
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || from > to || to >= most {
			return nil, false
		}
		for n := from; n <= to; n++ {
			for len(mask) <= n/8 {
				mask = append(mask, 0)
			}
			mask[n/8] |= 1 << (n % 8)
		}
	}
	return mask, true
}

// unified adds the properties for files of version 2 that systemd writes itself,
// so that it does not write something else. The others are only files.
func (u *Unit) unified(files map[string]string) {
	for _, file := range slices.Sorted(maps.Keys(files)) {
		from, text := "linux.resources.unified["+strconv.Quote(file)+"]", strings.TrimSpace(files[file])
		switch file {
		case "cpuset.cpus":
			u.set(from, "AllowedCPUs", text)
		case "cpuset.mems":
			u.set(from, "AllowedMemoryNodes", text)
		case "cpu.max":
			u.max(from, text)
		}
		name := unifiedProperty(file)
		n, err := strconv.ParseUint(text, 10, 64)
		if text == "max" {
			n, err = unlimited, nil
		}
		// Spellings that only the kernel knows ("1G", "default 50") stay in the file.
		if err == nil && name != "" && (file != "pids.max" || n > 1) {
			u.add(from, name, dbus.Uint64(n))
		}
	}
}

// unifiedProperty is what systemd calls a file of one number; "" if it has no name for it.
func unifiedProperty(file string) string {
	switch file {
	case "cpu.weight":
		return "CPUWeight"
	case "pids.max":
		return "TasksMax"
	case "memory.min":
		return "MemoryMin"
	case "memory.low":
		return "MemoryLow"
	case "memory.high":
		return "MemoryHigh"
	case "memory.max":
		return "MemoryMax"
	case "memory.swap.max":
		return "MemorySwapMax"
	}
	return ""
}

// max adds "QUOTA PERIOD" of cpu.max.
func (u *Unit) max(from, text string) {
	words := strings.Fields(text + " 100000")
	period, err := strconv.ParseUint(words[1], 10, 64)
	if err != nil || period == 0 {
		return
	}
	if words[0] == "max" {
		u.quota(from, -1, period)
	} else if quota, err := strconv.ParseInt(words[0], 10, 44); err == nil && quota > 0 {
		u.quota(from, quota, period)
	}
}

func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
