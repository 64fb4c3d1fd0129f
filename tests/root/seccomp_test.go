// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"encoding/binary"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/testkit"
	"github.com/coracle-oci/coracle/runtime/seccomp"
	other "github.com/coracle-oci/coracle/tests/seccomp"
)

// filter is an edit that sets linux.seccomp.
func filter(standard specs.LinuxSeccompAction, rules ...specs.LinuxSyscall) func(*specs.Spec) {
	return func(s *specs.Spec) {
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: standard, Syscalls: rules}
	}
}

func rule(action specs.LinuxSeccompAction, names ...string) specs.LinuxSyscall {
	return specs.LinuxSyscall{Names: names, Action: action}
}

// noMkdir refuses mkdir with an errno that nothing else returns.
func noMkdir() specs.LinuxSyscall {
	errno := uint(unix.EXDEV)
	return specs.LinuxSyscall{Names: []string{"mkdir", "mkdirat"}, Action: specs.ActErrno, ErrnoRet: &errno}
}

const tryMkdir = `mkdir /tmp/x 2>&1; grep -E '^(Seccomp|NoNewPrivs|Cap...|Seccomp_filters):' /proc/self/status`

// TestRootSeccomp: the filter is loaded, whoever the process is and whether it may
// gain privileges or not; and what loading takes does not stay.
func TestRootSeccomp(t *testing.T) {
	for name, edit := range map[string]func(*specs.Spec){
		"plain":  func(*specs.Spec) {},
		"no new": func(s *specs.Spec) { s.Process.NoNewPrivileges = true },
		"user":   func(s *specs.Spec) { s.Process.User = specs.User{UID: 1000, GID: 1000} },
		"user no new": func(s *specs.Spec) {
			s.Process.User, s.Process.NoNewPrivileges = specs.User{UID: 1000, GID: 1000}, true
		},
		"mapped": mapped,
		"no capabilities": func(s *specs.Spec) {
			s.Process.Capabilities = nil
		},
		"ambient": func(s *specs.Spec) {
			kill := []string{"CAP_KILL"}
			s.Process.User = specs.User{UID: 1000, GID: 1000}
			s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: kill, Permitted: kill, Effective: kill, Inheritable: kill, Ambient: kill}
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVessel(t, edit, mount("/tmp", "tmpfs", "tmpfs", "mode=1777"))
			without := v.sh(tryMkdir)
			v.edit(filter(specs.ActAllow, noMkdir()))
			with := v.sh(tryMkdir)
			if !strings.HasPrefix(with, "mkdir: can't create directory '/tmp/x': Invalid cross-device link\n") {
				t.Errorf("got %q", with)
			}
			if field(with, "Seccomp") != "2" || field(without, "Seccomp") != "0" {
				t.Errorf("with %s\nwithout %s", with, without)
			}
			for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs"} {
				if field(with, set) != field(without, set) {
					t.Errorf("%s: %s with a filter, %s without", set, field(with, set), field(without, set))
				}
			}
		})
	}
}

// TestRootSeccompTight: the filter need allow nothing of coracle's, but execve.
func TestRootSeccompTight(t *testing.T) {
	for _, noNew := range []bool{false, true} {
		v := newVessel(t, testkit.Args("/tiny"), filter(specs.ActKillProcess, rule(specs.ActAllow, "execve", "exit_group")),
			func(s *specs.Spec) { s.Process.NoNewPrivileges = noNew })
		v.write("tiny", string(testkit.TinyImage()), 0o755)
		if got := v.run(); got != (said{}) {
			t.Errorf("no new privileges %v: %+v", noNew, got)
		}
		v.edit(filter(specs.ActKillProcess, rule(specs.ActAllow, "execve", "openat2"))) // what is newer than all these does not exist
		if got := v.run(); got.code != 128+int(unix.SIGSYS) {
			t.Errorf("exit_group is not allowed: %+v", got)
		}
	}
}

// TestRootSeccompExecve: a filter that forbids execve is told of as any failure.
func TestRootSeccompExecve(t *testing.T) {
	v := newVessel(t, filter(specs.ActAllow, rule(specs.ActErrno, "execve")))
	v.create()
	expectError(t, v.coracle("start", v.id), "config.json process.args: execute /bin/true: operation not permitted (EPERM)")
}

