// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/testkit"
)

// sleeper is an edit: a container that does nothing until it is killed.
func sleeper(s *specs.Spec) { s.Process.Args = []string{"/bin/sleep", "1000"} }

// started makes a container that runs.
func started(t testing.TB, edits ...func(*specs.Spec)) vessel {
	t.Helper()
	v := newVessel(t, append([]func(*specs.Spec){sleeper}, edits...)...)
	v.create()
	v.quiet("start", v.id)
	return v
}

// pids is what "ps --format json" prints.
func (v vessel) pids() (pids []int) {
	v.t.Helper()
	got := v.coracle("ps", "--format", "json", v.id)
	if got.code != 0 {
		v.t.Fatal(got.stderr)
	}
	must(v.t, json.Unmarshal([]byte(got.stdout), &pids))
	return pids
}

// TestRootPause: a paused container stands still, is called so, can be killed and
// deleted, and both verbs refuse what they cannot do in runc's words.
func TestRootPause(t *testing.T) {
	testkit.NoLeaks(t)
	v := started(t, testkit.Args("/bin/sh", "-c", `i=0; while :; do i=$((i+1)); echo $i > /count; done`))
	count := func() string { return readFile(v.rootfs("count")) }
	waitFor(t, "counting", func() bool { return count() != "" })

	expectError(t, v.coracle("resume", v.id), "container not paused")
	v.quiet("pause", v.id)
	if s := v.status(); s.Status != "paused" || s.Pid == 0 {
		t.Errorf("got %+v", s)
	}
	before := count()
	if time.Sleep(100 * time.Millisecond); count() != before {
		t.Error("it moves")
	}
	expectError(t, v.coracle("pause", v.id), "container not running")
	expectError(t, v.coracle("start", v.id), "cannot start a container that is paused")
	expectError(t, v.coracle("delete", v.id), "is not stopped: paused")
	v.quiet("resume", v.id)
	waitFor(t, "movement", func() bool { return count() != before })

	v.quiet("pause", v.id)
	v.quiet("kill", v.id, "9") // docker stop of a paused container does that
	waitFor(t, "its end", func() bool { return v.status().Status == "stopped" })
	expectError(t, v.coracle("pause", v.id), "container not running")
	expectError(t, v.coracle("resume", v.id), "container not paused")
	v.quiet("delete", v.id)

	v.create()
	v.quiet("pause", v.id) // one that was never started
	v.quiet("delete", "--force", v.id)
	v.expectGone()
}

// TestRootPs: all processes, nested cgroups included, as an array or as ps prints
// them; ps gets the arguments behind the id.
func TestRootPs(t *testing.T) {
	testkit.NoLeaks(t)
	v := started(t, testkit.Args("/bin/sh", "-c", "sleep 1001 & sleep 1002 & wait"))
	waitFor(t, "three processes", func() bool { return len(v.pids()) == 3 })
	pids := v.pids()
	if !slices.Contains(pids, v.status().Pid) || !slices.IsSorted(pids) {
		t.Errorf("got %v", pids)
	}
	got := v.coracle("ps", v.id)
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[0], "UID") || !strings.Contains(got.stdout, "sleep 1001") {
		t.Errorf("got %+v", got)
	}
	got = v.coracle("ps", v.id, "-o", "ppid,pid,args")
	if lines := strings.Split(strings.TrimSpace(got.stdout), "\n"); len(lines) != 4 || !strings.HasPrefix(strings.TrimSpace(lines[0]), "PPID") {
		t.Errorf("got %+v", got)
	}
	if got := v.coracle("ps", v.id, "--format", "json"); !strings.HasPrefix(got.stdout, "["+strconv.Itoa(pids[0])+",") { // runc takes it there too
		t.Errorf("got %+v", got)
	}
	expectError(t, v.coracle("ps", v.id, "-o", "args"), "its output has no column PID")
	expectError(t, v.coracle("ps", "--format", "xml", v.id), `unknown format "xml"`)
	v.quiet("kill", v.id, "KILL")
	waitFor(t, "their end", func() bool { return len(v.pids()) == 0 })
	if got := v.coracle("ps", "-f", "json", v.id); got.stdout != "[]\n" || got.code != 0 {
		t.Errorf("got %+v", got)
	}
}

