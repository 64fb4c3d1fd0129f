// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package mutants_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
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

// TestRootMutantsExec does the same with the plans of exec: one container lives, and
// a probe is executed in it, each time without another step.
func TestRootMutantsExec(t *testing.T) {
	testkit.Need(t, testkit.Root, testkit.Tool("unshare"), testkit.Tool("busybox"))
	binary, prober := build(t)
	random := testkit.Seed(t)
	list := cases.All
	for _, c := range cases.All {
		if c.Name == "plain" {
			list = append(list, cases.Case{Name: "chroot", Change: c.Change})
		}
	}
	for _, c := range list {
		if c.Name == "mounts" || c.Name == "hooks" { // to exec they are as plain
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			testkit.NoLeaks(t)
			e := newExecWorld(t, c, binary, prober)
			tryAll(t, random, "exec-"+c.Name, mutantsOf(e.plan()), e.exec)
		})
	}
}

// An execWorld is a container that lives, and what is executed in it.
type execWorld struct {
	*world
	process string // the process.json
	flags   []string
	console string // where the terminal goes, if there is one
	chroot  bool   // the container's root is not that of its mount namespace
}

func newExecWorld(t *testing.T, c cases.Case, binary, prober string) *execWorld {
	e := &execWorld{world: newWorld(t, c, binary, prober), chroot: c.Name == "chroot"}
	process := *e.config.Process
	process.ExecCPUAffinity = &specs.CPUAffinity{Initial: "0", Final: strconv.Itoa(runtime.NumCPU() - 1)}
	if c.Name == "full" { // its cpuset has no other
		process.ExecCPUAffinity.Final = "0"
	}
	e.process = e.path("process.json")
	e.writeJSON(e.process, process)
	e.config.Process.Args = []string{"/bin/busybox", "sleep", "100000"}
	e.config.Process.Terminal, e.config.Hooks = false, nil
	if e.chroot { // with hooks, the root is not on top of all mounts
		e.config.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/true"}}}
	}
	e.writeJSON(e.path("bundle/config.json"), e.config)
	e.flags = []string{"--detach", "--pid-file", e.path("pid"), "--pidfd-socket", e.path("pidfd"), "--process", e.process}
	if process.Terminal {
		e.console = e.path("console")
		e.flags = append(e.flags, "--console-socket", e.console)
	}
	e.live()
	t.Cleanup(e.cleanUp)
	return e
}

func (e *execWorld) writeJSON(name string, value any) {
	e.t.Helper()
	data, err := json.Marshal(value)
	if err == nil {
		err = os.WriteFile(name, data, 0o644)
	}
	if err != nil {
		e.t.Fatal(err)
	}
}

// live starts the container that is executed in.
func (e *execWorld) live() {
	e.t.Helper()
	e.reset()
	create := []string{"create", "--bundle", e.path("bundle"), "--pid-file", e.path("pid"), e.id}
	if e.chroot {
		create = append([]string{"create", "--no-pivot"}, create[1:]...)
	}
	for _, args := range [][]string{create, {"start", e.id}} {
		if output, err := e.run("", false, args...); err != nil {
			e.t.Fatalf("%s: %v %s", args[0], err, output)
		}
	}
}

func (e *execWorld) plan() *plan.Plan {
	e.t.Helper()
	o := container.ExecOptions{ID: e.id, File: e.process, Detach: true, PIDFile: e.path("pid"), PIDFDSocket: e.path("pidfd"), ConsoleSocket: e.console}
	p, err := container.Store{Root: e.path("state")}.PlanExec(o)
	if err != nil {
		e.t.Fatal(err)
	}
	return p
}

// exec runs the probe in the container with a step left out ("" for none), and
// returns what was seen.
func (e *execWorld) exec(drop string) (s sight, failure error) {
	for _, name := range []string{"out/done", "out/seen", "out/trace", "pid", "pidfd", "console"} {
		if err := os.RemoveAll(e.path(name)); err != nil {
			e.t.Fatal(err)
		}
	}
	e.pid, s = "", sight{}
	var handed chan struct{}
	if e.console != "" {
		var stop func()
		handed, stop = e.takeTerminal(drop)
		defer stop()
	}
	told, stop := e.takePIDFD()
	defer stop()
	defer e.endExec()
	output, err := e.runWith("CORACLE_DROP_EXEC="+drop, false, append(append([]string{"exec"}, e.flags...), e.id)...)
	if err != nil {
		return s, fmt.Errorf("exec: %w %s", err, output)
	}
	s["output"] = e.plain(output)
	pid, err := os.ReadFile(e.path("pid"))
	if err != nil {
		return s, err
	}
	e.pid = string(pid)
	if handed != nil {
		select {
		case <-handed:
		case <-time.After(patience):
			return s, fmt.Errorf("the terminal is not handed over")
		}
	}
	select {
	case got := <-told:
		s["pidfd"] = fmt.Sprint(got == e.pid)
	case <-time.After(patience):
		return s, fmt.Errorf("the pidfd is not handed over")
	}
	for until := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(e.path("out/done")); err == nil {
			break
		}
		if time.Now().After(until) || !alive(e.pid) {
			return s, fmt.Errorf("the program does not come to its end")
		}
	}
	e.lookAtProcess(s, "exec")
	e.inside(s)
	s["inside status NSpid"] = fmt.Sprint(len(strings.Fields(s["inside status NSpid"]))) // the next one each time
	state, err := e.run("", false, "state", e.id)
	s["state"] = fmt.Sprint(e.plain(state), err)
	return s, nil
}

// endExec ends what a mutant may have left, and makes sure that the container is
// as it was.
func (e *execWorld) endExec() {
	init := e.initPID()
	for until := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		others := 0
		for _, dir := range e.cgroups() {
			for _, pid := range processesOf(dir) {
				if pid != init {
					others++
					syscall.Kill(pid, syscall.SIGKILL)
				}
			}
		}
		if pid, err := strconv.Atoi(e.pid); err == nil && pid > 1 && alive(e.pid) { // wherever it is
			others++
			syscall.Kill(pid, syscall.SIGKILL)
		}
		if others == 0 {
			break
		}
		if time.Now().After(until) {
			e.t.Fatal("a process outlives SIGKILL")
		}
	}
	if !alive(strconv.Itoa(init)) {
		e.cleanUp()
		e.live()
	}
}

func (e *execWorld) initPID() int {
	var state struct{ PID int }
	data, _ := os.ReadFile(e.path("state/" + e.id + "/state.json"))
	json.Unmarshal(data, &state)
	return state.PID
}

// takePIDFD listens for a pidfd, and tells the pid that it is of.
func (e *execWorld) takePIDFD() (told chan string, stop func()) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: e.path("pidfd"), Net: "unix"})
	if err != nil {
		e.t.Fatal(err)
	}
	told, done := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.AcceptUnix()
		if err != nil {
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		data, control := make([]byte, 64), make([]byte, 64)
		_, n, _, _, err := conn.ReadMsgUnix(data, control)
		if err != nil {
			return
		}
		messages, _ := syscall.ParseSocketControlMessage(control[:n])
		for _, m := range messages {
			fds, _ := syscall.ParseUnixRights(&m)
			for _, fd := range fds {
				told <- pidOf(fd)
				syscall.Close(fd)
			}
		}
	}()
	return told, func() { l.Close(); <-done }
}

// pidOf is the pid of a pidfd, proc_pid_fdinfo(5).
func pidOf(fd int) string {
	info, _ := os.ReadFile(filepath.Join("/proc/self/fdinfo", strconv.Itoa(fd)))
	return field(string(info), "Pid")
}
