// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/cgroup"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/launch"
	"github.com/coracle-oci/coracle/runtime/plan"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// converse answers the program at its gates until all is made. What it gets is a
// mark, or which step failed; nothing at all means that the process is gone.
func (m *maker) converse() error {
	hooks := hookWatch{hooks: m.spec.Hooks, output: m.hookOutput}
	for {
		report, fds, err := m.receive(hooks.timeLeft())
		if err != nil {
			return err
		}
		switch {
		case report == nil && fds == nil && hooks.running():
			if hooks.expired {
				return stuck(cmp.Or(m.process, m.pid))
			}
			hooks.expire()
			continue
		case report == nil && fds == nil:
			return stuck(cmp.Or(m.process, m.pid))
		case report == nil:
			return m.died()
		case report.Step >= 0:
			return hooks.orElse(stepError(&m.plan.Init.Steps[report.Step], report.Errno))
		}
		switch report.Mark {
		case plan.Born:
			err = m.born(report.Value)
		case plan.Console:
			err = m.handOver(fds[0])
		case plan.Root:
			m.root = fds[0]
		case plan.HookRuns:
			hooks.begin(fds[0], "createContainer")
		case plan.HookEnded:
			hooks.end(report.Value)
		case plan.AtMaps:
			err = m.atGate(report.Mark) // which ends with the answer
		case plan.AtCreated:
			return m.created()
		default:
			if err = m.atGate(report.Mark); err == nil {
				err = sys.Send(m.gate, []byte{1})
			}
		}
		if err != nil {
			return err
		}
	}
}

// receive waits for one message, for at most the given time.
func receive(fd, milliseconds int) (*launch.Report, []int, error) {
	if ready, err := sys.Wait(milliseconds, fd); err != nil || ready < 0 {
		return nil, nil, err
	}
	buf := make([]byte, 16)
	n, fds, err := sys.Receive(fd, buf)
	if err == syscall.ECONNRESET { // it ended with an answer unread
		return nil, []int{}, nil
	}
	if err != nil {
		return nil, nil, &fail.Error{Doing: "listen to the launch program", Err: err}
	}
	if n == 0 {
		return nil, []int{}, nil
	}
	report, err := launch.DecodeReport(buf[:n])
	return &report, fds, err
}

// atGate takes the host steps of a gate.
func (m *maker) atGate(mark prog.Mark) error {
	for i := range m.plan.Host {
		h := &m.plan.Host[i]
		if h.At != mark {
			continue
		}
		if err := m.act(h); err != nil {
			return hostError(h, err)
		}
	}
	return nil
}

func (m *maker) act(h *plan.HostStep) error {
	switch h.Do {
	case plan.SendInputs:
		m.sendInputs()
		return nil
	case plan.WriteFile:
		return sys.WriteFile(strings.Replace(h.Path, "PID", itoa(m.pid), 1), h.Value)
	case plan.OwnGroup, plan.MakeGroup, plan.WriteSchemata, plan.CompareSchemata, plan.JoinGroup:
		return m.resctrl(h)
	case plan.SendPIDFD:
		return sendPIDFD(h.Path, m.state.ID, m.pidFD)
	case plan.MoveDevice:
		return m.moveDevice(h.Path, h.Value)
	case plan.MapIDs:
		return mapIDs(h.Path, m.pid, h.Value)
	case plan.RunHook:
		m.hooked = true
		return m.state.runHook(h.Hook, m.state.OCI(Status(h.Value), m.state.PID))
	}
	return m.record(h)
}

// record writes down what has been made.
func (m *maker) record(h *plan.HostStep) error {
	switch h.Do {
	case plan.WriteState:
		m.state.Status = Status(h.Value)
		return m.state.write()
	case plan.WritePIDFile:
		m.wrotePID = true
		return writePIDFile(h.Path, m.state.PID)
	}
	return fmt.Errorf("bug: %s at a gate", h.Doing)
}

// created is the last gate: the limits, the program, the state; and the answer
// that lets the init go its own way.
func (m *maker) created() error {
	m.options.Trace.Phase("look up the program, keep the state")
	if err := cgroup.Apply(m.cgroupOps(plan.AtCreated, false)); err != nil {
		return err
	}
	var program string
	for i := range m.plan.Host {
		h := &m.plan.Host[i]
		if h.At != plan.AtCreated || h.Do == plan.CgroupOp {
			continue
		}
		var err error
		if h.Do == plan.FindProgram {
			program, err = m.findProgram(h.Value)
		} else {
			err = m.act(h)
		}
		if err != nil {
			return hostError(h, err)
		}
	}
	if err := sys.Send(m.gate, m.answer(program)); err != nil {
		return m.died()
	}
	return nil
}

// noExec is how a process of Go's ForkExec ends that could not execute its
// program; it could not even write the reason into a pipe, or Spawn had failed.
const noExec = 253

