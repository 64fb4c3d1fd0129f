// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package stats

import (
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/coracle-oci/coracle/internal/sys"
)

// A Reader reads the files of one container's cgroups. It remembers which
// directory has which file, so that it can be asked again and again.
type Reader struct {
	dirs  []string
	found map[string]string // by name; "" where there is none
	buf   []byte
}

// New returns a Reader of the directories, one per hierarchy.
func New(dirs []string) *Reader {
	return &Reader{dirs: dirs, found: map[string]string{}, buf: make([]byte, 0, 4096)}
}

// text returns what the file holds, "" if no directory has it.
func (r *Reader) text(name string) string {
	path, known := r.found[name]
	if known && path == "" {
		return ""
	}
	if known {
		data, _ := sys.ReadInto(r.buf[:0], path)
		return string(data)
	}
	for _, dir := range r.dirs {
		if data, err := sys.ReadInto(r.buf[:0], dir+"/"+name); err == nil {
			r.found[name] = dir + "/" + name
			return string(data)
		}
	}
	r.found[name] = ""
	return ""
}

// has tells whether a directory has the file.
func (r *Reader) has(name string) bool {
	r.text(name)
	return r.found[name] != ""
}

// number reads a file with one number; "max" is none.
func (r *Reader) number(name string) uint64 {
	return number(strings.TrimSpace(r.text(name)), 0)
}

// limit is number where none is the greatest, as runc has it for memory.
func (r *Reader) limit(name string) uint64 {
	return number(strings.TrimSpace(r.text(name)), math.MaxUint64)
}

func number(text string, otherwise uint64) uint64 {
	if text == "max" {
		return otherwise
	}
	n, _ := strconv.ParseUint(text, 10, 64)
	return n
}

// Stats reads everything. pid is the container's init, for its network; 0 if it
// has ended.
func (r *Reader) Stats(pid int) Stats {
	s := Stats{CPU: r.cpu(), CPUSet: r.cpuset(), Memory: r.memory(), Blkio: r.blkio(), Hugetlb: r.hugetlb(),
		Pids: Pids{r.number("pids.current"), r.number("pids.max")}}
	if pid > 0 {
		s.NetworkInterfaces = network(pid)
	}
	return s
}

func (r *Reader) cpu() CPU {
	stat := pairs(r.text("cpu.stat"))
	c := CPU{PSI: psi(r.text("cpu.pressure")), Throttling: Throttling{Periods: stat["nr_periods"], ThrottledPeriods: stat["nr_throttled"],
		ThrottledTime: stat["throttled_time"] + 1000*stat["throttled_usec"]}}
	if !r.has("cpuacct.usage") {
		c.Usage = CPUUsage{Total: 1000 * stat["usage_usec"], Kernel: 1000 * stat["system_usec"], User: 1000 * stat["user_usec"]}
		return c
	}
	c.Usage = CPUUsage{Total: r.number("cpuacct.usage"), Kernel: r.number("cpuacct.usage_sys"), User: r.number("cpuacct.usage_user"),
		Percpu: numbers(r.text("cpuacct.usage_percpu"))}
	for line := range strings.Lines(r.text("cpuacct.usage_all")) { // "0 123 456"; the first line names the columns
		if f := numbers(line); len(f) == 3 {
			c.Usage.PercpuUser = append(c.Usage.PercpuUser, f[1])
			c.Usage.PercpuKernel = append(c.Usage.PercpuKernel, f[2])
		}
	}
	return c
}

func (r *Reader) cpuset() CPUSet {
	s := CPUSet{
		CPUs: ranges(r.text("cpuset.cpus")), CPUExclusive: r.number("cpuset.cpu_exclusive"),
		Mems: ranges(r.text("cpuset.mems")), MemHardwall: r.number("cpuset.mem_hardwall"), MemExclusive: r.number("cpuset.mem_exclusive"),
		MemoryMigrate: r.number("cpuset.memory_migrate"), MemorySpreadPage: r.number("cpuset.memory_spread_page"),
		MemorySpreadSlab: r.number("cpuset.memory_spread_slab"), MemoryPressure: r.number("cpuset.memory_pressure"),
		SchedLoadBalance: r.number("cpuset.sched_load_balance"),
	}
	if s.CPUs == nil { // v2: nothing of its own, so what is above
		s.CPUs, s.Mems = ranges(r.text("cpuset.cpus.effective")), ranges(r.text("cpuset.mems.effective"))
	}
	s.SchedRelaxDomainLevel, _ = strconv.ParseInt(strings.TrimSpace(r.text("cpuset.sched_relax_domain_level")), 10, 64)
	return s
}

