// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/plan"
)

// writeState writes the OCI state for a hook.
func writeState(fd int, state specs.State) error {
	data, err := json.Marshal(state)
	if err == nil {
		err = sys.WriteAll(fd, data)
	}
	if err != nil {
		return &fail.Error{Doing: "write the state for hooks", Err: err}
	}
	return nil
}

// runHook runs a hook of the runtime namespace: the state on its standard input,
// the hook's own environment. It ends with coracle.
func (s *State) runHook(field string, h *specs.Hook, state specs.State) error {
	stdin, err := memoryFile("stdin")
	if err != nil {
		return err
	}
	defer stdin.Close()
	if err := writeState(int(stdin.Fd()), state); err != nil {
		return err
	}
	if err := sys.SeekTo(int(stdin.Fd()), 0); err != nil {
		return err
	}
	// Not a pipe: a child that a hook leaves behind may keep it.
	output, err := memoryFile("stdout")
	if err != nil {
		return err
	}
	defer output.Close()
	cmd := exec.Command(h.Path)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = append([]string{}, h.Env...), stdin, output, output
	if len(h.Args) > 0 {
		cmd.Args = h.Args
	}
	for name, to := range map[string]*io.Writer{plan.HooksStdout: &cmd.Stdout, plan.HooksStderr: &cmd.Stderr} {
		if path := s.Annotations[name]; path != "" {
			file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
			if err != nil {
				return &fail.Error{Where: config.Name + ` annotations["` + name + `"]`, Doing: "open " + path, Err: err}
			}
			defer file.Close()
			*to = file
		}
	}
	return s.await(cmd, hookWatch{field: field, hook: h, tell: s.tell, output: func() string { return hookText(int(output.Fd())) }})
}

// await runs the command of a hook to its end.
func (s *State) await(cmd *exec.Cmd, w hookWatch) error {
	pidFD := -1
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, PidFD: &pidFD, Pdeathsig: syscall.SIGKILL}
	w.kill = func() { sys.Kill(-cmd.Process.Pid, linux.SIGKILL) }
	// It gets its signal with the end of the thread that has started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := w.begin(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		w.signals.Release()
		return err
	}
	defer sys.Close(pidFD)
	if err := w.await(pidFD); err != nil {
		w.signals.Release()
		return err
	}
	cmd.Wait()
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return w.end(status)
}

func memoryFile(name string) (*os.File, error) {
	fd, err := sys.Memfd(name)
	if err != nil {
		return nil, &fail.Error{Doing: "make a file for hooks", Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// hookText is the end of what a hook has printed. Where it has opened its output
// once more, there may be holes.
func hookText(fd int) string {
	const most = 1000
	text, cut := sys.ReadEnd(fd, most)
	s := strings.TrimSpace(strings.ReplaceAll(string(text), "\x00", ""))
	if cut {
		return "…" + s
	}
	return s
}

func hookField(kind string, i int) string {
	return fmt.Sprintf("%s hooks.%s[%d]", config.Name, kind, i)
}

// runHooks runs all hooks of one kind, in their order; with each, that of
// poststop, a failure is told and the others still run.
func (s *State) runHooks(kind string, hooks []specs.Hook, status Status, each func(error)) error {
	for i := range hooks {
		where := hookField(kind, i)
		err := s.runHook(where, &hooks[i], s.OCI(status, s.PID))
		if err == nil {
			continue
		}
		if _, ok := err.(*fail.Error); !ok { // it could not even be started
			err = &fail.Error{Where: where, Doing: "run " + hooks[i].Path, Err: err}
		}
		if each == nil {
			return err
		}
		each(err)
	}
	return nil
}

// poststop runs the poststop hooks; a failure is a warning (runtime.md, lifecycle).
func (s *State) poststop(warn func(string, ...any)) {
	if s.Hooks == nil {
		return
	}
	s.runHooks("poststop", s.Hooks.Poststop, Stopped, func(err error) { warn("%s", fail.Reason(err)) })
}

// A hookWatch watches one hook that runs: its time, and whether coracle is asked to
// end. The hook then ends, and what it was for has failed.
type hookWatch struct {
	field   string
	hook    *specs.Hook
	tell    func(string, ...any)
	output  func() string
	kill    func()
	signals *sys.Signals
	began   int    // sys.Monotonic
	told    bool   // that it takes long
	ended   string // why it was killed
	held    []byte // signals that are not for coracle
}

// tellAfter is how many milliseconds coracle waits in silence where it may have to
// wait for ever, as the config sets no limit.
const tellAfter = 10_000

// askedToEnd are the signals that ask a program to end.
var askedToEnd = [...]int{int(syscall.SIGHUP), int(syscall.SIGINT), int(syscall.SIGQUIT), int(syscall.SIGTERM)}

// begin is to be called before the hook runs.
func (w *hookWatch) begin() (err error) {
	w.began = sys.Monotonic()
	if w.signals, err = sys.HoldSignals(askedToEnd[:]...); err != nil {
		return &fail.Error{Doing: "set up signals", Err: err}
	}
	return nil
}

// await waits until there is something to read from fd. It kills the hook when its
// time is up, or a signal has come.
func (w *hookWatch) await(fd int) error {
	for {
		ready, err := sys.Wait(w.timeLeft(), fd, w.signals.FD)
		switch {
		case err != nil || ready == 0:
			return err
		case ready == 1:
			w.caught()
		case w.ended != "":
			return &fail.Error{Where: w.field, Doing: "wait for the end of " + w.hook.Path + ", which was killed", Err: syscall.ETIMEDOUT}
		case w.hook.Timeout == nil:
			w.told = true
			w.tell("%s: %s has run for %d s and has no timeout; coracle waits for it, and ends it when it gets SIGTERM as process %d",
				w.field, w.hook.Path, tellAfter/1000, os.Getpid())
		default:
			w.ended = "its time was up"
			w.kill()
		}
	}
}

// caught looks at the signals that have come. Those for a container that runs in
// the foreground are its own.
func (w *hookWatch) caught() {
	for _, number := range sys.Caught(w.signals.FD) {
		if !slices.Contains(askedToEnd[:], int(number)) {
			w.held = append(w.held, number)
			continue
		}
		w.ended = "ended, as coracle got " + sys.SignalName(int(number))
		w.kill()
	}
}

// timeLeft is how many milliseconds to wait before there is something to do.
func (w *hookWatch) timeLeft() int {
	limit := tellAfter
	switch {
	case w.ended != "":
		return patience
	case w.hook.Timeout != nil:
		limit = *w.hook.Timeout * 1000
	case w.told:
		return -1
	}
	return max(0, w.began+limit-sys.Monotonic())
}

// end says what became of the hook.
func (w *hookWatch) end(status syscall.WaitStatus) error {
	w.signals.Release(w.held...)
	doing := "run " + w.hook.Path
	switch {
	case w.ended != "":
		doing += ": " + w.ended
	case status.Signaled():
		doing += ": killed by signal " + itoa(int(status.Signal()))
	case status != 0:
		doing += ": exit status " + itoa(status.ExitStatus())
	default:
		return nil
	}
	if output := w.output(); output != "" {
		doing += ": " + output
	}
	return &fail.Error{Where: w.field, Doing: doing}
}
