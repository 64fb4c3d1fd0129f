// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package resources

import (
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/runtime/facts"
)

func ptrTo[T any](v T) *T { return &v }

var (
	onV1 = facts.Cgroup{V1: []facts.Hierarchy{{Mount: "/c/memory", Controllers: []string{"memory"}}, {Mount: "/c/cpu", Controllers: []string{"cpu"}},
		{Mount: "/c/pids", Controllers: []string{"pids"}}, {Mount: "/c/blkio", Controllers: []string{"blkio"}}, {Mount: "/c/devices", Controllers: []string{"devices"}}}}
	onV2   = facts.Cgroup{V2: &facts.Hierarchy{Mount: "/c", Controllers: []string{"memory", "cpu", "pids", "io", "cpuset"}}}
	dirsV1 = []string{"/c/memory/m/x", "/c/cpu/x", "/c/pids/x", "/c/blkio/x", "/c/devices/x"}
	dirsV2 = []string{"/c/slice/x"}
)

// TestUpdate: the writes and their order, given what the kernel has.
func TestUpdate(t *testing.T) {
	memory := func(limit, swap int64) *specs.LinuxResources {
		return &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit, Swap: &swap}}
	}
	for _, c := range []struct {
		name string
		dirs []string
		f    facts.Cgroup
		r    specs.LinuxResources
		now  map[string]string
		want []string
	}{
		{"docker's zeros", dirsV1, onV1, specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptrTo[int64](0), Reservation: ptrTo[int64](0), Kernel: ptrTo[int64](0)},
			CPU: &specs.LinuxCPU{Shares: ptrTo[uint64](0), Quota: ptrTo[int64](0), Period: ptrTo[uint64](0)}, BlockIO: &specs.LinuxBlockIO{Weight: ptrTo[uint16](0)}}, nil, nil},
		{"the CRI's devices", dirsV1, onV1, specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}}, nil, nil},
		{"grow", dirsV1, onV1, *memory(2<<20, 4<<20), map[string]string{"/c/memory/m/x/memory.limit_in_bytes": "1048576\n"},
			[]string{"/c/memory/m/x/memory.memsw.limit_in_bytes 4194304", "/c/memory/m/x/memory.limit_in_bytes 2097152"}},
		{"shrink", dirsV1, onV1, *memory(2<<20, 4<<20), map[string]string{"/c/memory/m/x/memory.limit_in_bytes": "8388608\n"},
			[]string{"/c/memory/m/x/memory.limit_in_bytes 2097152", "/c/memory/m/x/memory.memsw.limit_in_bytes 4194304"}},
		{"lift", dirsV1, onV1, *memory(-1, 0), nil,
			[]string{"/c/memory/m/x/memory.memsw.limit_in_bytes -1", "/c/memory/m/x/memory.limit_in_bytes -1"}},
		{"sum alone", dirsV1, onV1, *memory(0, 4<<20), map[string]string{"/c/memory/m/x/memory.limit_in_bytes": "1048576\n"},
			[]string{"/c/memory/m/x/memory.memsw.limit_in_bytes 4194304", "/c/memory/m/x/memory.limit_in_bytes 1048576"}},
		{"sum alone on v2", dirsV2, onV2, *memory(0, 4<<20), map[string]string{"/c/slice/x/memory.max": "1048576\n"},
			[]string{"/c/slice/x/memory.max 1048576", "/c/slice/x/memory.swap.max 3145728"}},
		{"shorter period", dirsV1, onV1, specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptrTo[int64](5000), Period: ptrTo[uint64](10000)}},
			map[string]string{"/c/cpu/x/cpu.cfs_period_us": "100000\n"}, []string{"/c/cpu/x/cpu.cfs_quota_us 5000", "/c/cpu/x/cpu.cfs_period_us 10000"}},
		{"longer period", dirsV1, onV1, specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptrTo[int64](5000), Period: ptrTo[uint64](200000)}},
			map[string]string{"/c/cpu/x/cpu.cfs_period_us": "100000\n"}, []string{"/c/cpu/x/cpu.cfs_period_us 200000", "/c/cpu/x/cpu.cfs_quota_us 5000"}},
		{"quota keeps the period", dirsV2, onV2, specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptrTo[int64](5000)}},
			map[string]string{"/c/slice/x/cpu.max": "max 20000\n"}, []string{"/c/slice/x/cpu.max 5000 20000"}},
		{"period keeps the quota", dirsV2, onV2, specs.LinuxResources{CPU: &specs.LinuxCPU{Period: ptrTo[uint64](50000)}},
			map[string]string{"/c/slice/x/cpu.max": "7000 20000\n"}, []string{"/c/slice/x/cpu.max 7000 50000"}},
		{"pids", dirsV2, onV2, specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptrTo[int64](-1)}}, nil, []string{"/c/slice/x/pids.max max"}},
	} {
		change, err := Update(c.dirs, &c.r, c.f, func(path string) string { return c.now[path] })
		var got []string
		for _, o := range change.Ops {
			got = append(got, o.Path+" "+o.Value)
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q %v, want %q", c.name, got, err, c.want)
		}
	}
	_, err := Update(dirsV1, &specs.LinuxResources{Unified: map[string]string{"memory.high": "1"}}, onV1, func(string) string { return "" })
	if err == nil || !strings.Contains(err.Error(), "linux.resources.unified") {
		t.Error(err)
	}
}

