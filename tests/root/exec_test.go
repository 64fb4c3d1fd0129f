// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// sleeping makes a container whose init sleeps, and starts it.
func sleeping(t testing.TB, edits ...func(*specs.Spec)) vessel {
	t.Helper()
	v := newVessel(t, append([]func(*specs.Spec){testkit.Args("sleep", "1000")}, edits...)...)
	v.create()
	v.quietStart()
	return v
}

// exec runs a command in the container; flags stand before "--".
func (v vessel) exec(arguments ...string) said {
	v.t.Helper()
	flags, command := []string{}, arguments
	if i := slices.Index(arguments, "--"); i >= 0 {
		flags, command = arguments[:i], arguments[i+1:]
	}
	return v.coracle(append(append(append([]string{"exec"}, flags...), v.id), command...)...)
}

// execSh runs a script in the container, which must succeed, and returns what it prints.
func (v vessel) execSh(script string, flags ...string) string {
	v.t.Helper()
	got := v.exec(append(flags, "--", "sh", "-c", script)...)
	if got.code != 0 || got.stderr != "" {
		v.t.Fatalf("%q: %+v", script, got)
	}
	return strings.TrimSpace(got.stdout)
}

// processFile writes a process.json: the container's own process after an edit.
func (v vessel) processFile(edit func(*specs.Process)) string {
	v.t.Helper()
	var spec specs.Spec
	data, err := os.ReadFile(filepath.Join(v.bundle, "config.json"))
	must(v.t, err)
	must(v.t, json.Unmarshal(data, &spec))
	edit(spec.Process)
	data, err = json.Marshal(spec.Process)
	must(v.t, err)
	name := filepath.Join(v.t.TempDir(), "process.json")
	must(v.t, os.WriteFile(name, data, 0o644))
	return name
}

// TestRootExec: one more process is where the container is, and what its exit
// status is.
func TestRootExec(t *testing.T) {
	v := sleeping(t)
	pid := itoa(v.status().Pid)
	const links = "for n in cgroup ipc mnt net pid uts user time; do readlink /proc/self/ns/$n; done"
	var want []string
	for _, ns := range []string{"cgroup", "ipc", "mnt", "net", "pid", "uts", "user", "time"} {
		link, err := os.Readlink("/proc/" + pid + "/ns/" + ns)
		must(t, err)
		want = append(want, link)
	}
	if got := v.execSh(links); got != strings.Join(want, "\n") {
		t.Errorf("namespaces %s, want %s", got, want)
	}
	cgroups, err := os.ReadFile("/proc/" + pid + "/cgroup")
	must(t, err)
	v.quiet("exec", "--detach", "--pid-file", filepath.Join(v.state, "pid"), v.id, "sleep", "500")
	sleeper, err := os.ReadFile(filepath.Join(v.state, "pid"))
	must(t, err)
	if got, err := os.ReadFile("/proc/" + string(sleeper) + "/cgroup"); err != nil || string(got) != string(cgroups) {
		t.Errorf("cgroups %s, want %s", got, cgroups)
	}
	if got := v.execSh("pwd; id; echo $HOME $PATH; hostname; umask"); got != "/\nuid=0(root) gid=0(root)\n/root /bin\ntest\n0022" {
		t.Errorf("%q", got)
	}
	for script, want := range map[string]int{"exit 0": 0, "exit 1": 1, "exit 42": 42, "exit 255": 255, "kill -TERM $$": 143, "kill -KILL $$": 137} {
		if got := v.exec("sh", "-c", script); got != (said{code: want}) {
			t.Errorf("%s: %+v", script, got)
		}
	}
	// Nothing behind the id is a flag of ours.
	if got := v.coracle("exec", v.id, "echo", "--tty", "-d", "--", "--user=7"); got != (said{stdout: "--tty -d -- --user=7\n"}) {
		t.Errorf("%+v", got)
	}
}

