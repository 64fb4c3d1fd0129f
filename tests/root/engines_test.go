// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// TestRootEngineCgroups: the shim reads statistics, and waits for OOM kills, where
// the init is when create returns. It stays there.
func TestRootEngineCgroups(t *testing.T) {
	testkit.NoLeaks(t)
	v := newVessel(t, sleeper)
	v.create()
	where := func() string { return readFile("/proc/" + itoa(v.status().Pid) + "/cgroup") }
	created := where()
	v.quietStart()
	if started := where(); started != created || !strings.Contains(created, v.id) {
		t.Errorf("created in\n%sand started in\n%s", created, started)
	}
}

// TestRootEngineWrapper: with runtimeArgs dockerd calls a script that calls the
// runtime, as its child. The init is the engine's all the same.
func TestRootEngineWrapper(t *testing.T) {
	testkit.NoLeaks(t)
	becomeSubreaper(t)
	v := newVessel(t, testkit.Args("/bin/sh", "-c", "exit 17"))
	script := filepath.Join(t.TempDir(), "runtime")
	must(t, os.WriteFile(script, []byte("#!/bin/sh\n"+testkit.Bin(t, "coracle")+" --debug $@\n"), 0o755))
	call := func(args ...string) said {
		return finish(t, exec.Command(script, append([]string{"--root", v.state}, args...)...))
	}
	pid := filepath.Join(v.bundle, "init.pid")
	for _, args := range [][]string{{"create", "--bundle", v.bundle, "--pid-file", pid, v.id}, {"start", v.id}} {
		if got := call(args...); got.code != 0 || got.stdout != "" {
			t.Fatalf("%q: %+v", args, got)
		}
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(atoi(t, readFile(pid)), &status, 0, nil); err != nil || status.ExitStatus() != 17 {
		t.Errorf("%v %v", status, err)
	}
	if got := call("delete", v.id); got.code != 0 {
		t.Errorf("%+v", got)
	}
}

// TestRootEngineBuild is what BuildKit does: run in the foreground, exec in the
// foreground with a pid file by which the process is killed, and kill to cancel.
func TestRootEngineBuild(t *testing.T) {
	testkit.NoLeaks(t)
	for _, keep := range []bool{false, true} {
		v := newVessel(t, sleeper)
		args := []string{"run", "--bundle", v.bundle, v.id}
		if keep {
			args = append([]string{"run", "--keep"}, args[1:]...)
		}
		run := v.command(args...)
		run.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		must(t, run.Start())
		waitFor(t, "a running container", func() bool { return strings.Contains(v.coracle("state", v.id).stdout, `"status": "running"`) })
		pid := filepath.Join(v.bundle, "exec.pid")
		process := v.command("exec", "--process", v.processFile(func(*specs.Process) {}), "--pid-file", pid, v.id)
		must(t, process.Start())
		waitFor(t, "the pid file", func() bool { return exists(pid) })
		must(t, unix.Kill(atoi(t, readFile(pid)), unix.SIGKILL))
		if process.Wait(); process.ProcessState.ExitCode() != 137 {
			t.Errorf("exec: %v", process.ProcessState)
		}
		v.quiet("kill", v.id, "9")
		if run.Wait(); run.ProcessState.ExitCode() != 137 {
			t.Errorf("run: %v", run.ProcessState)
		}
		if keep {
			v.quiet("delete", v.id)
		} else {
			expectError(t, v.coracle("delete", v.id), "does not exist")
		}
	}
}

// TestRootEngineShort: a program that ends at once may be seen to, and its container
// deleted, before start has returned.
func TestRootEngineShort(t *testing.T) {
	testkit.NoLeaks(t)
	v := newVessel(t, testkit.Args("true"))
	rounds := 30
	if testing.Short() {
		rounds = 3
	}
	for range rounds {
		v.create()
		start := v.command("start", v.id)
		var stderr bytes.Buffer
		start.Stderr = &stderr
		must(t, start.Start())
		waitFor(t, "its end", func() bool { return v.status().Status == specs.StateStopped })
		v.quiet("delete", v.id)
		if err := start.Wait(); err != nil || stderr.String() != "" {
			t.Errorf("start: %v %s", err, stderr.String())
		}
	}
}

// TestRootEnginePIDFile: nobody ever sees a pid file that is not whole.
func TestRootEnginePIDFile(t *testing.T) {
	testkit.NoLeaks(t)
	v := newVessel(t, sleeper)
	dir := t.TempDir()
	watch, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	must(t, err)
	defer unix.Close(watch)
	_, err = unix.InotifyAddWatch(watch, dir, unix.IN_CREATE|unix.IN_MODIFY|unix.IN_MOVED_TO)
	must(t, err)
	v.create("--pid-file", filepath.Join(dir, "init.pid"))
	v.quietStart()
	v.quiet("exec", "--detach", "--pid-file", filepath.Join(dir, "exec.pid"), v.id, "sleep", "1000")
	seen := map[string]uint32{}
	buf := make([]byte, 64<<10)
	n, err := unix.Read(watch, buf)
	must(t, err)
	for at := 0; at < n; {
		mask, length := binary.NativeEndian.Uint32(buf[at+4:]), int(binary.NativeEndian.Uint32(buf[at+12:])) // inotify(7)
		at += unix.SizeofInotifyEvent
		seen[strings.TrimRight(string(buf[at:at+length]), "\x00")] |= mask
		at += length
	}
	for _, name := range []string{"init.pid", "exec.pid"} {
		if seen[name] != unix.IN_MOVED_TO {
			t.Errorf("%s: %#x", name, seen[name])
		}
		if text := readFile(filepath.Join(dir, name)); text != fmt.Sprint(atoi(t, text)) {
			t.Errorf("%s: %q", name, text)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("left: %v", left)
	}
}

// TestRootPIDFileBad: a pid file that cannot be written is an error, the container
// is removed again, and so is the process of exec.
func TestRootPIDFileBad(t *testing.T) {
	testkit.NoLeaks(t)
	v, inside := newVessel(t, sleeper), sleeping(t)
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "taken"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
	for name, errno := range map[string]string{"absent/pid": "(ENOENT)", "taken": "(EEXIST)", "file/pid": "(ENOTDIR)", strings.Repeat("x", 300): "(ENAMETOOLONG)"} {
		for _, verb := range [][]string{{"create"}, {"run", "--detach"}, {"run"}} {
			expectError(t, v.coracle(append(verb, "--bundle", v.bundle, "--pid-file", filepath.Join(dir, name), v.id)...), "--pid-file: write the pid: ", errno)
			v.expectGone()
		}
		expect255(t, inside.exec("--pid-file", filepath.Join(dir, name), "--", "sleep", "100"), "--pid-file: write the pid: ", errno)
	}
	if pids := inside.pids(); len(pids) != 1 {
		t.Errorf("%v", pids)
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("left: %v", left)
	}
}

// TestRootEngineProbes: podman and cri-o ask for checkpoints by the status of
// --help, and cri-o reads the features off both outputs.
func TestRootEngineProbes(t *testing.T) {
	v := newVessel(t)
	for _, verb := range []string{"checkpoint", "restore"} {
		if got := v.coracle(verb, "--help"); got.code == 0 {
			t.Errorf("%s: %+v", verb, got)
		}
	}
	if got := v.coracle("features"); got.code != 0 || got.stderr != "" || !strings.Contains(got.stdout, `"rro"`) {
		t.Errorf("%+v", got)
	}
}