// TestTook: how the kernel shows what it was given.
func TestTook(t *testing.T) {
	for _, c := range []struct {
		file, value, content string
		want                 bool
	}{
		{"pids.max", "10", "10\n", true},
		{"pids.max", "10", "11\n", false},
		{"pids.max", "max", "max\n", true},
		{"pids.max", "10", "max\n", false},
		{"memory.limit_in_bytes", "1048577", "1048576\n", true},
		{"memory.limit_in_bytes", "1048576", "2097152\n", false},
		{"memory.limit_in_bytes", "2097152", "1048576\n", false},
		{"memory.limit_in_bytes", "-1", "9223372036854771712\n", true},
		{"memory.limit_in_bytes", "-1", "1048576\n", false},
		{"hugetlb.2MB.limit_in_bytes", "3145728", "2097152\n", true},
		{"hugetlb.2MB.limit_in_bytes", "4194304", "2097152\n", false},
		{"memory.oom_control", "1", "oom_kill_disable 1\nunder_oom 0\n", true},
		{"memory.oom_control", "1", "oom_kill_disable 0\nunder_oom 0\n", false},
		{"cpu.max", "max 100000", "max 100000\n", true},
		{"cpu.max", "5000 100000", "max 100000\n", false},
		{"cpu.cfs_quota_us", "-1", "-1\n", true},
		{"cpuset.cpus", "0,1,2", "0-2\n", true},
		{"cpuset.cpus", "0-1", "0\n", false},
		{"cpuset.cpus", "all", "0-1\n", true},
		{"io.weight", "100", "default 100\n8:0 50\n", true},
		{"io.max", "8:0 rbps=5", "8:0 rbps=5 wbps=max\n", true},
		{"io.max", "8:0 rbps=5", "8:0 rbps=6 wbps=max\n", false},
		{"io.max", "8:0 rbps=max", "", true},
		{"blkio.throttle.read_bps_device", "8:0 5", "8:0 5\n", true},
		{"blkio.throttle.read_bps_device", "8:0 0", "", true},
		{"blkio.throttle.read_bps_device", "8:0 5", "", false},
		{"rdma.max", "mlx hca_handle=2", "mlx hca_handle=2 hca_object=max\n", true},
		{"memory.zswap.writeback", "on", "1\n", true},
	} {
		if got := (Op{Kind: Write, Path: "/c/" + c.file, Value: c.value}).Took(c.content); got != c.want {
			t.Errorf("%s: %q after %q: got %v", c.file, c.content, c.value, got)
		}
	}
}

// TestUndo: what puts a file back.
func TestUndo(t *testing.T) {
	for _, c := range []struct{ file, value, content, want string }{
		{"pids.max", "10", "max\n", "max"},
		{"cpu.max", "1 2", "max 100000\n", "max 100000"},
		{"memory.oom_control", "1", "oom_kill_disable 0\nunder_oom 0\n", "0"},
		{"io.max", "8:0 rbps=5", "8:0 rbps=7 wbps=max\n", "8:0 rbps=7"},
		{"io.max", "8:0 rbps=5", "", "8:0 rbps=max"},
		{"blkio.throttle.read_bps_device", "8:0 5", "8:0 9\n", "8:0 9"},
		{"blkio.throttle.read_bps_device", "8:0 5", "", "8:0 0"},
		{"cpuset.cpus", "0-1", "0\n", "0"},
	} {
		if got := (Op{Kind: Write, Path: "/c/" + c.file, Value: c.value}).Undo(c.content); got != c.want {
			t.Errorf("%s: got %q, want %q", c.file, got, c.want)
		}
	}
}
