// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// verbsOfOne is all verbs that work on one container, with what they need besides.
var verbsOfOne = [][]string{{"start"}, {"state"}, {"kill"}, {"kill", "--all"}, {"delete"}, {"pause"}, {"resume"}, {"ps"}, {"ps", "--format", "json"},
	{"wait"}, {"update", "--pids-limit", "5"}, {"events", "--stats"}, {"events"}, {"exec"}, {"exec", "--ignore-paused", "--detach"}, {"exec", "--plan"}}

// on calls a verb for a container. That of exec's statuses that is for errors is
// returned as that of all other verbs.
func (v vessel) on(id string, verb []string) said {
	v.t.Helper()
	args := append(slices.Clone(verb), "--", id)
	if verb[0] == "exec" {
		args = append(args, "true")
	}
	got := v.coracle(args...)
	if verb[0] == "exec" && got.code == 255 {
		got.code = 1
	}
	return got
}

// TestRootBadIDs: no verb takes an id that is none, or says anything but that
// there is no such container for one that is.
func TestRootBadIDs(t *testing.T) {
	testkit.NoLeaks(t)
	v := newVessel(t)
	bads := []string{"", ".", "a/b", "..", "../" + v.id, "a b", "ä", "a\nb", strings.Repeat("x", 300), "a\x01", "%s"}
	if testing.Short() {
		bads = bads[:3]
	}
	for _, verb := range append(slices.Clone(verbsOfOne), []string{"create", "--bundle", v.bundle}, []string{"run", "--bundle", v.bundle}, []string{"delete", "--force"}) {
		for _, bad := range bads {
			got := v.on(bad, verb)
			expectError(t, got, "container")
			if !strings.Contains(got.stderr, "invalid container ID format") && !strings.Contains(got.stderr, "container id cannot be empty") {
				t.Errorf("%q %q: %s", verb, bad, got.stderr)
			}
		}
	}
	for _, verb := range verbsOfOne {
		expectError(t, v.on(v.id, verb), "container does not exist")
	}
	v.quiet("delete", "--force", v.id)
}

// damage replaces the state.json of a container.
func (v vessel) damage(change func([]byte) []byte) {
	v.t.Helper()
	name := filepath.Join(v.state, v.id, "state.json")
	must(v.t, os.WriteFile(name, change([]byte(readFile(name))), 0o600))
}

// TestRootDamagedState: a state.json that cannot be made out is named by every
// verb, keeps nobody from listing the others, and delete --force still finds the
// processes and the cgroups.
func TestRootDamagedState(t *testing.T) {
	testkit.NoLeaks(t)
	for name, change := range map[string]func([]byte) []byte{
		"truncated": func(b []byte) []byte { return b[:len(b)/2] },
		"empty":     func([]byte) []byte { return nil },
		"no JSON":   func([]byte) []byte { return []byte("\x00\xff") },
		"another":   func(b []byte) []byte { return bytes.Replace(b, []byte(`"id":"`), []byte(`"id":"x`), 1) },
	} {
		t.Run(name, func(t *testing.T) {
			v := started(t, noNamespace(specs.PIDNamespace))
			pid := v.pid()
			v.damage(change)
			for _, verb := range verbsOfOne {
				expectError(t, v.on(v.id, verb), v.id+": read its state: ", "damaged", "coracle delete --force "+v.id)
			}
			for _, list := range [][]string{{"list"}, {"list", "--quiet"}, {"list", "--format", "json"}} {
				got := v.coracle(list...)
				if got.code != 0 || strings.Contains(got.stdout, v.id) || !strings.HasPrefix(got.stderr, "coracle: warning: "+v.id+": read its state: ") {
					t.Errorf("%s: %+v", list, got)
				}
			}
			if got := v.coracle("gc"); got.code != 1 || got.stdout != "" || !strings.Contains(got.stderr, v.id) {
				t.Errorf("gc: %+v", got)
			}
			v.quiet("delete", "--force", v.id)
			v.expectGone()
			waitFor(t, "the end of its process", func() bool { return !exists(fmt.Sprint("/proc/", pid)) })
		})
	}
}

// TestRootDamagedConfig: nothing is known of the container but its name.
func TestRootDamagedConfig(t *testing.T) {
	testkit.NoLeaks(t)
	v := started(t)
	v.damage(func([]byte) []byte { return nil })
	must(t, os.WriteFile(filepath.Join(v.state, v.id, "config.json"), nil, 0o600))
	if got := v.coracle("delete", "--force", v.id); got.code != 0 || !strings.Contains(got.stderr, "its cgroup is not known") {
		t.Errorf("got %+v", got)
	}
	v.quiet("gc", "--cgroup", v.id)
	v.expectGone()
}