// TestRootExecFlags: what each flag changes.
func TestRootExecFlags(t *testing.T) {
	v := sleeping(t, func(s *specs.Spec) {
		names := []string{"CAP_CHOWN", "CAP_KILL"}
		s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: names, Effective: names, Permitted: names}
		s.Process.Env = append(s.Process.Env, "KEPT=1", "NEW=old")
		s.Process.User.AdditionalGids = []uint32{5}
	})
	status := func(flags ...string) string { return v.execSh("cat /proc/self/status", flags...) }
	for _, c := range []struct{ flags, field, want string }{
		{"", "Uid", "0 0 0 0"}, {"--user 12", "Uid", "12 12 12 12"}, {"-u 12", "Gid", "0 0 0 0"}, {"--user=12:13", "Gid", "13 13 13 13"},
		{"-g 6 --additional-gids 7", "Groups", "5 6 7"},
		{"", "NoNewPrivs", "0"}, {"--no-new-privs", "NoNewPrivs", "1"},
		{"", "CapEff", caps("CAP_CHOWN", "CAP_KILL")}, {"--cap CAP_NET_RAW -c CAP_SETUID", "CapEff", caps("CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_SETUID")},
		{"--cap CAP_NET_RAW", "CapBnd", caps("CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW")},
		{"--cap CAP_NET_RAW", "CapInh", caps()}, {"--cap CAP_NET_RAW", "CapAmb", caps()},
		{"--user 12 --cap CAP_NET_RAW", "CapEff", caps()}, // execve(2): none that are not ambient
	} {
		if got := field(status(strings.Fields(c.flags)...), c.field); got != c.want {
			t.Errorf("%s: %s %s, want %s", c.flags, c.field, got, c.want)
		}
	}
	t.Setenv("CALLERS", "ours")
	if got := v.execSh("echo $KEPT $NEW $MORE $CALLERS; pwd", "--env", "NEW=new", "-e", "MORE=a b", "-e", "CALLERS", "--cwd", "/tmp"); got != "1 new a b ours\n/tmp" {
		t.Errorf("%q", got)
	}
}

// TestRootExecProcess: the process of --process is taken as it is; what it does
// not say of its confinement is as the container's own.
func TestRootExecProcess(t *testing.T) {
	v := sleeping(t, func(s *specs.Spec) {
		names := []string{"CAP_CHOWN"}
		s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: names, Effective: names, Permitted: names}
		s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 70, Hard: 90}}
	})
	file := v.processFile(func(p *specs.Process) {
		p.Args = []string{"sh", "-c", "cat /proc/self/status; id -u; pwd; umask; ulimit -Sn; echo $A; echo score $(cat /proc/self/oom_score_adj)"}
		p.Cwd, p.User, p.Env = "/tmp", specs.User{UID: 3, GID: 4, Umask: ptr[uint32](0o77)}, []string{"PATH=/bin", "A=1", "A=2"}
		p.Capabilities, p.Rlimits, p.OOMScoreAdj = nil, nil, ptr(321)
	})
	// As with conmon, other flags may say the same again.
	got := v.coracle("exec", "--process", file, "--cap", "CAP_KILL", "--cwd", "/proc", v.id)
	if got.code != 0 || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	if bounding := field(got.stdout, "CapBnd"); bounding != caps("CAP_CHOWN") {
		t.Errorf("bounding set %s", bounding)
	}
	if _, rest, _ := strings.Cut(got.stdout, "nonvoluntary_ctxt_switches"); !strings.HasSuffix(rest, "\n3\n/tmp\n0077\n70\n2\nscore 321\n") {
		t.Errorf("%q", rest)
	}
}

