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
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/testkit"
)

// TestRootOldStates: a container whose state an older coracle has written, as it is
// kept here for each, can be looked at, exec'ed into, paused, killed and deleted.
func TestRootOldStates(t *testing.T) {
	testkit.NoLeaks(t)
	files, err := filepath.Glob("testdata/states/*.json")
	must(t, err)
	if len(files) == 0 {
		t.Fatal("there is no old state")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			v := sleeping(t)
			name := filepath.Join(v.state, v.id, "state.json")
			var now struct {
				PID       int
				StartTime uint64
				Cgroups   json.RawMessage
			}
			data, err := os.ReadFile(name)
			must(t, err)
			must(t, json.Unmarshal(data, &now))
			old, err := os.ReadFile(file)
			must(t, err)
			text := strings.NewReplacer(`"ID"`, strconv.Quote(v.id), ":PID,", ":"+itoa(now.PID)+",", ":START,", ":"+strconv.FormatUint(now.StartTime, 10)+",",
				"BUNDLE", v.bundle, ":CGROUPS,", ":"+string(now.Cgroups)+",").Replace(string(old))
			must(t, os.WriteFile(name, []byte(text), 0o600))
			if s := v.status(); s.Status != specs.StateRunning || s.Pid != now.PID || s.Annotations["a"] != "b" {
				t.Errorf("%+v", s)
			}
			if got := v.execSh("hostname; cat /proc/1/comm"); got != "test\nsleep" {
				t.Errorf("exec: %q", got)
			}
			v.quiet("pause", v.id)
			v.quiet("resume", v.id)
			v.quiet("kill", v.id, "KILL")
			waitFor(t, "end", func() bool { return v.status().Status == specs.StateStopped })
			v.quiet("delete", v.id)
			v.expectGone()
		})
	}
}

// TestRootKillExec: exec killed at any moment leaves a process that runs what it
// was to run, or none; and a container that can be exec'ed into and deleted.
func TestRootKillExec(t *testing.T) {
	testkit.NoLeaks(t)
	const rounds = 150
	random := testkit.Seed(t)
	v := sleeping(t)
	longest := time.Hour
	for range 3 { // the fastest: one that was held up would put all kills behind the end
		began := time.Now()
		v.quiet("exec", v.id, "true")
		longest = min(longest, 2*time.Since(began))
	}
	file := filepath.Join(t.TempDir(), "pid")
	ran, none := 0, 0
	for range rounds {
		os.Remove(file)
		c := v.command("exec", "--detach", "--pid-file", file, v.id, "sleep", "777")
		must(t, c.Start())
		time.Sleep(time.Duration(random.Int64N(int64(longest)))) // the moment is what the test is about
		must(t, unix.Kill(c.Process.Pid, unix.SIGKILL))
		c.Wait()
		// What has not been let go ends with its creator.
		waitFor(t, "end of launch programs", func() bool { return len(v.processes(t, "coracle-init")) == 0 })
		left := v.processes(t, "sleep")
		_, err := os.Stat(file)
		if err == nil && len(left) < 2 || len(left) > 2 {
			t.Fatalf("%d processes, pid file: %v", len(left), err)
		}
		if len(left) < 2 {
			none++
			continue
		}
		ran++
		for _, pid := range left {
			if pid != v.status().Pid {
				must(t, unix.Kill(pid, unix.SIGKILL))
			}
		}
		waitFor(t, "end", func() bool { return len(v.processes(t, "sleep")) == 1 })
	}
	if ran == 0 || none == 0 {
		t.Errorf("%d of %d were killed before, and %d after the process ran", none, rounds, ran)
	}
	if got := v.execSh("echo still"); got != "still" {
		t.Error(got)
	}
}

// processes returns those in the container's cgroups whose command has a name.
func (v vessel) processes(t testing.TB, comm string) (pids []int) {
	t.Helper()
	seen := map[int]bool{}
	for _, dir := range cgroupsOf(t, v) { // a process joins one after the other
		data, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		must(t, err)
		for _, text := range strings.Fields(string(data)) {
			pid := atoi(t, text)
			name, err := os.ReadFile("/proc/" + text + "/comm")
			if err == nil && strings.TrimSpace(string(name)) == comm && !seen[pid] {
				status, _ := os.ReadFile("/proc/" + text + "/status")
				if !strings.HasPrefix(field(string(status), "State"), "Z") {
					pids = append(pids, pid)
				}
			}
			seen[pid] = true
		}
	}
	return pids
}

