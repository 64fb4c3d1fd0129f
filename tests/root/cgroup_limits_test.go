// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/testkit"
	"github.com/coracle-oci/coracle/runtime/cgroup"
)

const mebibyte = 1 << 20

// TestRootCgroupMemory: the limit kills, and the kill is counted.
func TestRootCgroupMemory(t *testing.T) {
	b := newBox(t, &specs.LinuxResources{Memory: &specs.LinuxMemory{
		Limit: ptr[int64](32 * mebibyte), Reservation: ptr[int64](16 * mebibyte), Swap: ptr[int64](32 * mebibyte), CheckBeforeUpdate: ptr(true),
	}})
	b.expectFile(strconv.Itoa(32*mebibyte), "memory.limit_in_bytes", "memory.max")
	b.expectFile(strconv.Itoa(16*mebibyte), "memory.soft_limit_in_bytes", "memory.low")
	if n, err := cgroup.OOMKills(b.Dirs); err != nil || n != 0 {
		t.Fatal(n, err)
	}
	// tail keeps a line that never ends in memory.
	for _, c := range []struct {
		mebibytes int
		kills     bool
	}{{4, false}, {128, true}} {
		_, err := b.run("head -c " + strconv.Itoa(c.mebibytes) + "M /dev/zero | tail -n 1 | wc -c | grep -qx " + strconv.Itoa(c.mebibytes*mebibyte))
		if (err != nil) != c.kills {
			t.Errorf("%d MiB: %v", c.mebibytes, err)
		}
		if n, err := cgroup.OOMKills(b.Dirs); err != nil || (n > 0) != c.kills {
			t.Errorf("%d MiB: %d were killed, %v", c.mebibytes, n, err)
		}
	}
}

// TestRootCgroupMemoryUnlimited lifts a limit of a cgroup that is reused.
func TestRootCgroupMemoryUnlimited(t *testing.T) {
	b := newBox(t, &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](-1), Swap: ptr[int64](-1)}})
	b.expectFile(b.file("memory.limit_in_bytes", "memory.max"), "memory.memsw.limit_in_bytes", "memory.swap.max", "memory.max")
}

// TestRootCgroupPids: a limit of 0 included, which lets nobody fork.
func TestRootCgroupPids(t *testing.T) {
	b := newBox(t, &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](4)}})
	b.expectFile("4", "pids.max")
	if output, err := b.run("sleep 0 & sleep 0 & wait"); err != nil {
		t.Errorf("three processes: %v %s", err, output)
	}
	if output, err := b.run("for i in 1 2 3 4 5 6; do sleep 1 & done; wait"); err == nil && !strings.Contains(output, "ork") {
		t.Errorf("seven processes were allowed: %s", output)
	}
	none := compileBox(t, &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](0)}})
	if err := cgroup.Apply(none.Make, none.Limit); err != nil {
		t.Fatal(err)
	}
	none.expectFile("0", "pids.max")
}

// TestRootCgroupQuota: a busy loop gets a quarter of a CPU.
func TestRootCgroupQuota(t *testing.T) {
	b := newBox(t, &specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptr[int64](25_000), Period: ptr[uint64](100_000), Shares: ptr[uint64](512)}})
	c := b.command("/bin/sh", "-c", "while :; do :; done")
	begin := time.Now()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second)
	c.Process.Kill()
	c.Wait()
	used, took := c.ProcessState.UserTime()+c.ProcessState.SystemTime(), time.Since(begin)
	if used > took*2/5 || used == 0 {
		t.Errorf("used %v of %v", used, took)
	}
	if strings.Contains(b.file("cpu.stat"), "nr_throttled 0\n") {
		t.Error("never throttled: ", b.file("cpu.stat"))
	}
	if b.Into != "" && len(b.Join) == 0 {
		b.expectFile("25000 100000", "cpu.max")
		b.expectFile("59", "cpu.weight")
	} else {
		b.expectFile("25000", "cpu.cfs_quota_us")
		b.expectFile("512", "cpu.shares")
	}
}

// TestRootCgroupIdle takes shares beside it, which the kernel would refuse.
func TestRootCgroupIdle(t *testing.T) {
	b := newBox(t, &specs.LinuxResources{CPU: &specs.LinuxCPU{Idle: ptr[int64](1), Shares: ptr[uint64](512), Quota: ptr[int64](10_000), Burst: ptr[uint64](5_000)}})
	b.expectFile("1", "cpu.idle")
	b.expectFile("5000", "cpu.cfs_burst_us", "cpu.max.burst")
}

// TestRootCgroupCpuset: the process sees what it was given, and a container
// without a cpuset of its own has all.
func TestRootCgroupCpuset(t *testing.T) {
	own, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		r    *specs.LinuxResources
		want string
	}{
		{nil, statusLine(string(own), "Cpus_allowed_list")},
		{&specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "0", Mems: "0"}}, "0"},
	} {
		b := newBox(t, c.r)
		status, err := b.run("cat /proc/self/status")
		if err != nil || statusLine(status, "Cpus_allowed_list") != c.want {
			t.Errorf("got %v, want %v (%v)", statusLine(status, "Cpus_allowed_list"), c.want, err)
		}
	}
}

// statusLine returns the value of a line in /proc/PID/status.
func statusLine(status, name string) string {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// TestRootCgroupHugetlb limits the pages of 2 MiB, faults and reservations.
func TestRootCgroupHugetlb(t *testing.T) {
	testkit.Need(t, testkit.Controller("hugetlb"))
	b := newBox(t, &specs.LinuxResources{HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "2MB", Limit: 4 * mebibyte}}})
	b.expectFile(strconv.Itoa(4*mebibyte), "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max")
	b.expectFile(strconv.Itoa(4*mebibyte), "hugetlb.2MB.rsvd.limit_in_bytes", "hugetlb.2MB.rsvd.max")
}

// TestRootCgroupThrottle throttles the disk that the root file system is on.
func TestRootCgroupThrottle(t *testing.T) {
	major, minor := rootDisk(t)
	device := specs.LinuxBlockIODevice{Major: major, Minor: minor}
	b := newBox(t, &specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{
		ThrottleReadBpsDevice:   []specs.LinuxThrottleDevice{{LinuxBlockIODevice: device, Rate: 10 * mebibyte}},
		ThrottleWriteIOPSDevice: []specs.LinuxThrottleDevice{{LinuxBlockIODevice: device, Rate: 100}},
	}})
	number := strconv.FormatInt(major, 10) + ":" + strconv.FormatInt(minor, 10)
	if b.Into != "" && len(b.Join) == 0 {
		b.expectFile(number+" rbps=10485760 wbps=max riops=max wiops=100", "io.max")
	} else {
		b.expectFile(number+" 10485760", "blkio.throttle.read_bps_device")
		b.expectFile(number+" 100", "blkio.throttle.write_iops_device")
	}
}

// rootDisk returns the numbers of a whole disk of this machine.
func rootDisk(t *testing.T) (major, minor int64) {
	t.Helper()
	disks, err := os.ReadDir("/sys/block")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range disks {
		if strings.HasPrefix(d.Name(), "loop") || strings.HasPrefix(d.Name(), "ram") {
			continue
		}
		data, err := os.ReadFile("/sys/block/" + d.Name() + "/dev")
		a, b, ok := strings.Cut(strings.TrimSpace(string(data)), ":")
		if err != nil || !ok {
			t.Fatal(d.Name(), err)
		}
		major, _ = strconv.ParseInt(a, 10, 64)
		minor, _ = strconv.ParseInt(b, 10, 64)
		return major, minor
	}
	t.Fatal("this machine has no disk")
	return 0, 0
}
