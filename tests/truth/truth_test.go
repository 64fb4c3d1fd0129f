// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package truth_test keeps the first of the three truths: an strace of create
// and start, parent and init, equals the plan, line by line.
//
// Each config is run twice. A raw trace is compared with the model of the launch
// program, call by call; a decoded one is turned into what coracle itself does
// to the world, and compared with the host steps.
package truth_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/testkit"
	"github.com/coracle-oci/coracle/runtime/container"
	"github.com/coracle-oci/coracle/runtime/launch"
	"github.com/coracle-oci/coracle/runtime/plan"
	"github.com/coracle-oci/coracle/runtime/probe"
	"github.com/coracle-oci/coracle/tests/truth/cases"
)

func TestRootTruth(t *testing.T) {
	testkit.Need(t, testkit.Root, testkit.Tool("strace"))
	for _, c := range cases.All {
		t.Run(c.Name, func(t *testing.T) { compareCase(t, c, plan.Cgroupfs) })
	}
}

// TestRootTruthScope is the same with the systemd driver.
func TestRootTruthScope(t *testing.T) {
	testkit.Need(t, testkit.Root, testkit.Tool("strace"), testkit.Systemd, testkit.CgroupV2)
	compareCase(t, cases.Scope, plan.Systemd)
}

func compareCase(t *testing.T, c cases.Case, manager plan.CgroupManager) {
	testkit.NoLeaks(t)
	bundle := testkit.Bundle(t, func(s *specs.Spec) { c.Change(t, s) })
	w := &world{t: t, bundle: bundle, dir: t.TempDir(), id: "truth-" + c.Name, cgroups: manager}
	w.traceBoth("raw", []string{"-e", "raw=all"}, func(create, start []call, pid string, exe []byte) {
		p := w.plan()
		image, err := launch.Assemble(p.Init)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(image.Bytes, exe) {
			t.Error("what runs in the container is not what the plan is assembled to")
		}
		eachStepMatters(t, create, p, replayInit(t, create, p))
	})
	w.traceBoth("decoded", []string{"-y", "-X", "raw", "-s", "100000"}, func(create, start []call, pid string, _ []byte) {
		p := w.plan()
		var namespaces []string
		for _, h := range p.Host {
			if h.Do == plan.OpenNamespace {
				namespaces = append(namespaces, h.Path)
			}
		}
		state := filepath.Join(w.dir, "root", w.id)
		created, started := record(t, create, state, namespaces...), record(t, start, state)
		matchCreate(t, created, p, pid)
		matchStart(t, started, p, pid)
		eachHostStepMatters(t, created, started, p, pid)
	})
}

// A world is one container that is traced.
type world struct {
	t                *testing.T
	bundle, dir, id  string
	pidFile, console string
	cgroups          plan.CgroupManager
}

func (w *world) plan() *plan.Plan {
	w.t.Helper()
	_, p, _, err := container.Load(container.Options{ID: w.id, Bundle: w.bundle, PIDFile: w.pidFile, ConsoleSocket: w.console, Cgroups: w.cgroups}, probe.Facts)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// traceBoth creates the container under strace, starts it under another one,
// waits for its end, deletes it, and gives what was traced to compare, which is
// called while the container exists.
func (w *world) traceBoth(name string, options []string, compare func(create, start []call, pid string, exe []byte)) {
	t := w.t
	t.Helper()
	dir := filepath.Join(w.dir, name)
	root := filepath.Join(w.dir, "root")
	for _, d := range []string{dir, root} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	w.pidFile = filepath.Join(dir, "pid")
	arguments := []string{"create", "--bundle", w.bundle, "--pid-file", w.pidFile}
	w.console = ""
	if w.hasTerminal() {
		w.console = filepath.Join(dir, "console")
		w.listen()
		arguments = append(arguments, "--console-socket", w.console)
	}
	createLog, startLog := filepath.Join(dir, "create"), filepath.Join(dir, "start")
	create := w.strace(createLog, options, append(arguments, w.id)...)
	if err := create.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- create.Wait() }()
	t.Cleanup(func() { exec.Command(testkit.Bin(t, "coracle"), "--root", root, "delete", "--force", w.id).Run() })
	pid := w.awaitPID(ended, create)
	exe, err := os.ReadFile("/proc/" + pid + "/exe")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := w.strace(startLog, options, "start", w.id).CombinedOutput(); err != nil {
		t.Fatalf("start: %v %s", err, out)
	}
	// strace of create ends with the last process that it traces: the container.
	if err := <-ended; err != nil {
		t.Fatalf("create: %v %s", err, create.Stderr)
	}
	compare(readTrace(t, createLog), readTrace(t, startLog), pid, exe)
	if out, err := exec.Command(testkit.Bin(t, "coracle"), "--root", root, "delete", w.id).CombinedOutput(); err != nil {
		t.Fatalf("delete: %v %s", err, out)
	}
}

func (w *world) strace(log string, options []string, args ...string) *exec.Cmd {
	list := append([]string{"-f", "-o", log}, options...)
	list = append(list, testkit.Bin(w.t, "coracle"), "--root", filepath.Join(w.dir, "root"))
	if w.cgroups == plan.Systemd {
		list = append(list, "--systemd-cgroup")
	}
	cmd := exec.Command("strace", append(list, args...)...)
	cmd.Stderr = nil
	if args[0] == "create" { // what the container inherits must be no pipe that we wait for
		file, err := os.Create(log + ".stderr")
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(func() { file.Close() })
		cmd.Stderr = file
	}
	return cmd
}

func (w *world) hasTerminal() bool {
	config, err := os.ReadFile(filepath.Join(w.bundle, "config.json"))
	if err != nil {
		w.t.Fatal(err)
	}
	return bytes.Contains(config, []byte(`"terminal": true`))
}

// listen takes the master of the terminal, and reads what comes out of it.
func (w *world) listen() {
	l, err := net.Listen("unix", w.console)
	if err != nil {
		w.t.Fatal(err)
	}
	done := make(chan struct{})
	w.t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			io.Copy(io.Discard, conn)
			conn.Close()
		}
	}()
}

// awaitPID waits for the pid file, which is the last thing that create writes.
func (w *world) awaitPID(ended chan error, create *exec.Cmd) string {
	w.t.Helper()
	for until := time.Now().Add(2 * time.Minute); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		if data, err := os.ReadFile(w.pidFile); err == nil {
			return string(data)
		}
		select {
		case err := <-ended:
			out, _ := os.ReadFile(create.Stderr.(*os.File).Name())
			w.t.Fatalf("create ended: %v %s", err, out)
		default:
		}
	}
	w.t.Fatal("create does not end")
	return ""
}
