// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package gorunc_test calls the compiled coracle as containerd's shim does: by the
// library github.com/containerd/go-runc, as a subreaper, with a real console socket.
package gorunc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/go-runc"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// A shim is what containerd has for one container.
type shim struct {
	*runc.Runc
	t      *testing.T
	ctx    context.Context
	id     string
	bundle string
	dir    string
}

func newShim(t *testing.T, edits ...func(*specs.Spec)) *shim {
	t.Helper()
	testkit.Need(t, testkit.Root)
	testkit.NoLeaks(t)
	must(t, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	t.Cleanup(func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) })
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	s := &shim{t: t, ctx: ctx, id: fmt.Sprint("gorunc-", os.Getpid()), dir: dir,
		bundle: testkit.Bundle(t, append([]func(*specs.Spec){testkit.Args("sleep", "1000")}, edits...)...)}
	s.Runc = &runc.Runc{Command: testkit.Bin(t, "coracle"), Root: filepath.Join(dir, "root"), Log: filepath.Join(dir, "log.json"),
		LogFormat: runc.JSON, PdeathSignal: syscall.SIGKILL}
	t.Cleanup(func() { _ = s.Delete(context.Background(), s.id, &runc.DeleteOpts{Force: true}) })
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pid reads a pid file as the library does.
func (s *shim) pid(name string) int {
	s.t.Helper()
	pid, err := runc.ReadPidFile(name)
	must(s.t, err)
	return pid
}

// reap waits for an orphan that has become ours, as it must.
func (s *shim) reap(pid int) unix.WaitStatus {
	s.t.Helper()
	var status unix.WaitStatus
	if got, err := unix.Wait4(pid, &status, 0, nil); got != pid || err != nil {
		s.t.Fatalf("wait for %d: %d, %v", pid, got, err)
	}
	return status
}

// create creates and starts the container, and returns the pid of its init.
func (s *shim) start() int {
	s.t.Helper()
	io, err := runc.NewNullIO()
	must(s.t, err)
	defer io.Close()
	file := filepath.Join(s.dir, "init.pid")
	must(s.t, s.Create(s.ctx, s.id, s.bundle, &runc.CreateOpts{IO: io, PidFile: file, NoNewKeyring: true}))
	must(s.t, s.Start(s.ctx, s.id))
	return s.pid(file)
}

// kill ends the container, and reaps its init.
func (s *shim) kill(pid int) {
	s.t.Helper()
	must(s.t, s.Kill(s.ctx, s.id, int(syscall.SIGKILL), nil))
	if status := s.reap(pid); status.Signal() != syscall.SIGKILL {
		s.t.Errorf("%v", status)
	}
	must(s.t, s.Delete(s.ctx, s.id, nil))
}

// process is a process of the container's own kind with another command.
func process(args ...string) specs.Process {
	p := *testkit.Config().Process
	p.Args = args
	return p
}

// TestRootLife is a container's life: all the verbs that change it, and what they
// report of it.
func TestRootLife(t *testing.T) {
	s := newShim(t, func(s *specs.Spec) { s.Annotations = map[string]string{"key": "value"} })
	file := filepath.Join(s.dir, "init.pid")
	io, err := runc.NewNullIO()
	must(t, err)
	defer io.Close()
	must(t, s.Create(s.ctx, s.id, s.bundle, &runc.CreateOpts{IO: io, PidFile: file}))
	pid := s.pid(file)
	state := func(want string) {
		t.Helper()
		c, err := s.State(s.ctx, s.id)
		must(t, err)
		if c.ID != s.id || c.Pid != pid && want != "stopped" || c.Status != want || c.Bundle != s.bundle || c.Rootfs != filepath.Join(s.bundle, "rootfs") ||
			time.Since(c.Created) > time.Minute || c.Annotations["key"] != "value" {
			t.Errorf("%+v, want %s", c, want)
		}
	}
	state("created")
	must(t, s.Start(s.ctx, s.id))
	state("running")
	if list, err := s.List(s.ctx); err != nil || len(list) != 1 || list[0].ID != s.id {
		t.Errorf("list: %+v, %v", list, err)
	}
	must(t, s.Pause(s.ctx, s.id))
	state("paused")
	must(t, s.Resume(s.ctx, s.id))
	state("running")
	if pids, err := s.Ps(s.ctx, s.id); err != nil || len(pids) != 1 || pids[0] != pid {
		t.Errorf("ps: %v, %v", pids, err)
	}
	if top, err := s.Top(s.ctx, s.id, "-ef"); err != nil || len(top.Processes) != 1 || top.Headers[1] != "PID" || top.Processes[0][1] != fmt.Sprint(pid) {
		t.Errorf("top: %+v, %v", top, err)
	}
	if err := s.Start(s.ctx, s.id); err == nil || !strings.Contains(err.Error(), "cannot start an already running container") {
		t.Errorf("start again: %v", err)
	}
	must(t, s.Kill(s.ctx, s.id, int(syscall.SIGKILL), nil))
	s.reap(pid)
	state("stopped")
	must(t, s.Kill(s.ctx, s.id, int(syscall.SIGKILL), &runc.KillOpts{All: true}))
	must(t, s.Delete(s.ctx, s.id, nil))
	if err := s.Delete(s.ctx, s.id, nil); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("delete again: %v", err)
	}
	must(t, s.Delete(s.ctx, s.id, &runc.DeleteOpts{Force: true}))
	if list, err := s.List(s.ctx); err != nil || len(list) != 0 {
		t.Errorf("list: %+v, %v", list, err)
	}
}