// TestRootExecEnds: a container that ends while it is exec'ed into is one that has
// stopped, and no exec hangs.
func TestRootExecEnds(t *testing.T) {
	testkit.NoLeaks(t)
	random := testkit.Seed(t)
	v := newVessel(t, testkit.Args("sleep", "1000"))
	for range 25 {
		v.create()
		v.quietStart()
		done := make(chan said, 1)
		go func() { done <- v.exec("sleep", "1000") }()
		time.Sleep(time.Duration(random.Int64N(int64(8 * time.Millisecond))))
		v.quiet("delete", "--force", v.id)
		select {
		case got := <-done:
			// Killed with the container, or told that it is gone.
			if got.code != 137 && (got.code != 255 || !strings.Contains(got.stderr, "stopped container") && !strings.Contains(got.stderr, "does not exist") && !strings.Contains(got.stderr, "was killed")) {
				t.Errorf("%+v", got)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("exec hangs")
		}
	}
}

// TestRootExecSeccomp: the container's filter holds for the process too, and an
// agent is asked about it under the process's own pid.
func TestRootExecSeccomp(t *testing.T) {
	for _, noNew := range []bool{false, true} {
		v := sleeping(t, filter(specs.ActAllow, noMkdir()), mount("/tmp", "tmpfs", "tmpfs"), func(s *specs.Spec) { s.Process.NoNewPrivileges = noNew })
		if got := v.execSh("grep Seccomp: /proc/self/status; mkdir /tmp/x 2>/dev/null || echo refused"); got != "Seccomp:\t2\nrefused" {
			t.Errorf("%q", got)
		}
	}
	a := newAgent(t)
	v := newVessel(t, asking(a), mount("/tmp", "tmpfs", "tmpfs"), testkit.Args("sleep", "1000"))
	v.create()
	started := make(chan said, 1)
	go func() { started <- v.coracle("start", v.id) }()
	_, first := a.accept()
	defer unix.Close(first)
	answer(t, first, sys.SeccompAnswer{Flags: sys.SeccompContinue})
	if got := <-started; got != (said{}) {
		t.Fatalf("%+v", got)
	}
	done := make(chan said, 1)
	go func() { done <- v.exec("mkdir", "/tmp/x") }()
	state, listener := a.accept()
	defer unix.Close(listener)
	if state.Pid == v.status().Pid || state.State.Pid != v.status().Pid || state.State.Status != specs.StateRunning || state.Metadata != "of mine" {
		t.Errorf("%+v", state)
	}
	if n := answer(t, listener, sys.SeccompAnswer{Flags: sys.SeccompContinue}); n.Number != unix.SYS_EXECVE || int(n.PID) != state.Pid {
		t.Errorf("asked about call %d of %d, want of %d", n.Number, n.PID, state.Pid)
	}
	answer(t, listener, sys.SeccompAnswer{Errno: -int32(syscall.EXDEV)})
	if got := <-done; got.code != 1 || !strings.Contains(got.stderr, "mkdir") {
		t.Errorf("%+v", got)
	}
}

// TestRootRootlessExec: an ordinary user in the user's own container.
func TestRootRootlessExec(t *testing.T) {
	testkit.NoLeaks(t)
	v := newRootless(t)
	v.edit(testkit.Args("sleep", "1000"))
	if got := v.as("run", "--detach", "--bundle", v.bundle, v.id); got != (said{}) {
		t.Fatalf("%+v", got)
	}
	got := v.as("exec", v.id, "sh", "-c", "id -u; cat /proc/1/comm; grep CapEff /proc/self/status; exit 6")
	if !strings.HasPrefix(got.stdout, "0\nsleep\n") || got.code != 6 || got.stderr != "" {
		t.Errorf("%+v", got)
	}
	if got := v.as("exec", v.id, "nosuch"); got.code != 255 || !strings.Contains(got.stderr, `exec: "nosuch": executable file not found in $PATH`) {
		t.Errorf("%+v", got)
	}
}
