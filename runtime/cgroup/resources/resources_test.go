// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package resources

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/facts"
)

var update = flag.Bool("update", false, "rewrite the golden lists")

// machines are where the golden lists are for.
var machines = map[string]facts.Cgroup{
	"v1": {V1: []facts.Hierarchy{
		{Mount: "/sys/fs/cgroup/cpu", Controllers: []string{"cpu"}, Own: "/"},
		{Mount: "/sys/fs/cgroup/cpuset", Controllers: []string{"cpuset"}, Own: "/"},
		{Mount: "/sys/fs/cgroup/memory", Controllers: []string{"memory"}, Own: "/own"},
		{Mount: "/sys/fs/cgroup/devices", Controllers: []string{"devices"}, Own: "/"},
		{Mount: "/sys/fs/cgroup/blkio", Controllers: []string{"blkio"}, Own: "/"},
		{Mount: "/sys/fs/cgroup/pids", Controllers: []string{"pids"}, Own: "/"},
		{Mount: "/sys/fs/cgroup/hugetlb", Controllers: []string{"hugetlb"}, Own: "/"},
		{Mount: "/sys/fs/cgroup/net_cls,net_prio", Controllers: []string{"net_cls", "net_prio"}, Own: "/"},
		{Mount: "/sys/fs/cgroup/rdma", Controllers: []string{"rdma"}, Own: "/"},
	}},
	"hybrid": {
		V1: []facts.Hierarchy{
			{Mount: "/sys/fs/cgroup/systemd", Controllers: []string{"name=systemd"}, Own: "/user.slice"},
			{Mount: "/sys/fs/cgroup/memory", Controllers: []string{"memory"}, Own: "/user.slice"},
		},
		V2: &facts.Hierarchy{Mount: "/sys/fs/cgroup/unified", Controllers: []string{"cpu", "pids"}, Own: "/user.slice"},
	},
	"v2": {V2: &facts.Hierarchy{Mount: "/sys/fs/cgroup", Own: "/user.slice/session-1.scope",
		Controllers: []string{"cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc"}}},
}

// golden is one case of testdata: config.json's two properties, and the lists.
type golden struct {
	CgroupsPath string                `json:"cgroupsPath"`
	Resources   *specs.LinuxResources `json:"resources"`
}

// TestGolden compares the lists of testdata/NAME.json with NAME.MACHINE.
func TestGolden(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.json")
	if err != nil || len(cases) == 0 {
		t.Fatal("no golden cases", err)
	}
	for _, file := range cases {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var g golden
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&g); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for name, machine := range machines {
			c, err := Compile("c1", g.CgroupsPath, g.Resources, machine)
			compareGolden(t, strings.TrimSuffix(file, ".json")+"."+name, text(c, err))
		}
	}
}

func compareGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n--- got\n%s--- want\n%s", file, got, want)
	}
}

// text prints all that Compile returned.
func text(c Cgroup, err error) string {
	if err != nil {
		return "error: " + err.Error() + "\nhint: " + fail.HintOf(err) + "\n"
	}
	var b strings.Builder
	for _, list := range [][]Op{c.Make, c.Limit} {
		for _, o := range list {
			b.WriteString(o.String() + "\t(" + o.From + ")\n")
		}
	}
	for _, file := range c.Join {
		b.WriteString("join " + file + "\n")
	}
	if c.Into != "" {
		b.WriteString("clone into " + c.Into + "\n")
	}
	for _, warning := range c.Warnings {
		b.WriteString("warning: " + warning + "\n")
	}
	return b.String()
}

func ptr[T interface{}](v T) *T { return &v }

