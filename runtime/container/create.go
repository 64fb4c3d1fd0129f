// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"cmp"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/internal/trace"
	"github.com/coracle-oci/coracle/runtime/cgroup"
	"github.com/coracle-oci/coracle/runtime/cgroup/resources"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/facts"
	"github.com/coracle-oci/coracle/runtime/launch"
	"github.com/coracle-oci/coracle/runtime/plan"
	"github.com/coracle-oci/coracle/runtime/probe"
	"github.com/coracle-oci/coracle/runtime/prog"
	"github.com/coracle-oci/coracle/runtime/systemd"
)

// Options are what create and run are told on the command line.
type Options struct {
	ID            string
	Bundle        string // a directory
	Config        string // a file; "": config.json in the bundle
	ConsoleSocket string // where the master of the terminal goes; "" keeps it
	PIDFile       string
	PIDFDSocket   string // where the pidfd of the init goes
	PreserveFDs   int
	ListenFDs     int    // those of PreserveFDs that are LISTEN_FDS
	NotifySocket  string // of the service manager that waits for sd_notify
	NoPivot       bool
	NoNewKeyring  bool
	Detach        bool
	Cgroups       plan.CgroupManager
	Warn          func(format string, args ...any)
	Trace         *trace.Recorder // nil: nobody wants to know

	Edit func(*specs.Spec) error // makes another of a config that is good; nil: it is as it is

	notifyDir string                  // what the container gets of NotifySocket
	judged    func(*specs.Spec) error // what create begins with a config that is good
	start     bool                    // run: the init does not wait for start
	last      func(*Container) error  // what run does before the init goes on
}

// A Container is what create has made.
type Container struct {
	*State
	PIDFD  int
	Master int // of the terminal, if nobody else has it; else -1

	starts bool // the init does not wait for start
	gate   int  // if so: where it tells how it goes on
}