// died says why the process ended without a word.
func (m *maker) died() error {
	if m.pid == 0 { // see receive
		return &fail.Error{Doing: "make the container: the process that cloned its init was killed"}
	}
	status, err := sys.Reap(m.pid)
	m.pid = 0
	e := &fail.Error{Doing: "make the container", Err: err}
	switch kills, _ := cgroup.OOMKills(m.state.Cgroups); {
	case err != nil:
	case kills > 0:
		e.Where, e.Doing = config.Name+" linux.resources.memory.limit", "make the container: its init was killed for want of memory"
		e.Hint = "raise the limit"
	case status.ExitStatus() == noExec:
		e.Where, e.Doing = config.Name+" linux.resources.memory.limit", "make the container: there was no memory to start its init"
		e.Hint = "raise the limit"
	case status.Signaled():
		e.Doing = "make the container: its init was killed by signal " + itoa(int(status.Signal()))
	default:
		e.Doing = "make the container: its init ended with status " + itoa(status.ExitStatus())
	}
	return e
}

// where is what a step was for, as errors name it: a field of the config, mostly.
func where(from string) string {
	switch {
	case from == "":
		return config.Name
	case strings.HasPrefix(from, "--"): // a flag
		return from
	}
	return config.Name + " " + from
}

// stepError is what the user is told of a step that failed.
func stepError(s *prog.Step, errno int) error {
	err := fail.Errno(errno)
	if s.Call == prog.MoveMount && err == syscall.EINVAL && (strings.HasPrefix(s.Doing, "bind ") || strings.HasPrefix(s.Doing, "mount ")) {
		err = syscall.ENOTDIR // move_mount(2) is less precise than mount(2); engines look for the text
	}
	return &fail.Error{Where: where(s.From), Doing: s.Doing, Err: err, Hint: hintFor(s.Doing, err)}
}

// hookOutput is what hooks in the container have printed.
func (m *maker) hookOutput() string {
	if m.output == 0 || m.inputs[m.output] < 0 {
		return ""
	}
	text, _ := sys.ReadAt(m.inputs[m.output], 4096)
	return strings.TrimSpace(string(text))
}

// A hookWatch watches the hook that runs in the container: its time, and what
// became of it.
type hookWatch struct {
	hooks    *specs.Hooks
	output   func() string
	kind     string
	count    int // of the hooks of this kind that have begun
	pidFD    int
	deadline int // sys.Monotonic; 0: no hook, or one without a limit
	expired  bool
	failure  error
}

func (w *hookWatch) list() []specs.Hook {
	switch {
	case w.hooks == nil:
		return nil
	case w.kind == "startContainer":
		return w.hooks.StartContainer
	}
	return w.hooks.CreateContainer
}

func (w *hookWatch) begin(pidFD int, kind string) {
	w.kind, w.pidFD, w.expired, w.deadline = kind, pidFD, false, 0
	w.count++
	if hook := w.list()[w.count-1]; hook.Timeout != nil {
		w.deadline = sys.Monotonic() + *hook.Timeout*1000
	}
}

func (w *hookWatch) running() bool { return w.pidFD > 0 }

// patience is how long the launch program may be silent, in milliseconds: only a
// mount of a dead server or the like takes a step longer than an instant.
const patience = 120_000

// timeLeft is how long to wait for a message. A hook to which the config gives no
// limit has none.
func (w *hookWatch) timeLeft() int {
	switch {
	case !w.running() || w.expired:
		return patience
	case w.deadline == 0:
		return -1
	}
	return max(0, w.deadline-sys.Monotonic())
}

// stuck says where a launch program waits that is silent.
func stuck(pid int) error {
	doing := "wait for the launch program, process " + itoa(pid) + ", which has said nothing for " + itoa(patience/1000) + " s"
	if where, err := os.ReadFile("/proc/" + itoa(pid) + "/wchan"); err == nil && len(where) > 1 {
		doing += "; the kernel has it in " + string(where)
	}
	return &fail.Error{Doing: doing, Err: syscall.ETIMEDOUT, Hint: "a file system that it needs may not answer: see /proc/" + itoa(pid) + "/stack"}
}

// expire ends a hook whose time is up.
func (w *hookWatch) expire() {
	w.expired = true
	sys.PidfdSignal(w.pidFD, linux.SIGKILL)
}

func (w *hookWatch) end(status int) {
	sys.Close(w.pidFD)
	w.pidFD = 0
	if status == 0 {
		return
	}
	hook, field := w.list()[w.count-1], fmt.Sprintf("%s hooks.%s[%d]", config.Name, w.kind, w.count-1)
	w.failure = hookError(field, hook.Path, syscall.WaitStatus(status), w.expired, w.output())
}

// orElse prefers what is known of a failed hook to the step that noticed it.
func (w *hookWatch) orElse(err error) error {
	if w.failure != nil {
		return w.failure
	}
	return err
}

// hookError says how a hook failed, with the end of what it printed.
func hookError(field, path string, status syscall.WaitStatus, expired bool, output string) error {
	doing := "run " + path
	switch {
	case expired:
		doing += ": its time was up"
	case status.Signaled():
		doing += ": killed by signal " + itoa(int(status.Signal()))
	default:
		doing += ": exit status " + itoa(status.ExitStatus())
	}
	if len(output) > 1000 {
		output = "…" + output[len(output)-1000:]
	}
	if output != "" {
		doing += ": " + output
	}
	return &fail.Error{Where: field, Doing: doing}
}