// TestRootExecErrors: the texts that engines look for, and status 255.
func TestRootExecErrors(t *testing.T) {
	testkit.NoLeaks(t)
	v := sleeping(t)
	v.write("etc/notexec", "x", 0o644)
	v.write("etc/private", "#!/bin/sh\n", 0o700)
	v.write("etc/noformat", "no program\n", 0o755)
	empty := filepath.Join(t.TempDir(), "empty.json")
	must(t, os.WriteFile(empty, nil, 0o644))
	relative := v.processFile(func(p *specs.Process) { p.Cwd = "relative" })
	noArgs := v.processFile(func(p *specs.Process) { p.Args = nil })
	for _, c := range []struct {
		want string
		args []string
	}{
		{`exec: "nosuch": executable file not found in $PATH`, []string{"nosuch"}},
		{`exec: "/no/such": stat /no/such: no such file or directory`, []string{"/no/such"}},
		{`exec: "/etc/notexec": permission denied`, []string{"/etc/notexec"}},
		{`exec: "/etc/private": permission denied`, []string{"--user", "7", "--", "/etc/private"}},
		{`exec: "/tmp": is a directory`, []string{"/tmp"}},
		{`execute /etc/noformat: exec format error`, []string{"/etc/noformat"}},
		{"process.cwd: find /no/such: no such file or directory", []string{"--cwd", "/no/such", "--", "true"}},
		{"process.cwd: ", []string{"--cwd", "relative", "--", "true"}},
		{"process.cwd: ", []string{"--cwd", "/proc/self/fd/0", "--", "true"}},
		{"process args cannot be empty", nil},
		{"--user: ", []string{"--user", "root", "--", "true"}},
		{"--user: ", []string{"--user", "", "--", "true"}},
		{"--user: ", []string{"--user", "1:", "--", "true"}},
		{"--user: ", []string{"--user", ":1", "--", "true"}},
		{"--user: ", []string{"--user", "+1", "--", "true"}},
		{"--user: ", []string{"--user", " 1", "--", "true"}},
		{"--user: ", []string{"--user", "-1", "--", "true"}},
		{"--user: ", []string{"--user", "0x10", "--", "true"}},
		{"--user: ", []string{"--user", "4294967296", "--", "true"}},
		{"process.user.uid: ", []string{"--user", "4294967295", "--", "true"}},
		{"--additional-gids: ", []string{"-g", "-1", "--", "true"}},
		{"--cap: unknown capability", []string{"--cap", "CAP_NOT", "--", "true"}},
		{"--cgroup: ", []string{"--cgroup", "../x", "--", "true"}},
		{"no such file or directory", []string{"--cgroup", "not/there", "--", "true"}},
		{"--preserve-fds: pass on descriptor", []string{"--preserve-fds", "9", "--", "true"}},
		{"--preserve-fds: -1 is less than none", []string{"--preserve-fds", "-1", "--", "true"}},
		{"--process: read the process: ", []string{"--process", "/no/such", "--"}},
		{"--process " + empty + ": is empty", []string{"--process", empty, "--"}},
		{`process.cwd: "relative" is not an absolute path`, []string{"--process", relative, "--"}},
		{"process.args: is missing", []string{"--process", noArgs, "--"}},
		{"--env: NOT_SET is not set", []string{"--env", "NOT_SET", "--", "true"}},
		{"hint: what follows the id is the command", []string{"--tty", "true"}},
		{"--pid-file: write the pid: ", []string{"--pid-file", "/no/such/dir/pid", "--", "sleep", "100"}},
		{"--console-socket: the container has no terminal", []string{"--console-socket", "/tmp/x", "--", "true"}},
		{"detached", []string{"--detach", "--tty", "--", "true"}},
	} {
		pidFile := filepath.Join(t.TempDir(), "pid")
		args := c.args
		if !slices.Contains(args, "--pid-file") && slices.Contains(args, "--") {
			args = append([]string{"--pid-file", pidFile}, args...)
		}
		got := v.exec(args...)
		if got.code != 255 || got.stdout != "" || strings.Count(got.stderr, "\n") != 1 || !strings.Contains(got.stderr, c.want) {
			t.Errorf("%q: %+v, want %q", c.args, got, c.want)
		}
		if _, err := os.Stat(pidFile); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%q: a pid file of a process that did not run", c.args)
		}
	}
	if got := v.coracle("ps", "--format", "json", v.id); strings.Count(got.stdout, ",") != 0 {
		t.Errorf("something still runs: %s", got.stdout)
	}
}

