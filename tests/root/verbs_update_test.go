// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// limitOf is what the first of these files of the container's cgroups holds.
func (v vessel) limitOf(names ...string) string {
	v.t.Helper()
	var s struct {
		Cgroups []string `json:"cgroups"`
	}
	must(v.t, json.Unmarshal([]byte(readFile(filepath.Join(v.state, v.id, "state.json"))), &s))
	for _, name := range names {
		for _, dir := range s.Cgroups {
			if data, err := os.ReadFile(dir + "/" + name); err == nil {
				return strings.TrimSpace(string(data))
			}
		}
	}
	v.t.Fatalf("no file %v", names)
	return ""
}

func (v vessel) expectLimits(want map[string]string) {
	v.t.Helper()
	for names, value := range want {
		if got := v.limitOf(strings.Split(names, "|")...); got != value && !strings.HasPrefix(value, got+"|") && !strings.HasSuffix(value, "|"+got) {
			v.t.Errorf("%s: got %s, want %s", names, got, value)
		}
	}
}

// startedTop makes a container that runs, in a cgroup that all controllers can be
// enabled for: systemd does not pass all of them on to sessions.
func startedTop(t testing.TB, edits ...func(*specs.Spec)) vessel {
	t.Helper()
	v := newVessel(t, append([]func(*specs.Spec){sleeper}, edits...)...)
	v.edit(func(s *specs.Spec) { s.Linux.CgroupsPath = "/" + v.id })
	v.create()
	v.quiet("start", v.id)
	return v
}

// update calls it with JSON on standard input.
func (v vessel) update(text string) said {
	v.t.Helper()
	cmd := v.command("update", "--resources", "-", v.id)
	cmd.Stdin = strings.NewReader(text)
	return finish(v.t, cmd)
}

// TestRootUpdate: by flags and by JSON; what is not given, or zero, stays.
func TestRootUpdate(t *testing.T) {
	testkit.NoLeaks(t)
	v := startedTop(t, func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](64 << 20)}, Pids: &specs.LinuxPids{Limit: ptr[int64](50)},
			CPU: &specs.LinuxCPU{Shares: ptr[uint64](512), Quota: ptr[int64](50000), Period: ptr[uint64](100000)}}
	})
	before := map[string]string{"memory.limit_in_bytes|memory.max": "67108864", "pids.max": "50", "cpu.cfs_quota_us|cpu.max": "50000|50000 100000", "cpu.shares|cpu.weight": "512|59"}
	v.expectLimits(before)
	for _, nothing := range []string{
		`{"memory":{"limit":0,"reservation":0,"kernel":0},"cpu":{"shares":0,"quota":0,"period":0},"blockIO":{"weight":0}}`, // dockerd 20.10
		`{"devices":[{"allow":false,"access":"rwm"}]}`,                                                                     // the CRI
		`{"pids":{"limit":0}}`, `{}`, `{"memory":null}`,
	} {
		if got := v.update(nothing); (got != said{}) {
			t.Errorf("%s: %+v", nothing, got)
		}
		v.expectLimits(before)
	}
	v.quiet("update", "--memory", "128m", "--pids-limit", "77", "--cpu-share", "1024", v.id)
	v.expectLimits(map[string]string{"memory.limit_in_bytes|memory.max": "134217728", "pids.max": "77", "cpu.shares|cpu.weight": "1024|100", "cpu.cfs_quota_us|cpu.max": "50000|50000 100000"})
	v.quiet("update", "--cpu-quota=20000", v.id)
	v.quiet("update", "--cpu-period=50000", v.id)
	v.expectLimits(map[string]string{"cpu.cfs_quota_us|cpu.max": "20000|20000 50000"})
	v.quiet("update", v.id, "--memory", "-1", "--cpu-quota", "-1", "--pids-limit=-1", "--cpuset-cpus", "0", "--cpuset-mems", "0")
	v.expectLimits(map[string]string{"memory.limit_in_bytes|memory.max": "9223372036854771712|max", "pids.max": "max", "cpu.cfs_quota_us|cpu.max": "-1|max 50000", "cpuset.cpus": "0"})
	if got := v.update(`{"memory":{"limit":50331648},"pids":{"limit":9},"unknown":1}`); got.code != 0 || !strings.Contains(got.stderr, "--resources unknown: unknown property") {
		t.Errorf("got %+v", got)
	}
	v.expectLimits(map[string]string{"memory.limit_in_bytes|memory.max": "50331648", "pids.max": "9"})
	file := filepath.Join(t.TempDir(), "resources.json")
	must(t, os.WriteFile(file, []byte(`{"cpu":{"idle":1}}`), 0o600))
	v.quiet("update", "-r", file, v.id)
	v.expectLimits(map[string]string{"cpu.idle": "1"})
	v.quiet("update", "--cpu-idle", "0", v.id)
	v.expectLimits(map[string]string{"cpu.idle": "0"})
	v.quiet("pause", v.id)
	v.quiet("update", "--pids-limit", "8", v.id)
	v.expectLimits(map[string]string{"pids.max": "8"})
	v.quiet("kill", v.id, "9")
	waitFor(t, "its end", func() bool { return v.status().Status == "stopped" })
	expectError(t, v.coracle("update", "--pids-limit", "8", v.id), "container not running")
}

