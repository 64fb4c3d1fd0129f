// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/runtime/cgroup"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/console"
	"github.com/coracle-oci/coracle/runtime/facts"
	"github.com/coracle-oci/coracle/runtime/launch"
	"github.com/coracle-oci/coracle/runtime/plan"
	"github.com/coracle-oci/coracle/runtime/probe"
)

// ExecOptions are what exec is told on the command line.
type ExecOptions struct {
	ID            string
	File          string               // --process
	Edit          func(*specs.Process) // without File: makes it of the container's own
	SubCgroups    []string             // --cgroup
	ConsoleSocket string
	PIDFile       string
	PIDFDSocket   string // where the pidfd of the process goes
	PreserveFDs   int
	Detach        bool
	IgnorePaused  bool
	Warn          func(format string, args ...any)
}

// Exec runs one more process in a container; unless it is detached it waits for
// its end, and returns the exit status: 128 + N after signal N.
//
// It takes no lock: others may pause, or end, the container meanwhile, and an
// exec may wait for long. All it does goes by the pidfd of the container's init.
func (s Store) Exec(o ExecOptions) (int, error) {
	e, err := s.prepareExec(o)
	if err != nil {
		return 0, err
	}
	defer sys.Close(e.init)
	if !o.Detach {
		if e.signals, err = sys.CatchSignals(passedOn()...); err != nil {
			return 0, &fail.Error{Doing: "set up signals", Err: err}
		}
	}
	if err = e.awaitThaw(); err == nil {
		err = e.run()
	}
	if errors.Is(err, syscall.EAGAIN) && e.plan.Cgroup.Into != "" && e.process == 0 {
		err = e.comeLate()
	}
	if err != nil {
		e.end()
		return 0, e.explain(err)
	}
	if o.Detach {
		return 0, nil
	}
	for _, number := range e.held {
		sys.PidfdSignal(e.pidFD, int(number))
	}
	status, err := attend(o.ID, e.pid, e.pidFD, e.master, e.signals, nil)
	return code(status), err
}

// PlanExec returns what Exec would do.
func (s Store) PlanExec(o ExecOptions) (*plan.Plan, error) {
	e, err := s.prepareExec(o)
	if err != nil {
		return nil, err
	}
	sys.Close(e.init)
	return e.plan, nil
}

// An execution is one run of Exec.
type execution struct {
	child
	options ExecOptions
	state   *State
	init    int // pidfd of the container's init
	joined  bool
	late    bool   // it is to come into its cgroup of v2, not to be born there
	signals int    // where they come out; -1: they are not caught
	held    []byte // those for a process that does not run yet
	told    bool   // that its container is paused, or that it no longer was
	agent   int    // that answers for the seccomp filter
}

// prepareExec looks at the container and compiles the program for it.
func (s Store) prepareExec(o ExecOptions) (*execution, error) {
	state, err := s.Look(o.ID)
	if err != nil {
		return nil, err
	}
	if err := state.mine(); err != nil {
		return nil, err
	}
	e := &execution{options: o, state: state, signals: -1, agent: -1}
	if e.init, err = sys.PidfdOpen(state.PID); err != nil || state.PID <= 0 {
		return nil, e.stopped()
	}
	if err := e.compile(); err != nil {
		err = e.explain(err)
		sys.Close(e.init)
		return nil, err
	}
	return e, nil
}

func (e *execution) stopped() error {
	return &fail.Error{Where: e.options.ID, Doing: "cannot exec in a stopped container"}
}

// ended tells whether the container's init has, reaped or not, within a time.
func (e *execution) ended(milliseconds int) bool {
	ready, err := sys.Wait(milliseconds, e.init)
	return err == nil && ready == 0
}