// TestRootExecProcessBad: a process.json that is none is an error that names it and
// what is wrong, and nothing runs.
func TestRootExecProcessBad(t *testing.T) {
	testkit.NoLeaks(t)
	v := sleeping(t)
	file := filepath.Join(t.TempDir(), "process.json")
	const good = `"args":["true"],"cwd":"/"`
	for text, want := range map[string]string{
		`{` + good:                                 "", // cut off
		`{` + good + `}}`:                          "",
		`[]`:                                       "",
		`null`:                                     "",
		`"true"`:                                   "",
		"\x00":                                     "",
		"{\xff" + good + "}":                       "",
		`{` + good + `,"cwd":"/"}`:                 "cwd",
		`{"args":"true","cwd":"/"}`:                "args",
		`{"args":["true",7],"cwd":"/"}`:            "args[1]",
		`{"args":[],"cwd":"/"}`:                    "process.args",
		`{"args":[""],"cwd":"/"}`:                  "process.args",
		`{"args":["true"]}`:                        "process.cwd",
		`{"args":["true"],"cwd":"\u0000/"}`:        "cwd: contains a NUL byte",
		`{` + good + `,"env":["A"]}`:               "process.env[0]",
		`{` + good + `,"env":["A=\u0000"]}`:        "env[0]: contains a NUL byte",
		`{` + good + `,"user":{"uid":-1}}`:         "user.uid",
		`{` + good + `,"user":{"uid":4294967296}}`: "user.uid",
		`{` + good + `,"rlimits":[{"type":"RLIMIT_X"}]}`:                      "process.rlimits[0]",
		`{` + good + `,"rlimits":[{"type":"RLIMIT_CORE","soft":2,"hard":1}]}`: "process.rlimits[0]",
		`{` + good + `,"oomScoreAdj":1001}`:                                   "process.oomScoreAdj",
		`{` + good + `,"terminal":"yes"}`:                                     "terminal",
		`{` + good + `,"apparmorProfile":"absent\n"}`:                         "process.apparmorProfile",
		`{` + good + `,"scheduler":{"policy":"SCHED_X"}}`:                     "process.scheduler.policy",
		`{` + good + `,"execCPUAffinity":{"initial":"x"}}`:                    "process.execCPUAffinity.initial",
	} {
		must(t, os.WriteFile(file, []byte(text), 0o644))
		got := v.coracle("exec", "--process", file, v.id)
		expect255(t, got, want)
		if want == "" && !strings.HasPrefix(got.stderr, "coracle: --process "+file+":") {
			t.Errorf("%q: %s", text, got.stderr)
		}
	}
	if pids := v.pids(); len(pids) != 1 {
		t.Errorf("%v", pids)
	}
}

// TestRootExecStates: what a container must be like, and what is said if it is not.
func TestRootExecStates(t *testing.T) {
	v := newVessel(t, testkit.Args("sleep", "1000"))
	if got := v.exec("true"); got.code != 255 || !strings.Contains(got.stderr, "container does not exist") {
		t.Errorf("%+v", got)
	}
	v.create()
	if got := v.execSh("cat /proc/1/comm"); got != "coracle-init" {
		t.Errorf("in a created container: %q", got)
	}
	v.quietStart()
	v.quiet("pause", v.id)
	if got := v.exec("true"); got.code != 255 || !strings.Contains(got.stderr, "cannot exec in a paused container") {
		t.Errorf("%+v", got)
	}
	waiting := v.command("exec", "--ignore-paused", v.id, "sh", "-c", "exit 9")
	must(t, waiting.Start())
	waitFor(t, "exec that waits", func() bool { return asleep(waiting.Process.Pid) })
	v.quiet("resume", v.id)
	if waiting.Wait(); waiting.ProcessState.ExitCode() != 9 {
		t.Errorf("%v", waiting.ProcessState)
	}
	v.quiet("kill", v.id, "KILL")
	waitFor(t, "end", func() bool { return v.status().Status == specs.StateStopped })
	if got := v.exec("true"); got.code != 255 || !strings.Contains(got.stderr, "cannot exec in a stopped container") {
		t.Errorf("%+v", got)
	}
}

// TestRootExecPausedInterrupted: whoever waits for a paused container is told of it
// after a while, and can be told to stop that, and nothing of it is left when the
// container is resumed.
func TestRootExecPausedInterrupted(t *testing.T) {
	v := sleeping(t)
	v.quiet("pause", v.id)
	log := filepath.Join(t.TempDir(), "log")
	waiting := v.command("--log", log, "exec", "--ignore-paused", v.id, "sleep", "500")
	must(t, waiting.Start())
	waitFor(t, "exec to tell that it waits", func() bool {
		text, _ := os.ReadFile(log)
		return strings.Contains(string(text), v.id+": it is paused, and exec has waited for 10 s; coracle waits until it is resumed")
	})
	must(t, waiting.Process.Signal(syscall.SIGTERM))
	if waiting.Wait(); waiting.ProcessState.ExitCode() != 255 {
		t.Errorf("%v", waiting.ProcessState)
	}
	v.quiet("resume", v.id)
	waitFor(t, "end of it", func() bool {
		return !strings.Contains(v.coracle("ps", "--format", "json", v.id).stdout, ",")
	})
}