func (r *Reader) memory() Memory {
	m := Memory{Raw: pairs(r.text("memory.stat")), PSI: psi(r.text("memory.pressure"))}
	if r.has("memory.usage_in_bytes") {
		m.Cache = m.Raw["cache"]
		m.Usage, m.Swap = r.memoryV1("memory."), r.memoryV1("memory.memsw.")
		m.Kernel, m.KernelTCP = r.memoryV1("memory.kmem."), r.memoryV1("memory.kmem.tcp.")
		return m
	}
	if !r.has("memory.current") {
		return m
	}
	m.EventCount = pairs(r.text("memory.events"))
	m.Cache = m.Raw["file"]
	m.Usage = MemoryEntry{Limit: r.limit("memory.max"), Usage: r.number("memory.current"), Max: r.number("memory.peak"), Failcnt: m.EventCount["max"]}
	m.Kernel.Usage = m.Raw["kernel"]
	if r.has("memory.swap.current") {
		m.Swap = MemoryEntry{Limit: sum(m.Usage.Limit, r.limit("memory.swap.max")), Usage: m.Usage.Usage + r.number("memory.swap.current"),
			Failcnt: pairs(r.text("memory.swap.events"))["max"]}
	}
	return m
}

func (r *Reader) memoryV1(prefix string) MemoryEntry {
	return MemoryEntry{Limit: r.number(prefix + "limit_in_bytes"), Usage: r.number(prefix + "usage_in_bytes"),
		Max: r.number(prefix + "max_usage_in_bytes"), Failcnt: r.number(prefix + "failcnt")}
}

// sum adds limits, of which one may be none.
func sum(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}

// blkio reads v2's io.stat, or what v1's scheduler BFQ counts, or else what the
// throttling layer does.
func (r *Reader) blkio() Blkio {
	b := Blkio{PSI: psi(r.text("io.pressure"))}
	if r.has("io.stat") {
		b.IoServiceBytesRecursive, b.IoServicedRecursive = ioStat(r.text("io.stat"))
		return b
	}
	prefix := "blkio.bfq."
	if len(blkioEntries(r.text(prefix+"io_serviced_recursive"))) == 0 {
		prefix = "blkio.throttle."
	}
	for _, f := range []struct {
		to   *[]BlkioEntry
		name string
	}{
		{&b.IoServiceBytesRecursive, "io_service_bytes"}, {&b.IoServicedRecursive, "io_serviced"}, {&b.IoQueuedRecursive, "io_queued"},
		{&b.IoServiceTimeRecursive, "io_service_time"}, {&b.IoWaitTimeRecursive, "io_wait_time"}, {&b.IoMergedRecursive, "io_merged"},
		{&b.IoTimeRecursive, "time"}, {&b.SectorsRecursive, "sectors"},
	} {
		*f.to = blkioEntries(r.text(prefix + f.name + "_recursive"))
	}
	return b
}

// hugetlb reads the files of each page size that the kernel has.
func (r *Reader) hugetlb() map[string]Hugetlb {
	sizes := map[string]Hugetlb{}
	entries, _ := os.ReadDir("/sys/kernel/mm/hugepages")
	for _, e := range entries {
		size := pageSize(e.Name())
		prefix := "hugetlb." + size + "."
		switch {
		case size == "":
		case r.has(prefix + "usage_in_bytes"):
			sizes[size] = Hugetlb{r.number(prefix + "usage_in_bytes"), r.number(prefix + "max_usage_in_bytes"), r.number(prefix + "failcnt")}
		case r.has(prefix + "current"):
			sizes[size] = Hugetlb{Usage: r.number(prefix + "current"), Failcnt: pairs(r.text(prefix + "events"))["max"]}
		}
	}
	return sizes
}

// network returns the interfaces of the namespace of pid, but of our own: that
// is the host's, and not the container's doing.
func network(pid int) []NetworkInterface {
	dir := "/proc/" + strconv.Itoa(pid)
	theirs, err := os.Readlink(dir + "/ns/net")
	if ours, err2 := os.Readlink("/proc/self/ns/net"); err != nil || err2 != nil || ours == theirs {
		return nil
	}
	data, _ := sys.ReadInto(make([]byte, 0, 4096), dir+"/net/dev")
	return interfaces(string(data))
}

// Usage reads the few figures.
func (r *Reader) Usage() Usage {
	u := Usage{Pids: r.number("pids.current"), PidsPeak: r.number("pids.peak")}
	if r.has("cpuacct.usage") {
		u.CPU = r.number("cpuacct.usage")
	} else {
		u.CPU = 1000 * pairs(r.text("cpu.stat"))["usage_usec"]
	}
	if r.has("memory.usage_in_bytes") {
		u.Memory, u.MemoryPeak = r.number("memory.usage_in_bytes"), r.number("memory.max_usage_in_bytes")
		u.OOMKills = pairs(r.text("memory.oom_control"))["oom_kill"]
	} else {
		u.Memory, u.MemoryPeak = r.number("memory.current"), r.number("memory.peak")
		u.OOMKills = pairs(r.text("memory.events"))["oom_kill"]
	}
	bytes, _ := ioStat(r.text("io.stat"))
	if !r.has("io.stat") {
		bytes = blkioEntries(r.text("blkio.throttle.io_service_bytes_recursive"))
	}
	for _, e := range bytes {
		switch e.Op {
		case "Read":
			u.IORead += e.Value
		case "Write":
			u.IOWritten += e.Value
		}
	}
	return u
}