// TestRootUpdateBad: what is wrong is named by the flag or the property, and
// changes nothing; what the kernel refuses puts back what it had taken.
func TestRootUpdateBad(t *testing.T) {
	testkit.NoLeaks(t)
	v := startedTop(t, func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](50)}, Memory: &specs.LinuxMemory{Limit: ptr[int64](64 << 20)}}
	})
	for _, c := range []struct {
		args  []string
		words []string
	}{
		{nil, []string{"update: no limit is given; hint: name what is to change, as in: coracle update --memory 512m "}},
		{[]string{"--memory", "lots"}, []string{"--memory: ", `"lots" is not a number of bytes`}},
		{[]string{"--memory", "-2"}, []string{"--memory: "}},
		{[]string{"--pids-limit", "x"}, []string{"--pids-limit: "}},
		{[]string{"--pids-limit", "-5"}, []string{"--pids-limit: is -5"}},
		{[]string{"--cpu-quota", "5"}, []string{"--cpu-quota: is 5 µs"}},
		{[]string{"--blkio-weight", "5"}, []string{"--blkio-weight: is 5"}},
		{[]string{"--cpu-idle", "2"}, []string{"--cpu-idle: is 2"}},
		{[]string{"--cpuset-cpus", "a"}, []string{"--cpuset-cpus: "}},
		{[]string{"--memory", "32m", "--cpuset-cpus", "4000"}, []string{"--cpuset-cpus: write ", "this machine does not have all of them"}},
		{[]string{"--l3-cache-schema", "L3:0=f"}, []string{"--l3-cache-schema: the container was created without linux.intelRdt"}},
		{[]string{"--mem-bw-schema", "MB:0=5"}, []string{"--mem-bw-schema: the container was created without linux.intelRdt"}},
		{[]string{"--mem-bw-schema", "L3:0=f"}, []string{`--mem-bw-schema: "L3:0=f" does not begin with MB:`}},
		{[]string{"--l3-cache-schema", "L3:0=f\nMB:0=5"}, []string{"--l3-cache-schema: has a line break"}},
		{[]string{"--resources", "/no/such/file"}, []string{"--resources: open the file", "ENOENT"}},
	} {
		expectError(t, v.coracle(append(append([]string{"update"}, c.args...), v.id)...), c.words...)
		v.expectLimits(map[string]string{"memory.limit_in_bytes|memory.max": "67108864", "pids.max": "50"})
	}
	for text, word := range map[string]string{`{"memory":{"limit":"1"}}`: "--resources memory.limit: must be a number, not a string", `[]`: "--resources: must be an object", "": "--resources: is empty",
		`{"pids":{"limit":5}`: "--resources:1:", `{"pids":{"limit":5},"cpu":{"cpus":"4000"}}`: "--resources cpu.cpus: write "} {
		expectError(t, v.update(text), word)
		v.expectLimits(map[string]string{"pids.max": "50"})
	}
	if got := v.coracle("update", "--kernel-memory", "5", v.id); got.code != 0 || !strings.Contains(got.stderr, "--kernel-memory is ignored") {
		t.Errorf("got %+v", got)
	}
}

// TestRootUpdateBelowUsage: a limit below what is in use is refused with the
// figure where the kernel refuses it (v1) or the caller asked for that; else v2
// kills, and that is told.
func TestRootUpdateBelowUsage(t *testing.T) {
	testkit.NoLeaks(t)
	v := startedTop(t, noNamespace(specs.PIDNamespace), testkit.Args("/bin/sh", "-c", `s=$(dd if=/dev/zero bs=1k count=16384 2>/dev/null | tr '\0' x); echo > /ready; read forever < /fifo`))
	must(t, mkfifo(v.rootfs("fifo")))
	waitFor(t, "16 MiB", func() bool { return exists(v.rootfs("ready")) })
	expectError(t, v.update(`{"memory":{"limit":4194304,"checkBeforeUpdate":true}}`), "--resources memory.checkBeforeUpdate: set a memory limit of 4194304 bytes: ", " are in use")
	got := v.coracle("update", "--memory", "4m", v.id)
	if _, err := os.Stat("/sys/fs/cgroup/memory"); err == nil {
		expectError(t, got, "--memory: write ", " bytes are in use", "EBUSY")
		return
	}
	if got.code != 0 || !strings.Contains(got.stderr, "killed ") {
		t.Errorf("got %+v", got)
	}
}

// TestRootUpdateSwap: memory and swap together, up and down, on v1.
func TestRootUpdateSwap(t *testing.T) {
	testkit.Need(t, testkit.CgroupV1)
	testkit.NoLeaks(t)
	v := startedTop(t)
	for _, pair := range [][2]int64{{64 << 20, 128 << 20}, {32 << 20, 32 << 20}, {256 << 20, 512 << 20}, {16 << 20, 20 << 20}} {
		v.quiet("update", "--memory", strconv.FormatInt(pair[0], 10), "--memory-swap", strconv.FormatInt(pair[1], 10), v.id)
		v.expectLimits(map[string]string{"memory.limit_in_bytes": strconv.FormatInt(pair[0], 10), "memory.memsw.limit_in_bytes": strconv.FormatInt(pair[1], 10)})
	}
	expectError(t, v.coracle("update", "--memory", "1g", v.id), "--memory: write ", "the limit of memory and swap together is 20971520: raise that too")
	v.quiet("update", "--memory-swap", "40m", v.id)
	v.expectLimits(map[string]string{"memory.limit_in_bytes": "16777216", "memory.memsw.limit_in_bytes": "41943040"})
	v.quiet("update", "--memory=-1", v.id)
}

func mkfifo(path string) error { return syscall.Mkfifo(path, 0o600) }