// TestRootExecDetached: the process is the caller's orphan, its pid is in the
// file when exec returns, and nothing holds its standard output.
func TestRootExecDetached(t *testing.T) {
	becomeSubreaper(t)
	for name, edit := range map[string]func(*specs.Spec){"own": func(*specs.Spec) {}, "host": noNamespace(specs.PIDNamespace)} {
		t.Run(name, func(t *testing.T) {
			v := sleeping(t, edit)
			file := filepath.Join(t.TempDir(), "pid")
			for _, script := range []string{"exit 33", "sleep 0.3; exit 34"} {
				v.quiet("exec", "--detach", "--pid-file", file, v.id, "sh", "-c", script)
				data, err := os.ReadFile(file)
				must(t, err)
				pid, err := strconv.Atoi(string(data))
				must(t, err)
				var status unix.WaitStatus
				if _, err := unix.Wait4(pid, &status, 0, nil); err != nil || itoa(status.ExitStatus()) != script[len(script)-2:] {
					t.Errorf("%s: %v, %v", script, status, err)
				}
			}
			v.quiet("kill", v.id, "KILL")
			var status unix.WaitStatus
			if _, err := unix.Wait4(-1, &status, 0, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRootExecNamespaces: containers that share some namespaces with the host, or
// have a user namespace, or a root without a mount namespace.
func TestRootExecNamespaces(t *testing.T) {
	for name, c := range map[string]struct {
		edit        func(*specs.Spec)
		flags       []string
		script, out string
	}{
		"user":     {mapped, nil, "id -u; cat /proc/self/uid_map; touch /dev/x; ls -n /dev/x", "0\n         0     100000      65536\n-rw-r--r--    1 0        0 "},
		"user 7":   {mapped, []string{"--user", "7:8", "-g", "9"}, "id -u; id -g; id -G; grep CapEff /proc/self/status", "7\n8\n8 9\nCapEff:\t0000000000000000"},
		"no pid":   {noNamespace(specs.PIDNamespace), nil, "[ $$ != 1 ] && [ $$ -gt 30 ] && echo of the host", "of the host"},
		"host net": {noNamespace(specs.NetworkNamespace), nil, "readlink /proc/self/ns/net", ""},
		"host uts": {func(s *specs.Spec) { noNamespace(specs.UTSNamespace)(s); s.Hostname = "" }, nil, "readlink /proc/self/ns/uts", ""},
		"time": {func(s *specs.Spec) {
			namespace(specs.TimeNamespace, "")(s)
			s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 1e8}}
		}, nil, "read up rest < /proc/uptime; [ ${up%.*} -gt 100000000 ] && echo shifted", "shifted"},
		"no mount": {func(s *specs.Spec) { noNamespace(specs.MountNamespace)(s); s.Mounts = nil }, nil, "ls /", "bin\ndev\netc"},
	} {
		t.Run(name, func(t *testing.T) {
			v := sleeping(t, c.edit)
			if c.out == "" {
				link, err := os.Readlink("/proc/self/ns/" + strings.TrimPrefix(name, "host "))
				must(t, err)
				c.out = link
			}
			if got := v.execSh(c.script, c.flags...); !strings.HasPrefix(got, c.out) {
				t.Errorf("%q, want %q", got, c.out)
			}
		})
	}
}

// TestRootExecNoPivot: the root of the process is the container's also where that
// is not the root of its mount namespace.
func TestRootExecNoPivot(t *testing.T) {
	for name, edit := range map[string]func(*specs.Spec){"plain": func(*specs.Spec) {}, "hooks": func(s *specs.Spec) {
		s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/true"}}}
	}} {
		v := newVessel(t, testkit.Args("sleep", "1000"), edit)
		v.create("--no-pivot")
		v.quietStart()
		if got := v.execSh("ls /bin/busybox; ls /usr 2>/dev/null | grep -c .; true"); got != "/bin/busybox\n0" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestRootExecDescriptors: the process has those that were asked for and no other.
func TestRootExecDescriptors(t *testing.T) {
	v := sleeping(t)
	file, err := os.CreateTemp(t.TempDir(), "kept")
	must(t, err)
	defer file.Close()
	list := []string{"sh", "-c", "for i in 3 4 5 6 7 8 9 10 11 12; do [ -e /proc/$$/fd/$i ] && echo $i; done; true"}
	c := v.command(append([]string{"exec", v.id}, list...)...)
	c.ExtraFiles = []*os.File{file, file, file}
	if got := finish(t, c); got != (said{}) {
		t.Errorf("without the flag: %+v", got)
	}
	c = v.command(append([]string{"exec", "--preserve-fds", "2", v.id}, list...)...)
	c.ExtraFiles = []*os.File{file, file, file}
	if got := finish(t, c); got != (said{stdout: "3\n4\n"}) {
		t.Errorf("with it: %+v", got)
	}
}

// TestRootExecParallel: execs in one container do not disturb each other.
func TestRootExecParallel(t *testing.T) {
	testkit.NoLeaks(t)
	v := sleeping(t)
	var group sync.WaitGroup
	for i := range 12 {
		group.Go(func() {
			for range 5 {
				if got := v.exec("sh", "-c", "exit "+itoa(i)); got != (said{code: i}) {
					t.Errorf("%d: %+v", i, got)
				}
			}
		})
	}
	group.Wait()
	if got := v.coracle("ps", "--format", "json", v.id); strings.Contains(got.stdout, ",") {
		t.Errorf("left: %s", got.stdout)
	}
}

// onePID is a limit that the container's init reaches.
func onePID(s *specs.Spec) {
	s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](1)}}
}

// TestRootExecFull: a container that has all the processes that it may have is the
// one that somebody wants to look into. What comes in is in its cgroups, and cannot
// fork there.
func TestRootExecFull(t *testing.T) {
	testkit.NoLeaks(t)
	for name, edit := range map[string]func(*specs.Spec){"own": func(*specs.Spec) {}, "host": noNamespace(specs.PIDNamespace)} {
		v := sleeping(t, onePID, edit)
		v.expectWithInit()
		if got := v.exec("sh", "-c", "exit 7"); got != (said{code: 7}) {
			t.Errorf("%s: %+v", name, got)
		}
		if got := v.exec("sh", "-c", "(true); exit 7"); !strings.Contains(got.stderr, "can't fork") {
			t.Errorf("%s: it forks: %+v", name, got)
		}
		v.quiet("delete", "--force", v.id)
	}
}

// TestRootExecSubCgroup: a process in a cgroup that the container's holds.
func TestRootExecSubCgroup(t *testing.T) {
	v := sleeping(t, onePID)
	pid := v.status().Pid
	data, err := os.ReadFile("/proc/" + itoa(pid) + "/cgroup")
	must(t, err)
	for _, dir := range cgroupsOf(t, v) {
		must(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755))
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			if value, err := os.ReadFile(filepath.Join(dir, file)); err == nil && strings.Contains(dir, "/cpuset/") {
				must(t, os.WriteFile(filepath.Join(dir, "sub", file), value, 0o644))
			}
		}
	}
	file := filepath.Join(t.TempDir(), "pid")
	v.quiet("exec", "--detach", "--cgroup", "sub", "--pid-file", file, v.id, "sleep", "100")
	sub, err := os.ReadFile(file)
	must(t, err)
	got, err := os.ReadFile("/proc/" + string(sub) + "/cgroup")
	must(t, err)
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if strings.HasSuffix(line, v.id) && !strings.Contains(string(got), line+"/sub\n") {
			t.Errorf("no %s/sub in %s", line, got)
		}
	}
}