// TestErrors names the field of each value that cannot be applied.
func TestErrors(t *testing.T) {
	type resources = specs.LinuxResources
	for _, c := range []struct {
		name, machine, path string
		r                   resources
		want                string
	}{
		{"path leaves the hierarchy", "v1", "/a/../../b", resources{}, `linux.cgroupsPath: must not contain ".."`},
		{"path of the root", "v1", "//./", resources{}, "linux.cgroupsPath: names no cgroup below the root"},
		{"path with a line break", "v2", "/a\nb", resources{}, "linux.cgroupsPath: must not contain line breaks"},
		{"path for systemd", "v2", "machine.slice:libpod:c1", resources{}, "linux.cgroupsPath: has systemd's form"},
		{"memory limit", "v1", "/c", resources{Memory: &specs.LinuxMemory{Limit: ptr[int64](-2)}}, "linux.resources.memory.limit: is -2; the least value is -1"},
		{"absurd memory limit", "v1", "/c", resources{Memory: &specs.LinuxMemory{Limit: ptr[int64](1<<63 - 1)}}, "linux.resources.memory.limit: is 9223372036854775807, more than"},
		{"swap without a limit", "v2", "/c", resources{Memory: &specs.LinuxMemory{Swap: ptr[int64](4096)}}, "linux.resources.memory.swap: needs a memory.limit"},
		{"swap below the limit", "v2", "/c", resources{Memory: &specs.LinuxMemory{Limit: ptr[int64](8192), Swap: ptr[int64](4096)}}, "linux.resources.memory.swap: is 4096, less than"},
		{"swappiness", "v1", "/c", resources{Memory: &specs.LinuxMemory{Swappiness: ptr[uint64](101)}}, "linux.resources.memory.swappiness: is 101"},
		{"swappiness on v2", "v2", "/c", resources{Memory: &specs.LinuxMemory{Swappiness: ptr[uint64](10)}}, "linux.resources.memory.swappiness: has no equivalent in cgroup v2"},
		{"OOM killer on v2", "v2", "/c", resources{Memory: &specs.LinuxMemory{DisableOOMKiller: ptr(true)}}, "linux.resources.memory.disableOOMKiller: has no equivalent"},
		{"shares", "v1", "/c", resources{CPU: &specs.LinuxCPU{Shares: ptr[uint64](262145)}}, "linux.resources.cpu.shares: is 262145"},
		{"quota", "v1", "/c", resources{CPU: &specs.LinuxCPU{Quota: ptr[int64](-2)}}, "linux.resources.cpu.quota: is -2"},
		{"small quota", "v1", "/c", resources{CPU: &specs.LinuxCPU{Quota: ptr[int64](999)}}, "linux.resources.cpu.quota: is 999"},
		{"absurd quota", "v2", "/c", resources{CPU: &specs.LinuxCPU{Quota: ptr[int64](1 << 44)}}, "linux.resources.cpu.quota: is 17592186044416"},
		{"period", "v1", "/c", resources{CPU: &specs.LinuxCPU{Period: ptr[uint64](1000001)}}, "linux.resources.cpu.period: is 1000001"},
		{"burst", "v1", "/c", resources{CPU: &specs.LinuxCPU{Quota: ptr[int64](5000), Burst: ptr[uint64](5001)}}, "linux.resources.cpu.burst: is 5001"},
		{"idle", "v2", "/c", resources{CPU: &specs.LinuxCPU{Idle: ptr[int64](2)}}, "linux.resources.cpu.idle: is 2"},
		{"realtime on v2", "v2", "/c", resources{CPU: &specs.LinuxCPU{RealtimeRuntime: ptr[int64](5)}}, "linux.resources.cpu.realtimeRuntime: has no equivalent"},
		{"cpus", "v1", "/c", resources{CPU: &specs.LinuxCPU{Cpus: "0-3\n"}}, `linux.resources.cpu.cpus: is "0-3\n", which is not a list`},
		{"mems", "v1", "/c", resources{CPU: &specs.LinuxCPU{Mems: "-,"}}, `linux.resources.cpu.mems: is "-,", which is not a list`},
		{"pids", "v1", "/c", resources{Pids: &specs.LinuxPids{Limit: ptr[int64](-2)}}, "linux.resources.pids.limit: is -2"},
		{"absurd pids", "v1", "/c", resources{Pids: &specs.LinuxPids{Limit: ptr[int64](4194305)}}, "linux.resources.pids.limit: is 4194305"},
		{"controller that is missing", "hybrid", "/c", resources{HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "2MB"}}}, "linux.resources.hugepageLimits[0]: cannot be applied: the controller hugetlb is on no mounted cgroup hierarchy"},
		{"page size", "v1", "/c", resources{HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "2MB"}, {Pagesize: "../2MB"}}}, "linux.resources.hugepageLimits[1].pageSize"},
		{"weight", "v1", "/c", resources{BlockIO: &specs.LinuxBlockIO{Weight: ptr[uint16](9)}}, "linux.resources.blockIO.weight: is 9"},
		{"leaf weight", "v1", "/c", resources{BlockIO: &specs.LinuxBlockIO{LeafWeight: ptr[uint16](10)}}, "linux.resources.blockIO.leafWeight: cannot be applied"},
		{"empty weight device", "v1", "/c", resources{BlockIO: &specs.LinuxBlockIO{WeightDevice: []specs.LinuxWeightDevice{{}}}}, "linux.resources.blockIO.weightDevice[0]: has neither"},
		{"throttled device", "v2", "/c", resources{BlockIO: &specs.LinuxBlockIO{ThrottleReadBpsDevice: []specs.LinuxThrottleDevice{{LinuxBlockIODevice: specs.LinuxBlockIODevice{Major: 4096}}}}}, "linux.resources.blockIO.throttleReadBpsDevice[0].major: is 4096"},
		{"rdma", "v1", "/c", resources{Rdma: map[string]specs.LinuxRdma{"mlx": {}}}, `linux.resources.rdma["mlx"]: has neither`},
		{"class on v2", "v2", "/c", resources{Network: &specs.LinuxNetwork{ClassID: ptr[uint32](1)}}, "linux.resources.network.classID: cannot be applied: the controller net_cls"},
		{"interface", "v1", "/c", resources{Network: &specs.LinuxNetwork{Priorities: []specs.LinuxInterfacePriority{{Name: "a b"}}}}, `linux.resources.network.priorities[0].name: is "a b"`},
		{"unified file", "v2", "/c", resources{Unified: map[string]string{"../memory.max": "1"}}, `linux.resources.unified["../memory.max"]: is no file`},
		{"unified without v2", "v1", "/c", resources{Unified: map[string]string{"memory.max": "1"}}, `linux.resources.unified["memory.max"]: cannot be applied: the controller memory is on a cgroup v1`},
		{"unified of a v1 controller", "hybrid", "/c", resources{Unified: map[string]string{"memory.max": "1"}}, `linux.resources.unified["memory.max"]: cannot be applied`},
		{"device type", "v2", "/c", resources{Devices: []specs.LinuxDeviceCgroup{{Type: "x"}}}, `linux.resources.devices[0].type: is "x"`},
		{"device access", "v2", "/c", resources{Devices: []specs.LinuxDeviceCgroup{{Access: "rx"}}}, `linux.resources.devices[0].access: is "rx"`},
		{"allowed without access", "v2", "/c", resources{Devices: []specs.LinuxDeviceCgroup{{Allow: true}}}, `linux.resources.devices[0].access: is missing`},
		{"device number", "v2", "/c", resources{Devices: []specs.LinuxDeviceCgroup{{Major: ptr[int64](-2)}}}, `linux.resources.devices[0].major: is -2`},
		{"hole in a wildcard on v1", "v1", "/c", resources{Devices: []specs.LinuxDeviceCgroup{
			{Allow: true, Type: "c", Major: ptr[int64](10), Access: "rwm"}, {Type: "c", Major: ptr[int64](10), Minor: ptr[int64](200), Access: "r"},
		}}, "linux.resources.devices[1]: cannot be applied: cgroup v1 cannot take c 10:200 r out of c 10:* rwm of linux.resources.devices[0]"},
	} {
		_, err := Compile("c1", c.path, &c.r, machines[c.machine])
		if err == nil || !strings.HasPrefix(err.Error(), "config.json "+c.want) {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

// TestNoHierarchy is a machine without cgroups: fine as long as nothing is asked.
func TestNoHierarchy(t *testing.T) {
	if c, err := Compile("c1", "/c1", nil, facts.Cgroup{}); err != nil || len(c.Make)+len(c.Limit)+len(c.Dirs) > 0 {
		t.Error(c, err)
	}
	_, err := Compile("c1", "/c1", &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](1)}}, facts.Cgroup{})
	if err == nil || err.Error() != "config.json linux.resources.pids.limit: cannot be applied: no cgroup hierarchy is mounted" {
		t.Error(err)
	}
}

