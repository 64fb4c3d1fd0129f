// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/testkit"
	"github.com/coracle-oci/coracle/runtime/cgroup/resources"
	"github.com/coracle-oci/coracle/runtime/probe"
)

// A limited container is one that "coracle run" runs in cgroups of the test.
type limited struct {
	t      *testing.T
	id     string
	root   string // --root
	bundle string
	dirs   []string // its cgroups, while it lives
}

// newLimited makes a bundle that runs a shell script under limits.
func newLimited(t *testing.T, script string, r *specs.LinuxResources, edits ...func(*specs.Spec)) limited {
	t.Helper()
	testkit.Need(t, testkit.Root)
	facts, err := probe.Cgroup()
	if err != nil {
		t.Fatal(err)
	}
	if facts.V2 != nil {
		restoreControllers(t, facts.V2.Mount+"/cgroup.subtree_control")
	}
	id := fmt.Sprintf("coracle-test-%d-%d", os.Getpid(), testkit.Seed(t).Uint32())
	path := "/" + id
	c, err := resources.Compile(id, path, r, facts)
	if err != nil {
		t.Fatal(err)
	}
	l := limited{t: t, id: id, root: filepath.Join(t.TempDir(), "root"), dirs: c.Dirs}
	edits = append([]func(*specs.Spec){testkit.Args("/bin/sh", "-c", script), func(s *specs.Spec) {
		s.Linux.CgroupsPath, s.Linux.Resources = path, r
	}}, edits...)
	l.bundle = testkit.Bundle(t, edits...)
	return l
}

func (l limited) coracle(arguments ...string) *exec.Cmd {
	l.t.Helper()
	return exec.Command(testkit.Bin(l.t, "coracle"), append([]string{"--root", l.root}, arguments...)...)
}

// run runs the container to its end and returns its output and exit status. Its
// cgroups and its state are gone then.
func (l limited) run() (output string, status int) {
	l.t.Helper()
	c := l.coracle("run", "--bundle", l.bundle, l.id)
	data, err := c.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		l.t.Fatal(err)
	}
	l.expectGone()
	return string(data), c.ProcessState.ExitCode()
}

func (l limited) expectGone() {
	l.t.Helper()
	for _, dir := range l.dirs {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			l.t.Errorf("%s is still there (%v)", dir, err)
		}
	}
	if entries, _ := os.ReadDir(l.root); len(entries) > 0 {
		for _, e := range entries {
			if e.Name() == l.id {
				l.t.Errorf("the state of %s is still there", l.id)
			}
		}
	}
}

// TestRootLimitMemory: what needs more than the limit is killed, and only that.
func TestRootLimitMemory(t *testing.T) {
	limit := &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](32 * mebibyte), Swap: ptr[int64](32 * mebibyte)}}
	// The tmpfs of /dev is memory of the container.
	const fill = "dd if=/dev/zero of=/dev/fill bs=1M count=%d 2>/dev/null; echo dd $?"
	if output, status := newLimited(t, fmt.Sprintf(fill, 8), limit).run(); output != "dd 0\n" || status != 0 {
		t.Errorf("8 MiB: got %q, status %d", output, status)
	}
	output, status := newLimited(t, "exec dd if=/dev/zero of=/dev/fill bs=1M count=60", limit).run()
	if status != 128+int(syscall.SIGKILL) {
		t.Errorf("60 MiB: status %d, output %q", status, output)
	}
}

// TestRootLimitPids: a fork bomb stays within the limit and ends with the
// container.
func TestRootLimitPids(t *testing.T) {
	limit := &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](10)}}
	output, _ := newLimited(t, `for i in 1 2 3 4 5; do sleep 0.1 & done; wait; echo fine`, limit).run()
	if output != "fine\n" {
		t.Errorf("five processes: %q", output)
	}
	output, status := newLimited(t, `for i in $(seq 40); do sleep 100 & done; echo not reached`, limit).run()
	if status == 0 || strings.Contains(output, "not reached") || !strings.Contains(output, "can't fork") {
		t.Errorf("forty processes: status %d, %q", status, output)
	}
}

// TestRootLimitQuota: a container that could use two CPUs gets a quarter of one.
func TestRootLimitQuota(t *testing.T) {
	limit := &specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptr[int64](25_000), Period: ptr[uint64](100_000)}}
	l := newLimited(t, `i=0; while :; do i=$((i+1)); done & i=0; while :; do i=$((i+1)); done`, limit)
	c := l.coracle("run", "--bundle", l.bundle, l.id)
	var output bytes.Buffer
	c.Stdout, c.Stderr = &output, &output
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // for when the test ends early; otherwise nobody is there any more
		_ = l.coracle("delete", "--force", l.id).Run()
		_ = c.Wait()
	})
	b := box{resources.Cgroup{Dirs: l.dirs}, t}
	usage := func() time.Duration { return cpuUsage(b) }
	waitFor(t, "work", func() bool { return cpuExists(l.dirs) && usage() > 50*time.Millisecond })
	const wall = 2 * time.Second
	before, begin := usage(), time.Now()
	time.Sleep(wall)
	used, took := usage()-before, time.Since(begin)
	if out, err := l.coracle("kill", l.id, "KILL").CombinedOutput(); err != nil {
		t.Errorf("kill: %v %s", err, out)
		c.Process.Kill()
	}
	c.Wait()
	if share := float64(used) / float64(took); share > 0.35 || share < 0.05 {
		t.Errorf("used %.2f CPUs (%v in %v); %s", share, used, took, &output)
	}
	l.expectGone()
}

// cpuExists reports whether the container's cgroups are there.
func cpuExists(dirs []string) bool {
	for _, dir := range dirs {
		if _, err := os.Stat(dir); err != nil {
			return false
		}
	}
	return true
}

