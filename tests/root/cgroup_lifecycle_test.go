// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/testkit"
	"github.com/coracle-oci/coracle/runtime/cgroup"
	"github.com/coracle-oci/coracle/runtime/cgroup/resources"
	"github.com/coracle-oci/coracle/runtime/probe"
)

// TestRootCgroupMembers: who joins is listed in all hierarchies, and Kill and
// Remove leave nobody and nothing.
func TestRootCgroupMembers(t *testing.T) {
	b := newBox(t, nil)
	if pids, err := cgroup.Pids(b.Dirs); err != nil || len(pids) != 0 {
		t.Fatal(pids, err)
	}
	one, two := b.start(), b.start()
	for _, dir := range b.Dirs {
		want := []int{one.Process.Pid, two.Process.Pid}
		slices.Sort(want)
		if pids, err := cgroup.Pids([]string{dir}); err != nil || !slices.Equal(pids, want) {
			t.Errorf("%s: got %v %v, want %v", dir, pids, err, want)
		}
	}
	if err := cgroup.Kill(b.Dirs, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	expectSignal(t, one, syscall.SIGTERM)
	expectSignal(t, two, syscall.SIGTERM)
	three := b.start()
	if err := cgroup.Kill(b.Dirs, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	expectSignal(t, three, syscall.SIGKILL)
	if err := cgroup.Remove(b.Dirs); err != nil {
		t.Fatal(err)
	}
	if pids, err := cgroup.Pids(b.Dirs); err != nil || len(pids) != 0 {
		t.Error("of removed cgroups:", pids, err)
	}
	if err := cgroup.Remove(b.Dirs); err != nil {
		t.Error("removed twice:", err)
	}
	if err := cgroup.Kill(b.Dirs, syscall.SIGKILL); err != nil {
		t.Error("killed when nothing is there:", err)
	}
}

func expectSignal(t *testing.T, c *exec.Cmd, want syscall.Signal) {
	t.Helper()
	var exit *exec.ExitError
	if err := c.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != want {
		t.Errorf("got %v, want %v", err, want)
	}
}

// TestRootCgroupKillForks: a script that forks and lets its parents die cannot
// outrun Kill, neither with the help of v2 nor, where there is v1, without.
func TestRootCgroupKillForks(t *testing.T) {
	killForks(t, func(b box) []string { return b.Dirs })
	killForks(t, v1Dirs)
}

func killForks(t *testing.T, dirs func(box) []string) {
	t.Helper()
	b := newBox(t, &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](100)}})
	// Where the limit lets the first shell not fork, it ends: it is executed anew then.
	const forks = `trap 'exec /bin/sh -c "$0" "$0"' EXIT; f() { f & f & sleep 0.01; }; while :; do f; done 2>/dev/null`
	c := b.command("/bin/sh", "-c", forks, forks)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "forks", func() bool { pids, _ := cgroup.Pids(b.Dirs); return len(pids) > 50 })
	if err := cgroup.Kill(dirs(b), syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	if err := cgroup.Remove(b.Dirs); err != nil {
		t.Error(err)
	}
	c.Process.Kill()
	c.Wait()
}

// waitFor waits for what gives no notice.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no ", what)
		}
	}
}

