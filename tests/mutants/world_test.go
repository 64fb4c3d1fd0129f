// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package mutants_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/coracle-oci/coracle/internal/testkit"
	"github.com/coracle-oci/coracle/runtime/container"
	"github.com/coracle-oci/coracle/runtime/plan"
	"github.com/coracle-oci/coracle/runtime/probe"
	"github.com/coracle-oci/coracle/tests/truth/cases"
)

// patience is how long a step of a container's life may take: a mutant that
// waits for ever is one that was noticed.
const patience = 3 * time.Second

// A sight is what was observed of one container's life, by what was looked at.
type sight map[string]string

// A world is where the containers of one case live, one after the other.
type world struct {
	t       *testing.T
	dir, id string
	binary  string // built with the tag mutants
	config  *specs.Spec
	probe   string
	host    map[string]string // namespaces: link → what it is
	pid     string            // of the container's init
}

func newWorld(t *testing.T, c cases.Case, binary, prober string) *world {
	w := &world{t: t, dir: t.TempDir(), id: fmt.Sprint("mutant-", c.Name, os.Getpid()), binary: binary, probe: prober, config: testkit.Config()}
	c.Change(t, w.config)
	if w.config.Hostname != "" { // the machine may be called as the small config says
		w.config.Hostname = "a-container"
	}
	if err := os.Chmod(w.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	w.config.Process.Args = []string{"/probe", "an argument"}
	w.config.Mounts = append(w.config.Mounts, specs.Mount{Destination: "/out", Type: "bind", Source: w.path("out"), Options: []string{"bind", "rw"}})
	if c.Name == "full" {
		for _, name := range []string{"/dangling", "/pipe"} {
			w.config.Mounts = append(w.config.Mounts, specs.Mount{Destination: name, Type: "bind", Source: "/dev/null", Options: []string{"bind"}})
		}
	}
	w.watchHooks()
	data, err := json.Marshal(w.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(w.path("bundle"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.path("bundle/config.json"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	w.nameNamespaces()
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// watchHooks makes all hooks write down what they see. Each config gets one that
// looks at the mounts of the runtime's namespace.
func (w *world) watchHooks() {
	if w.config.Hooks == nil {
		w.config.Hooks = &specs.Hooks{}
	}
	h := w.config.Hooks
	namespaces := "; for n in /proc/self/ns/*; do readlink $n; done > " + w.path("namespaces")
	// What a hook sees of the state goes before what the other side may have written.
	script := `{ echo "$0"; cat; echo; cut -d" " -f 4- /proc/self/mountinfo | sort | sed "s/:[0-9]* /:N /g"; } >> ` + w.path("trace")
	state := `; { ls ` + w.path("state/"+w.id) + `; cat ` + w.path("state/"+w.id+"/state.json") + `; echo; } >> ` + w.path("trace")
	for _, k := range []struct {
		kind string
		list *[]specs.Hook
	}{{"prestart", &h.Prestart}, {"createRuntime", &h.CreateRuntime}, {"poststart", &h.Poststart}, {"poststop", &h.Poststop}} { //nolint:staticcheck // prestart is deprecated, not gone
		kind, list, namespaces := k.kind, k.list, namespaces
		if strings.HasPrefix(k.kind, "post") { // these run in the namespaces of start and delete
			namespaces = ""
		}
		for i := range *list {
			(*list)[i] = specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", script + state + namespaces, fmt.Sprint(kind, i)}}
		}
	}
	if len(h.CreateRuntime) == 0 {
		h.CreateRuntime = []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", script + state + namespaces, "createRuntime0"}}}
	}
	for i := range h.CreateContainer { // in the container's namespaces, on the host's files
		h.CreateContainer[i] = specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", script + `; { umask; ls -l /proc/self/fd | cut -d" " -f 9- | sed "s/\[.*\]//; s/proc.*//"; } >> ` + w.path("trace") + "; echo said; exit 0", fmt.Sprint("createContainer", i)}, Env: []string{"PATH=/bin:/usr/bin"}}
	}
	for i := range h.StartContainer {
		h.StartContainer[i] = specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", `/bin/busybox sleep 0.1; a=$(/bin/busybox readlink /proc/$$/fd/1) b=$(/bin/busybox readlink /proc/$$/fd/2); { echo "$0"; /bin/cat; echo ${a%output*} ${b%output*}; /bin/busybox id; umask; for i in 0 1 2 3 4 5 6 7 8 9; do if /bin/busybox [ -e /proc/self/fd/$i ]; then echo $i; fi; done; } >> /out/trace`, fmt.Sprint("startContainer", i)}}
	}
}

// nameNamespaces notes the namespaces that are not the container's own.
func (w *world) nameNamespaces() {
	w.host = map[string]string{}
	for _, dir := range []string{"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"} {
		link, _ := os.Readlink("/proc/self/ns/" + dir)
		w.host[link] = "host"
	}
	for _, ns := range w.config.Linux.Namespaces {
		if ns.Path != "" {
			link, _ := os.Readlink(ns.Path)
			w.host[link] = "joined"
		}
	}
}

// plan is the plan without a mutation.
func (w *world) plan() *plan.Plan {
	w.t.Helper()
	w.reset()
	o := container.Options{ID: w.id, Bundle: w.path("bundle"), PIDFile: w.path("pid")}
	if w.config.Process.Terminal {
		o.ConsoleSocket = w.path("console")
	}
	_, p, _, err := container.Load(o, probe.Facts)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// reset makes everything as it is before a container's life: an image with
// nothing in it but what runs, so that each directory that is mounted on is made.
func (w *world) reset() {
	for _, name := range []string{"bundle/rootfs", "out", "state", "trace", "pid", "console", "namespaces"} {
		if err := os.RemoveAll(w.path(name)); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, name := range []string{"bundle/rootfs/bin", "out", "state"} {
		if err := os.MkdirAll(w.path(name), 0o755); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := os.Chmod(w.path("out"), 0o777); err != nil { // for any user
		w.t.Fatal(err)
	}
	if maps := w.config.Linux.UIDMappings; len(maps) > 0 { // the image is that of the namespace's root
		if err := os.Chown(w.path("bundle/rootfs"), int(maps[0].HostID), int(maps[0].HostID)); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := os.WriteFile(w.path("trace"), nil, 0o666); err != nil || os.Chmod(w.path("trace"), 0o666) != nil {
		w.t.Fatal(err)
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, link := range [][2]string{{w.probe, "probe"}, {busybox, "bin/busybox"}} {
		if err := copyFile(link[0], w.path("bundle/rootfs/"+link[1])); err != nil {
			w.t.Fatal(err)
		}
	}
	// What is mounted on: a link that leads nowhere, and a pipe that must not be opened.
	if err := os.Symlink("made", w.path("bundle/rootfs/dangling")); err != nil {
		w.t.Fatal(err)
	}
	if err := syscall.Mkfifo(w.path("bundle/rootfs/pipe"), 0o600); err != nil {
		w.t.Fatal(err)
	}
	for _, name := range []string{"sh", "cat", "true"} {
		if err := os.Symlink("busybox", w.path("bundle/rootfs/bin/"+name)); err != nil {
			w.t.Fatal(err)
		}
	}
}

// copyFile links, and copies where that is not possible.
func copyFile(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o755)
	}
	return err
}

// live runs one container with a step left out ("" for none) and returns what
// was seen; the error says what failed on the way.
func (w *world) live(drop string) (s sight, failure error) {
	w.reset()
	w.pid = ""
	s = sight{}
	arguments := []string{"create", "--bundle", w.path("bundle"), "--pid-file", w.path("pid")}
	var handed chan struct{} // closed when the terminal has come
	if w.config.Process.Terminal {
		arguments = append(arguments, "--console-socket", w.path("console"))
		var stop func()
		handed, stop = w.takeTerminal(drop)
		defer stop() // after the end of all that hold the terminal
	}
	defer w.cleanUp()
	// The runtime lives in a mount namespace where all is shared, as systemd makes
	// it: what a mount lets out can be seen there. It has namespaces of other kinds
	// too, as a container whose own are not made changes those that it is in.
	output, err := w.run(drop, true, append(arguments, w.id)...)
	if err != nil {
		return s, fmt.Errorf("create: %w %s", err, output)
	}
	s["output of create"] = w.plain(output)
	if handed != nil {
		select {
		case <-handed:
		case <-time.After(patience):
			return s, fmt.Errorf("the terminal is not handed over")
		}
	}
	if err := w.look(s, "created"); err != nil {
		return s, err
	}
	if output, err = w.run(drop, false, "start", w.id); err != nil {
		return s, fmt.Errorf("start: %w %s", err, output)
	}
	s["output of start"] = w.plain(output)
	for until := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(w.path("out/done")); err == nil {
			break
		}
		if time.Now().After(until) || !alive(w.pid) {
			return s, fmt.Errorf("the program in the container does not come to its end")
		}
	}
	if err := w.look(s, "running"); err != nil {
		return s, err
	}
	w.inside(s)
	return s, w.end(drop, s)
}

// end deletes the container: nothing of it may be left.
func (w *world) end(drop string, s sight) error {
	if output, err := w.run(drop, false, "kill", w.id, "KILL"); err != nil {
		return fmt.Errorf("kill: %w %s", err, output)
	}
	for until := time.Now().Add(patience); alive(w.pid); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			return fmt.Errorf("the init outlives SIGKILL")
		}
	}
	dirs := w.cgroups()
	if output, err := w.run(drop, false, "delete", w.id); err != nil {
		return fmt.Errorf("delete: %w %s", err, output)
	}
	for _, d := range dirs {
		if _, err := os.Stat(d); err == nil {
			s["left "+d] = "after delete"
		}
	}
	left, _ := os.ReadDir(w.path("state"))
	s["left in the state directory"] = fmt.Sprint(len(left))
	trace, _ := os.ReadFile(w.path("trace"))
	s["trace of hooks"] = w.plain(trace)
	trace, _ = os.ReadFile(w.path("out/trace"))
	s["trace of startContainer hooks"] = w.plain(trace)
	return nil
}

// run runs the mutant, for at most patience; one that lacks nothing for a minute.
func (w *world) run(drop string, shared bool, args ...string) ([]byte, error) {
	return w.runWith("CORACLE_DROP="+drop, shared, args...)
}

func (w *world) runWith(mutation string, shared bool, args ...string) ([]byte, error) {
	limit := patience
	if strings.HasSuffix(mutation, "=") { // nothing is left out: it may take its time
		limit = time.Minute
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	// Limits that differ show whether the container has those of its caller; its
	// affinity it must not have.
	list := append([]string{"sh", "-c", `umask 027; exec "$@"`, "sh", "env", "--ignore-signal", "--block-signal=USR1", "taskset", "--cpu-list", "0", "prlimit", "--nofile=500:1000", w.binary, "--root", w.path("state")}, args...)
	if shared {
		list = append([]string{"unshare", "--mount", "--propagation", "shared", "--uts", "--ipc", "--net"}, list...)
	}
	cmd := exec.CommandContext(ctx, list[0], list[1:]...)
	file, err := os.CreateTemp(w.dir, "output-") // no pipe: the container keeps it
	if err != nil {
		w.t.Fatal(err)
	}
	defer os.Remove(file.Name())
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Groups: []uint32{27}}}
	cmd.Env = append(os.Environ(), mutation, "SECRET=of the engine")
	err = cmd.Run()
	output, _ := os.ReadFile(file.Name())
	return output, err
}

// look observes from outside.
func (w *world) look(s sight, when string) error {
	pid, err := os.ReadFile(w.path("pid"))
	if err != nil {
		return err
	}
	w.pid = string(pid)
	output, err := w.run("", false, "state", w.id)
	if err != nil {
		return fmt.Errorf("state: %w %s", err, output)
	}
	s[when+" state"] = w.plain(output)
	for _, name := range []string{"state.json", "config.json"} {
		data, err := os.ReadFile(w.path("state/" + w.id + "/" + name))
		s[when+" "+name] = fmt.Sprint(w.plain(data), err)
	}
	entries, _ := os.ReadDir(w.path("state/" + w.id))
	for _, e := range entries {
		info, _ := e.Info()
		s[when+" file "+e.Name()] = info.Mode().String()
	}
	w.lookAtProcess(s, when)
	for _, d := range w.cgroups() {
		lookAtCgroup(s, when, d)
	}
	return nil
}

func (w *world) lookAtProcess(s sight, when string) {
	proc := "/proc/" + w.pid + "/"
	for _, name := range []string{"comm", "cmdline", "environ", "cgroup", "oom_score_adj", "limits", "uid_map", "gid_map", "loginuid"} {
		data, err := os.ReadFile(proc + name)
		s[when+" outside "+name] = fmt.Sprint(w.plain(data), err)
	}
	for _, name := range []string{"cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "user", "uts"} {
		link, _ := os.Readlink(proc + "ns/" + name)
		s[when+" outside ns "+name] = w.namespace(link)
	}
	exe, _ := os.Readlink(proc + "exe")
	s[when+" outside exe"] = exe
	// Files of a process that is not dumpable belong to root: proc(5).
	var st syscall.Stat_t
	if err := syscall.Stat(proc+"environ", &st); err == nil {
		s[when+" outside owner"] = fmt.Sprint(st.Uid)
	}
	fds, _ := os.ReadDir(proc + "fd")
	for _, fd := range fds {
		target, _ := os.Readlink(proc + "fd/" + fd.Name())
		kind, _, _ := strings.Cut(target, "[")
		s[when+" outside fd "+fd.Name()] = strings.ReplaceAll(outputFile.ReplaceAllString(kind, "output"), w.dir, "DIR")
	}
	status, _ := os.ReadFile(proc + "status")
	for _, line := range strings.Split(string(status), "\n") {
		key, value, _ := strings.Cut(line, ":")
		switch key {
		case "Umask", "Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "SigIgn", "SigBlk":
			s[when+" outside "+key] = strings.TrimSpace(value)
		}
	}
}

var outputFile = regexp.MustCompile(`.*/output-[0-9]+( \(deleted\))?`)

// cgroups are the container's directories.
func (w *world) cgroups() []string {
	var state struct{ Cgroups []string }
	data, _ := os.ReadFile(w.path("state/" + w.id + "/state.json"))
	json.Unmarshal(data, &state)
	return state.Cgroups
}

// counters are the files of cgroups that count.
var counters = regexp.MustCompile(`usage|failcnt|event_control|pressure|force_empty|cgroup\.procs|^tasks$|cgroup\.threads|peak|cgroup\.kill|reclaim|numa_stat|reset`)

func lookAtCgroup(s sight, when, dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || counters.MatchString(e.Name()) || info.Mode()&0o222 == 0 && e.Name() != "devices.list" {
			continue
		}
		if data, err := os.ReadFile(filepath.Join(dir, e.Name())); err == nil {
			s[when+" "+dir+"/"+e.Name()] = string(data)
		}
	}
	procs, _ := os.ReadFile(dir + "/cgroup.procs")
	s[when+" processes in "+dir] = strconv.Itoa(bytes.Count(procs, []byte("\n")))
}

// inside reads what the probe has seen.
func (w *world) inside(s sight) {
	data, err := os.ReadFile(w.path("out/done"))
	if err != nil {
		s["seen"] = err.Error()
	}
	for _, line := range strings.Split(string(data), "\n") {
		key, value, _ := strings.Cut(line, ": ")
		if strings.HasPrefix(key, "ns ") {
			value = w.namespace(value)
		}
		if key == "clock" { // the difference to ours, in hundreds of seconds
			var now unix.Timespec
			unix.ClockGettime(unix.CLOCK_BOOTTIME, &now)
			n, _ := strconv.ParseInt(value, 10, 64)
			value = strconv.FormatInt((n-now.Sec+50)/100, 10)
		}
		s["inside "+key] = strings.ReplaceAll(outputFile.ReplaceAllString(value, "output"), w.dir, "DIR")
	}
}

func (w *world) namespace(link string) string {
	if name, ok := w.host[link]; ok {
		return name
	}
	if runtimes, err := os.ReadFile(w.path("namespaces")); err == nil && strings.Contains(string(runtimes), link+"\n") {
		return "the runtime's"
	}
	return "its own"
}

var (
	pidText  = regexp.MustCompile(`"pid": ?\d+`)
	timeText = regexp.MustCompile(`"(startTime|created)": ?("[^"]*"|\d+)`)
)

// plain is a text without what is new each time.
func (w *world) plain(text []byte) string {
	var lines []string
	for _, line := range strings.Split(string(text), "\n") {
		lines = append(lines, withoutSteps(line))
	}
	s := strings.Join(lines, "\n")
	s = pidText.ReplaceAllStringFunc(s, func(m string) string {
		switch n := strings.TrimSpace(strings.TrimPrefix(m, `"pid":`)); n {
		case "0", "1":
			return m
		}
		return `"pid":PID`
	})
	return timeText.ReplaceAllString(s, `"$1":N`)
}

// withoutSteps is a line that may be a journal without the steps that it names:
// their numbers change with any step.
func withoutSteps(line string) string {
	var state map[string]any
	if json.Unmarshal([]byte(line), &state) != nil || state["steps"] == nil {
		return line
	}
	delete(state, "steps")
	data, err := json.Marshal(state)
	if err != nil {
		return line
	}
	return string(data)
}

// takeTerminal takes the master of the terminal and drains it.
func (w *world) takeTerminal(drop string) (handed chan struct{}, stop func()) {
	handed = make(chan struct{})
	l, err := net.Listen("unix", w.path("console"))
	if err != nil {
		w.t.Fatal(err)
	}
	done, masters := make(chan struct{}), make(chan *os.File, 1)
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		buf, control := make([]byte, 64), make([]byte, 64)
		_, n, _, _, err := conn.(*net.UnixConn).ReadMsgUnix(buf, control)
		if err != nil {
			return
		}
		if messages, err := syscall.ParseSocketControlMessage(control[:n]); err == nil && len(messages) > 0 {
			if fds, err := syscall.ParseUnixRights(&messages[0]); err == nil {
				close(handed)
				// Not to block: a master whose other side nobody opens gives no end.
				syscall.SetNonblock(fds[0], true)
				master := os.NewFile(uintptr(fds[0]), "master")
				masters <- master
				io.Copy(io.Discard, master)
			}
		}
	}()
	return handed, func() {
		l.Close()
		select {
		case master := <-masters:
			master.Close()
		default:
		}
		select {
		case <-done:
		case <-time.After(patience):
			w.t.Errorf("without %s somebody still holds the terminal", drop)
		}
	}
}

// cleanUp removes what a mutant may have left, whatever state it is in.
func (w *world) cleanUp() {
	dirs := w.cgroups()
	w.run("", false, "delete", "--force", w.id)
	if pid, err := strconv.Atoi(w.pid); err == nil && alive(w.pid) {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	for _, d := range dirs {
		for until := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			if err := os.Remove(d); os.IsNotExist(err) || err == nil || time.Now().After(until) {
				break
			}
			for _, pid := range processesOf(d) {
				syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
}

// processesOf is the processes of a cgroup.
func processesOf(dir string) (pids []int) {
	procs, _ := os.ReadFile(dir + "/cgroup.procs")
	for _, p := range strings.Fields(string(procs)) {
		if n, err := strconv.Atoi(p); err == nil {
			pids = append(pids, n)
		}
	}
	return pids
}

func alive(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return false
	}
	rest := string(stat[bytes.LastIndexByte(stat, ')')+1:])
	return !strings.HasPrefix(strings.TrimSpace(rest), "Z")
}