// TestRootForeignState: the state of a future coracle, or of another user, is not
// acted on, by delete --force neither; it can be listed.
func TestRootForeignState(t *testing.T) {
	testkit.NoLeaks(t)
	v := started(t)
	whole := readFile(filepath.Join(v.state, v.id, "state.json"))
	v.damage(func(b []byte) []byte { return bytes.Replace(b, []byte(`"version":1`), []byte(`"version":99`), 1) })
	for _, verb := range append(slices.Clone(verbsOfOne), []string{"delete", "--force"}) {
		expectError(t, v.on(v.id, verb), "its state is of a newer coracle: version 99")
	}
	v.damage(func([]byte) []byte { return []byte(whole) })
	must(t, os.Chown(filepath.Join(v.state, v.id, "state.json"), 1234, 1234))
	for _, verb := range [][]string{{"start"}, {"kill"}, {"kill", "-a"}, {"delete"}, {"delete", "--force"}, {"pause"}, {"resume"}, {"update", "--pids-limit", "5"}, {"exec"}} {
		expectError(t, v.on(v.id, verb), "its state belongs to user 1234")
	}
	if got := v.coracle("list"); !strings.Contains(got.stdout, "#1234") {
		t.Errorf("got %+v", got)
	}
	must(t, os.Chown(filepath.Join(v.state, v.id, "state.json"), 0, 0))
}

// TestRootStateGone: the directory of states is removed under a running
// container. Its processes can still be ended, and the cgroup removed.
func TestRootStateGone(t *testing.T) {
	testkit.NoLeaks(t)
	v := started(t)
	pid := v.pid()
	must(t, os.RemoveAll(v.state))
	for _, verb := range verbsOfOne {
		expectError(t, v.on(v.id, verb), "container does not exist")
	}
	if got := v.coracle("list", "-q"); (got != said{}) {
		t.Errorf("got %+v", got)
	}
	v.quiet("gc")
	expectError(t, v.coracle("create", "--bundle", v.bundle, v.id), "use the cgroup ", "process "+strconv.Itoa(pid)+" is in it")
	expectError(t, v.coracle("gc", "--cgroup", "a/../b"), "--cgroup")
	expectError(t, v.coracle("gc", "--cgroup", "/"), "--cgroup")
	expectError(t, v.coracle("gc", "--cgroup", "/no/such/cgroup"), "--cgroup: find the cgroup", "ENOENT")
	v.quiet("kill", "--cgroup", v.id, "TERM") // sleep is pid 1 of its namespace: the kernel keeps that from it
	v.quiet("gc", "--cgroup", v.id)
	v.expectGone()
}

// TestRootGC: what killed commands leave is told and removed, and nothing else.
func TestRootGC(t *testing.T) {
	testkit.NoLeaks(t)
	v := started(t)
	must(t, os.Mkdir(filepath.Join(v.state, "half"), 0o700))
	must(t, os.Mkdir(filepath.Join(v.state, "not an id"), 0o700))
	if got := v.coracle("gc", "-n"); (got != said{"half: its create was killed before it began\n", "", 0}) || !exists(filepath.Join(v.state, "half")) {
		t.Errorf("got %+v", got)
	}
	if got := v.coracle("gc"); (got != said{"half: its create was killed before it began\n", "", 0}) || exists(filepath.Join(v.state, "half")) {
		t.Errorf("got %+v", got)
	}
	v.quiet("gc")
	if v.status().Status != "running" {
		t.Error("a running container was touched")
	}
	v.quiet("kill", v.id, "9")
	waitFor(t, "its end", func() bool { return v.status().Status == "stopped" })
	v.quiet("gc")
	if v.status().Status != "stopped" {
		t.Error("a stopped container was touched")
	}
	must(t, os.Remove(filepath.Join(v.state, v.id, "config.json"))) // as a delete that was killed leaves it
	if got := v.coracle("gc"); (got != said{v.id + ": its delete was killed\n", "", 0}) {
		t.Errorf("got %+v", got)
	}
	v.expectGone()
	must(t, os.Remove(filepath.Join(v.state, "not an id")))
}

// TestRootLocked: commands on one container wait for each other, but for those that
// only look or kill.
func TestRootLocked(t *testing.T) {
	testkit.NoLeaks(t)
	v := started(t)
	dir, err := os.Open(filepath.Join(v.state, v.id))
	must(t, err)
	defer dir.Close()
	must(t, syscall.Flock(int(dir.Fd()), syscall.LOCK_EX))
	v.quiet("gc")
	v.status()
	v.pids()
	v.quiet("kill", v.id, "0")
	pause := v.command("pause", v.id)
	must(t, pause.Start())
	waitFor(t, "somebody who waits", func() bool {
		locks := readFile("/proc/locks")
		return strings.Contains(locks, fmt.Sprintf("-> FLOCK  ADVISORY  WRITE %d ", pause.Process.Pid))
	})
	if v.status().Status != "running" {
		t.Error("it did not wait")
	}
	must(t, syscall.Flock(int(dir.Fd()), syscall.LOCK_UN))
	must(t, pause.Wait())
	if v.status().Status != "paused" {
		t.Error("it did nothing")
	}
}