func (e *execution) compile() error {
	switch e.state.Now() {
	case Stopped, Creating:
		return e.stopped()
	case Paused:
		if !e.options.IgnorePaused {
			return &fail.Error{Where: e.options.ID, Doing: "cannot exec in a paused container", Hint: "resume it, or wait for that with --ignore-paused"}
		}
	}
	c, err := e.config()
	if err != nil {
		return err
	}
	f, err := probe.Runtime(plan.ExecPaths(&c.Spec))
	if err != nil {
		return err
	}
	if len(e.options.SubCgroups) > 0 {
		if f.Cgroup, err = probe.Cgroup(); err != nil {
			return err
		}
	}
	in, err := e.container()
	if err != nil {
		return err
	}
	o := &e.options
	p, err := plan.CompileExec(plan.Request{ID: o.ID, Bundle: e.state.Bundle, Config: c, Facts: f, PIDFile: o.PIDFile, ConsoleSocket: o.ConsoleSocket,
		PreserveFDs: o.PreserveFDs, NoPivot: e.state.NoPivot, NoNewKeyring: e.state.NoKeyring, SubCgroups: o.SubCgroups, PIDFDSocket: o.PIDFDSocket}, in)
	if err != nil {
		return err
	}
	if o.Warn != nil {
		for _, w := range append(c.Warnings, p.Warnings...) {
			o.Warn("%s", w)
		}
	}
	e.child = newChild(mutatedExec(p), &c.Spec, o.PreserveFDs)
	return nil
}

func (e *execution) container() (facts.Container, error) {
	in, err := probe.Container(e.state.PID, e.state.Cgroups)
	if e.late && in.Into != "" {
		in.Join, in.Into = append(in.Join, in.Into+"/cgroup.procs"), ""
	}
	if err == nil && e.ended(0) { // what was looked at may have been another process
		err = e.stopped()
	}
	return in, err
}

// keptConfig is what the container was made of.
func (s *State) keptConfig() (*config.Config, error) {
	raw, _, err := sys.ReadOwned(make([]byte, 0, 16<<10), filepath.Join(s.dir, config.Name))
	if err != nil {
		return nil, &fail.Error{Where: s.ID, Doing: "read its config", Err: err}
	}
	return config.Parse(raw)
}

// config is what the container was made of, with the process that is to be.
func (e *execution) config() (*config.Config, error) {
	c, err := e.state.keptConfig()
	switch {
	case errors.Is(err, os.ErrNotExist): // the first thing that delete removes
		return nil, e.stopped()
	case err != nil:
		return nil, err
	}
	c.Warnings = nil // create has told them
	c.Process = cmp.Or(c.Process, config.NoProcess())
	if e.options.File == "" {
		e.options.Edit(c.Process)
	} else if err := e.readProcess(c); err != nil {
		return nil, err
	}
	if err := config.ValidateProcess(c); err != nil {
		return nil, err
	}
	o := Options{PreserveFDs: e.options.PreserveFDs, ConsoleSocket: e.options.ConsoleSocket, Detach: e.options.Detach}
	if err := o.checkTerminal(c.Process.Terminal); err != nil {
		return nil, err
	}
	return c, o.checkPreserved()
}

// readProcess takes the process from a file. As in runc, what that does not say of
// its confinement and its share of the machine is as the container's own.
func (e *execution) readProcess(c *config.Config) error {
	raw, err := os.ReadFile(e.options.File)
	if err != nil {
		return &fail.Error{Where: "--process", Doing: "read the process", Err: err}
	}
	p, warnings, err := config.ParseProcess(raw, "--process "+e.options.File)
	if err != nil {
		return err
	}
	c.Warnings = warnings
	own := c.Process
	p.Capabilities, p.ExecCPUAffinity = or(p.Capabilities, own.Capabilities), or(p.ExecCPUAffinity, own.ExecCPUAffinity)
	p.Scheduler, p.IOPriority = or(p.Scheduler, own.Scheduler), or(p.IOPriority, own.IOPriority)
	p.OOMScoreAdj = or(p.OOMScoreAdj, own.OOMScoreAdj)
	if p.ApparmorProfile == "" {
		p.ApparmorProfile = own.ApparmorProfile
	}
	if p.SelinuxLabel == "" {
		p.SelinuxLabel = own.SelinuxLabel
	}
	if len(p.Rlimits) == 0 {
		p.Rlimits = own.Rlimits
	}
	c.Process = p
	return nil
}