// TestRootKillSignals: by number, by name in any spelling, and real-time ones.
func TestRootKillSignals(t *testing.T) {
	testkit.NoLeaks(t)
	becomeSubreaper(t)
	for signal, want := range map[string]int{"10": 10, "USR1": 10, "sigusr2": 12, "SIGTERM": 15, "RTMIN+3": 37, "sigrtmax-2": 62, "": 15} {
		// busybox has no traps for real-time signals; without a PID namespace the kernel delivers all.
		v := started(t, noNamespace(specs.PIDNamespace))
		args := []string{"kill", v.id}
		if signal != "" {
			args = append(args, signal)
		}
		v.quiet(args...)
		if got := v.coracle("wait", v.id); got.code != 128+want || got.stdout != fmt.Sprintln(128+want) {
			t.Errorf("%q: got %+v", signal, got)
		}
		v.reap()
		for _, bad := range []string{"65", "-1", "RTMIN+31", "RTMIN-1", "RTMIN+-1", "RTMIN++3", "RTMIN3", "RTMAX+1", "RTMAX-31", "SIGNAL", "0x9"} {
			expectError(t, v.coracle("kill", "--", v.id, bad), "unknown signal")
		}
		expectError(t, v.coracle("kill", v.id), "container not running")
		v.quiet("kill", "--all", v.id, "9")
		v.quiet("delete", v.id)
	}
}