// move moves the container's processes into another cgroup of the same hierarchy.
func (v vessel) move(from, to string) {
	v.t.Helper()
	must(v.t, os.Mkdir(to, 0o755))
	v.t.Cleanup(func() { os.Remove(to) })
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		if value, err := os.ReadFile(filepath.Join(from, file)); err == nil && strings.Contains(from, "/cpuset/") {
			must(v.t, os.WriteFile(filepath.Join(to, file), value, 0o644))
		}
	}
	must(v.t, os.WriteFile(filepath.Join(to, "cgroup.procs"), []byte(itoa(v.status().Pid)), 0o644))
}

// expectWithInit executes a process, which must be in the cgroups of the init.
func (v vessel) expectWithInit() {
	v.t.Helper()
	init, err := os.ReadFile("/proc/" + itoa(v.status().Pid) + "/cgroup")
	must(v.t, err)
	file := filepath.Join(v.t.TempDir(), "pid")
	v.quiet("exec", "--detach", "--pid-file", file, v.id, "sleep", "100")
	got, err := os.ReadFile("/proc/" + readFile(file) + "/cgroup")
	must(v.t, err)
	if string(got) != string(init) {
		v.t.Errorf("it is in\n%s, and the init in\n%s", got, init)
	}
	must(v.t, killText(readFile(file)))
}

