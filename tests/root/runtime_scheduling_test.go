// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// TestRootScheduler: every policy of the spec is what the kernel says of the
// process afterwards; what it does not take is an error that names the field.
func TestRootScheduler(t *testing.T) {
	testkit.NoLeaks(t)
	for _, c := range []struct {
		have specs.Scheduler
		want unix.SchedAttr
	}{
		{specs.Scheduler{Policy: "SCHED_OTHER", Nice: 7}, unix.SchedAttr{Policy: unix.SCHED_NORMAL, Nice: 7}},
		{specs.Scheduler{Policy: "SCHED_BATCH", Nice: -3, Flags: []specs.LinuxSchedulerFlag{"SCHED_FLAG_RESET_ON_FORK"}}, unix.SchedAttr{Policy: unix.SCHED_BATCH, Nice: -3, Flags: unix.SCHED_FLAG_RESET_ON_FORK}},
		{specs.Scheduler{Policy: "SCHED_IDLE"}, unix.SchedAttr{Policy: unix.SCHED_IDLE}},
		{specs.Scheduler{Policy: "SCHED_FIFO", Priority: 10}, unix.SchedAttr{Policy: unix.SCHED_FIFO, Priority: 10}},
		{specs.Scheduler{Policy: "SCHED_RR", Priority: 20}, unix.SchedAttr{Policy: unix.SCHED_RR, Priority: 20}},
		{specs.Scheduler{Policy: "SCHED_DEADLINE", Runtime: 1e6, Deadline: 1e8, Period: 2e8}, unix.SchedAttr{Policy: unix.SCHED_DEADLINE, Runtime: 1e6, Deadline: 1e8, Period: 2e8}},
	} {
		t.Run(string(c.have.Policy), func(t *testing.T) {
			v := newVessel(t, func(s *specs.Spec) {
				s.Process.Scheduler = &c.have
				// Kernels with RT_GROUP_SCHED want a share of it on version 1.
				if _, err := os.Stat("/sys/fs/cgroup/cpu/cpu.rt_runtime_us"); err == nil && c.have.Priority > 0 {
					s.Linux.Resources = &specs.LinuxResources{CPU: &specs.LinuxCPU{RealtimeRuntime: ptr[int64](10_000), RealtimePeriod: ptr[uint64](1_000_000)}}
				}
			}, testkit.Args("sleep", "1000"))
			if err := canSchedule(c.want); err != nil { // this machine's limits are not ours
				v.expectRefusal("config.json process.scheduler: ", err.Error())
				return
			}
			v.create()
			v.quietStart()
			got, err := unix.SchedGetAttr(v.status().Pid, 0)
			must(t, err)
			got.Size, got.Util_min, got.Util_max = 0, 0, 0
			if c.want.Policy != unix.SCHED_DEADLINE {
				got.Runtime = 0 // the slice, since Linux 6.12
			}
			if *got != c.want {
				t.Errorf("got %+v, want %+v", *got, c.want)
			}
		})
	}
	v := newVessel(t, func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_ISO"} })
	v.expectRefusal("process.scheduler", "(EINVAL)", "Linux does not implement")
}

// canSchedule tries on a process of our own.
func canSchedule(a unix.SchedAttr) error {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		return err
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	a.Size = unix.SizeofSchedAttr
	return unix.SchedSetAttr(cmd.Process.Pid, &a, 0)
}

// TestRootIOPriority: all classes.
func TestRootIOPriority(t *testing.T) {
	for class, number := range map[specs.IOPriorityClass]uintptr{"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3} {
		v := newVessel(t, func(s *specs.Spec) { s.Process.IOPriority = &specs.LinuxIOPriority{Class: class, Priority: 5} }, testkit.Args("sleep", "1000"))
		const process = 1
		if _, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, process, 0, number<<13|5); errno != 0 {
			v.expectRefusal("process.ioPriority", errno.Error())
			continue
		}
		unix.Syscall(unix.SYS_IOPRIO_SET, process, 0, 0)
		v.create()
		got, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, process, uintptr(v.status().Pid), 0)
		if got != number<<13|5 || errno != 0 {
			t.Errorf("%s: %#x %v", class, got, errno)
		}
		v.quiet("delete", v.id)
	}
}

