// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package truth_test

import (
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/cgroup/resources"
	"github.com/coracle-oci/coracle/runtime/cgroup/unit"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/dbus"
	"github.com/coracle-oci/coracle/runtime/plan"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// A matcher compares events with what the plan says, in order.
type matcher struct {
	t      testing.TB
	events []event
	beside []event // those of the thread that makes namespaces, in their order
	last   *call   // of the events that have been taken
	plan   *plan.Plan
	pid    string
	open   string // the cgroup file that is open: values for the same file share it
	memory map[string]bool
	mapped map[string]bool // mappings whose user namespaces are there
	failed bool

	properties []unit.Property // that StartUnit is to send
}

// matchCreate: the host steps of create happen in their order, and nothing else.
func matchCreate(t testing.TB, events []event, p *plan.Plan, pid string) {
	t.Helper()
	m := &matcher{t: t, plan: p, pid: pid}
	for _, e := range events {
		if e.beside {
			m.beside = append(m.beside, e)
		} else {
			m.events = append(m.events, e)
		}
	}
	m.steps(plan.AtSpawn)
	for i, g := range p.Gates {
		if p.Terminal != 0 && p.Terminal < g.Step && (i == 0 || p.Terminal > p.Gates[i-1].Step) {
			m.steps(plan.Console)
		}
		m.steps(g.Mark)
		m.answer(g.Mark)
	}
	m.end("create")
}

// matchStart is the same of start.
func matchStart(t testing.TB, events []event, p *plan.Plan, pid string) {
	t.Helper()
	m := &matcher{t: t, events: events, plan: p, pid: pid}
	m.steps(plan.AtStart)
	m.steps(plan.Listening)
	m.steps(plan.AboutToRun)
	m.end("start")
}

func (m *matcher) steps(at prog.Mark) {
	m.t.Helper()
	for i := range m.plan.Host {
		if h := &m.plan.Host[i]; h.At == at && !m.failed {
			m.step(h)
		}
	}
	m.open = ""
}

func (m *matcher) end(what string) {
	if rest := append(m.events, m.beside...); len(rest) > 0 && !m.failed {
		m.t.Errorf("%s does what the plan does not say: %s\n\t%s", what, rest[0].text, rest[0].call.text)
	}
}

// inThread has a step wait for events of the thread instead, none of which may come
// before those that have been taken, if it is to be told.
func (m *matcher) inThread(told bool, step func()) {
	m.t.Helper()
	if told && len(m.beside) > 0 && m.last != nil && m.beside[0].call.at < m.last.at {
		m.t.Errorf("%s comes before the thread was told:\n\t%s", m.beside[0].text, m.beside[0].call.text)
		m.failed = true
	}
	m.events, m.beside = m.beside, m.events
	step()
	m.events, m.beside = m.beside, m.events
}

// want takes the next event, which must be this one.
func (m *matcher) want(h *plan.HostStep, format string, args ...any) {
	m.t.Helper()
	text := fmt.Sprintf(format, args...)
	if m.failed {
		return
	}
	if len(m.events) == 0 {
		m.t.Errorf("%s: nothing happens any more, want %q", h.Doing, text)
		m.failed = true
		return
	}
	if m.events[0].text != text {
		m.t.Errorf("%s:\n want %s\n have %s\n call %s", h.Doing, text, m.events[0].text, m.events[0].call.text)
		m.failed = true
		return
	}
	m.skip()
}

// next tells whether the next event begins so.
func (m *matcher) next(prefix string) bool {
	return len(m.events) > 0 && strings.HasPrefix(m.events[0].text, prefix)
}

func (m *matcher) skip() string {
	text := m.events[0].text
	m.last = m.events[0].call
	m.events = m.events[1:]
	return text
}

func (m *matcher) step(h *plan.HostStep) {
	m.t.Helper()
	m.stateFiles()
	switch h.Do {
	case plan.CgroupOp:
		m.cgroup(h, *h.Op)
	case plan.Socketpair:
		m.want(h, "socketpair 0x5|0x80000") // SOCK_SEQPACKET|SOCK_CLOEXEC
	case plan.Listen:
		m.want(h, "bind STATE/start")
		m.want(h, "listen")
	case plan.OpenTasks:
		m.want(h, "open %s", h.Path)
	case plan.OpenNamespace:
		m.want(h, "read %s", h.Path)
	case plan.CloneTree:
		m.cloneTree(h)
	case plan.MakeFS:
		m.makeFS(h)
	case plan.CloneDevice:
		m.want(h, "open_tree %s %#x", h.Path, linux.OPEN_TREE_CLONE|linux.OPEN_TREE_CLOEXEC)
	case plan.StateFile:
		m.want(h, "memfd state")
		if m.memory == nil {
			m.memory = map[string]bool{}
		}
		m.memory[h.Value] = true
	case plan.OutputFile:
		m.want(h, "memfd output")
	case plan.MakeNamespaces:
		m.inThread(false, func() { m.want(h, "unshare %#x", h.Mode) })
	case plan.Spawn:
		m.spawn(h)
	case plan.UnitProperty:
		m.properties = append(m.properties, *h.Property)
	case plan.StartUnit:
		m.startUnit(h)
	case plan.SendInputs:
		m.want(h, "send %q", "\x01")
	case plan.WriteFile:
		file := strings.Replace(h.Path, "PID", m.pid, 1)
		if !m.next("open " + file) { // before the clone, PID is that of the process that clones
			file = m.anyPID(h.Path)
		}
		m.want(h, "open %s", file)
		m.want(h, "write %s %s", file, strings.TrimSuffix(h.Value, "\n"))
	case plan.RunHook:
		m.want(h, "memfd stdin")
		m.want(h, "%s", m.anyText(`write /memfd:stdin {"ociVersion":`))
		m.want(h, "memfd stdout")
		m.want(h, "fork")
		m.want(h, "execute %s", h.Hook.Path)
	case plan.RaiseLimit:
		number, _ := config.RlimitNumber(h.Rlimit.Type)
		if !m.next(fmt.Sprintf("prlimit %#x ", number)) {
			return // it is high enough
		}
		m.skip()
	case plan.MakeState:
		m.want(h, "mkdir %s", h.Path)
	case plan.KeepConfig:
		m.want(h, "open %s", h.Path)
		for m.next("write " + h.Path) {
			m.skip()
		}
	case plan.WriteState:
		if h.At == plan.AtSpawn || m.plan.Clones { // else DraftState has written it
			m.writeState(h, h.Path+".new")
		}
		m.want(h, "rename %s.new %s", h.Path, h.Path)
	case plan.DraftState:
		m.writeState(h, h.Path)
	case plan.WritePIDFile:
		temporary := path.Dir(h.Path) + "/." + path.Base(h.Path) + ".new"
		m.want(h, "open %s", temporary)
		m.want(h, "write %s %s", temporary, m.pid)
		m.want(h, "rename %s %s", temporary, h.Path)
	case plan.SendTerminal:
		m.want(h, "connect %s", h.Path)
		m.want(h, "send %q", "/dev/ptmx")
	case plan.Connect:
		m.want(h, "connect %s", h.Path)
	case plan.ConnectAgent:
		m.want(h, "connect %s", h.Path)
	case plan.SendListener:
		if !m.next(`send "{\"ociVersion\":`) {
			m.want(h, `send "{\"ociVersion\":…`)
			return
		}
		m.skip()
		m.want(h, "send %q", "\x01")
	case plan.RemoveSocket:
		m.want(h, "unlink %s", h.Path)
	case plan.FindProgram, plan.OpenProcess, plan.OpenRoot: // they read only
	default:
		m.t.Errorf("%s: the test knows nothing of kind %d", h.Doing, h.Do)
	}
}

// stateFiles: the states for hooks in the container are written when the init's
// pid is known, whenever that is.
func (m *matcher) stateFiles() {
	for m.next("write /memfd:state ") {
		text := strings.TrimPrefix(m.skip(), "write /memfd:state ")
		var state struct{ Status, ID string }
		if err := json.Unmarshal([]byte(text), &state); err != nil || !m.memory[state.Status] {
			m.t.Errorf("a state for hooks that the plan does not have: %q, %v", text, err)
		}
		delete(m.memory, state.Status)
	}
}

func (m *matcher) anyPID(pattern string) string {
	prefix, suffix, _ := strings.Cut(pattern, "PID")
	if m.next("open " + prefix) {
		rest := strings.TrimPrefix(m.events[0].text, "open "+prefix)
		if pid, ok := strings.CutSuffix(rest, suffix); ok && strings.Trim(pid, "0123456789") == "" {
			return prefix + pid + suffix
		}
	}
	return pattern
}

// anyText is the next event, if it begins so.
func (m *matcher) anyText(prefix string) string {
	if m.next(prefix) {
		return m.events[0].text
	}
	return prefix + "…"
}

// startUnit: what is sent to systemd are the properties of the plan, and the pid.
func (m *matcher) startUnit(h *plan.HostStep) {
	m.t.Helper()
	m.want(h, "connect /run/systemd/private")
	var sent string
	for m.next("write socket:") {
		_, text, _ := strings.Cut(strings.TrimPrefix(m.skip(), "write "), " ")
		sent += text
	}
	_, sent, _ = strings.Cut(sent, "BEGIN") // of the handshake, at the end of which is a line break
	message, err := dbus.Decode([]byte(strings.TrimPrefix(sent, "\r")))
	if err != nil || len(message.Body) != 4 {
		m.t.Errorf("%s: what was sent is %q: %v", h.Doing, sent, err)
		m.failed = true
		return
	}
	want := []any{[]any{"PIDs", message.Body[2].([]any)[0].([]any)[1]}}
	for _, p := range m.properties {
		want = append(want, []any{p.Name, p.Value})
	}
	if message.Body[0] != h.Unit.Name || !reflect.DeepEqual(message.Body[2], want) {
		m.t.Errorf("%s: the properties are %v, want %v", h.Doing, message.Body[2], want)
		m.failed = true
	}
}

// cgroup: values for one file after the other share its descriptor.
func (m *matcher) cgroup(h *plan.HostStep, o resources.Op) {
	m.t.Helper()
	switch o.Kind {
	case resources.Mkdir, resources.Leaf:
		m.want(h, "mkdir %s", o.Path)
	case resources.Write, resources.WritePresent:
		if m.open != o.Path && m.next("absent "+o.Path+" = -1 ENOENT") && (o.Or != nil || o.Kind == resources.WritePresent) {
			m.skip()
			m.open = ""
			if o.Or != nil {
				m.cgroup(h, *o.Or)
			}
			return
		}
		m.write(h, o.Path, o.Value)
	case resources.Inherit:
		if m.next("open "+o.Path) || m.open == o.Path { // it may hold something already
			m.openFile(h, o.Path)
			if m.next("write " + o.Path + " ") {
				m.skip()
			}
		}
	case resources.Enable:
		m.openFile(h, o.Path)
		for m.next("write " + o.Path + " +") {
			m.skip()
		}
	case resources.Enter:
		m.openFile(h, o.Path+"/cgroup.procs")
		m.want(h, "%s", m.anyText("write "+o.Path+"/cgroup.procs "))
	case resources.Own:
		for m.next("chown " + o.Path + "/") { // what there is of /sys/kernel/cgroup/delegate
			m.skip()
		}
		m.want(h, "chown %s", o.Path)
	case resources.Devices:
		m.want(h, "bpf 0x5") // BPF_PROG_LOAD
		m.want(h, "bpf 0x8") // BPF_PROG_ATTACH
	}
}

func (m *matcher) openFile(h *plan.HostStep, file string) {
	if m.open != file {
		m.want(h, "open %s", file)
		m.open = file
	}
}

func (m *matcher) write(h *plan.HostStep, file, value string) {
	m.t.Helper()
	m.openFile(h, file)
	m.want(h, "write %s %s", file, value)
}

func (m *matcher) cloneTree(h *plan.HostStep) {
	flags := fmt.Sprintf("%#x", linux.OPEN_TREE_CLONE|linux.OPEN_TREE_CLOEXEC)
	if h.Recursive {
		flags = fmt.Sprintf("%#x", linux.OPEN_TREE_CLONE|linux.OPEN_TREE_CLOEXEC|linux.AT_RECURSIVE)
	}
	if h.NoFollow {
		flags = fmt.Sprintf("%#x", linux.OPEN_TREE_CLONE|linux.OPEN_TREE_CLOEXEC|linux.AT_SYMLINK_NOFOLLOW)
	}
	m.want(h, "open_tree %s %s", h.Path, flags)
	m.attrs(h)
}

func (m *matcher) attrs(h *plan.HostStep) {
	m.t.Helper()
	for _, a := range h.Attrs {
		if a.IDMap != nil {
			m.idMap(h, a)
			continue
		}
		at := linux.AT_EMPTY_PATH
		if a.Recursive {
			at |= linux.AT_RECURSIVE
		}
		m.want(h, "mount_setattr %s %s", number(at), attrText(a))
	}
}

// idMap: a process of its own has the user namespace that describes the mapping;
// several mounts may share it.
func (m *matcher) idMap(h *plan.HostStep, a plan.MountAttr) {
	m.t.Helper()
	if !m.mapped[a.Text] {
		m.want(h, "socketpair 0x5|0x80000")
		m.want(h, "memfd coracle-init")
		for m.next("write /memfd:coracle-init ") {
			m.skip()
		}
		m.want(h, "fork")
		for _, file := range []string{"uid_map", "setgroups", "gid_map"} {
			name := m.anyPID("/proc/PID/" + file)
			value := map[string]string{"uid_map": idText(a.IDMap.UIDs), "gid_map": idText(a.IDMap.GIDs), "setgroups": "allow"}[file]
			m.want(h, "open %s", name)
			m.want(h, "write %s %s", name, value)
		}
		if !m.next("execute /proc/self/fd/") {
			m.want(h, "execute /proc/self/fd/N")
			return
		}
		m.skip()
		if m.mapped == nil {
			m.mapped = map[string]bool{}
		}
		m.mapped[a.Text] = true
	}
	at := linux.AT_EMPTY_PATH
	if a.Recursive {
		at |= linux.AT_RECURSIVE
	}
	if prefix := fmt.Sprintf("mount_setattr %s {attr_set=%s attr_clr=0 propagation=0 userns_fd=", number(at), number(linux.MOUNT_ATTR_IDMAP)); !m.next(prefix) {
		m.want(h, "%s…", prefix)
		return
	}
	m.skip()
}

func idText(list []specs.LinuxIDMapping) (text string) {
	for i, l := range list {
		if i > 0 {
			text += "\n"
		}
		text += fmt.Sprintf("%d %d %d", l.ContainerID, l.HostID, l.Size)
	}
	return text
}

// makeFS: a file system is made, and filled with copies.
func (m *matcher) makeFS(h *plan.HostStep) {
	m.t.Helper()
	m.want(h, "fsopen %s", h.FS.Type)
	for _, p := range h.FS.Parameters {
		if p.Flag {
			m.want(h, "fsconfig 0 %s", p.Key)
		} else {
			m.want(h, "fsconfig %#x %s %s", linux.FSCONFIG_SET_STRING, p.Key, p.Value)
		}
	}
	m.want(h, "fsconfig %#x", linux.FSCONFIG_CMD_CREATE)
	m.want(h, "fsmount %s", number(h.FS.Set))
	if h.FS.CopyUp != "" && !m.next("open /") {
		m.want(h, "open /…")
	}
	for h.FS.CopyUp != "" && (m.next("copy ") || m.next("open /") || m.next("mkdir /")) {
		m.skip()
	}
	m.attrs(h)
}

func (m *matcher) spawn(h *plan.HostStep) {
	m.want(h, "memfd coracle-init")
	for m.next("write /memfd:coracle-init ") {
		m.skip()
	}
	execute := func() {
		into := ""
		if h.Path != "" {
			into = " into a cgroup"
		}
		m.want(h, "fork%s", into)
		m.want(h, "execute /proc/self/fd/N")
	}
	if m.plan.Host[0].Do == plan.MakeNamespaces {
		m.inThread(true, execute)
	} else {
		execute()
	}
}

// writeState: it is put in place whole or not at all.
func (m *matcher) writeState(h *plan.HostStep, temporary string) {
	m.want(h, "open %s", temporary)
	if !m.next("write " + temporary + " ") {
		m.want(h, "write %s …", temporary)
		return
	}
	text := strings.TrimPrefix(m.skip(), "write "+temporary+" ")
	var state struct {
		Status string
		Pid    int
	}
	if err := json.Unmarshal([]byte(text), &state); err != nil || state.Status != h.Value {
		m.t.Errorf("%s: %v, the state is %q, want %q", h.Doing, err, text, h.Value)
	}
}

// answer: the program is let go on at each gate; at the last one, with the path
// that it is to execute.
func (m *matcher) answer(mark prog.Mark) {
	m.t.Helper()
	m.stateFiles()
	if m.failed || mark == plan.AtMaps { // SendInputs is the answer
		return
	}
	if !m.next("send ") {
		m.want(&plan.HostStep{Doing: "answer gate " + fmt.Sprint(mark)}, "send …")
		return
	}
	if got, last := m.skip(), mark == plan.AtCreated; last != strings.HasPrefix(got, `send "/`) {
		m.t.Errorf("gate %d is answered with %s", mark, got)
	}
}

// attrText is struct mount_attr as strace -X raw prints it, without commas.
func attrText(a plan.MountAttr) string {
	return fmt.Sprintf("{attr_set=%s attr_clr=%s propagation=%s userns_fd=0}", number(a.Set), number(a.Clear), number(a.Propagation))
}

// number is as strace prints it: 0 has no prefix.
func number[T int | uint64](n T) string {
	if n == 0 {
		return "0"
	}
	return fmt.Sprintf("%#x", n)
}
