// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package stats

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want any
	}{
		{"pairs", pairs("a 1\nb x\nc 18446744073709551615\n\n"), map[string]uint64{"a": 1, "c": 1<<64 - 1}},
		{"numbers", numbers("1 2  3\n"), []uint64{1, 2, 3}},
		{"no numbers", numbers("cpu user system\n"), []uint64(nil)},
		{"ranges", ranges("0-2,7\n"), []uint16{0, 1, 2, 7}},
		{"no range", ranges("\n"), []uint16(nil)},
		{"bad range", ranges("1-x"), []uint16(nil)},
		{"psi", psi("some avg10=1.50 avg60=0.25 avg300=0.01 total=7\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=3\n"),
			&PSI{PSIData{1.5, 0.25, 0.01, 7}, PSIData{Total: 3}}},
		{"no psi", psi(""), (*PSI)(nil)},
		{"blkio", blkioEntries("8:0 Read 4096\n8:0 512\nTotal 5\n"), []BlkioEntry{{8, 0, "Read", 4096}, {8, 0, "", 512}}},
		{"page size", []string{pageSize("hugepages-2048kB"), pageSize("hugepages-1048576kB"), pageSize("hugepages-64kB"), pageSize("x")},
			[]string{"2MB", "1GB", "64KB", ""}},
		{"interfaces", interfaces("Inter-|   Receive |\n face |bytes packets\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"),
			[]NetworkInterface{{"eth0", 1, 2, 3, 4, 9, 10, 11, 12}}},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s: got %+v, want %+v", c.name, c.got, c.want)
		}
	}
	bytes, operations := ioStat("8:0 rbytes=4096 wbytes=1 rios=2 wios=3 dbytes=4 dios=5\n7:1\n")
	if want := []BlkioEntry{{8, 0, "Read", 4096}, {8, 0, "Write", 1}, {8, 0, "Discard", 4}}; !reflect.DeepEqual(bytes, want) {
		t.Errorf("io.stat: got %+v", bytes)
	}
	if want := []BlkioEntry{{8, 0, "Read", 2}, {8, 0, "Write", 3}, {8, 0, "Discard", 5}}; !reflect.DeepEqual(operations, want) {
		t.Errorf("io.stat: got %+v", operations)
	}
}

// files are a v1 and a v2 cgroup as the kernel shows them.
var files = map[string]map[string]string{
	"v1": {
		"cpuacct/cpuacct.usage": "300\n", "cpuacct/cpuacct.usage_sys": "100\n", "cpuacct/cpuacct.usage_user": "200\n",
		"cpuacct/cpuacct.usage_percpu": "250 50 \n", "cpuacct/cpuacct.usage_all": "cpu user system\n0 150 100\n1 50 0\n",
		"cpu/cpu.stat":                 "nr_periods 4\nnr_throttled 2\nthrottled_time 77\n",
		"memory/memory.usage_in_bytes": "4096\n", "memory/memory.max_usage_in_bytes": "8192\n", "memory/memory.limit_in_bytes": "1048576\n",
		"memory/memory.failcnt": "3\n", "memory/memory.stat": "cache 5\nrss 6\n", "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
		"pids/pids.current": "2\n", "pids/pids.max": "max\n", "cpuset/cpuset.cpus": "0-1\n",
		"blkio/blkio.throttle.io_service_bytes_recursive": "8:0 Read 10\n8:0 Write 20\nTotal 30\n",
		"unified/cpu.pressure":                            "some avg10=1.00 avg60=0.00 avg300=0.00 total=9\n", "unified/cpu.stat": "usage_usec 1\n",
	},
	"v2": {
		"all/cpu.stat":       "usage_usec 3\nuser_usec 2\nsystem_usec 1\nnr_periods 4\nnr_throttled 2\nthrottled_usec 7\n",
		"all/memory.current": "4096\n", "all/memory.peak": "8192\n", "all/memory.max": "max\n", "all/memory.swap.current": "1\n", "all/memory.swap.max": "2\n",
		"all/memory.stat": "file 5\nkernel 9\n", "all/memory.events": "low 0\nhigh 1\nmax 2\noom 3\noom_kill 4\n",
		"all/pids.current": "2\n", "all/pids.max": "9\n", "all/pids.peak": "3\n", "all/io.stat": "8:0 rbytes=10 wbytes=20 rios=1 wios=2\n",
	},
}

func TestRead(t *testing.T) {
	for name, want := range map[string]struct {
		usage Usage
		check func(Stats) bool
	}{
		"v1": {Usage{CPU: 300, Memory: 4096, MemoryPeak: 8192, Pids: 2, IORead: 10, IOWritten: 20, OOMKills: 1}, func(s Stats) bool {
			return s.CPU.Usage.Total == 300 && s.CPU.Usage.PercpuUser[1] == 50 && s.CPU.Throttling.ThrottledTime == 77 && s.CPU.PSI.Some.Total == 9 &&
				s.Memory.Cache == 5 && s.Memory.Usage == MemoryEntry{1048576, 4096, 8192, 3} && s.Pids == Pids{2, 0} &&
				len(s.CPUSet.CPUs) == 2 && len(s.Blkio.IoServiceBytesRecursive) == 2
		}},
		"v2": {Usage{CPU: 3000, Memory: 4096, MemoryPeak: 8192, Pids: 2, PidsPeak: 3, IORead: 10, IOWritten: 20, OOMKills: 4}, func(s Stats) bool {
			return s.CPU.Usage.Total == 3000 && s.CPU.Usage.Kernel == 1000 && s.CPU.Throttling.ThrottledTime == 7000 && s.CPU.PSI == nil &&
				s.Memory.Cache == 5 && s.Memory.Usage == MemoryEntry{1<<64 - 1, 4096, 8192, 2} && s.Memory.Swap.Usage == 4097 && s.Memory.Swap.Limit == 1<<64-1 &&
				s.Memory.EventCount["oom_kill"] == 4 && s.Pids == Pids{2, 9} && len(s.Blkio.IoServicedRecursive) == 2
		}},
	} {
		dir, dirs := t.TempDir(), map[string]bool{}
		for file, text := range files[name] {
			path := filepath.Join(dir, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			dirs[filepath.Dir(path)] = true
		}
		var list []string
		for _, sub := range []string{"cpuacct", "cpu", "memory", "pids", "cpuset", "blkio", "unified", "all"} {
			if dirs[filepath.Join(dir, sub)] {
				list = append(list, filepath.Join(dir, sub))
			}
		}
		r := New(list)
		if got := r.Usage(); got != want.usage {
			t.Errorf("%s: got %+v", name, got)
		}
		s := r.Stats(0)
		if !want.check(s) {
			text, _ := json.Marshal(s)
			t.Errorf("%s: got %s", name, text)
		}
	}
	if (New([]string{"/nowhere"}).Usage() != Usage{}) {
		t.Error("a cgroup that is gone uses something")
	}
}