// TestRootExec: processes by process.json, attached to pipes, detached with a pid
// file, and with the errors that a shim looks for.
func TestRootExec(t *testing.T) {
	s := newShim(t)
	pid := s.start()
	io, err := runc.NewPipeIO(0, 0)
	must(t, err)
	started := make(chan int, 1)
	must(t, s.Exec(s.ctx, s.id, process("sh", "-c", "cat; echo to stderr >&2"), &runc.ExecOpts{IO: io, Detach: true, PidFile: s.dir + "/exec.pid", Started: started}))
	if <-started <= 0 {
		t.Error("nothing was started")
	}
	_, err = io.Stdin().Write([]byte("through a pipe"))
	must(t, err)
	must(t, io.Stdin().Close())
	var out, errs bytes.Buffer
	_, err = out.ReadFrom(io.Stdout()) // ends when nobody has it any more
	must(t, err)
	_, err = errs.ReadFrom(io.Stderr())
	must(t, err)
	if out.String() != "through a pipe" || errs.String() != "to stderr\n" {
		t.Errorf("%q, %q", out.String(), errs.String())
	}
	if status := s.reap(s.pid(s.dir + "/exec.pid")); status.ExitStatus() != 0 {
		t.Errorf("%v", status)
	}
	io.Close()
	must(t, s.Exec(s.ctx, s.id, process("true"), nil))
	var exit *runc.ExitError
	if err := s.Exec(s.ctx, s.id, process("sh", "-c", "exit 42"), nil); !errors.As(err, &exit) || exit.Status != 42 {
		t.Errorf("exit 42: %v", err)
	}
	err = s.Exec(s.ctx, s.id, process("nosuch"), &runc.ExecOpts{Detach: true, PidFile: s.dir + "/none.pid"})
	if !errors.As(err, &exit) || exit.Status != 255 || !strings.Contains(err.Error(), `exec: "nosuch": executable file not found in $PATH`) {
		t.Errorf("nosuch: %v", err)
	}
	if _, err := os.Stat(s.dir + "/none.pid"); err == nil {
		t.Error("there is a pid file")
	}
	// The shim shows the last error of the log.
	log, err := os.ReadFile(s.Log)
	must(t, err)
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	var record struct{ Level, Msg string }
	must(t, json.Unmarshal([]byte(lines[len(lines)-1]), &record))
	if record.Level != "error" || !strings.Contains(record.Msg, `exec: "nosuch": executable file not found in $PATH`) {
		t.Errorf("%+v", record)
	}
	s.kill(pid)
}

// TestRootConsole: the master of the terminal of an init, and of a process.
func TestRootConsole(t *testing.T) {
	s := newShim(t, func(s *specs.Spec) { s.Process.Terminal = true }, testkit.Args("sh", "-c", "tty; stty size; exec sleep 1000"))
	socket, err := runc.NewTempConsoleSocket()
	must(t, err)
	defer socket.Close()
	must(t, s.Create(s.ctx, s.id, s.bundle, &runc.CreateOpts{PidFile: s.dir + "/init.pid", ConsoleSocket: socket}))
	master, err := socket.ReceiveMaster()
	must(t, err)
	defer master.Close()
	expect := func(r interface{ Read([]byte) (int, error) }, want string) {
		t.Helper()
		var seen []byte
		for buf := make([]byte, 1024); !strings.Contains(string(seen), want); {
			n, err := r.Read(buf)
			seen = append(seen, buf[:n]...)
			if err != nil {
				t.Fatalf("%q, want %q: %v", seen, want, err)
			}
		}
	}
	must(t, unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 21, Col: 77}))
	must(t, s.Start(s.ctx, s.id))
	expect(master, "/dev/pts/0\r\n21 77\r\n")
	second, err := runc.NewTempConsoleSocket()
	must(t, err)
	defer second.Close()
	p := process("sh", "-c", "tty; read x; echo got $x")
	p.Terminal = true
	must(t, s.Exec(s.ctx, s.id, p, &runc.ExecOpts{Detach: true, PidFile: s.dir + "/exec.pid", ConsoleSocket: second}))
	other, err := second.ReceiveMaster()
	must(t, err)
	defer other.Close()
	expect(other, "/dev/pts/1\r\n")
	_, err = other.Write([]byte("typed\r"))
	must(t, err)
	expect(other, "got typed\r\n")
	s.reap(s.pid(s.dir + "/exec.pid"))
	s.kill(s.pid(s.dir + "/init.pid"))
}