// TestRootCgroupNested: cgroups that the container made in its own are seen,
// and removed at any depth.
func TestRootCgroupNested(t *testing.T) {
	const depth = 100
	b := newBox(t, nil)
	for _, dir := range b.Dirs {
		deep := dir + strings.Repeat("/x", depth)
		if err := os.MkdirAll(deep, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, side := range []string{"/y", "/x/y", "/x/x/y/z"} {
			if err := os.MkdirAll(dir+side, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	c := b.start()
	last := b.Dirs[len(b.Dirs)-1] + "/x/x/y/z/cgroup.procs"
	if err := os.WriteFile(last, []byte(strconv.Itoa(c.Process.Pid)), 0); err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err) // ENOSPC: a cpuset of v1 without cpus
	}
	if pids, err := cgroup.Pids(b.Dirs[len(b.Dirs)-1:]); err != nil || !slices.Equal(pids, []int{c.Process.Pid}) {
		t.Errorf("got %v %v, want %d", pids, err, c.Process.Pid)
	}
	if err := cgroup.Kill(b.Dirs, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := cgroup.Remove(b.Dirs); err != nil {
		t.Error(err)
	}
}

// TestRootCgroupRemoveWaits for a process that is about to end.
func TestRootCgroupRemoveWaits(t *testing.T) {
	b := newBox(t, nil)
	c := b.start()
	begin := time.Now()
	time.AfterFunc(300*time.Millisecond, func() { c.Process.Kill() })
	if err := cgroup.Remove(b.Dirs); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took < 250*time.Millisecond {
		t.Errorf("it took %v", took)
	}
}

// TestRootCgroupRemoveBusy gives up in the end, and says who is there.
func TestRootCgroupRemoveBusy(t *testing.T) {
	b := newBox(t, nil)
	c := b.start()
	begin := time.Now()
	err := cgroup.Remove(b.Dirs)
	if !errors.Is(err, syscall.EBUSY) || !strings.Contains(err.Error(), "which process "+strconv.Itoa(c.Process.Pid)+" is in") {
		t.Error(err)
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("it took %v for %d hierarchies", took, len(b.Dirs))
	}
}

// TestRootCgroupFreeze: a frozen container stands still until it is thawed, with
// the freezer of v2 and, where there is one, with that of v1.
func TestRootCgroupFreeze(t *testing.T) {
	freeze(t, func(b box) []string { return b.Dirs })
	freeze(t, v1Dirs)
}

// v1Dirs returns the directories of v1, or all where there is no v1.
func v1Dirs(b box) []string {
	v1 := slices.DeleteFunc(slices.Clone(b.Dirs), func(dir string) bool { return dir == b.Into })
	if len(v1) == 0 {
		return b.Dirs
	}
	return v1
}

func freeze(t *testing.T, of func(box) []string) {
	t.Helper()
	b := newBox(t, nil)
	dirs := of(b)
	file := t.TempDir() + "/count"
	c := b.command("/bin/sh", "-c", `i=0; while :; do i=$((i+1)); echo $i > "$0"; done`, file)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Wait()
	defer c.Process.Kill()
	count := func() string { data, _ := os.ReadFile(file); return string(data) }
	waitFor(t, "counting", func() bool { return count() != "" })

	for _, step := range []struct {
		name   string
		do     func([]string) error
		frozen bool
	}{{"freeze", cgroup.Freeze, true}, {"freeze again", cgroup.Freeze, true}, {"thaw", cgroup.Thaw, false}, {"freeze after that", cgroup.Freeze, true}} {
		if err := step.do(dirs); err != nil {
			t.Fatal(step.name, err)
		}
		if frozen, err := cgroup.Frozen(dirs); err != nil || frozen != step.frozen {
			t.Errorf("%s: frozen is %v %v", step.name, frozen, err)
		}
		before := count()
		if !step.frozen {
			waitFor(t, "movement", func() bool { return count() != before })
			continue
		}
		if time.Sleep(100 * time.Millisecond); count() != before {
			t.Errorf("%s: it moves", step.name)
		}
	}
	if err := cgroup.Kill(dirs, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := cgroup.Thaw(dirs); err != nil {
		t.Fatal(err)
	}
	expectSignal(t, c, syscall.SIGKILL)
}

// TestRootCgroupInUse: a cgroup that somebody is in is no place for a container,
// one that was left behind is.
func TestRootCgroupInUse(t *testing.T) {
	b := newBox(t, nil)
	if err := cgroup.Apply(b.Make, b.Limit); err != nil {
		t.Fatal("an empty cgroup was refused:", err)
	}
	c := b.start()
	err := cgroup.Apply(b.Make)
	if err == nil || !strings.Contains(err.Error(), "config.json linux.cgroupsPath: use the cgroup "+b.Dirs[0]+": process "+strconv.Itoa(c.Process.Pid)+" is in it") {
		t.Error(err)
	}
	if err := cgroup.EnsureEmpty(b.Dirs); err == nil || !strings.Contains(err.Error(), "process "+strconv.Itoa(c.Process.Pid)+" is in it") {
		t.Error(err)
	}
	c.Process.Kill()
	c.Wait()
	waitFor(t, "end of the process", func() bool { pids, err := cgroup.Pids(b.Dirs); return err == nil && len(pids) == 0 })
	if err := cgroup.EnsureEmpty(append([]string{b.Dirs[0] + "/missing"}, b.Dirs...)); err != nil {
		t.Error(err)
	}
	if err := cgroup.Freeze(b.Dirs); err != nil {
		t.Fatal(err)
	}
	if err := cgroup.Apply(b.Make); err == nil || !strings.Contains(err.Error(), "it is frozen") {
		t.Error(err)
	}
}

// TestRootCgroupUndo: when a limit is refused, the error names its field, and
// no directory stays, parents included.
func TestRootCgroupUndo(t *testing.T) {
	for _, c := range []struct {
		name string
		r    specs.LinuxResources
		want string
		hint string
	}{
		{"cpus", specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "4000"}}, "config.json linux.resources.cpu.cpus: write ", "this machine does not have all of them"},
		{"disk", specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{ThrottleReadBpsDevice: []specs.LinuxThrottleDevice{
			{LinuxBlockIODevice: specs.LinuxBlockIODevice{Major: 4095, Minor: 1}, Rate: 1},
		}}}, "config.json linux.resources.blockIO.throttleReadBpsDevice[0]: write ", "no disk has this number"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := compileBox(t, &c.r)
			err := cgroup.Apply(b.Make, b.Limit)
			if err == nil || !strings.HasPrefix(err.Error(), c.want) || !strings.Contains(fail.HintOf(err), c.hint) {
				t.Errorf("got %v; hint: %s", err, fail.HintOf(err))
			}
			for _, dir := range b.Dirs {
				if _, err := os.Stat(dir[:strings.LastIndexByte(dir, '/')]); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("%s was left behind", dir)
				}
			}
		})
	}
}

