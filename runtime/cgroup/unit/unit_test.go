// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package unit

import (
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/runtime/facts"
)

var onV2 = facts.Cgroup{V2: &facts.Hierarchy{Mount: "/sys/fs/cgroup"}}

func ptr[T any](v T) *T { return &v }

// TestNames: what becomes of slice:prefix:name, of the machine and of a user.
func TestNames(t *testing.T) {
	root, user := facts.Systemd{ControlGroup: "/"}, facts.Systemd{User: true, ControlGroup: "/user.slice/user-1000.slice/user@1000.service"}
	for _, c := range []struct {
		path    string
		systemd facts.Systemd
		want    string // path of the scope, or a part of the error
	}{
		{"system.slice:docker:1234", root, "/system.slice/docker-1234.scope"},
		{":docker:1234", root, "/system.slice/docker-1234.scope"},
		{"", root, "/system.slice/coracle-c1.scope"},
		{"", user, "/user.slice/user-1000.slice/user@1000.service/user.slice/coracle-c1.scope"},
		{"user.slice:libpod:a", user, "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-a.scope"},
		{"kubepods-besteffort-pod5c_6a.slice:cri-containerd:2b", root,
			"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod5c_6a.slice/cri-containerd-2b.scope"},
		{"-.slice:a:b", root, "/a-b.scope"},
		{"a.slice::b", root, "/a.slice/b.scope"},
		{"/a/b", root, "is not slice:prefix:name"},
		{"a:b", root, "is not slice:prefix:name"},
		{"a.slice:b:c:d", root, "is not slice:prefix:name"},
		{"a:b:c", root, "is no slice"},
		{"a--b.slice:b:c", root, "is no slice"},
		{"-a.slice:b:c", root, "is no slice"},
		{"a-.slice:b:c", root, "is no slice"},
		{".slice:b:c", root, "is no slice"},
		{"a/b.slice:b:c", root, "is no slice"},
		{"a.slice:b:c.slice", root, "names the slice"},
		{"a.slice::", root, "systemd cannot have"},
		{"a.slice:b:c/d", root, "systemd cannot have"},
		{"a.slice:b:../c", root, "systemd cannot have"},
		{"a.slice:b:c+d", root, "systemd cannot have"},
		{"a.slice:b:" + strings.Repeat("x", 255), root, "systemd cannot have"},
	} {
		u, err := Compile(Request{ID: "c1", CgroupsPath: c.path, Cgroup: onV2, Systemd: c.systemd})
		got := u.Path
		if err != nil {
			if got = err.Error(); !strings.HasPrefix(got, "config.json linux.cgroupsPath: ") {
				t.Errorf("%q: the field is not named: %s", c.path, got)
			}
		}
		if got != c.want && (err == nil || !strings.Contains(got, c.want)) {
			t.Errorf("%q: got %s, want %s", c.path, got, c.want)
		}
	}
}

// TestProperties: each limit, and what systemd is told of it; "" is nothing.
func TestProperties(t *testing.T) {
	for _, c := range []struct {
		r    specs.LinuxResources
		want string
	}{
		{specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](100), Swap: ptr[int64](150), Reservation: ptr[int64](50)}},
			"MemoryMax=uint64 100 MemoryLow=uint64 50 MemorySwapMax=uint64 50"},
		{specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](-1)}}, "MemoryMax=uint64 18446744073709551615 MemorySwapMax=uint64 18446744073709551615"},
		{specs.LinuxResources{Memory: &specs.LinuxMemory{Swap: ptr[int64](100)}}, ""},
		{specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: ptr[uint64](1024)}}, "CPUWeight=uint64 100"},
		{specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: ptr[uint64](1024), Idle: ptr[int64](1)}}, ""},
		{specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptr[int64](50_000)}}, "CPUQuotaPerSecUSec=uint64 500000 CPUQuotaPeriodUSec=uint64 100000"},
		{specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptr[int64](1_234), Period: ptr[uint64](10_000)}}, "CPUQuotaPerSecUSec=uint64 130000 CPUQuotaPeriodUSec=uint64 10000"},
		{specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptr[int64](-1)}}, "CPUQuotaPerSecUSec=uint64 18446744073709551615 CPUQuotaPeriodUSec=uint64 100000"},
		{specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "0-2,9", Mems: "0"}}, "AllowedCPUs=@ay [0x07, 0x02] AllowedMemoryNodes=@ay [0x01]"},
		{specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "all", Mems: "0-31:1/2"}}, ""},
		{specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](7)}}, "TasksMax=uint64 7"},
		{specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](-1)}}, "TasksMax=uint64 18446744073709551615"},
		{specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](0)}}, ""},
		{specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](1)}}, ""},
		{specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{Weight: ptr[uint16](10)}}, "IOWeight=uint64 1"},
		{specs.LinuxResources{Unified: map[string]string{"memory.high": "max", "memory.min": "5", "pids.max": "9", "cpu.weight": "3", "hugetlb.2MB.max": "0",
			"cpuset.cpus": "1", "cpu.max": "20000 40000", "memory.low": "1G"}},
			"CPUQuotaPerSecUSec=uint64 500000 CPUQuotaPeriodUSec=uint64 40000 CPUWeight=uint64 3 AllowedCPUs=@ay [0x02] " +
				"MemoryHigh=uint64 18446744073709551615 MemoryMin=uint64 5 TasksMax=uint64 9"},
		{specs.LinuxResources{Unified: map[string]string{"cpu.max": "max"}}, "CPUQuotaPerSecUSec=uint64 18446744073709551615 CPUQuotaPeriodUSec=uint64 100000"},
		{specs.LinuxResources{Unified: map[string]string{"cpu.max": "0", "pids.max": "1", "cpu.weight": "default 5"}}, ""},
	} {
		if got := text(Limits(&c.r)); got != c.want {
			t.Errorf("%+v:\n got %s\nwant %s", c.r, got, c.want)
		}
	}
}