// TestRootMemoryPolicy: the kernel's own words for the policy of each mapping.
func TestRootMemoryPolicy(t *testing.T) {
	for _, c := range []struct {
		policy specs.LinuxMemoryPolicy
		want   string
	}{
		{specs.LinuxMemoryPolicy{Mode: "MPOL_DEFAULT"}, " default "},
		{specs.LinuxMemoryPolicy{Mode: "MPOL_BIND", Nodes: "0", Flags: []specs.MemoryPolicyFlagType{"MPOL_F_STATIC_NODES"}}, " bind=static:0 "},
		{specs.LinuxMemoryPolicy{Mode: "MPOL_INTERLEAVE", Nodes: "0", Flags: []specs.MemoryPolicyFlagType{"MPOL_F_RELATIVE_NODES"}}, " interleave=relative:0 "},
		{specs.LinuxMemoryPolicy{Mode: "MPOL_PREFERRED", Nodes: "0"}, " prefer:0 "},
		{specs.LinuxMemoryPolicy{Mode: "MPOL_PREFERRED_MANY", Nodes: "0"}, " prefer (many):0 "},
		{specs.LinuxMemoryPolicy{Mode: "MPOL_WEIGHTED_INTERLEAVE", Nodes: "0"}, " weighted interleave:0 "},
		{specs.LinuxMemoryPolicy{Mode: "MPOL_LOCAL"}, " local "},
	} {
		v := newVessel(t, func(s *specs.Spec) { s.Linux.MemoryPolicy = &c.policy }, testkit.Args("cat", "/proc/self/numa_maps"))
		if got := v.run(); got.code != 0 || !strings.Contains(got.stdout, c.want) {
			t.Errorf("%s: %d %s %s", c.policy.Mode, got.code, got.stderr, strings.SplitN(got.stdout, "\n", 3)[0])
		}
	}
	v := newVessel(t, func(s *specs.Spec) { s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: "MPOL_BIND", Nodes: "1000"} })
	v.expectRefusal("linux.memoryPolicy", "(EINVAL)")
}

func TestRootPersonality(t *testing.T) {
	for domain, want := range map[specs.LinuxPersonalityDomain]string{"LINUX": "00000000\n", "LINUX32": "00000008\n"} {
		v := newVessel(t, func(s *specs.Spec) { s.Linux.Personality = &specs.LinuxPersonality{Domain: domain} }, testkit.Args("cat", "/proc/self/personality"))
		if got := v.run(); got != (said{stdout: want}) {
			t.Errorf("%s: %+v", domain, got)
		}
	}
}

// TestRootAffinity: the caller's CPUs are not the container's.
func TestRootAffinity(t *testing.T) {
	testkit.Need(t, testkit.Tool("taskset"))
	v := newVessel(t, testkit.Args("grep", "Cpus_allowed_list", "/proc/self/status"))
	want := v.run()
	c := v.command("run", "--bundle", v.bundle, v.id)
	c.Args = append([]string{"taskset", "--cpu-list", "0"}, c.Args...)
	c.Path, _ = exec.LookPath("taskset")
	if got := finish(t, c); got != want || want.code != 0 || strings.HasSuffix(got.stdout, "\t0\n") {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestRootIntelRdt: where there is no resctrl it is refused; where there is, the
// container has a group for as long as it lives.
func TestRootIntelRdt(t *testing.T) {
	testkit.NoLeaks(t)
	v := newVessel(t, func(s *specs.Spec) { s.Linux.IntelRdt = &specs.LinuxIntelRdt{EnableMonitoring: true} }, testkit.Args("sleep", "1000"))
	if _, err := os.Stat("/sys/fs/resctrl/schemata"); err != nil {
		v.expectRefusal("config.json linux.intelRdt: resctrl is not mounted", "mount -t resctrl")
		return
	}
	v.create()
	group := "/sys/fs/resctrl/" + v.id
	for _, file := range []string{group + "/tasks", group + "/mon_groups/" + v.id + "/tasks"} {
		if data, err := os.ReadFile(file); strings.TrimSpace(string(data)) != itoa(v.status().Pid) {
			t.Errorf("%s: %q %v", file, data, err)
		}
	}
	v.quiet("delete", "--force", v.id)
	if _, err := os.Stat(group); err == nil {
		t.Errorf("%s is still there", group)
	}
}
