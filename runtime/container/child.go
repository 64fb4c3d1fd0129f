// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/console"
	"github.com/coracle-oci/coracle/runtime/launch"
	"github.com/coracle-oci/coracle/runtime/plan"
)

// A child is the process that runs a launch program, and becomes the init of a
// container or one more of its processes.
type child struct {
	plan     *plan.Plan
	spec     *specs.Spec
	preserve int          // descriptors from 3 on that the container keeps
	inputs   []int        // descriptors of the program
	ours     map[int]bool // inputs that stay open here as well
	gate     int          // our side
	early    []message
	thread   *launch.Thread // that starts the process, until it has
	pid      int            // our child, which the process may be a child of
	process  int            // pid of the process; 0: it is not known yet
	pidFD    int
	master   int    // of the terminal, if nobody else has it
	root     int    // of the container, if the program has shown it; 0: see openRoot
	started  uint64 // when the process was, in ticks; 0: it has to be asked for
}

func newChild(p *plan.Plan, spec *specs.Spec, preserve int) child {
	c := child{plan: p, spec: spec, preserve: preserve, inputs: make([]int, len(p.Init.Inputs)), gate: -1, pidFD: -1, master: -1}
	for i := range c.inputs {
		c.inputs[i] = -1
	}
	return c
}

// open opens the descriptor of an input, of those kinds that every program has.
func (c *child) open(h *plan.HostStep) (err error) {
	fd := -1
	switch h.Do {
	case plan.Socketpair:
		c.gate, fd, err = sys.SeqPacketPair()
	case plan.OpenTasks:
		fd, err = sys.Open(h.Path, linux.O_WRONLY)
	case plan.OpenNamespace:
		fd, err = sys.Open(h.Path, linux.O_RDONLY)
	case plan.OpenRoot:
		fd, err = sys.Open(h.Path, linux.O_PATH|linux.O_DIRECTORY)
	case plan.RaiseLimit:
		number, _ := config.RlimitNumber(h.Rlimit.Type)
		return sys.Prlimit(0, number, h.Rlimit.Hard, h.Rlimit.Hard)
	}
	if err == nil {
		c.inputs[h.Input] = fd
	}
	return err
}

// spawn starts the launch program, in the cgroup of v2 that the step names.
func (c *child) spawn(h *plan.HostStep, image *launch.Image) error {
	cgroupFD := -1
	if h.Path != "" {
		fd, err := sys.Open(h.Path, linux.O_PATH|linux.O_DIRECTORY)
		if err != nil {
			return &fail.Error{Where: where("linux.cgroupsPath"), Doing: "open " + h.Path, Err: err}
		}
		cgroupFD = fd
	}
	preserve := make([]int, c.preserve)
	for i := range preserve {
		preserve[i] = 3 + i
	}
	s := launch.Spawn{Image: image, Stdio: [3]int{0, 1, 2}, Preserve: preserve, Inputs: c.inputs[:c.plan.Init.Early], CgroupFD: cgroupFD,
		NewPID: h.Mode == linux.CLONE_NEWPID}
	c.started = sys.Ticks()
	if c.thread != nil {
		return startError(c.thread.Start(s))
	}
	pid, err := s.Start()
	sys.Close(cgroupFD)
	if err == nil {
		c.spawned(pid)
	}
	return startError(err)
}

func startError(err error) error {
	if err == nil {
		return nil
	}
	const doing = "start the launch program"
	return &fail.Error{Doing: doing, Err: err, Hint: hintFor(doing, err)}
}

// spawned notes the pid of the child.
func (c *child) spawned(pid int) {
	if c.plan.Clones || c.started != sys.Ticks() { // seldom, as /proc is slow
		c.started = 0
	}
	c.pid = pid
	c.closeInputs(0, c.plan.Init.Early)
}

// closeInputs closes what only the process is to have from now on: its side of
// the gate before all, so that we see it when it ends.
func (c *child) closeInputs(from, to int) {
	for i := from; i < to; i++ {
		if !c.ours[i] {
			sys.Close(c.inputs[i])
			c.inputs[i] = -1
		}
	}
}

// hangUp closes all that the conversation took.
func (c *child) hangUp() {
	for i, fd := range c.inputs {
		sys.Close(fd)
		c.inputs[i] = -1
	}
	if c.root > 0 {
		sys.Close(c.root)
		c.root = 0
	}
	sys.Close(c.gate)
	c.gate = -1
}

// born notes the pid of the process.
func (c *child) born(pid int) (err error) {
	if c.plan.Clones { // the process that cloned it has done its work
		if err := c.reapCloner(); err != nil {
			return err
		}
	}
	c.pid, c.process = pid, pid
	if c.pidFD, err = sys.PidfdOpen(pid); err != nil {
		return &fail.Error{Doing: "open the process", Err: err}
	}
	return nil
}

// reapCloner waits for the end of the process that has cloned the process.
func (c *child) reapCloner() error {
	if c.pid == 0 {
		return nil
	}
	if _, err := sys.Reap(c.pid); err != nil {
		return &fail.Error{Doing: "wait for the launch program", Err: err}
	}
	c.pid = 0
	return nil
}

// end kills the process, after a failure. One that does not end for the kernel
// holds it is left for whoever reaps orphans.
func (c *child) end() {
	if c.pid > 0 {
		sys.Kill(c.pid, linux.SIGKILL)
		if sys.AwaitExit(c.pid, killPatience) == nil {
			sys.ReapEnded(c.pid)
		}
	}
	sys.Close(c.pidFD)
	sys.Close(c.master)
	c.pid, c.pidFD, c.master = 0, -1, -1
}

// handOver gives the master of the terminal to whoever is to have it.
func (c *child) handOver(master int) error {
	// The container's devpts is the container's to change (CVE-2025-52565).
	if genuine, err := sys.IsMaster(master); err != nil || !genuine {
		sys.Close(master)
		return &fail.Error{Where: where("process.terminal"), Doing: "open a terminal: /dev/pts/ptmx is none that a devpts has made", Err: err}
	}
	for i := range c.plan.Host {
		if h := &c.plan.Host[i]; h.Do == plan.SendTerminal {
			defer sys.Close(master)
			return console.Send(h.Path, master)
		}
	}
	c.master = master
	return nil
}

// A message is what the launch program has sent.
type message struct {
	report *launch.Report
	fds    []int
}

// receive waits for the next message. The process that clones the other tells its
// pid and ends, while that works already: what it says may come first. It is held
// back until its pid has come.
func (c *child) receive(milliseconds int) (*launch.Report, []int, error) {
	if len(c.early) > 0 && c.process != 0 {
		first := c.early[0]
		c.early = c.early[1:]
		return first.report, first.fds, nil
	}
	report, fds, err := receive(c.gate, milliseconds)
	for err == nil && report != nil && c.tooEarly(report) {
		c.early = append(c.early, message{report, fds})
		if err = c.reapCloner(); err != nil {
			return nil, nil, err
		}
		// Whatever it had to tell is there now; if it is not, it was killed.
		if report, fds, err = receive(c.gate, 0); report == nil && fds == nil {
			fds = []int{}
		}
	}
	return report, fds, err
}

// tooEarly tells whether a process has sent a message whose pid is not known yet.
func (c *child) tooEarly(r *launch.Report) bool {
	return c.plan.Clones && c.process == 0 && r.Step < 0 && r.Mark > plan.Born
}