// TestRootSeccompLog: the kernel writes down the calls that the profile says are to be
// logged, and lets them through; with the flag also those that it refuses.
func TestRootSeccompLog(t *testing.T) {
	testkit.Need(t, testkit.Audit)
	records := newAudit(t)
	v := newVessel(t, mount("/tmp", "tmpfs", "tmpfs"), testkit.Args("/bin/mkdir", "/tmp/x"))
	for _, c := range []struct {
		edit   func(*specs.Spec)
		code   int
		action string // code of the record: the action without its data; "" for no record
	}{
		{filter(specs.ActAllow, noMkdir()), 1, ""},
		{filter(specs.ActAllow, rule(specs.ActLog, "mkdir", "mkdirat")), 0, "0x7ffc0000"},
		{func(s *specs.Spec) {
			filter(specs.ActAllow, noMkdir())(s)
			s.Linux.Seccomp.Flags = []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagLog}
		}, 1, "0x50000"},
	} {
		v.edit(c.edit)
		if got := v.run(); got.code != c.code {
			t.Errorf("%+v, want status %d", got, c.code)
		}
		if c.action == "" {
			continue // a record would come instead of the next one that is waited for
		}
		if got := records.next("mkdir"); auditField(got, "code") != c.action || !isMkdir(t, auditField(got, "syscall")) {
			t.Errorf("the kernel logged %s, want action %s", got, c.action)
		}
	}
	v.edit(filter(specs.ActLog))
	if got := v.run(); got.code != 0 {
		t.Errorf("%+v", got)
	}
	for all := map[string]bool{}; !all["mkdir"] || !all["exit_group"]; { // each of its calls
		number := auditField(records.next("mkdir"), "syscall")
		for _, name := range []string{"mkdir", "mkdirat", "exit_group"} {
			if n, ok := seccomp.Native(runtime.GOARCH).Number(name); ok && itoa(int(n)) == number {
				all[strings.TrimSuffix(name, "at")] = true
			}
		}
	}
}

func isMkdir(t *testing.T, number string) bool {
	t.Helper()
	arch := seccomp.Native(runtime.GOARCH)
	mkdir, has := arch.Number("mkdir")
	mkdirat, _ := arch.Number("mkdirat")
	return has && number == itoa(int(mkdir)) || number == itoa(int(mkdirat))
}

// An audit is the machine's audit records of seccomp, from when it was made on.
type audit struct {
	t  *testing.T
	fd int
}

func newAudit(t *testing.T) audit {
	t.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_AUDIT)
	must(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	const readers = 1 // AUDIT_NLGRP_READLOG
	must(t, unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: readers}))
	must(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20))
	must(t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 60}))
	return audit{t, fd}
}

// next waits for the next record of a program.
func (a audit) next(program string) string {
	a.t.Helper()
	const seccompRecord = 1326 // AUDIT_SECCOMP
	for buffer := make([]byte, 16<<10); ; {
		n, _, err := unix.Recvfrom(a.fd, buffer, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			a.t.Fatalf("no record of %s comes: %v", program, err)
		}
		text := string(buffer[unix.NLMSG_HDRLEN:max(n, unix.NLMSG_HDRLEN)])
		if binary.NativeEndian.Uint16(buffer[4:]) == seccompRecord && auditField(text, "comm") == `"`+program+`"` {
			return text
		}
	}
}

// auditField returns a value of "key=value key=value".
func auditField(record, key string) string {
	for _, word := range strings.Fields(record) {
		if value, ok := strings.CutPrefix(word, key+"="); ok {
			return value
		}
	}
	return ""
}

// TestRootSeccompFlags loads a filter with each flag; the kernel says if it knows them.
func TestRootSeccompFlags(t *testing.T) {
	for _, flag := range []specs.LinuxSeccompFlag{"SECCOMP_FILTER_FLAG_TSYNC", specs.LinuxSeccompFlagLog, specs.LinuxSeccompFlagSpecAllow, specs.LinuxSeccompFlagWaitKillableRecv} {
		v := newVessel(t, filter(specs.ActAllow, noMkdir()), func(s *specs.Spec) { s.Linux.Seccomp.Flags = []specs.LinuxSeccompFlag{flag} })
		if got := v.run(); got != (said{}) {
			t.Errorf("%s: %+v", flag, got)
		}
	}
}

