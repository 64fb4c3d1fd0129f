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
	hooks := hookSequence{tell: m.state.tell, output: m.hookOutput}
	defer hooks.leave()
	for {
		if err := hooks.await(m.gate); err != nil {
			return err
		}
		report, fds, err := m.receive(patience)
		if err != nil {
			return err
		}
		switch {
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
			err = hooks.begin(fds[0], "createContainer", m.spec.Hooks.CreateContainer)
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
	if err == syscall.ECONNRESET { // it ended with an answer unread; told before what it said last
		n, fds, err = sys.Receive(fd, buf)
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
		m.sendInputs(h)
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
		return m.state.runHook(where(h.From), h.Hook, m.state.OCI(Status(h.Value), m.state.PID))
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
		err := writePIDFile(h.Path, m.state.PID)
		m.wrotePID = err == nil
		return err
	}
	return fmt.Errorf("bug: %s at a gate", h.Doing)
}

// created is the last gate: the limits, the program, the state; and the answer
// that lets the init go its own way.
func (m *maker) created() error {
	m.options.Trace.Phase("look up the program, keep the state")
	var program string
	for i := 0; i < len(m.plan.Host); i++ {
		h := &m.plan.Host[i]
		if h.At != plan.AtCreated {
			continue
		}
		var err error
		switch h.Do {
		case plan.CgroupOp:
			i, err = m.cgroupsFrom(i)
		case plan.FindProgram:
			if program, err = m.findProgram(h.Value); err == syscall.ESRCH || err != nil && m.ended() {
				return m.died()
			}
		default:
			err = m.act(h)
		}
		if err != nil {
			return hostError(h, err)
		}
	}
	if last := m.options.last; last != nil {
		if err := last(m.container()); err != nil {
			return err
		}
	}
	if err := sys.Send(m.gate, m.answer(program)); err != nil {
		return m.died()
	}
	return nil
}

// ended tells whether the process has: its mounts go with it.
func (c *child) ended() bool {
	ready, err := sys.Wait(0, c.pidFD)
	return err == nil && ready == 0
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
	return hookText(m.inputs[m.output])
}

// A hookSequence is the hooks that run in the container, one after the other.
type hookSequence struct {
	tell    func(string, ...any)
	output  func() string
	count   int        // of those that have begun
	watch   *hookWatch // of the one that runs
	pidFD   int
	failure error
}

// begin notes that a hook has begun, which waits for nothing. Its kind changes
// between create and start only.
func (q *hookSequence) begin(pidFD int, kind string, list []specs.Hook) error {
	q.pidFD = pidFD
	q.watch = &hookWatch{field: hookField(kind, q.count), hook: &list[q.count], tell: q.tell, output: q.output, kill: func() { sys.PidfdSignal(pidFD, linux.SIGKILL) }}
	q.count++
	return q.watch.begin()
}

// await waits for a message while a hook runs.
func (q *hookSequence) await(fd int) error {
	if q.watch == nil {
		return nil
	}
	return q.watch.await(fd)
}

func (q *hookSequence) end(status int) {
	q.failure = q.watch.end(syscall.WaitStatus(status))
	q.leave()
}

// leave waits no longer for a hook.
func (q *hookSequence) leave() {
	if q.watch != nil {
		q.watch.signals.Release()
		sys.Close(q.pidFD)
		q.watch = nil
	}
}

// orElse prefers what is known of a failed hook to the step that noticed it.
func (q *hookSequence) orElse(err error) error {
	if q.failure != nil {
		return q.failure
	}
	return err
}

// patience is how long the launch program may be silent, in milliseconds: only a
// mount of a dead server or the like takes a step longer than an instant.
const patience = 120_000

// stuck says where a launch program waits that is silent.
func stuck(pid int) error {
	doing := "wait for the launch program, process " + itoa(pid) + ", which has said nothing for " + itoa(patience/1000) + " s"
	if where, err := os.ReadFile("/proc/" + itoa(pid) + "/wchan"); err == nil && len(where) > 1 {
		doing += "; the kernel has it in " + string(where)
	}
	return &fail.Error{Doing: doing, Err: syscall.ETIMEDOUT, Hint: "a file system that it needs may not answer: see /proc/" + itoa(pid) + "/stack"}
}