func text(list []Property) string {
	words := make([]string, len(list))
	for i, p := range list {
		words[i] = p.String()
	}
	return strings.Join(words, " ")
}

// TestAnnotations: properties by annotation come last; seconds become microseconds.
func TestAnnotations(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"TimeoutStopUSec", "uint64 7", "TimeoutStopUSec=uint64 7"},
		{"TimeoutStopSec", "uint64 7", "TimeoutStopUSec=uint64 7000000"},
		{"TimeoutStopSec", "1.5", "TimeoutStopUSec=uint64 1500000"},
		{"KillSignal", "37", "KillSignal=37"},
		{"After", "['a.service', 'b.service']", "After=@as ['a.service', 'b.service']"},
		{"CollectMode", "'inactive'", "CollectMode='inactive'"},
		{"DeviceAllow", "@a(ss) [('/dev/null', 'rw')]", "DeviceAllow=@a(ss) [('/dev/null', 'rw')]"},
	} {
		u, err := Compile(Request{ID: "c1", Cgroup: onV2, Annotations: map[string]string{PropertyPrefix + c.name: c.value, "other": "x"}})
		if err != nil || u.Properties[len(u.Properties)-1].String() != c.want {
			t.Errorf("%s %s: got %s %v", c.name, c.value, text(u.Properties), err)
		}
	}
	for _, c := range [][2]string{
		{"TimeoutStopSec", "'a'"}, {"TimeoutStopSec", "-1"}, {"TimeoutStopSec", "1e30"}, {"KillSignal", "SIGKILL"}, {"a", "1"}, {"", "1"}, {"Kill.Signal", "1"}, {"Slice", "'a.slice'"}, {"PIDs", "[1]"},
	} {
		key := PropertyPrefix + c[0]
		_, err := Compile(Request{ID: "c1", Cgroup: onV2, Annotations: map[string]string{key: c[1]}})
		if err == nil || !strings.HasPrefix(err.Error(), `config.json annotations["`+key+`"]: `) {
			t.Errorf("%q: got %v", c, err)
		}
	}
	v1 := facts.Cgroup{V1: []facts.Hierarchy{{Controllers: []string{"memory"}}}, V2: onV2.V2}
	for _, c := range []struct {
		key, value string
		f          facts.Cgroup
	}{{"run.oci.systemd.subgroup", "a/b", onV2}, {"run.oci.systemd.subgroup", "..", onV2}, {"run.oci.delegate-cgroup", ".", onV2}, {"run.oci.delegate-cgroup", "a", v1}} {
		_, err := Compile(Request{ID: "c1", Cgroup: c.f, Annotations: map[string]string{c.key: c.value}})
		if err == nil || !strings.HasPrefix(err.Error(), `config.json annotations["`+c.key+`"]: `) {
			t.Errorf("%s %s: got %v", c.key, c.value, err)
		}
	}
}

// TestDevices: systemd hears of devices on version 1 alone, where it would open
// all of them otherwise.
func TestDevices(t *testing.T) {
	v1 := facts.Cgroup{V1: []facts.Hierarchy{{Controllers: []string{"devices"}}}}
	for _, c := range []struct {
		f     facts.Cgroup
		rules []specs.LinuxDeviceCgroup
		want  []string
	}{
		{onV2, []specs.LinuxDeviceCgroup{{Access: "rwm"}}, nil},
		{v1, []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}, []string{"DevicePolicy='auto'"}},
		{v1, []specs.LinuxDeviceCgroup{{Access: "rwm"}, {Allow: true, Type: "b", Major: ptr[int64](8), Minor: ptr[int64](1), Access: "r"}},
			[]string{"DevicePolicy='strict'", "DeviceAllow=@a(ss) [('/dev/block/8:1', 'r'), ('char-*', 'm'), ('block-*', 'm'), ('/dev/char/1:3', 'rwm')"}},
	} {
		u, err := Compile(Request{ID: "c1", Cgroup: c.f, Resources: &specs.LinuxResources{Devices: c.rules}})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range u.Properties {
			if strings.HasPrefix(p.Name, "Device") {
				got = append(got, p.String())
			}
		}
		if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
			t.Errorf("%v: got %q, want %q", c.rules, got, c.want)
		}
	}
}