// TestRootSeccompRefused: what is wrong with a filter is said before anything is made.
func TestRootSeccompRefused(t *testing.T) {
	count := 1_000_000
	if testing.Short() {
		count = 20_000
	}
	var many []specs.LinuxSyscall
	for i := range count {
		many = append(many, specs.LinuxSyscall{Names: []string{"read"}, Action: specs.ActErrno, Args: []specs.LinuxSeccompArg{{Value: uint64(2 * i), Op: specs.OpEqualTo}}})
	}
	notSocket := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(notSocket, nil, 0o644))
	agent := func(path string) func(*specs.Spec) {
		return func(s *specs.Spec) {
			filter(specs.ActAllow, rule(specs.ActNotify, "mkdir"))(s)
			s.Linux.Seccomp.ListenerPath = path
		}
	}
	for want, edit := range map[string]func(*specs.Spec){
		`config.json linux.seccomp.syscalls[0].action: unknown action "SCMP_ACT_DENY"`: filter(specs.ActAllow, rule("SCMP_ACT_DENY", "mkdir")),
		`config.json linux.seccomp.defaultAction: unknown action "SCMP_ACT_ALOW"`:      filter("SCMP_ACT_ALOW"),
		`config.json linux.seccomp.syscalls[1].args[0].op: unknown operator "SCMP_CMP_IS"`: filter(specs.ActAllow, noMkdir(), specs.LinuxSyscall{
			Names: []string{"rmdir"}, Action: specs.ActErrno, Args: []specs.LinuxSeccompArg{{Op: "SCMP_CMP_IS"}}}),
		`config.json linux.seccomp.syscalls[0].args[0].index: 6 is more than 5`: filter(specs.ActAllow, specs.LinuxSyscall{
			Names: []string{"rmdir"}, Action: specs.ActErrno, Args: []specs.LinuxSeccompArg{{Index: 6, Op: specs.OpEqualTo}}}),
		`config.json linux.seccomp.architectures[0]: unknown architecture "SCMP_ARCH_VAX"`: func(s *specs.Spec) {
			filter(specs.ActAllow)(s)
			s.Linux.Seccomp.Architectures = []specs.Arch{"SCMP_ARCH_VAX"}
		},
		`config.json linux.seccomp.flags[0]: unknown flag "SECCOMP_FILTER_FLAG_NEW"`: func(s *specs.Spec) {
			filter(specs.ActAllow)(s)
			s.Linux.Seccomp.Flags = []specs.LinuxSeccompFlag{"SECCOMP_FILTER_FLAG_NEW"}
		},
		`config.json linux.seccomp.syscalls[0].errnoRet: is set, but SCMP_ACT_KILL_PROCESS returns no errno`: filter(specs.ActAllow, specs.LinuxSyscall{
			Names: []string{"rmdir"}, Action: specs.ActKillProcess, ErrnoRet: noMkdir().ErrnoRet}),
		`config.json linux.seccomp.defaultErrnoRet: is set, but SCMP_ACT_ALLOW returns no errno`: func(s *specs.Spec) {
			filter(specs.ActAllow)(s)
			s.Linux.Seccomp.DefaultErrnoRet = noMkdir().ErrnoRet
		},
		`config.json linux.seccomp: needs more than the 4096 instructions that the kernel takes`:               filter(specs.ActAllow, many...),
		`config.json linux.seccomp.listenerPath: connect to /no/agent: no such file or directory (ENOENT)`:     agent("/no/agent"),
		`config.json linux.seccomp.listenerPath: connect to ` + notSocket + `: socket operation on non-socket`: agent(notSocket),
		`config.json linux.seccomp.listenerMetadata: is set without listenerPath`: func(s *specs.Spec) {
			filter(specs.ActAllow)(s)
			s.Linux.Seccomp.ListenerMetadata = "x"
		},
	} {
		newVessel(t, edit).expectRefusal(want)
	}
}

// An agent answers the calls that a filter asks about.
type agent struct {
	t        *testing.T
	path     string
	listener *net.UnixListener
}

func newAgent(t *testing.T) *agent {
	path := filepath.Join(t.TempDir(), "agent")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return &agent{t, path, l}
}