// TestRootDying: the init of a PID namespace is not gone before all others of it are
// reaped, but it runs nothing any more: the container is stopped, and delete waits.
func TestRootDying(t *testing.T) {
	testkit.NoLeaks(t)
	becomeSubreaper(t) // what exec leaves is ours to reap, in our own time
	v := sleeping(t)
	file := filepath.Join(t.TempDir(), "pid")
	v.quiet("exec", "--detach", "--pid-file", file, v.id, "sleep", "1000")
	other, init := atoi(t, readFile(file)), v.pid()
	pidFD, err := sys.PidfdOpen(init)
	must(t, err)
	defer sys.Close(pidFD)
	v.quiet("kill", v.id, "KILL")
	waitFor(t, "end", func() bool { return v.status().Status == specs.StateStopped })
	if got := v.coracle("exec", v.id, "true"); got.code != 255 || !strings.Contains(got.stderr, "cannot exec in a stopped container") {
		t.Errorf("got %+v", got)
	}
	expectError(t, v.coracle("kill", v.id, "TERM"), "container not running")
	expectError(t, v.coracle("wait", "--timeout", "20ms", v.id), "it still is dying after 20ms")
	if exit := v.exit(); exit.Code != nil {
		t.Errorf("got %+v", exit)
	}
	c := v.command("delete", v.id)
	c.Stderr = os.Stderr
	must(t, c.Start())
	waitFor(t, "delete", func() bool { // it has begun
		_, err := os.Lstat(filepath.Join(v.state, v.id, "config.json"))
		return errors.Is(err, os.ErrNotExist)
	})
	if ready, err := sys.Wait(100, pidFD); err != nil || ready >= 0 {
		t.Errorf("the init is gone: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(v.state, v.id, "state.json")); err != nil {
		t.Error("delete has not waited")
	}
	_, err = unix.Wait4(other, nil, 0, nil)
	must(t, err)
	must(t, c.Wait())
	v.expectGone()
	_, err = unix.Wait4(init, nil, 0, nil)
	must(t, err)
}

// TestRootKillAll: with a PID namespace that is not its own, a container's
// processes outlive its init, and are all ended by --all, by SIGKILL, by delete.
func TestRootKillAll(t *testing.T) {
	testkit.NoLeaks(t)
	for name, end := range map[string][]string{"all": {"kill", "--all", "ID", "9"}, "short": {"kill", "-a", "ID", "KILL"}, "term": {"kill", "--all", "ID", "TERM"},
		"kill": {"kill", "ID", "KILL"}, "delete": {"delete", "ID"}, "force": {"delete", "--force", "ID"}} {
		t.Run(name, func(t *testing.T) {
			v := started(t, noNamespace(specs.PIDNamespace), testkit.Args("/bin/sh", "-c", "sleep 1001 & sleep 1002 & echo > /done; exit 0"))
			// It is stopped a little before it leaves its cgroup.
			waitFor(t, "the init's end, with two left", func() bool {
				return exists(v.rootfs("done")) && v.status().Status == "stopped" && len(v.pids()) == 2
			})
			v.quiet(strings.Split(strings.ReplaceAll(strings.Join(end, " "), "ID", v.id), " ")...)
			waitFor(t, "their end", func() bool { _, err := os.Stat(v.state + "/" + v.id); return err != nil || len(v.pids()) == 0 })
		})
	}
}

// TestRootRegex: kill and delete mean all containers that an expression matches, and
// no others.
func TestRootRegex(t *testing.T) {
	testkit.NoLeaks(t)
	v := newVessel(t, testkit.Args("sleep", "1000"))
	t.Cleanup(func() { v.coracle("delete", "--force", "--regex", ".") })
	for _, end := range []string{"-web-1", "-web-2", "-db"} {
		v.quiet("create", "--bundle", v.bundle, v.id+end)
		v.quiet("start", v.id+end)
	}
	v.quiet("kill", "--regex", v.id+"-web-[0-9]$", "KILL")
	running := func() int { return strings.Count(v.coracle("list").stdout, " running ") }
	waitFor(t, "the end of two", func() bool { return running() == 1 })
	expectError(t, v.coracle("delete", "--regex", v.id), v.id+"-db", "that is not stopped: running")
	if got := v.coracle("list", "--quiet"); got != (said{stdout: v.id + "-db\n"}) {
		t.Errorf("left: %+v", got)
	}
	v.quiet("kill", "--regex", "no such", "KILL")
	expectError(t, v.coracle("kill", "--regex", "(", "KILL"), "--regex")
	if running() != 1 {
		t.Error("the last one has ended as well")
	}
	v.quiet("delete", "--force", "-r", "^"+v.id+"-(db|web)")
	if got := v.coracle("list", "--quiet"); got != (said{}) {
		t.Errorf("left: %+v", got)
	}
}

// TestRootDeleteMany: thousands of processes end with their container, with and
// without a PID namespace of their own, and frozen.
func TestRootDeleteMany(t *testing.T) {
	testkit.NoLeaks(t)
	count := 2000
	if testing.Short() { // in the slow machine of tests/vm
		count = 100
	}
	script := fmt.Sprintf("i=0; while [ $i -lt %d ]; do sleep 1000 & i=$((i+1)); done; echo > /done; wait", count)
	for name, edit := range map[string]func(*specs.Spec){"own": func(*specs.Spec) {}, "host": noNamespace(specs.PIDNamespace)} {
		for _, frozen := range []bool{false, true} {
			t.Run(fmt.Sprint(name, frozen), func(t *testing.T) {
				v := started(t, edit, testkit.Args("/bin/sh", "-c", script))
				waitFor(t, "all of them", func() bool { return exists(v.rootfs("done")) })
				if frozen {
					v.quiet("pause", v.id)
				}
				begin := time.Now()
				v.quiet("delete", "--force", v.id)
				t.Logf("%d processes: %v", count, time.Since(begin))
				v.expectGone()
			})
		}
	}
}

// TestRootWait: the exit status is printed and returned, to several at once, and
// kept for those who come later.
func TestRootWait(t *testing.T) {
	testkit.NoLeaks(t)
	becomeSubreaper(t)
	v := started(t, testkit.Args("/bin/sh", "-c", "while [ ! -e /go ]; do sleep 0.01; done; exit 7"))
	expectError(t, v.coracle("wait", "--timeout", "20ms", v.id), "wait for its end: it still is running after 20ms")
	expectError(t, v.coracle("wait", "--timeout", "0s", v.id), "--timeout")
	got := make(chan said)
	for range 3 {
		go func() { got <- v.coracle("wait", v.id) }()
	}
	v.write("go", "", 0o644)
	for range 3 {
		if g := <-got; (g != said{"7\n", "", 7}) {
			t.Errorf("got %+v", g)
		}
	}
	if g := v.coracle("wait", v.id); (g != said{"7\n", "", 7}) { // it is not reaped
		t.Errorf("got %+v", g)
	}
	v.reap()
	if g := v.coracle("wait", v.id); (g != said{"7\n", "", 7}) { // it is kept
		t.Errorf("got %+v", g)
	}
	exit := v.exit()
	if exit.Code == nil || *exit.Code != 7 || exit.Signal != "" || exit.Usage.CPU == 0 || exit.Usage.MemoryPeak == 0 {
		t.Errorf("got %+v", exit)
	}
	v.quiet("delete", v.id)
	expectError(t, v.coracle("wait", v.id), "does not exist")
}

// TestRootWaitTooLate: nobody saw the end, and wait says so; what it had used is
// known all the same.
func TestRootWaitTooLate(t *testing.T) {
	testkit.NoLeaks(t)
	becomeSubreaper(t)
	v := started(t, testkit.Args("/bin/sh", "-c", "exit 3"))
	waitFor(t, "its end", func() bool { return v.status().Status == "stopped" })
	v.reap()
	expectError(t, v.coracle("wait", v.id), "it has ended and was reaped")
	if exit := v.exit(); exit.Code != nil || exit.Usage.CPU == 0 {
		t.Errorf("got %+v", exit)
	}
}

// TestRootWaitReaped: somebody else reaps the init at once; since Linux 6.15 wait
// learns the status nevertheless.
func TestRootWaitReaped(t *testing.T) {
	testkit.Need(t, testkit.KernelAtLeast(6, 15))
	testkit.NoLeaks(t)
	becomeSubreaper(t)
	v := started(t)
	got := make(chan said)
	waiting := v.command("wait", v.id)
	go func() { got <- finish(t, waiting) }()
	waitFor(t, "a pidfd", func() bool {
		if waiting.Process == nil {
			return false
		}
		fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", waiting.Process.Pid))
		open := slices.ContainsFunc(fds, func(fd string) bool { to, _ := os.Readlink(fd); return strings.Contains(to, "pidfd") })
		// Stopped before it has looked at the process, it would find none.
		return open && strings.Contains(readFile(fmt.Sprintf("/proc/%d/stat", waiting.Process.Pid)), ") S ")
	})
	must(t, unix.Kill(waiting.Process.Pid, unix.SIGSTOP))
	v.quiet("kill", v.id, "KILL")
	v.reap()
	must(t, unix.Kill(waiting.Process.Pid, unix.SIGCONT))
	if g := <-got; (g != said{"137\n", "", 137}) {
		t.Errorf("got %+v", g)
	}
	if exit := v.exit(); exit.Signal != "SIGKILL" {
		t.Errorf("got %+v", exit)
	}
}

// TestRootKeepExit: run --keep notes how it ended.
func TestRootKeepExit(t *testing.T) {
	testkit.NoLeaks(t)
	v := newVessel(t, testkit.Args("/bin/sh", "-c", "kill -9 $$"), noNamespace(specs.PIDNamespace))
	if got := v.run("--keep"); got.code != 137 {
		t.Errorf("got %+v", got)
	}
	if exit := v.exit(); exit.Code == nil || *exit.Code != 137 || exit.Signal != "SIGKILL" || exit.Time.IsZero() {
		t.Errorf("got %+v", exit)
	}
	if got := v.coracle("wait", v.id); got.code != 137 {
		t.Errorf("got %+v", got)
	}
}

// pid is the init's, as state.json has it.
func (v vessel) pid() int {
	v.t.Helper()
	var s struct {
		PID int `json:"pid"`
	}
	must(v.t, json.Unmarshal([]byte(readFile(filepath.Join(v.state, v.id, "state.json"))), &s))
	return s.PID
}

// exit is that of "state".
func (v vessel) exit() (exit struct {
	Code   *int
	Signal string
	Time   time.Time
	Usage  struct {
		CPU        uint64 `json:"cpuNanoseconds"`
		MemoryPeak uint64 `json:"memoryPeakBytes"`
	}
}) {
	v.t.Helper()
	var s struct{ Exit any }
	s.Exit = &exit
	must(v.t, json.Unmarshal([]byte(v.coracle("state", v.id).stdout), &s))
	return exit
}

// reap reaps the init, whose parent this process is if it is a subreaper.
func (v vessel) reap() (status unix.WaitStatus) {
	v.t.Helper()
	if _, err := unix.Wait4(v.pid(), &status, 0, nil); err != nil {
		v.t.Error(err)
	}
	return status
}