// cpuUsage returns the time that the cgroup has used.
func cpuUsage(b box) time.Duration {
	b.t.Helper()
	text := b.file("cpuacct.usage", "cpu.stat")
	if ns, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Duration(ns)
	}
	for line := range strings.Lines(text) {
		if us, ok := strings.CutPrefix(line, "usage_usec "); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(us), 10, 64)
			return time.Duration(n) * time.Microsecond
		}
	}
	b.t.Fatalf("no usage in %q", text)
	return 0
}

// TestRootLimitCpuset: the container runs on the CPU that it was given.
func TestRootLimitCpuset(t *testing.T) {
	l := newLimited(t, "grep Cpus_allowed_list /proc/self/status", &specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "0"}})
	if output, _ := l.run(); output != "Cpus_allowed_list:\t0\n" {
		t.Errorf("got %q", output)
	}
}

// TestRootLimitDevices: a node is not enough to reach a device, and the default
// devices need no rule.
func TestRootLimitDevices(t *testing.T) {
	capable := func(s *specs.Spec) {
		s.Process.Capabilities = &specs.LinuxCapabilities{}
		for _, set := range []*[]string{&s.Process.Capabilities.Bounding, &s.Process.Capabilities.Effective, &s.Process.Capabilities.Permitted} {
			*set = []string{"CAP_MKNOD", "CAP_SYSLOG"} // reading kmsg needs the second one, too
		}
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/nodes", Type: "tmpfs", Source: "tmpfs"})
	}
	const script = `mknod /nodes/kmsg c 1 11 && echo made; (exec 3</nodes/kmsg) 2>/dev/null && echo opened; echo x > /dev/null && head -c 3 /dev/zero | wc -c`
	for _, c := range []struct {
		rules []specs.LinuxDeviceCgroup
		want  string
	}{
		{nil, "made\n3\n"},
		{[]specs.LinuxDeviceCgroup{{Access: "rwm"}}, "made\n3\n"},
		{[]specs.LinuxDeviceCgroup{{Access: "rwm"}, {Allow: true, Type: "c", Major: ptr[int64](1), Minor: ptr[int64](11), Access: "r"}}, "made\nopened\n3\n"},
	} {
		if output, _ := newLimited(t, script, &specs.LinuxResources{Devices: c.rules}, capable).run(); output != c.want {
			t.Errorf("%v: got %q, want %q", c.rules, output, c.want)
		}
	}
}

// TestRootLimitRefused: a limit that the machine cannot give fails the run with
// the field, and leaves nothing.
func TestRootLimitRefused(t *testing.T) {
	l := newLimited(t, "true", &specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "4000"}})
	output, status := l.run()
	if status != 1 || !strings.HasPrefix(output, "coracle: config.json linux.resources.cpu.cpus: write ") || strings.Count(output, "\n") != 1 {
		t.Errorf("status %d, %q", status, output)
	}
}

// TestRootLimitInMembership: the container is in its own cgroup in each
// hierarchy, and nowhere else.
func TestRootLimitInMembership(t *testing.T) {
	l := newLimited(t, "cat /proc/self/cgroup", nil, func(s *specs.Spec) {
		s.Linux.Namespaces = s.Linux.Namespaces[:len(s.Linux.Namespaces)-1] // all but the cgroup namespace
	})
	output, _ := l.run()
	lines := strings.Split(strings.TrimSpace(output), "\n")
	if len(lines) < len(l.dirs) {
		t.Errorf("%d hierarchies in %q", len(l.dirs), output)
	}
	in := 0
	for _, line := range lines {
		if strings.HasSuffix(line, ":/"+l.id) {
			in++
		}
	}
	if in != len(l.dirs) {
		t.Errorf("it is in %d of %d hierarchies: %q", in, len(l.dirs), output)
	}
}

// TestRootLimitSharedPath: a second container cannot have the cgroup of the
// first, and failing to get it does not harm who is there.
func TestRootLimitSharedPath(t *testing.T) {
	first := newLimited(t, "echo up; read forever", nil)
	c := first.coracle("run", "--bundle", first.bundle, first.id)
	input, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // for when the test ends early
		_ = first.coracle("delete", "--force", first.id).Run()
		_ = c.Wait()
	})
	if _, err := io.ReadFull(output, make([]byte, len("up\n"))); err != nil {
		t.Fatal(err)
	}
	text, err := first.coracle("run", "--bundle", first.bundle, first.id+"-second").CombinedOutput()
	if err == nil || !strings.HasPrefix(string(text), "coracle: config.json linux.cgroupsPath: use the cgroup ") {
		t.Errorf("got %v %s", err, text)
	}
	text, err = first.coracle("delete", "--force", first.id+"-second").CombinedOutput()
	if err != nil {
		t.Errorf("%v %s", err, text)
	}
	input.Close() // ends the first one, if it still lives
	if err := c.Wait(); err != nil {
		if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 1 { // of read at its end
			t.Errorf("the first container: %v", err)
		}
	}
	first.expectGone()
}

// TestRootLimitPidsSmall: a limit counts the processes of the container, not
// those that it takes to make one. 0 is a limit as well: no fork at all.
func TestRootLimitPidsSmall(t *testing.T) {
	for _, limit := range []int64{0, 1} {
		output, status := newLimited(t, "echo alone; exec sleep 0", &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr(limit)}}).run()
		if output != "alone\n" || status != 0 {
			t.Errorf("limit %d: status %d, %q", limit, status, output)
		}
		output, status = newLimited(t, "sleep 0; echo not reached", &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr(limit)}}).run()
		if status == 0 || strings.Contains(output, "not reached") {
			t.Errorf("limit %d, and a fork: status %d, %q", limit, status, output)
		}
	}
}