// accept takes one state with its descriptors, to the end of the connection.
func (a *agent) accept() (state specs.ContainerProcessState, listener int) {
	a.t.Helper()
	must(a.t, a.listener.SetDeadline(time.Now().Add(20*time.Second)))
	conn, err := a.listener.AcceptUnix()
	must(a.t, err)
	defer conn.Close()
	must(a.t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	var text []byte
	var fds []int
	for first := true; ; first = false {
		data, control := make([]byte, 1<<16), make([]byte, 256)
		n, controlLen, _, _, err := conn.ReadMsgUnix(data, control)
		if n == 0 {
			break
		}
		must(a.t, err)
		text = append(text, data[:n]...)
		if controlLen == 0 {
			continue
		}
		if !first {
			a.t.Error("descriptors came with another message than the first")
		}
		messages, err := unix.ParseSocketControlMessage(control[:controlLen])
		must(a.t, err)
		fds, err = unix.ParseUnixRights(&messages[0])
		must(a.t, err)
	}
	must(a.t, json.Unmarshal(text, &state))
	if len(fds) != 1 || len(state.Fds) != 1 || state.Fds[0] != specs.SeccompFdName {
		a.t.Fatalf("%d descriptors called %q", len(fds), state.Fds)
	}
	return state, fds[0]
}

// answer waits for one call and answers it.
func answer(t *testing.T, listener int, a sys.SeccompAnswer) sys.SeccompCall {
	t.Helper()
	c, err := sys.SeccompReceive(listener)
	must(t, err)
	a.ID = c.ID
	must(t, sys.SeccompRespond(listener, a))
	return c
}

// asking is an edit for a filter that asks an agent about mkdir and execve.
func asking(a *agent) func(*specs.Spec) {
	return func(s *specs.Spec) {
		filter(specs.ActAllow, rule(specs.ActNotify, "mkdir", "mkdirat", "execve"))(s)
		s.Linux.Seccomp.ListenerPath, s.Linux.Seccomp.ListenerMetadata = a.path, "of mine"
		s.Linux.Seccomp.Flags = []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagWaitKillableRecv}
	}
}

// TestRootSeccompNotify: an agent gets the state and the listener once, and decides,
// even whether the container's program may be executed.
func TestRootSeccompNotify(t *testing.T) {
	for _, noNew := range []bool{false, true} {
		a := newAgent(t)
		v := newVessel(t, asking(a), mount("/tmp", "tmpfs", "tmpfs"), testkit.Args("/bin/mkdir", "/tmp/x"),
			func(s *specs.Spec) { s.Process.NoNewPrivileges = noNew })
		v.create()
		pid := v.status().Pid
		done := make(chan said, 1)
		go func() { done <- v.coracle("start", v.id) }()
		state, listener := a.accept()
		if state.Version != specs.Version || state.Pid != pid || state.Metadata != "of mine" || state.State.ID != v.id || state.State.Pid != pid ||
			state.State.Status != specs.StateCreated || state.State.Bundle != v.bundle {
			t.Errorf("got %+v, want pid %d", state, pid)
		}
		if n := answer(t, listener, sys.SeccompAnswer{Flags: sys.SeccompContinue}); n.Number != unix.SYS_EXECVE || int(n.PID) != pid {
			t.Errorf("asked about call %d of %d", n.Number, n.PID)
		}
		if got := <-done; got != (said{}) {
			t.Errorf("start: %+v", got)
		}
		const mkdir = 83 // of amd64 alone
		if n := answer(t, listener, sys.SeccompAnswer{Errno: -int32(unix.EXDEV)}); n.Number != mkdir && n.Number != unix.SYS_MKDIRAT {
			t.Errorf("asked about call %d", n.Number)
		}
		got := v.coracle("wait", v.id)
		if got.code != 1 {
			t.Errorf("mkdir was to fail: %+v", got)
		}
		unix.Close(listener)
		must(t, a.listener.SetDeadline(time.Now()))
		if _, err := a.listener.Accept(); err == nil {
			t.Error("there was a second connection")
		}
	}
}

// TestRootSeccompAgentGone: a container whose agent has gone stays created, and can
// be started when it is back.
func TestRootSeccompAgentGone(t *testing.T) {
	a := newAgent(t)
	v := newVessel(t, asking(a))
	v.create()
	a.listener.SetUnlinkOnClose(false)
	a.listener.Close()
	expectError(t, v.coracle("start", v.id), "config.json linux.seccomp.listenerPath: connect to the seccomp agent at "+a.path+": connection refused (ECONNREFUSED); hint: nobody listens")
	if s := v.status().Status; s != specs.StateCreated {
		t.Errorf("it is %s", s)
	}
}

