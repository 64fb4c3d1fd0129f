// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package truth_test

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/testkit"
	"github.com/coracle-oci/coracle/runtime/container"
	"github.com/coracle-oci/coracle/runtime/plan"
	"github.com/coracle-oci/coracle/tests/truth/cases"
)

// TestRootTruthExec is the same of exec: what it does in a container that runs
// equals what exec --plan prints.
func TestRootTruthExec(t *testing.T) {
	testkit.Need(t, testkit.Root, testkit.Tool("strace"))
	for _, c := range cases.All {
		if !slices.Contains([]string{"plain", "full", "user", "terminal", "joined", "asked"}, c.Name) {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			testkit.NoLeaks(t)
			bundle := testkit.Bundle(t, func(s *specs.Spec) {
				c.Change(t, s)
				s.Process.Args, s.Process.Terminal = []string{"sleep", "1000"}, false
			})
			e := execTrace{t: t, dir: t.TempDir(), id: "truth-exec-" + c.Name, terminal: c.Name == "terminal"}
			e.coracle("run", "--detach", "--bundle", bundle, e.id)
			t.Cleanup(func() { e.coracle("delete", "--force", e.id) })

			calls, p, _ := e.trace("raw", "-e", "raw=all")
			seen := replayInit(t, calls, p)
			eachStepMatters(t, calls, p, seen)

			calls, p, pid := e.trace("decoded", "-y", "-X", "raw", "-s", "100000")
			events := record(t, calls, filepath.Join(e.dir, "root", e.id))
			matchExec(t, events, p, pid)
			for i, h := range p.Host {
				switch h.Do {
				case plan.FindProgram, plan.RaiseLimit, plan.OpenProcess, plan.OpenRoot: // they read
					continue
				}
				changed := *p
				changed.Host = slices.Delete(slices.Clone(p.Host), i, i+1)
				if !fails(t, func(t testing.TB) { matchExec(t, events, &changed, pid) }) {
					t.Errorf("what exec does equals a plan without the host step %d: %s", i, h.Doing)
				}
			}
		})
	}
}

// matchExec: the host steps of exec happen in their order, and nothing else.
func matchExec(t testing.TB, events []event, p *plan.Plan, pid string) {
	t.Helper()
	m := &matcher{t: t, events: events, plan: p, pid: pid}
	m.steps(plan.AtSpawn)
	m.steps(plan.Console)
	m.steps(plan.AtCreated)
	m.answer(plan.AtCreated)
	m.steps(plan.Listening)
	m.steps(plan.AboutToRun)
	m.end("exec")
}

// An execTrace traces execs in one container.
type execTrace struct {
	t        *testing.T
	dir, id  string
	terminal bool
}

func (e *execTrace) command(args ...string) []string {
	return append([]string{testkit.Bin(e.t, "coracle"), "--root", filepath.Join(e.dir, "root")}, args...)
}

func (e *execTrace) coracle(args ...string) {
	e.t.Helper()
	list := e.command(args...)
	if err := exec.Command(list[0], list[1:]...).Run(); err != nil {
		e.t.Fatal(args, err)
	}
}

// trace runs one exec under strace, to the end of its process, and returns its
// plan and the pid that it has told.
func (e *execTrace) trace(name string, options ...string) ([]call, *plan.Plan, string) {
	t := e.t
	t.Helper()
	dir := filepath.Join(e.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	pidFile, console := filepath.Join(dir, "pid"), ""
	arguments := []string{"exec", "--detach", "--pid-file", pidFile}
	if e.terminal {
		console = filepath.Join(dir, "console")
		keepMaster(t, console)
		arguments = append(arguments, "--tty", "--console-socket", console)
	}
	list := slices.Concat([]string{"-f", "-o", filepath.Join(dir, "log")}, options, e.command(append(arguments, e.id, "/bin/true")...))
	traced := exec.Command("strace", list...)
	ended := make(chan error, 1)
	var said bytes.Buffer
	traced.Stderr = &said
	go func() { ended <- traced.Run() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Fatalf("%v: %s", err, said.String())
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("exec does not end")
	}
	pid, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	p, err := container.Store{Root: filepath.Join(e.dir, "root")}.PlanExec(container.ExecOptions{ID: e.id, PIDFile: pidFile, ConsoleSocket: console, Detach: true,
		Edit: func(p *specs.Process) {
			p.Args, p.Terminal = []string{"/bin/true"}, e.terminal
			if e.terminal {
				p.ConsoleSize = nil
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	return readTrace(t, filepath.Join(dir, "log")), p, strings.TrimSpace(string(pid))
}

// keepMaster takes the master of the terminal and keeps it: when it is closed, the
// process gets SIGHUP, which only the init of a PID namespace survives.
func keepMaster(t *testing.T, console string) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: console, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	kept := make(chan int, 1)
	go func() {
		defer close(kept)
		conn, err := l.AcceptUnix()
		if err != nil {
			return
		}
		defer conn.Close()
		data, control := make([]byte, 64), make([]byte, 64)
		_, n, _, _, err := conn.ReadMsgUnix(data, control)
		if err != nil {
			return
		}
		messages, _ := syscall.ParseSocketControlMessage(control[:n])
		for _, m := range messages {
			fds, _ := syscall.ParseUnixRights(&m)
			kept <- fds[0]
		}
	}()
	t.Cleanup(func() {
		l.Close()
		for fd := range kept {
			syscall.Close(fd)
		}
	})
}