// TestRootRun: in the foreground and detached, with descriptors to keep.
func TestRootRun(t *testing.T) {
	s := newShim(t, testkit.Args("sh", "-c", "echo to three >&3; exit 17"))
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	status, err := s.Run(s.ctx, s.id, s.bundle, &runc.CreateOpts{ExtraFiles: []*os.File{w}, ExtraArgs: []string{"--preserve-fds", "1"}})
	w.Close()
	var out bytes.Buffer
	_, readErr := out.ReadFrom(r)
	must(t, readErr)
	if status != 17 || out.String() != "to three\n" {
		t.Errorf("%d %q, %v", status, out.String(), err)
	}
	started := make(chan int, 1)
	status, err = s.Run(s.ctx, s.id, s.bundle, &runc.CreateOpts{Detach: true, PidFile: s.dir + "/init.pid", Started: started, NoPivot: true})
	if status != 0 || err != nil {
		t.Fatalf("%d, %v", status, err)
	}
	if status := s.reap(s.pid(s.dir + "/init.pid")); status.ExitStatus() == 0 { // there is no descriptor 3
		t.Errorf("%v", status)
	}
	must(t, s.Delete(s.ctx, s.id, nil))
}

// TestRootResources: limits change while it runs, and what it uses is told.
func TestRootResources(t *testing.T) {
	limit := int64(64 << 20)
	s := newShim(t, func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit}}
	})
	pid := s.start()
	stats, err := s.Stats(s.ctx, s.id)
	must(t, err)
	if stats.Memory.Usage.Limit != uint64(limit) || stats.Memory.Usage.Usage == 0 || stats.Pids.Current != 1 || stats.Cpu.Usage.Total == 0 {
		t.Errorf("%+v", stats)
	}
	more := limit * 2
	must(t, s.Update(s.ctx, s.id, &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &more}}))
	ctx, stop := context.WithCancel(s.ctx)
	events, err := s.Events(ctx, s.id, time.Second)
	must(t, err)
	seen := false
	for e := range events {
		if e.Err != nil {
			t.Fatal(e.Err)
		}
		if e.Type == "stats" && e.ID == s.id && e.Stats.Memory.Usage.Limit == uint64(more) {
			seen = true
			break
		}
	}
	stop()
	for range events { // to its end
	}
	if !seen {
		t.Error("no event with the new limit")
	}
	s.kill(pid)
}

// TestRootAbout: what the runtime says of itself.
func TestRootAbout(t *testing.T) {
	s := newShim(t)
	if v, err := s.Version(s.ctx); err != nil || v.Commit == "" && v.Runc != "" {
		t.Errorf("%+v, %v", v, err)
	}
	f, err := s.Features(s.ctx)
	must(t, err)
	if f.OCIVersionMin == "" || f.OCIVersionMax == "" || f.Linux == nil || len(f.Linux.Capabilities) == 0 {
		t.Errorf("%+v", f)
	}
}

// TestRootCheckpointRefused: what is not there is refused as a verb that does not
// exist, and hurts no container.
func TestRootCheckpointRefused(t *testing.T) {
	s := newShim(t)
	pid := s.start()
	if err := s.Checkpoint(s.ctx, s.id, &runc.CheckpointOpts{ImagePath: s.dir, WorkDir: s.dir}); err == nil {
		t.Error("checkpoint succeeds")
	}
	if status, err := s.Restore(s.ctx, s.id, s.bundle, &runc.RestoreOpts{CheckpointOpts: runc.CheckpointOpts{ImagePath: s.dir}}); err == nil || status == 0 {
		t.Errorf("restore: %d, %v", status, err)
	}
	s.kill(pid)
}