// TestRootSeccompAgentSlow: an agent that accepts nobody does not hold start up for ever.
func TestRootSeccompAgentSlow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	must(t, unix.Bind(fd, &unix.SockaddrUnix{Name: path}))
	must(t, unix.Listen(fd, 0))
	queue, err := net.Dial("unix", path) // all that may wait
	must(t, err)
	defer queue.Close()
	v := newVessel(t, asking(&agent{t: t, path: path}))
	v.create()
	expectError(t, v.coracle("start", v.id), "config.json linux.seccomp.listenerPath: connect to the seccomp agent at ", "(ETIMEDOUT)")
	if s := v.status().Status; s != specs.StateCreated {
		t.Errorf("it is %s", s)
	}
}

// TestRootSeccompAgentSilent: an agent that takes the listener, or only the connection,
// and answers nothing. What waits for it can be ended, and the container killed and
// removed.
func TestRootSeccompAgentSilent(t *testing.T) {
	testkit.NoLeaks(t)
	for _, reads := range []bool{false, true} {
		for name, end := range map[string]func(v vessel){
			"kill":           func(v vessel) { v.quiet("kill", v.id, "KILL") },
			"delete --force": func(v vessel) { v.quiet("delete", "--force", v.id) },
		} {
			a := newAgent(t)
			v := newVessel(t, asking(a))
			v.create()
			pid := v.status().Pid
			done := make(chan said, 1)
			go func() { done <- v.coracle("start", v.id) }()
			if reads {
				_, listener := a.accept()
				defer unix.Close(listener)
			}
			waitFor(t, "it to ask", func() bool { return asks(t, pid) })
			begin := time.Now()
			end(v)
			if got := <-done; got != (said{}) { // as for a program that is killed at once
				t.Errorf("start: %+v", got)
			}
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("%s took %v", name, took)
			}
		}
	}
	// exec takes no lock, and a signal ends it.
	a := newAgent(t)
	v := newVessel(t, asking(a), testkit.Args("sleep", "1000"))
	v.create()
	go func() {
		_, listener := a.accept()
		answer(t, listener, sys.SeccompAnswer{Flags: sys.SeccompContinue})
		unix.Close(listener)
	}()
	v.quietStart()
	c := v.command("exec", v.id, "true")
	ended := make(chan said, 1)
	go func() { ended <- finish(t, c) }()
	state, listener := a.accept()
	defer unix.Close(listener)
	waitFor(t, "it to ask", func() bool { return asks(t, state.Pid) })
	must(t, c.Process.Signal(unix.SIGTERM))
	if got := <-ended; got.code != 255 || !strings.Contains(got.stderr, "exec: ended by SIGTERM before the process ran") {
		t.Errorf("%+v", got)
	}
	v.quiet("delete", "--force", v.id)
}

// asks tells whether a process waits in execve for an agent.
func asks(t testing.TB, pid int) bool {
	t.Helper()
	call, err := os.ReadFile("/proc/" + itoa(pid) + "/syscall")
	must(t, err)
	return strings.HasPrefix(string(call), itoa(unix.SYS_EXECVE)+" ")
}

// TestRootSeccompAgentFull: an agent that reads nothing of a state that is larger than
// what a socket holds.
func TestRootSeccompAgentFull(t *testing.T) {
	a := newAgent(t)
	v := newVessel(t, asking(a), func(s *specs.Spec) {
		s.Annotations = map[string]string{"org.example.large": strings.Repeat("x", 1<<20)}
	})
	v.create()
	expectError(t, v.coracle("start", v.id), "config.json linux.seccomp.listenerPath: send the listener to the seccomp agent at ", "(ETIMEDOUT); hint: the agent does not read")
	v.quiet("delete", "--force", v.id)
}

// TestRootSeccompNewer: with docker's profile a call that is newer does not exist,
// and one that the profile knows and refuses is refused.
func TestRootSeccompNewer(t *testing.T) {
	docker, err := other.Docker()
	must(t, err)
	v := speaking(t, `for (@ARGV) { print syscall($_, -1, 0, 0, 0, 0, 0) == -1 ? $! + 0 : "done", " " }`)
	v.edit(func(s *specs.Spec) {
		s.Linux.Seccomp = docker
		for _, name := range []string{"quotactl", "file_setattr", "listns"} { // none does anything with these arguments
			number, ok := seccomp.Native(runtime.GOARCH).Number(name)
			if !ok {
				t.Fatal(name)
			}
			s.Process.Args = append(s.Process.Args, itoa(int(number)))
		}
		s.Process.Args = append(s.Process.Args, "9999")
	})
	if got := v.run(); got != (said{stdout: "1 38 38 38 "}) {
		t.Errorf("%+v", got)
	}
}