// TestRootExecMoved: where somebody has moved the container to other cgroups and
// removed its own, a process goes to where the init is.
func TestRootExecMoved(t *testing.T) {
	testkit.NoLeaks(t)
	v := sleeping(t)
	for _, dir := range cgroupsOf(t, v) {
		v.move(dir, dir+"-moved")
		must(t, os.Remove(dir))
	}
	v.expectWithInit()
	expect255(t, v.exec("--cgroup", "sub", "--", "true"), "(ENOENT)")
	v.quiet("delete", "--force", v.id)
}

func expect255(t testing.TB, got said, words ...string) {
	t.Helper()
	if got.code != 255 {
		t.Errorf("%+v", got)
	}
	got.code = 1
	expectError(t, got, words...)
}

// TestRootExecPassedOn: a container that has passed its controllers on to cgroups of
// its own, as systemd does, cannot have processes in its own one: those of exec go
// to where the init is. Where only threads are spread, it can.
func TestRootExecPassedOn(t *testing.T) {
	testkit.Need(t, testkit.CgroupV2)
	testkit.NoLeaks(t)
	v := sleeping(t, func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](50)}}
	})
	dir := cgroupsOf(t, v)[0]
	v.move(dir, dir+"/init.scope")
	must(t, os.WriteFile(dir+"/cgroup.subtree_control", []byte("+pids"), 0o644))
	v.expectWithInit()
	v.quiet("delete", "--force", v.id)

	v = sleeping(t, func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](50)}}
	})
	dir = cgroupsOf(t, v)[0]
	must(t, os.Mkdir(dir+"/threads", 0o755))
	must(t, os.WriteFile(dir+"/threads/cgroup.type", []byte("threaded"), 0o644))
	must(t, os.WriteFile(dir+"/cgroup.subtree_control", []byte("+pids"), 0o644))
	v.expectWithInit()
}

// cgroupsOf returns the container's directories.
func cgroupsOf(t testing.TB, v vessel) []string {
	t.Helper()
	var state struct{ Cgroups []string }
	data, err := os.ReadFile(filepath.Join(v.state, v.id, "state.json"))
	must(t, err)
	must(t, json.Unmarshal(data, &state))
	return state.Cgroups
}

// TestRootExecAffinity is process.execCPUAffinity.
func TestRootExecAffinity(t *testing.T) {
	v := sleeping(t)
	for _, a := range []specs.CPUAffinity{{Initial: "0"}, {Initial: "0", Final: "0"}, {Final: "0"}} {
		file := v.processFile(func(p *specs.Process) {
			p.Args, p.ExecCPUAffinity = []string{"cat", "/proc/self/status"}, &a
		})
		got := v.coracle("exec", "--process", file, v.id)
		want := field(v.execSh("cat /proc/self/status"), "Cpus_allowed_list")
		if a.Final != "" {
			want = a.Final
		}
		if cpus := field(got.stdout, "Cpus_allowed_list"); got.code != 0 || cpus != want {
			t.Errorf("%+v: %q, want %q: %s", a, cpus, want, got.stderr)
		}
	}
	bad := v.processFile(func(p *specs.Process) { p.ExecCPUAffinity = &specs.CPUAffinity{Final: "1-"} })
	if got := v.coracle("exec", "--process", bad, v.id); got.code != 255 || !strings.Contains(got.stderr, "process.execCPUAffinity.final: ") {
		t.Errorf("%+v", got)
	}
}

// TestRootExecPlan: the plan of an exec is printed, and nothing is done.
func TestRootExecPlan(t *testing.T) {
	v := sleeping(t)
	got := v.exec("--plan", "--user", "7", "--", "touch", "/tmp/done")
	if got.code != 0 || !strings.Contains(got.stdout, "setns(container, ") || !strings.Contains(got.stdout, "setresuid(7, 7, 7)") {
		t.Errorf("%+v", got)
	}
	if _, err := os.Stat(v.rootfs("tmp/done")); err == nil {
		t.Error("it was done")
	}
}

// asleep tells whether an exec waits for its container to be resumed: it has the
// file open that says so.
func asleep(pid int) bool {
	fds, _ := filepath.Glob("/proc/" + itoa(pid) + "/fd/*")
	return slices.ContainsFunc(fds, func(fd string) bool {
		link, _ := os.Readlink(fd)
		return strings.HasSuffix(link, "/cgroup.events")
	})
}

func atoi(t testing.TB, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}