// TestRootCgroupOccupiedParent: a v2 cgroup that holds processes cannot pass
// controllers on, and the error says so.
func TestRootCgroupOccupiedParent(t *testing.T) {
	testkit.Need(t, testkit.Root, testkit.CgroupV2)
	facts, err := probe.Cgroup()
	if err != nil {
		t.Fatal(err)
	}
	c, err := resources.Compile("c1", facts.V2.Own+"/c1", &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](1 << 24)}}, facts)
	if err != nil {
		t.Fatal(err)
	}
	err = cgroup.Apply(c.Make, c.Limit)
	if err == nil || !strings.Contains(err.Error(), "config.json linux.resources.memory.limit: write ") ||
		!strings.Contains(fail.HintOf(err), "device or resource busy (EBUSY); processes in that cgroup prevent it") {
		t.Errorf("got %v; hint: %s", err, fail.HintOf(err))
	}
	if _, err := os.Stat(c.Into); !errors.Is(err, os.ErrNotExist) {
		t.Error("the directory stayed")
	}
}

// TestRootCgroupUnprivileged: an ordinary user gets cgroups in a directory that
// was delegated to it. The rules for devices, which it may not set, are no error.
func TestRootCgroupUnprivileged(t *testing.T) {
	const nobody = 65534
	b := newBox(t, &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](7)}, Devices: []specs.LinuxDeviceCgroup{{Access: "rwm"}}})
	if err := cgroup.Remove(b.Dirs); err != nil {
		t.Fatal(err)
	}
	for _, dir := range b.Dirs {
		parent := filepath.Dir(dir)
		for _, file := range []string{"", "/cgroup.procs", "/cgroup.subtree_control"} {
			if err := os.Chown(parent+file, nobody, nobody); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		}
	}
	if err := asUser(nobody, func() error { return cgroup.Apply(b.Make, b.Limit) }); err != nil {
		t.Fatal(err)
	}
	b.expectFile("7", "pids.max")
	if err := asUser(nobody, func() error { return cgroup.Remove(b.Dirs) }); err != nil {
		t.Error(err)
	}
	outside := compileBox(t, nil)
	err := asUser(nobody, func() error { return cgroup.Apply(outside.Make, outside.Limit) })
	if !errors.Is(err, syscall.EACCES) || !strings.Contains(fail.HintOf(err), "delegated") || outside.Limits || !b.Limits {
		t.Error(err, fail.HintOf(err))
	}
}

// asUser calls f in a thread of another user, which ends with it.
func asUser(uid uintptr, f func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocks it: the thread is thrown away
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, uid, uid, uid); errno != 0 {
			result <- errno
			return
		}
		result <- f()
	}()
	return <-result
}

func BenchmarkRootCgroup(b *testing.B) {
	c := compileBox(b, nil)
	if err := cgroup.Apply(c.Make, c.Limit); err != nil { // the parents
		b.Fatal(err)
	}
	if err := cgroup.Remove(c.Dirs); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := cgroup.Apply(c.Make, c.Limit); err != nil {
			b.Fatal(err)
		}
		if err := cgroup.Remove(c.Dirs); err != nil {
			b.Fatal(err)
		}
	}
}