// TestRootAtOnce: many commands on one container at the same time are in some
// order; each does what it says or says why not, and in the end nothing is left.
func TestRootAtOnce(t *testing.T) {
	testkit.NoLeaks(t)
	for range 5 {
		v := started(t)
		var commands []*exec.Cmd
		var results []chan said
		for i := range 6 {
			for _, args := range [][]string{{"pause", v.id}, {"resume", v.id}, {"state", v.id}, {"ps", "-f", "json", v.id}} {
				commands = append(commands, v.command(args...))
			}
			if i == 3 {
				commands = append(commands, v.command("kill", v.id, "9"), v.command("delete", "--force", v.id), v.command("delete", "--force", v.id))
			}
		}
		for _, c := range commands {
			result := make(chan said, 1)
			results = append(results, result)
			go func() { result <- finish(t, c) }()
		}
		for i, r := range results {
			if got := <-r; got.code != 0 && !containsAny(got.stderr, "container not paused", "container not running", "container does not exist") {
				t.Errorf("%v: %+v", commands[i].Args[3:], got)
			}
		}
		v.expectGone()
	}
}

func containsAny(s string, words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(s, w) })
}

// TestRootFullDisk: where there is no room for state.json, the old one stays and
// works, and create leaves nothing.
func TestRootFullDisk(t *testing.T) {
	testkit.NoLeaks(t)
	becomeSubreaper(t)
	v := newVessel(t, testkit.Args("/bin/sh", "-c", "while [ ! -e /go ]; do sleep 0.01; done; exit 7"))
	script := `set -e
mount -t tmpfs -o size=128k tiny "$STATE"
c() { "$CORACLE" --root "$STATE" "$@"; }
c create --bundle "$BUNDLE" --pid-file "$STATE/../pid" "$ID" </dev/null >/dev/null 2>&1
before=$(cat "$STATE/$ID/state.json")
dd if=/dev/zero of="$STATE/fill" bs=1k 2>/dev/null || true
c create --bundle "$BUNDLE" "$ID-next" && exit 90
test ! -e "$STATE/$ID-next" || exit 91
c start "$ID"
c wait "$ID" > "$STATE/../status" & waiting=$!
touch "$BUNDLE/rootfs/go"
wait $waiting && exit 92 || test $? = 7 || exit 93
test "$before" = "$(cat "$STATE/$ID/state.json")" || exit 94
test -z "$(find "$STATE" -name '*.new')" || exit 95
c delete "$ID"
test ! -e "$STATE/$ID" || exit 96
`
	must(t, os.MkdirAll(v.state, 0o700))
	cmd := exec.Command("unshare", "--mount", "sh", "-c", script)
	cmd.Env = append(os.Environ(), "STATE="+v.state, "BUNDLE="+v.bundle, "ID="+v.id, "CORACLE="+testkit.Bin(t, "coracle"))
	got := finish(t, cmd)
	if got.code != 0 || !strings.Contains(got.stderr, "no space left on device (ENOSPC)") || strings.Count(got.stderr, "\n") != 1 {
		t.Errorf("got %+v", got)
	}
	if status := readFile(filepath.Join(v.state, "../status")); status != "7\n" {
		t.Errorf("wait printed %q", status)
	}
	pid, err := strconv.Atoi(readFile(filepath.Join(v.state, "../pid")))
	must(t, err)
	if _, err := syscall.Wait4(pid, nil, 0, nil); err != nil {
		t.Error(err)
	}
}

// hung is a hook that never ends, and writes its pid to a file.
func hung(file string) specs.Hook { return hook("echo $$ > " + file + "; exec sleep 1000") }