func TestPaths(t *testing.T) {
	for _, c := range []struct{ machine, path, want string }{
		{"v1", "/default/c1", "/sys/fs/cgroup/memory/default/c1"},
		{"v1", "a//./b/", "/sys/fs/cgroup/memory/own/a/b"},
		{"v1", "", "/sys/fs/cgroup/memory/own/id"},
		{"hybrid", "", "/sys/fs/cgroup/unified/id"},
		{"hybrid", "a", "/sys/fs/cgroup/memory/user.slice/a"},
		{"v2", "/c1", "/sys/fs/cgroup/c1"},
		{"v2", "a/b", "/sys/fs/cgroup/user.slice/a/b"},
		{"v2", "", "/sys/fs/cgroup/user.slice/id"},
		{"v2", "/a:b:c", "/sys/fs/cgroup/a:b:c"},
	} {
		got, err := Compile("id", c.path, nil, machines[c.machine])
		if err != nil || !contains(got.Dirs, c.want) {
			t.Errorf("%s %q: got %v %v, want %s", c.machine, c.path, got.Dirs, err, c.want)
		}
	}
	outside := facts.Cgroup{V2: &facts.Hierarchy{Mount: "/sys/fs/cgroup"}}
	if _, err := Compile("id", "a", nil, outside); err == nil || !strings.Contains(err.Error(), "own cgroup is outside") {
		t.Error(err)
	}
	if _, err := Compile("../id", "", nil, machines["v2"]); err == nil {
		t.Error("an id with a slash named a cgroup")
	}
}