// Load reads and judges the config of a bundle, and compiles it for this
// machine. It changes nothing.
func Load(o Options, ask func([]string) (facts.Facts, error)) (raw []byte, p *plan.Plan, c *config.Config, err error) {
	bundle, err := filepath.Abs(o.Bundle)
	if err != nil {
		return nil, nil, nil, &fail.Error{Where: "--bundle", Doing: "find " + o.Bundle, Err: err}
	}
	o.Trace.Phase("parse")
	path := o.Config
	if path == "" {
		path = filepath.Join(bundle, config.Name)
	}
	raw, err = sys.ReadInto(make([]byte, 0, 32<<10), path)
	if o.Config != "" && err != nil {
		return nil, nil, nil, &fail.Error{Where: "--config", Doing: "read " + o.Config, Err: err}
	} else if errors.Is(err, os.ErrNotExist) {
		return nil, nil, nil, &fail.Error{Where: "--bundle", Doing: "JSON specification file config.json not found", Err: err,
			Hint: "make one with: coracle spec --bundle " + o.Bundle}
	} else if err != nil {
		return nil, nil, nil, &fail.Error{Where: "--bundle", Doing: "read the config", Err: err}
	}
	if c, err = config.Parse(raw); err == nil {
		err = config.Validate(c)
	}
	if err == nil && o.Edit != nil {
		if err = o.Edit(&c.Spec); err == nil {
			raw, err = json.Marshal(&c.Spec)
		}
	}
	if err != nil {
		return nil, nil, nil, err
	}
	c.Process = cmp.Or(c.Process, config.NoProcess())
	if o.judged != nil {
		if err := o.judged(&c.Spec); err != nil {
			return nil, nil, nil, err
		}
	}
	o.Trace.Phase("probe")
	f, err := ask(plan.HostPaths(bundle, &c.Spec))
	if err == nil && o.Cgroups == plan.Systemd && f.Systemd == nil {
		f.Systemd, err = systemd.Facts(f)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	o.Trace.Phase("plan")
	o.fromEnvironment(c, &f)
	p, err = plan.Compile(plan.Request{ID: o.ID, Bundle: bundle, Config: c, Facts: f, Cgroups: o.Cgroups, PIDFile: o.PIDFile, ConsoleSocket: o.ConsoleSocket, PreserveFDs: o.PreserveFDs, NoPivot: o.NoPivot, NoNewKeyring: o.NoNewKeyring,
		PIDFDSocket: o.PIDFDSocket, Notify: o.NotifySocket != "", Start: o.start})
	if err != nil {
		return nil, nil, nil, err
	}
	return raw, mutated(p), c, nil
}

// Create makes a container that waits for start, and returns it locked. When it
// fails it leaves nothing behind.
func (s Store) Create(o Options) (*Container, error) {
	if err := CheckID(o.ID); err != nil {
		return nil, err
	}
	if o.NotifySocket != "" {
		o.notifyDir = filepath.Join(s.Root, o.ID, plan.NotifyDir)
	}
	var thread *launch.Thread
	o.judged = func(spec *specs.Spec) (err error) {
		if flags := plan.ThreadNamespaces(spec); flags != 0 {
			if thread, err = launch.NewThread(flags); err != nil {
				return &fail.Error{Doing: "start a thread", Err: err}
			}
		}
		return nil
	}
	defer func() { thread.Drop() }()
	raw, p, c, err := Load(o, probe.Facts)
	if err != nil {
		return nil, err
	}
	if err := o.checkTerminal(c.Process.Terminal); err != nil {
		return nil, err
	}
	if err := o.checkPreserved(); err != nil {
		return nil, err
	}
	image, err := launch.Assemble(p.Init)
	if err != nil {
		return nil, err
	}
	for _, list := range [][]string{c.Warnings, p.Warnings} {
		for _, w := range list {
			o.Warn("%s", w)
		}
	}
	o.Trace.Phase("journal")
	state, err := s.make(o.ID, o.Warn)
	if err != nil {
		return nil, err
	}
	state.describe(o, c, p)
	m := &maker{child: newChild(p, &c.Spec, o.PreserveFDs), state: state, options: o, begun: thread}
	if err = m.make(raw, image); err != nil {
		m.undo()
		state.Close()
		return nil, err
	}
	return m.container(), nil
}

func (m *maker) container() *Container {
	return &Container{State: m.state, PIDFD: m.pidFD, Master: m.master, starts: m.plan.Starts, gate: m.kept}
}

func (o Options) checkTerminal(terminal bool) error {
	switch {
	case !terminal && o.ConsoleSocket != "":
		return &fail.Error{Where: "--console-socket", Doing: "the container has no terminal", Hint: `set "terminal": true in process of config.json`}
	case terminal && o.Detach && o.ConsoleSocket == "":
		return &fail.Error{Where: "config.json process.terminal", Doing: "a detached container with a terminal needs somebody who has its other side",
			Hint: "give --console-socket, or set process.terminal to false"}
	}
	return nil
}

// checkPreserved makes sure that the descriptors of --preserve-fds are the
// caller's: those that coracle opens itself are close-on-exec, and must not get
// into the container in the place of one that the caller forgot.
func (o Options) checkPreserved() error {
	if o.PreserveFDs < 0 {
		return fail.At("--preserve-fds", itoa(o.PreserveFDs)+" is less than none")
	}
	for fd := 3; fd < 3+o.PreserveFDs; fd++ {
		if err := sys.Inherited(fd); err != nil {
			return &fail.Error{Where: "--preserve-fds", Doing: "pass on descriptor " + itoa(fd), Err: err, Hint: "open it before coracle is called"}
		}
	}
	return nil
}

// describe fills in the journal: all that delete must know.
func (s *State) describe(o Options, c *config.Config, p *plan.Plan) {
	s.OCIVersion, s.Annotations, s.Created = c.Version, c.Annotations, time.Now().UTC()
	s.Bundle, _ = filepath.Abs(o.Bundle)
	s.Rootfs = rootfs(s.Bundle, &c.Spec)
	if p.Listener != 0 {
		s.Agent = &Agent{Socket: c.Linux.Seccomp.ListenerPath, Metadata: c.Linux.Seccomp.ListenerMetadata}
	}
	s.Cgroups, s.NoPivot, s.NoKeyring = p.Cgroup.Dirs, o.NoPivot, o.NoNewKeyring
	if u := p.Unit; u != nil {
		s.Unit = &Unit{Name: u.Name, User: u.User, Path: u.Path, Subgroup: u.Subgroup}
	}
	if h := c.Hooks; h != nil && len(h.StartContainer)+len(h.Poststart)+len(h.Poststop) > 0 {
		s.Hooks = &specs.Hooks{StartContainer: h.StartContainer, Poststart: h.Poststart, Poststop: h.Poststop}
	}
	for i := p.Gates[len(p.Gates)-1].Step + 2; i < len(p.Init.Steps); i++ {
		step := &p.Init.Steps[i]
		s.Steps = append(s.Steps, Step{Index: i, Doing: step.Doing, From: step.From, Execve: step.Call == prog.Execve})
	}
	for _, ns := range c.Linux.Namespaces {
		s.OwnPIDs = s.OwnPIDs || ns.Type == specs.PIDNamespace && ns.Path == ""
	}
}

// rootfs is root.path on the host.
func rootfs(bundle string, spec *specs.Spec) string {
	if filepath.IsAbs(spec.Root.Path) {
		return spec.Root.Path
	}
	return filepath.Join(bundle, spec.Root.Path)
}

// A maker is one run of Create.
type maker struct {
	child
	state   *State
	options Options
	begun   *launch.Thread // that makes namespaces
	states  map[int]string
	userns  map[string]int // that describe mappings of ids, by their text
	output  int            // index of the input that hooks in the container print to; 0: none
	sent    int            // inputs that the process has
	hooked  bool           // hooks of the runtime namespace have run
	applier cgroup.Applier // makes cgroups
	cgroups []string       // that have been made
	unit    bool           // systemd has been asked for it
	kept    int            // the gate, if the init goes on when all is made

	wrotePID bool
	devices  []netDevice // that have been moved into the container
}

func (m *maker) make(raw []byte, image *launch.Image) error {
	// A cgroup that somebody is in must not get into the journal: delete ends
	// whatever is in the cgroups that are named there.
	if err := cgroup.EnsureEmpty(m.state.Cgroups); err != nil {
		return err
	}
	for i := range m.plan.Host {
		if h := &m.plan.Host[i]; h.At == plan.AtSpawn {
			if err := m.journal(h, raw); err != nil {
				return err
			}
		}
	}
	defer m.hangUp()
	if err := m.before(image); err != nil {
		_ = m.gather() // the thread needs the inputs; its failure would be the second one
		return err
	}
	if err := m.converse(); err != nil {
		return err
	}
	if m.plan.Starts {
		m.kept, m.gate = m.gate, -1
	}
	return nil
}

// journal takes the host steps that stand before everything else; the directory
// is there already, as the lock is on it.
func (m *maker) journal(h *plan.HostStep, raw []byte) error {
	switch h.Do {
	case plan.KeepConfig:
		if err := sys.WriteNewFile(m.state.lock, config.Name, raw); err != nil {
			return &fail.Error{Where: m.state.ID, Doing: "keep its config", Err: err}
		}
	case plan.WriteState:
		return m.state.write()
	case plan.MakeNotify:
		if err := os.Mkdir(m.options.notifyDir, 0o755); err != nil {
			return &fail.Error{Where: h.From, Doing: h.Doing, Err: err}
		}
	}
	return nil
}

// before takes the host steps that stand before the process.
func (m *maker) before(image *launch.Image) error {
	m.options.Trace.Phase("cgroup")
	for i := 0; i < len(m.plan.Host); i++ {
		h := &m.plan.Host[i]
		if h.At != plan.AtSpawn || h.Do.Journal() {
			continue
		}
		var err error
		switch h.Do {
		case plan.CgroupOp:
			i, err = m.cgroupsFrom(i)
		case plan.MakeNamespaces:
			if m.thread = m.begun; !m.thread.Makes(int(h.Mode)) {
				err = errors.New("bug: they are others than those that have been begun")
			}
		case plan.Spawn:
			m.options.Trace.Phase("spawn")
			if err = m.spawn(h, image); err == nil && m.pid > 0 && !m.plan.Clones {
				err = m.born(m.pid)
			}
			m.options.Trace.Phase("cgroups")
			if err == nil && m.plan.Unit != nil {
				if err = m.gather(); err == nil {
					err = m.startUnit()
				}
			}
		case plan.UnitProperty, plan.StartUnit: // by startUnit
		case plan.MakeMark:
			err = sys.WriteNewFile(m.state.lock, startSocket, nil)
		case plan.DraftState:
			if err = m.gather(); err == nil {
				m.state.draft(Status(h.Value))
			}
		case plan.SendInputs:
			if m.sent < len(m.inputs) && int(h.Input) == len(m.inputs) {
				m.options.Trace.Phase("namespaces and mounts")
			}
			m.sendInputs(h)
		default:
			err = m.open(h)
		}
		if err != nil {
			return hostError(h, err)
		}
	}
	return m.gather()
}

// gather waits until a thread has started the child, if one does.
func (m *maker) gather() error {
	if !m.thread.Started() {
		return nil
	}
	pid, made, err := m.thread.Wait(patience)
	m.thread = nil
	switch {
	case err == nil:
		m.spawned(pid)
		return m.born(pid)
	case !made:
		return hostError(m.hostStep(plan.MakeNamespaces), err)
	}
	return hostError(m.hostStep(plan.Spawn), startError(err))
}

func (m *maker) hostStep(kind plan.HostKind) *plan.HostStep {
	return &m.plan.Host[slices.IndexFunc(m.plan.Host, func(h plan.HostStep) bool { return h.Do == kind })]
}

// cgroupsFrom applies the operations on cgroups that stand at i and behind it, and
// returns the index of the last one.
func (m *maker) cgroupsFrom(i int) (last int, err error) {
	at := m.plan.Host[i].At
	ops := make([]resources.Op, 0, len(m.plan.Cgroup.Make)+len(m.plan.Cgroup.Limit))
	for ; i < len(m.plan.Host) && m.plan.Host[i].Do == plan.CgroupOp && m.plan.Host[i].At == at; i++ {
		ops = append(ops, *m.plan.Host[i].Op)
		// What limits the cgroup that the process is born in is not to keep it from that.
		if into := m.plan.Cgroup.Into; into != "" && m.thread.Started() && strings.HasPrefix(ops[len(ops)-1].Path+"/", into+"/") {
			if err = m.gather(); err != nil {
				return i, err
			}
		}
		if o := &ops[len(ops)-1]; o.Kind == resources.Enter {
			o.Value = itoa(m.pid)
		}
	}
	if err = m.applier.Apply(ops); err == nil {
		m.cgroups = m.state.Cgroups
		if m.pid == 0 && !m.thread.Started() {
			m.cgroups = []string{m.plan.Cgroup.Into}
		}
	}
	return i - 1, err
}

// sendInputs hands over what has been opened since the process was started. One
// that has ended meanwhile has said why, or is seen to be gone: see converse.
func (m *maker) sendInputs(h *plan.HostStep) {
	early, to := m.plan.Init.Early, int(h.Input)
	fds := m.inputs[max(m.sent, early):to:to]
	for range h.Spare {
		fds = append(fds, m.inputs[early])
	}
	if sys.Send(m.gate, []byte{1}, fds...) != nil {
		return
	}
	if m.sent = to; to == len(m.inputs) { // it works already: there is time for that
		m.closeInputs(early, to)
	}
}

// hostError says which field a host step was for.
func hostError(h *plan.HostStep, err error) error {
	if e, ok := errors.AsType[*fail.Error](err); ok {
		if e.Where == "" {
			e.Where = where(h.From)
		}
		return e
	}
	return &fail.Error{Where: where(h.From), Doing: h.Doing, Err: err, Hint: hintFor(h.Doing, err)}
}

// open opens the descriptor of an input.
func (m *maker) open(h *plan.HostStep) (err error) {
	fd := -1
	switch h.Do {
	case plan.Listen:
		fd, err = sys.SeqPacketListen(m.state.lock, h.Path)
	case plan.CloneTree:
		if h.Input == m.plan.Root { // see openRoot
			m.keep(h.Input)
		}
		fd, err = m.cloneTree(h)
	case plan.MakeFS:
		fd, err = m.makeFS(h)
	case plan.CloneDevice:
		fd, err = cloneDevice(h)
	case plan.StateFile:
		if fd, err = m.ownFile(h, "state"); err != nil {
			break
		}
		if m.process != 0 {
			err = m.tellState(fd, h.Value)
			break
		}
		if m.states == nil {
			m.states = map[int]string{}
		}
		m.states[int(h.Input)] = h.Value // its pid is not known yet: see born
	case plan.AppendTo:
		fd, err = sys.OpenAppend(h.Path)
	case plan.OutputFile:
		fd, err = m.ownFile(h, "output")
		m.output = int(h.Input)
	default:
		return m.child.open(h)
	}
	m.inputs[h.Input] = fd // also when there is an error: hangUp closes it
	return err
}

// ownFile makes a file of memory that we share with the program.
func (m *maker) ownFile(h *plan.HostStep, name string) (int, error) {
	m.keep(h.Input)
	return sys.Memfd(name)
}

// keep notes that an input stays open here.
func (m *maker) keep(input prog.Input) {
	if m.ours == nil {
		m.ours = map[int]bool{}
	}
	m.ours[int(input)] = true
}

// hangUp closes all that the conversation took.
func (m *maker) hangUp() {
	m.child.hangUp()
	for _, fd := range m.userns {
		sys.Close(fd)
	}
	m.userns = nil
}

// born notes the pid of the container's init in the journal.
func (m *maker) born(pid int) error {
	err := m.child.born(pid)
	if err != nil {
		return err
	}
	m.state.PID, m.state.StartTime = pid, m.started
	if m.started == 0 {
		if m.state.StartTime, _, err = sys.ProcessStart(pid); err != nil {
			return &fail.Error{Doing: "look at the container's init", Err: err}
		}
	}
	for i, status := range m.states {
		if err := m.tellState(m.inputs[i], status); err != nil {
			return err
		}
	}
	return nil
}

// tellState writes the state for hooks in the container.
func (m *maker) tellState(fd int, status string) error {
	inner := m.process
	if m.state.OwnPIDs {
		inner = 1
	}
	return writeState(fd, m.state.OCI(Status(status), inner))
}

// undo takes back everything, after a failure.
func (m *maker) undo() {
	m.returnDevices()
	m.end()
	if len(m.cgroups) > 0 {
		cgroup.Kill(m.cgroups, linux.SIGKILL)
		if m.unit {
			if err := m.state.stopUnit(); err != nil {
				m.options.Warn("%s", fail.Reason(err))
			}
		}
		if err := cgroup.Remove(m.cgroups); err != nil {
			// Somebody is in there whom the kernel does not let go: the journal has to
			// stay, for delete --force and gc.
			m.options.Warn("%s", fail.Reason(err))
			return
		}
	}
	m.applier.Undo()
	if err := m.state.removeGroups(); err != nil {
		m.options.Warn("%s", fail.Reason(err))
	}
	if m.hooked && m.state.Hooks != nil { // spec, lifecycle: a failed create ends like a delete
		m.state.poststop(m.options.Warn)
	}
	if m.options.PIDFile != "" && m.wrotePID {
		os.Remove(m.options.PIDFile)
	}
	if err := m.state.remove(); err != nil {
		m.options.Warn("%s", fail.Reason(err))
	}
}