func or[T any](first, second *T) *T {
	if first != nil {
		return first
	}
	return second
}

// comeLate runs it once more, where the container may have all the processes already
// that it may have: nobody can be born in its cgroup then, but who is a process
// already may still come. That waits for an RCU grace period, so it is not the rule.
func (e *execution) comeLate() error {
	e.end()
	e.late, e.options.Warn = true, nil // the warnings are told
	if err := e.compile(); err != nil {
		return err
	}
	return e.run()
}

// run starts the process, and returns when it executes its program.
func (e *execution) run() error {
	image, err := launch.Assemble(e.plan.Init)
	if err != nil {
		return err
	}
	defer func() {
		e.hangUp()
		sys.Close(e.agent)
	}()
	for i := range e.plan.Host {
		h := &e.plan.Host[i]
		if h.At != plan.AtSpawn {
			continue
		}
		switch h.Do {
		case plan.Spawn:
			err = e.spawn(h, image)
		case plan.OpenProcess:
			e.inputs[h.Input], err = sys.Dup(e.init)
		default:
			err = e.open(h)
		}
		if err != nil {
			return hostError(h, err)
		}
	}
	if !e.plan.Clones {
		if err := e.born(e.pid); err != nil {
			return err
		}
	}
	if err := e.converse(); err != nil {
		return err
	}
	return e.announce()
}

// converse answers the program at its gate, and listens until it is gone: that it
// executes the container's program, its last word has announced.
func (e *execution) converse() error {
	about := false
	for {
		if err := e.heed(about); err != nil {
			return err
		}
		report, fds, err := e.receive(-1)
		switch {
		case err != nil:
			return err
		case report == nil && about:
			return nil
		case report == nil:
			return e.died()
		case report.Step >= 0:
			return stepError(&e.plan.Init.Steps[report.Step], report.Errno)
		}
		switch report.Mark {
		case plan.Born:
			err = e.born(report.Value)
		case plan.Console:
			err = e.handOver(fds[0])
		case plan.Root:
			e.root = fds[0]
		case plan.AtCreated:
			e.joined = true
			err = e.atGate()
		case plan.Listening:
			err = e.state.handOver(e.agent, fds[0], e.gate, e.process, Running)
			e.agent = -1
		case plan.AboutToRun:
			about = true
		}
		if err != nil {
			return err
		}
	}
}

// awaitThaw waits for a paused container to be resumed, where that is to be heard of
// and a process could not even be started before.
func (e *execution) awaitThaw() error {
	for began := sys.Monotonic(); e.options.IgnorePaused; {
		left := -1
		if !e.told {
			left = max(0, began+tellAfter-sys.Monotonic())
		}
		thawed, err := cgroup.AwaitThaw(e.state.Cgroups, e.signals, time.Duration(left)*time.Millisecond)
		if err != nil || thawed {
			return err
		}
		if err := e.caught(); err != nil {
			return err
		}
		if left == 0 {
			e.stillPaused()
		}
	}
	return nil
}

// stillPaused tells whether the process waits for its container to be resumed, and
// the user of it, after tellAfter.
func (e *execution) stillPaused() bool {
	paused := e.options.IgnorePaused && e.state.Now() == Paused
	if paused && !e.told {
		e.state.tell("%s: it is paused, and exec has waited for %d s; coracle waits until it is resumed, and can be ended without harm to it", e.options.ID, tellAfter/1000)
	}
	e.told = true
	return paused
}

// heed waits for the next message. A signal that asks for the end ends a process
// that does not run yet: it may be waiting for its container to be resumed. about
// tells whether it was about to run.
func (e *execution) heed(about bool) error {
	for len(e.early) == 0 || e.process == 0 {
		limit := patience
		if e.options.IgnorePaused && !e.told {
			limit = tellAfter
		}
		switch ready, err := sys.Wait(limit, e.gate, e.signals); {
		case err != nil || ready == 0:
			return err
		case ready < 0 && !e.stillPaused() && limit == patience:
			return e.state.silent(cmp.Or(e.process, e.pid), about)
		}
		if err := e.caught(); err != nil {
			return err
		}
	}
	return nil
}

