// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// TestRootRaceVolume: while containers start, somebody exchanges directories of
// a shared volume for links to the host, as in CVE-2021-30465. Mounts below it
// never appear on the host, and nothing is made there.
func TestRootRaceVolume(t *testing.T) {
	const runs = 200
	volume, outside := t.TempDir(), t.TempDir()
	must(t, os.MkdirAll(filepath.Join(volume, "a", "b"), 0o755))
	must(t, os.Symlink(outside, filepath.Join(volume, "link")))
	v := newVessel(t, mount("/v", "bind", volume, "rbind"),
		mount("/v/a/b/c", "tmpfs", "marked", "size=4k"), mount("/v/a/d", "bind", volume, "bind"), mount("/v/a/e/file", "bind", "/etc/hostname", "bind"),
		testkit.Args("/bin/sh", "-c", "cat /proc/self/mountinfo"), func(s *specs.Spec) { s.Process.Cwd = "/v/a/f" })
	var stop atomic.Bool
	var racer sync.WaitGroup
	racer.Go(func() {
		for !stop.Load() {
			if err := unix.Renameat2(unix.AT_FDCWD, volume+"/a", unix.AT_FDCWD, volume+"/link", unix.RENAME_EXCHANGE); err != nil {
				t.Error(err)
				return
			}
		}
	})
	var ran, refused int
	for range runs {
		switch got := v.run(); {
		case got.code == 0:
			ran++
			for at := range mountsOf(t, got.stdout) {
				if strings.Contains(at, outside) && !strings.HasPrefix(at, outside) {
					t.Errorf("mounted at %s", at)
				}
			}
		case strings.Count(got.stderr, "\n") == 1:
			refused++
		default:
			t.Errorf("%+v", got)
		}
		if left, _ := os.ReadDir(outside); len(left) != 0 {
			t.Fatalf("made on the host: %v", left)
		}
	}
	stop.Store(true)
	racer.Wait()
	t.Logf("%d ran, %d were refused", ran, refused)
	if ran == 0 {
		t.Error("none ran: the race was never won by us")
	}
	v.expectGone()
}

// TestRootNoHostInside: a container cannot find a descriptor, a root, a working
// directory or an executable of the host through its own /proc.
func TestRootNoHostInside(t *testing.T) {
	v := newVessel(t, allCapabilities)
	got := v.sh("ls -l /proc/1/fd /proc/1/cwd /proc/1/root /proc/1/exe /proc/self/root; cat /proc/1/maps | grep -c memfd; true")
	for _, bad := range []string{"coracle", v.bundle, "memfd", v.state} {
		for line := range strings.Lines(got) {
			if strings.Contains(line, bad) && !strings.Contains(line, "/tmp/coracle-out") && !strings.Contains(line, "/tmp/coracle-err") {
				t.Errorf("found %q in %q", bad, line)
			}
		}
	}
}

// TestRootExecutableSealed: what /proc/PID/exe of the waiting init shows can be
// written by nobody (CVE-2019-5736).
func TestRootExecutableSealed(t *testing.T) {
	v := newVessel(t)
	v.create()
	exe := "/proc/" + itoa(v.status().Pid) + "/exe"
	if target, err := os.Readlink(exe); err != nil || !strings.HasPrefix(target, "/memfd:") {
		t.Errorf("%s %v", target, err)
	}
	if f, err := os.OpenFile(exe, os.O_WRONLY, 0); err == nil {
		_, err = f.Write([]byte("x"))
		f.Close()
		if err == nil {
			t.Error("it can be written")
		}
	}
}

// TestRootWaitingMemory: a created init takes at most 64 KiB.
func TestRootWaitingMemory(t *testing.T) {
	const most = 64 // KiB
	spec := testkit.Config()
	spec.Linux.MaskedPaths = []string{"/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"}
	spec.Linux.ReadonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"}
	v := newVessel(t, func(s *specs.Spec) { *s = *spec })
	v.create()
	status, err := os.ReadFile("/proc/" + itoa(v.status().Pid) + "/status")
	must(t, err)
	resident, _, _ := strings.Cut(field(string(status), "VmRSS"), " ")
	n, err := strconv.Atoi(resident)
	if err != nil || n > most {
		t.Errorf("resident: %q KiB, want at most %d", resident, most)
	}
	t.Logf("resident: %d KiB", n)
}

// TestRootLittleMemory: busybox starts under a limit of 512 KiB, each time, in a
// fresh cgroup of version 1; version 2 counts more.
func TestRootLittleMemory(t *testing.T) {
	testkit.Need(t, testkit.CgroupV1)
	if swaps, err := os.ReadFile("/proc/swaps"); err != nil || strings.Count(string(swaps), "\n") > 1 {
		t.Fatalf("swap is on, which would hide what a container takes: %s %v", swaps, err)
	}
	v := newVessel(t, testkit.Args("/bin/true"), func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](512 << 10)}}
	})
	failed := map[string]int{}
	const tries = 100
	for range tries {
		if got := v.run(); got != (said{}) {
			failed["status "+itoa(got.code)+" "+got.stderr]++
		}
	}
	for text, n := range failed {
		t.Errorf("%d of %d: %s", n, tries, text)
	}
}

// TestRootMemoryTooLittle: a limit that nothing can live in is an error that names
// the field, and nothing is left.
func TestRootMemoryTooLittle(t *testing.T) {
	testkit.Need(t, testkit.Root)
	v := newVessel(t, func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](4096)}}
	})
	expectError(t, v.run(), "memory")
	v.expectGone()
}