func contains(all []string, s string) bool {
	for _, a := range all {
		if a == s {
			return true
		}
	}
	return false
}

// TestWeight checks points of the curve that the runtimes agreed on.
func TestWeight(t *testing.T) {
	for shares, want := range map[uint64]uint64{2: 1, 1: 1, 1024: 100, 262144: 10000, 500000: 10000, 512: 59, 2048: 174} {
		if got := Weight(shares); got != want {
			t.Errorf("%d shares: got a weight of %d, want %d", shares, got, want)
		}
	}
	for last, s := uint64(0), uint64(2); s <= maxShares; s++ {
		w := Weight(s)
		if w < last || w < 1 || w > 10000 {
			t.Fatalf("%d shares have a weight of %d after %d", s, w, last)
		}
		last = w
	}
}

// FuzzCompile looks for panics, errors without a field, and files outside of
// the container's directories.
func FuzzCompile(f *testing.F) {
	cases, _ := filepath.Glob("testdata/*.json")
	for _, file := range cases {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var g golden
		if json.Unmarshal(data, &g) != nil {
			return
		}
		for _, machine := range machines {
			c, err := Compile("c1", g.CgroupsPath, g.Resources, machine)
			if err != nil {
				if e, ok := err.(*fail.Error); !ok || !strings.HasPrefix(e.Where, "config.json linux.") {
					t.Errorf("no field: %v", err)
				}
				continue
			}
			checkInside(t, c)
		}
	})
}

func checkInside(t *testing.T, c Cgroup) {
	t.Helper()
	for _, dir := range c.Dirs {
		if !strings.HasPrefix(dir, "/sys/fs/cgroup/") || strings.Contains(dir+"/", "/../") {
			t.Errorf("the container is in %s", dir)
		}
	}
	for _, o := range c.Limit {
		dir, file := cut(o.Path)
		if o.Kind != Devices && (!contains(c.Dirs, dir) || file == "" || file == "..") || o.Kind == Devices && !contains(c.Dirs, o.Path) {
			t.Errorf("%s is outside of %v", o, c.Dirs)
		}
		if strings.ContainsAny(o.Value, "\n") {
			t.Errorf("%s writes two lines", o)
		}
	}
}
