// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/testkit"
	"github.com/coracle-oci/coracle/runtime/cgroup"
	"github.com/coracle-oci/coracle/runtime/probe"
)

// TestRootCgroupRealtime: a share of realtime scheduling, as far as the parent has
// it, which here is the root.
func TestRootCgroupRealtime(t *testing.T) {
	testkit.Need(t, testkit.CgroupV1)
	v := newVessel(t, func(s *specs.Spec) {
		s.Linux.CgroupsPath = "/coracle-realtime"
		s.Linux.Resources = &specs.LinuxResources{CPU: &specs.LinuxCPU{RealtimeRuntime: ptr[int64](20_000), RealtimePeriod: ptr[uint64](500_000)}}
	})
	v.create()
	if got := v.limitOf("cpu.rt_runtime_us") + " of " + v.limitOf("cpu.rt_period_us"); got != "20000 of 500000" {
		t.Errorf("got %s", got)
	}
	v.quiet("delete", v.id)
}

// TestRootCgroupNetwork: classID and priorities, and huge pages, on hierarchies of
// version 1 that few machines mount: a mount namespace has them for the test.
func TestRootCgroupNetwork(t *testing.T) {
	testkit.Need(t, testkit.Root, testkit.CgroupV1)
	testkit.NoLeaks(t)
	v := newVessel(t, func(s *specs.Spec) {
		s.Linux.CgroupsPath = "/coracle-network"
		s.Linux.Resources = &specs.LinuxResources{
			Network:        &specs.LinuxNetwork{ClassID: ptr[uint32](0x100001), Priorities: []specs.LinuxInterfacePriority{{Name: "lo", Priority: 7}}},
			HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "2MB", Limit: 6 * mebibyte}},
		}
	})
	dir := t.TempDir()
	// The kernel takes a hierarchy down a while after its last mount, and says EBUSY until then.
	const script = `set -e; mount -t tmpfs none "$1"; cd "$1"; mkdir net huge
		attach() { for i in $(seq 50); do mount -t cgroup -o "$1" none "$2" 2>/dev/null && return; sleep 0.1; done; mount -t cgroup -o "$1" none "$2"; }
		attach net_cls,net_prio net; attach hugetlb huge; shift
		"$@"
		cat net/coracle-network/net_cls.classid; grep '^lo ' net/coracle-network/net_prio.ifpriomap
		cat huge/coracle-network/hugetlb.2MB.limit_in_bytes huge/coracle-network/hugetlb.2MB.rsvd.limit_in_bytes
		"$1" "$2" "$3" delete "$COPY"; ls -d net/coracle-network huge/coracle-network 2>/dev/null || true`
	c := exec.Command("unshare", append([]string{"--mount", "sh", "-c", script, "sh", dir}, v.command("create", "--bundle", v.bundle, v.id).Args...)...)
	c.Env = append(os.Environ(), "COPY="+v.id)
	got := finish(t, c)
	if want := "1048577\nlo 7\n6291456\n6291456\n"; got != (said{stdout: want}) {
		t.Errorf("got %+v, want %q", got, want)
	}
}

// TestRootCgroupUnified: files of version 2 by name, those without a controller
// too; one that is not there is an error that names it.
func TestRootCgroupUnified(t *testing.T) {
	testkit.Need(t, testkit.CgroupV2)
	b := newBox(t, &specs.LinuxResources{Unified: map[string]string{
		"memory.high": "67108864", "pids.max": "7", "cgroup.max.depth": "3", "cpu.idle": "1", "memory.oom.group": "1\n",
	}})
	for name, want := range map[string]string{"memory.high": "67108864", "pids.max": "7", "cgroup.max.depth": "3", "cpu.idle": "1", "memory.oom.group": "1"} {
		b.expectFile(want, name)
	}
	for _, name := range []string{"memory.none", "none.max"} {
		bad := compileBox(t, &specs.LinuxResources{Unified: map[string]string{name: "1"}})
		if err := cgroup.Apply(bad.Make, bad.Limit); err == nil || !strings.Contains(err.Error(), "linux.resources.unified["+strconv.Quote(name)+"]") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRootCgroupWeight: the weight of block I/O goes to BFQ's file, or else to the
// cost model's; a kernel with neither says what is missing.
func TestRootCgroupWeight(t *testing.T) {
	b := compileBox(t, &specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{Weight: ptr[uint16](505)}})
	err := cgroup.Apply(b.Make, b.Limit)
	if err != nil {
		if _, missing := os.Stat(bfqFile(t)); missing == nil || !strings.Contains(err.Error(), "config.json linux.resources.blockIO.weight: ") {
			t.Error(err)
		}
		return
	}
	got := b.file("io.bfq.weight", "io.weight", "blkio.bfq.weight")
	if first, _, _ := strings.Cut(got, "\n"); strings.TrimPrefix(first, "default ") != "505" && strings.TrimPrefix(first, "default ") != "5000" {
		t.Errorf("got %q", got)
	}
}

// bfqFile is a file of weights that a cgroup below the root has on this kernel.
func bfqFile(t *testing.T) string {
	t.Helper()
	f, err := probe.Cgroup()
	must(t, err)
	for _, h := range f.V1 {
		if h.Controllers[0] == "blkio" {
			return filepath.Join(h.Mount, "blkio.bfq.weight")
		}
	}
	return "/sys/fs/cgroup/system.slice/io.weight"
}