// TestRootHungHook: coracle waits for a hook without a timeout, says so, and can be
// told to stop: the hook ends, and what it was for has failed.
func TestRootHungHook(t *testing.T) {
	testkit.NoLeaks(t)
	kinds := []string{"createRuntime", "startContainer", "prestart", "createContainer", "poststart", "poststop"}
	if testing.Short() {
		kinds = kinds[:2]
	}
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "pid")
			inside := file
			edits := []func(*specs.Spec){sleeper}
			if kind == "startContainer" {
				inside = "/log/pid"
				edits = append(edits, mount("/log", "bind", filepath.Dir(file), "bind"))
			}
			v := newVessel(t, append(edits, setHooks(kind, hung(inside)))...)
			call, rest := v.command("create", "--bundle", v.bundle, v.id), "creating"
			switch {
			case strings.HasPrefix(kind, "start") || kind == "poststart":
				v.create()
				call, rest = v.command("start", v.id), "running"
			case kind == "poststop":
				v.create()
				call, rest = v.command("delete", "--force", v.id), "stopped"
			}
			result := make(chan said, 1)
			go func() { result <- finish(t, call) }()
			waitFor(t, "the hook", func() bool { return exists(file) && readFile(file) != "" })
			if now := v.status().Status; string(now) != rest && kind != "startContainer" {
				t.Errorf("while the hook runs it is %s", now)
			}
			if got := v.coracle("kill", v.id, "USR1"); got.code != 0 && !strings.Contains(got.stderr, "container not running") {
				t.Errorf("kill: %+v", got)
			}
			remove := v.command("delete", "--force", v.id) // waits for the other command
			if kind == "startContainer" {                  // with --force it would not
				remove = v.command("delete", v.id)
			}
			var output bytes.Buffer
			remove.Stderr = &output
			must(t, remove.Start())
			waitFor(t, "somebody who waits", func() bool {
				return strings.Contains(readFile("/proc/locks"), fmt.Sprintf("-> FLOCK  ADVISORY  WRITE %d ", remove.Process.Pid))
			})
			must(t, call.Process.Signal(syscall.SIGTERM))
			got := <-result
			if err := remove.Wait(); err != nil || output.String() != "" {
				t.Errorf("delete --force: %v %s", err, output.String())
			}
			v.expectGone()
			if strings.Count(got.stderr, "/bin/sh") != 1 {
				t.Errorf("said twice: %s", got.stderr)
			}
			if kind == "poststop" { // which only warns
				if got.code != 0 || !strings.Contains(got.stderr, "hooks.poststop[0]: run /bin/sh: ended, as coracle got SIGTERM") {
					t.Errorf("%+v", got)
				}
				return
			}
			expectError(t, got, "hooks."+kind+"[0]: run /bin/sh: ended, as coracle got SIGTERM")
		})
	}
}

// TestRootHungHookForced: a hook in the container ends with its init, and delete
// --force ends that, whatever start waits for.
func TestRootHungHookForced(t *testing.T) {
	testkit.NoLeaks(t)
	dir := t.TempDir()
	v := newVessel(t, sleeper, mount("/log", "bind", dir, "bind"), setHooks("startContainer", hung("/log/pid")))
	v.create()
	result := make(chan said, 1)
	go func() { result <- v.coracle("start", v.id) }()
	waitFor(t, "the hook", func() bool { return exists(filepath.Join(dir, "pid")) })
	v.quiet("delete", "--force", v.id)
	v.expectGone()
	expectError(t, <-result, "start: its init was killed before it ran its program")
}

// TestRootHungHookTold: what coracle waits for stands in the log while it waits, and
// a hook ends with a coracle that is killed.
func TestRootHungHookTold(t *testing.T) {
	testkit.NoLeaks(t)
	dir := t.TempDir()
	file, log := filepath.Join(dir, "pid"), filepath.Join(dir, "log")
	v := newVessel(t, setHooks("createRuntime", hung(file)))
	create := v.command("--log", log, "create", "--bundle", v.bundle, v.id)
	must(t, create.Start())
	waitFor(t, "the word of it", func() bool {
		text, _ := os.ReadFile(log)
		return strings.Contains(string(text), fmt.Sprintf("hooks.createRuntime[0]: /bin/sh has run for 10 s and has no timeout; coracle waits for it, and ends it when it gets SIGTERM as process %d", create.Process.Pid))
	})
	must(t, create.Process.Kill())
	create.Wait()
	waitFor(t, "the end of the hook", func() bool { return ended(strings.TrimSpace(readFile(file))) })
	if got := v.coracle("gc"); (got != said{stdout: v.id + ": its create was killed\n"}) {
		t.Errorf("%+v", got)
	}
	v.expectGone()
}

// TestRootKillWhileStarting: kill waits for no hook.
func TestRootKillWhileStarting(t *testing.T) {
	testkit.NoLeaks(t)
	trace := filepath.Join(t.TempDir(), "trace")
	v := newVessel(t, sleeper, func(s *specs.Spec) {
		s.Hooks = &specs.Hooks{Poststart: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "echo > " + trace + "; exec sleep 10"}}}}
	})
	v.create()
	start := v.command("start", v.id)
	must(t, start.Start())
	waitFor(t, "the hook", func() bool { return exists(trace) })
	begin := time.Now()
	v.quiet("kill", v.id, "9")
	waitFor(t, "its end", func() bool { return v.status().Status == "stopped" })
	if took := time.Since(begin); took > 8*time.Second && !testing.Short() {
		t.Errorf("it took %v", took)
	}
	start.Wait()
}
