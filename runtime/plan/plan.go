// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package plan compiles a config.json and the facts of a machine into a [Plan]:
// the launch program of the container's init, and the steps that only its
// parent can take, each at the gate where it happens.
//
// It is pure: "coracle plan" prints what "coracle create" executes. There is one
// file per phase, in the order of the phases; each step carries the config field
// that asked for it. Packages container and cli call it.
package plan

import (
	"cmp"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/cgroup/resources"
	"github.com/coracle-oci/coracle/runtime/cgroup/unit"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/facts"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// A Request is what is to be compiled.
type Request struct {
	ID            string
	Bundle        string // absolute path
	Config        *config.Config
	Facts         facts.Facts
	PreserveFDs   int    // descriptors from 3 on that the container keeps
	PIDFile       string // --pid-file
	ConsoleSocket string // --console-socket
	NoPivot       bool   // --no-pivot: change the root with chroot(2)
	NoNewKeyring  bool   // --no-new-keyring: keep the caller's session keyring
	Cgroups       CgroupManager
	SubCgroups    []string // --cgroup of exec
	PIDFDSocket   string   // --pidfd-socket
	Notify        bool     // somebody waits for sd_notify: the config has a mount for it
	Start         bool     // run: no start is to come
}

// A Plan is everything that create and start do.
type Plan struct {
	Init     *prog.Program
	Host     []HostStep // in the order in which they happen
	Gates    []Gate     // in their order
	Terminal int        // the step that hands the master of the terminal over; 0: none
	Accept   int        // the step that waits for start or, with Starts, where the program goes on
	Starts   bool       // it does so without being started, and tells at the gate what it would tell start
	Listener int        // the step that hands a listener of seccomp over; 0: none
	Execve   int        // the step that executes the container's program
	Clones   bool       // the init is a child that the started process clones: see Born
	Root     prog.Input // the container's root; 0: the parent has not opened it
	Cgroup   resources.Cgroup
	Unit     *unit.Unit // of the systemd driver; nil without it
	Home     bool       // the answer to AtCreated says HOME too
	Warnings []string
}

// The marks that programs send; they are the gates, where the program waits for
// its parent, and what it has to tell besides. A program that waits for start may be
// let go on by a newer coracle: numbers are kept, and new ones come last.
const (
	AtMaps     prog.Mark = iota + 1 // gate: the user namespace is there
	AtOffsets                       // gate: the time namespace is there
	Born                            // value: the pid of the container's init
	Root                            // carries the container's root
	Console                         // carries the master of the terminal
	AtHooks                         // gate: all mounts are made, the root is not yet changed
	HookRuns                        // carries a pidfd of a hook in the container
	HookEnded                       // value: wait status of that hook
	AtCreated                       // gate: all is done but start, or execve; answered with the path to execute
	AboutToRun                      // the next step is execve
	AtStart                         // no mark: before the launch program is let go on by start
	Listening                       // carries the listener of seccomp; answered when the agent has it
	AtSpawn    prog.Mark = 0        // host steps before there is a process
)

// A HostStep is one thing that the parent does.
type HostStep struct {
	At        prog.Mark // the gate; AtSpawn: before the process is started
	Do        HostKind
	Path      string // of the file; "PID" in it is the process's id
	Value     string // what is written
	Input     prog.Input
	Recursive bool
	NoFollow  bool        // CloneTree: of the symbolic link that Path is
	Attrs     []MountAttr // CloneTree, MakeFS: what is set on the mount, in this order
	FS        *FileSystem // MakeFS
	Rdev      uint64      // CloneDevice: what the file must be
	Mode      uint32      // CloneDevice: the type; MakeNamespaces, Spawn: flags of unshare(2), of clone(2)
	Spare     int         // SendInputs: how many numbers of descriptors the process keeps free for later ones
	Rlimit    specs.POSIXRlimit
	Hook      *specs.Hook
	Op        *resources.Op
	Unit      *unit.Unit
	Property  *unit.Property
	Doing     string // of a CgroupOp: what Op says
	From      string
}

// A Gate is where the program waits for its parent: it sends Mark in step Step,
// and reads the answer in the next.
type Gate struct {
	Mark prog.Mark
	Step int
}

// MountAttr is what mount_setattr(2) sets on a mount.
type MountAttr struct {
	Set, Clear, Propagation uint64
	Recursive               bool
	IDMap                   *config.IDMap // MOUNT_ATTR_IDMAP
	Text                    string
}

// HostKind is what a HostStep does.
type HostKind int

// The kinds of host steps.
const (
	CgroupOp       HostKind = iota
	Socketpair              // the gate
	Listen                  // the socket of start
	OpenTasks               // a cgroup file that the program writes to
	OpenNamespace           // a namespace to join
	OpenProcess             // the pidfd of the container's init
	OpenRoot                // the container's root
	CloneTree               // a detached copy of a mount, with Attrs
	MakeFS                  // a mount of a new file system, with Attrs
	CloneDevice             // the same of a device node, verified by its inode
	StateFile               // a memfd with the state for hooks in the container; Value is the status
	OutputFile              // a memfd for what hooks in the container print
	AppendTo                // a file that they append to
	MakeNamespaces          // in a thread that starts the process; Mode is the flags of unshare(2)
	Spawn
	SendInputs      // to the process: those before Input, up to MaxSent, that it has not got yet
	OwnGroup        // a directory of resctrl that goes with the container
	MakeGroup       // one that stays
	WriteSchemata   // Value to Path
	CompareSchemata // Path with Value
	JoinGroup       // Value, a pid, to Path
	MoveDevice      // the network device Path, to be called Value in the container
	WriteFile
	MapIDs // the program Path maps ids; Value is its arguments behind the pid
	RunHook
	MakeState    // the directory of the state
	KeepConfig   // in it
	MakeNotify   // a directory for the socket of sd_notify
	WriteState   // state.json with the status Value
	DraftState   // what WriteState is to put in place
	MakeMark     // a file where the socket of start would be
	SendPIDFD    // of the init, to the socket Path
	WritePIDFile // for the engine
	Connect      // to the socket of start
	RemoveSocket
	SendTerminal // its master, to the socket of the engine
	RaiseLimit   // of the runtime itself, which the process inherits
	FindProgram  // look up args[0], answer the gate with its path
	ConnectAgent // to the seccomp agent's socket
	SendListener // of seccomp, to the agent
	UnitProperty // of the unit that StartUnit starts
	StartUnit    // a scope of systemd with the process in it, by D-Bus
)

// Compile returns the plan, or a [fail.Error] that names the field that cannot
// be honoured.
func Compile(r Request) (*Plan, error) {
	c := &compiler{Request: r}
	if c.phases(); len(c.wrong) > 0 {
		return nil, c.wrong[0]
	}
	c.inputs()
	c.meanwhile()
	c.plan.Init = c.b.Program(3+r.PreserveFDs, c.gate)
	return &c.plan, nil
}

// Findings returns everything that Compile would refuse, not only the first, and
// what it would warn of. The config may be one that [config.Validate] refuses.
func Findings(r Request) (wrong []error, warnings []string) {
	// A copy, with something in the place of what must not be missing.
	whole := config.Config{Spec: r.Config.Spec}
	whole.Root = cmp.Or(r.Config.Root, &specs.Root{})
	r.Config = &whole
	c := &compiler{Request: r, all: true}
	c.phases()
	return c.wrong, c.plan.Warnings
}

// phases compiles in the order of the steps, up to the first refusal or, for
// Findings, in spite of them.
func (c *compiler) phases() {
	c.spec, c.dirs = &c.Config.Spec, map[string]prog.Reg{}
	for i := range c.spec.Mounts {
		c.targets = append(c.targets, inside(c.spec.Mounts[i].Destination))
	}
	c.spec.Linux, c.spec.Process = cmp.Or(c.spec.Linux, &specs.Linux{}), cmp.Or(c.spec.Process, config.NoProcess())
	c.compileCgroups()
	for _, phase := range []func(){
		c.rootless, c.begin, c.oomScore, c.namespaces,
		c.rootfs, c.mounts, c.devices, c.console, c.security, c.sysctl,
		c.createHooks, c.readonlyMounts, c.paths, c.pivot,
		c.cwd, c.scheduling, c.signals, c.labels, c.handRoot, c.identity, c.intelRdt, c.created, c.start,
	} {
		if c.refused() {
			return
		}
		phase()
	}
}

// A compiler is one run of Compile. The first error ends it: phases record it
// with refuse and return.
type compiler struct {
	Request
	container *facts.Container // that exists; nil: it is being made
	spec      *specs.Spec
	plan      Plan
	wrong     []error
	all       bool // no error ends it: all are wanted, and no plan
	b         prog.Builder

	late           []lateReadonly
	targets        []string   // where the config mounts something, as inside has it
	opens          []HostStep // those that open inputs
	early          int        // inputs that the process starts with; the others are sent
	sentAt         prog.Mark  // AtSpawn: unasked
	received       []received // the messages that they come in
	batches        []int      // of inputs that are received together: the first one of each
	joinsLater     bool       // the cgroups, see cgroups
	spare          []prog.Arg // arguments of the step that frees numbers for later inputs
	foreign        []prog.Arg // arguments of the step that closes what the caller has left open
	kept           int        // inputs that are needed after all is made: the first ones
	files          prog.Arg   // what RLIMIT_NOFILE was
	gate, listener prog.Input // the socket to the parent, and the one that start connects to
	root           prog.Arg   // the root of the container
	null, empty    prog.Arg   // what masks are copies of
	dirs           map[string]prog.Reg
	ptmx, slave    prog.Reg // of the terminal
	devpts         prog.Reg // the mount of /dev/pts, if the config has one
	proc           prog.Reg // a procfs that nobody else sees
	umask          prog.Reg // of the caller
	gone           prog.Label
	filter         *filter // of linux.seccomp
	state          map[string]prog.Input
	program        prog.Arg              // the path to execute, which the parent answers AtCreated with
	outputs        map[string]prog.Input // what hooks print to; "": memory
}

func (c *compiler) refuse(where, doing string, errno int, hint string) {
	if c.refused() {
		return
	}
	e := &fail.Error{Where: config.Name + " " + where, Doing: doing, Hint: hint}
	if errno != 0 {
		e.Err = fail.Errno(errno)
	}
	c.wrong = append(c.wrong, e)
}

// refused tells whether there is nothing more to be compiled.
func (c *compiler) refused() bool { return len(c.wrong) > 0 && !c.all }

func (c *compiler) warn(where, what string) {
	c.plan.Warnings = append(c.plan.Warnings, config.Name+" "+where+": "+what)
}

// host adds a step of the parent.
func (c *compiler) host(s HostStep) { c.plan.Host = append(c.plan.Host, s) }

// begin makes what every program starts with.
func (c *compiler) begin() {
	c.plan.Host = make([]HostStep, 0, 96)
	c.threadNamespaces()
	c.journal()
	c.raiseLimits()
	c.makeCgroups()
	c.gate = c.input("gate", HostStep{Do: Socketpair, Doing: "make the gate"})
	if c.plan.Starts = c.Start && len(c.spec.Process.Args) > 0; !c.plan.Starts {
		c.listener = c.input("listener", HostStep{Do: Listen, Path: "start", Doing: "listen for start"})
	}
	if h := c.spec.Hooks; h != nil && len(h.StartContainer) > 0 {
		c.stateFile("created")
		c.hookOutput(1)
		c.hookOutput(2)
	}
	c.kept = len(c.b.Inputs())
	c.gone = c.b.Label()

	b := &c.b
	b.From("")
	c.foreign = b.Do("close what the caller has left open", prog.CloseRange, prog.Int(0), prog.Const(^uint64(0)>>32, "~0"), prog.Int(0)).Args
	c.closeAtExecve()
	if len(c.Facts.HardLimits) > linux.RLIMIT_NOFILE {
		// Every mount takes descriptors until all are made; the caller's soft limit
		// may be low.
		hard := c.Facts.HardLimits[linux.RLIMIT_NOFILE]
		for _, r := range c.spec.Process.Rlimits {
			if r.Type == "RLIMIT_NOFILE" { // the runtime has raised its own by then
				hard = max(hard, r.Hard)
			}
		}
		text := strconv.FormatUint(hard, 10)
		c.files = b.Struct("&limit", make([]byte, 16))
		b.Do("open as many files as it may", prog.Prlimit64, prog.Int(0), flags(linux.RLIMIT_NOFILE, "RLIMIT_NOFILE"), b.Shared("{"+text+", "+text+"}", hard, hard), c.files)
	}
	c.hide()
}

func (c *compiler) closeAtExecve() {
	c.b.From("")
	c.b.Do("close what is not the container's at execve", prog.CloseRange, prog.Int(3+c.PreserveFDs), prog.Const(^uint64(0)>>32, "~0"), flags(linux.CLOSE_RANGE_CLOEXEC, "CLOEXEC"))
}

// hide keeps the program from those who are in the namespaces that it joins: they
// could take its descriptors (CVE-2016-9962).
func (c *compiler) hide() {
	b := &c.b
	b.Do("name the process", prog.Prctl, flags(linux.PR_SET_NAME, "PR_SET_NAME"), b.String("coracle-init"))
	if !c.unprivileged() || !c.fresh(specs.UserNamespace) || c.container != nil {
		c.untraceable()
	}
	c.umask = b.Get("umask", "make files with the modes asked for", prog.Umask, prog.Int(0))
}

// untraceable makes the process one that nobody may look into. A parent without
// privileges could not write id maps then: for that it comes a little later, when
// nobody else is in the new user namespace yet.
func (c *compiler) untraceable() {
	c.b.From("")
	c.b.Do("keep others from tracing it", prog.Prctl, flags(linux.PR_SET_DUMPABLE, "PR_SET_DUMPABLE"), prog.Int(0))
}

// oomScore comes before the user namespace, in which it could not be lowered.
func (c *compiler) oomScore() {
	b := &c.b
	if adj := c.spec.Process.OOMScoreAdj; adj != nil {
		b.From("process.oomScoreAdj")
		text := strconv.Itoa(*adj)
		fd := b.Get("oom", "open oom_score_adj", prog.Openat, prog.Const(atFDCWD, "AT_FDCWD"), b.String("/proc/self/oom_score_adj"), flags(linux.O_WRONLY|linux.O_CLOEXEC, "O_WRONLY|O_CLOEXEC"))
		b.Do("set oom_score_adj to "+text, prog.Write, fd.Arg(), b.String(text), prog.Int(len(text)))
		b.Do("close it", prog.CloseRange, fd.Arg(), fd.Arg(), prog.Int(0)) // see receive
	}
}

// wait makes a gate: the program says that it has come to mark, and goes on when
// the parent answers. An answer of nothing means that the parent is gone; the
// process then ends rather than stay half made.
func (c *compiler) wait(mark prog.Mark, doing string, buffer prog.Arg, size int) {
	b := &c.b
	c.tell(mark, doing)
	b.Do("wait for the parent", prog.Read, c.gate.Arg(), buffer, prog.Int(size)).Branch = prog.Branch{Result: 0, To: c.gone}
}

// tell is the first half of wait.
func (c *compiler) tell(mark prog.Mark, doing string) {
	b := &c.b
	c.plan.Gates = append(c.plan.Gates, Gate{Mark: mark, Step: b.Len()})
	b.Do(doing, prog.Sendto, c.gate.Arg(), b.Struct("mark", prog.MarkBytes(mark, 0)), prog.Int(8), flags(linux.MSG_NOSIGNAL, "MSG_NOSIGNAL"), prog.Int(0), prog.Int(0))
}

func (c *compiler) waitByte(mark prog.Mark, doing string) {
	c.wait(mark, doing, c.b.Struct("go", make([]byte, 8)), 1)
}

const atFDCWD = ^uint64(0) - 99 // -100

func flags(v int, text string) prog.Arg { return prog.Const(uint64(v), text) }

func index(name string, i int) string { return name + "[" + strconv.Itoa(i) + "]" }