// caught looks at the signals that have come.
func (e *execution) caught() error {
	for _, number := range sys.Caught(e.signals) {
		switch syscall.Signal(number) {
		case syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM:
			return &fail.Error{Where: e.options.ID, Doing: "exec: ended by " + sys.SignalName(int(number)) + " before the process ran"}
		}
		e.held = append(e.held, number)
	}
	return nil
}

// atGate looks up the program, and sends its path.
func (e *execution) atGate() error {
	if e.master >= 0 {
		console.Size(e.master)
	}
	var program string
	for i := range e.plan.Host {
		h := &e.plan.Host[i]
		if h.At != plan.AtCreated {
			continue
		}
		var err error
		switch h.Do {
		case plan.FindProgram:
			program, err = e.findProgram(h.Value)
		case plan.ConnectAgent:
			e.agent, err = e.state.Agent.connect()
		case plan.JoinGroup:
			err = sys.WriteFile(h.Path, itoa(e.process))
		}
		if err == nil {
			continue
		}
		limit := 0
		if errors.Is(err, syscall.ESRCH) { // it is about to
			limit = 1000
		}
		if ready, _ := sys.Wait(limit, e.pidFD); ready == 0 { // and with it what was looked at
			return e.died()
		}
		return hostError(h, err)
	}
	if err := sys.Send(e.gate, e.answer(program)); err != nil {
		return e.died()
	}
	return nil
}

// announce tells the engine of the process, which runs. A pid file is the sign of
// success, so there is none before.
func (e *execution) announce() error {
	for i := range e.plan.Host {
		h := &e.plan.Host[i]
		if h.At != plan.AboutToRun {
			continue
		}
		var err error
		switch h.Do {
		case plan.SendPIDFD:
			err = sendPIDFD(h.Path, e.options.ID, e.pidFD)
		case plan.WritePIDFile:
			err = writePIDFile(h.Path, e.process)
		}
		if err != nil {
			return hostError(h, err)
		}
	}
	return nil
}

// died says why the process ended without a word.
func (e *execution) died() error {
	failed := &fail.Error{Where: e.options.ID, Doing: "exec: the process was killed before it ran its program"}
	if ready, _ := sys.Wait(1000, e.pidFD); ready == 0 {
		if status, ok := sys.ExitStatus(e.pidFD, e.pid); ok && status.Signaled() {
			failed.Doing = "exec: the process was killed by " + sys.SignalName(int(status.Signal())) + " before it ran its program"
			if status.Signal() == syscall.SIGHUP && e.options.ConsoleSocket != "" {
				failed.Hint = "its terminal was closed: whoever gets it by --console-socket has to keep it open"
			}
		}
	}
	if kills, _ := cgroup.OOMKills(e.state.Cgroups); kills > 0 {
		failed.Hint = "the container's memory limit may be too low: processes of it were killed for want of memory"
	}
	return failed
}

// explain says what went wrong in the terms of exec: a container that ends while
// it is joined lacks this or that, but what matters is that it has ended.
func (e *execution) explain(err error) error {
	if !e.joined && (e.ended(ending(err)) || !e.state.alive()) {
		return e.stopped()
	}
	if f, ok := errors.AsType[*fail.Error](err); ok {
		if f.Where == config.Name {
			f.Where = e.options.ID
		} else if strings.HasPrefix(f.Where, config.Name+" process.") {
			f.Where = strings.TrimPrefix(f.Where, config.Name+" ")
		}
	}
	return err
}

// ending is how many milliseconds the end of the container may still take if an
// error looks like it: namespaces and cgroups go before the process is seen to.
func ending(err error) int {
	if f, ok := errors.AsType[*fail.Error](err); ok && strings.HasPrefix(f.Where, config.Name+" process.") {
		return 0
	}
	for _, e := range []error{syscall.ENOENT, syscall.ESRCH, syscall.ENODEV, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return 100
		}
	}
	return 0
}
