// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// hook is one that runs a script of the host's shell.
func hook(script string) specs.Hook {
	return specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin", "MARK=of the hook"}}
}

// TestRootHooksOrder: all six kinds, in the order of the spec, each with the
// state on its standard input, its own environment and its namespaces.
func TestRootHooksOrder(t *testing.T) {
	log := t.TempDir()
	note := func(name string) []specs.Hook {
		const where = `readlink /proc/self/ns/mnt >> %/mnt-@; env | grep -c SECRET >> %/secret; echo "$MARK" > %/mark-@; cat > %/state-@; echo @ >> %/order`
		h := strings.NewReplacer("@", name, "%", log).Replace(where)
		return []specs.Hook{hook(h), hook("echo " + name + "2 >> " + log + "/order")}
	}
	v := newVessel(t, testkit.Args("/bin/sh", "-c", "echo process >> /log/order"), mount("/log", "bind", log, "bind"),
		// startContainer hooks are in the container's root: there the log has another name.
		func(s *specs.Spec) {
			s.Annotations = map[string]string{"org.example.key": "value"}
			inside := note("startContainer")
			for i := range inside {
				inside[i].Args[2] = strings.ReplaceAll(inside[i].Args[2], log, "/log")
				inside[i].Env = []string{"PATH=/bin", "MARK=of the hook"}
			}
			s.Hooks = &specs.Hooks{Prestart: note("prestart"), CreateRuntime: note("createRuntime"), CreateContainer: note("createContainer"),
				StartContainer: inside, Poststart: note("poststart"), Poststop: note("poststop")}
		})
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(log, name))
		must(t, err)
		return string(data)
	}
	c := v.command("create", "--bundle", v.bundle, v.id)
	c.Env = append(os.Environ(), "SECRET=x")
	if got := finish(t, c); got != (said{}) {
		t.Fatalf("%+v", got)
	}
	const created = "prestart\nprestart2\ncreateRuntime\ncreateRuntime2\ncreateContainer\ncreateContainer2\n"
	if got := read("order"); got != created {
		t.Errorf("after create: %q", got)
	}
	pid := v.status().Pid
	v.quietStart()
	waitFor(t, "its end", func() bool { return v.status().Status == specs.StateStopped })
	v.quiet("delete", v.id)
	got := read("order")
	if want := created + "startContainer\nstartContainer2\nprocess\npoststart\npoststart2\npoststop\npoststop2\n"; got != want &&
		got != strings.Replace(want, "process\npoststart\n", "poststart\nprocess\n", 1) && got != strings.Replace(want, "process\npoststart\npoststart2\n", "poststart\npoststart2\nprocess\n", 1) {
		t.Errorf("order: %q", got)
	}
	ours := namespaceOf(t, "self", "mnt") + "\n"
	for name, want := range map[string]struct {
		status specs.ContainerState
		pid    int
		host   bool
	}{
		"prestart": {specs.StateCreating, pid, true}, "createRuntime": {specs.StateCreating, pid, true}, "createContainer": {specs.StateCreating, 1, false},
		"startContainer": {specs.StateCreated, 1, false}, "poststart": {specs.StateRunning, pid, true}, "poststop": {specs.StateStopped, 0, true},
	} {
		var s specs.State
		if err := json.Unmarshal([]byte(read("state-"+name)), &s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if s.Status != want.status || s.ID != v.id || s.Bundle != v.bundle || s.Annotations["org.example.key"] != "value" || s.Version == "" {
			t.Errorf("%s: %+v", name, s)
		}
		if s.Pid != want.pid {
			t.Errorf("%s: pid %d, want %d", name, s.Pid, want.pid)
		}
		if (read("mnt-"+name) == ours) != want.host {
			t.Errorf("%s: in the wrong mount namespace", name)
		}
		if read("mark-"+name) != "of the hook\n" {
			t.Errorf("%s: environment: %q", name, read("mark-"+name))
		}
	}
	if strings.Trim(read("secret"), "0\n") != "" {
		t.Errorf("the caller's environment reached a hook: %q", read("secret"))
	}
}

// TestRootHooksHostPIDs: a container without a PID namespace of its own has the pid
// that everybody sees, in its hooks too.
func TestRootHooksHostPIDs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state")
	v := newVessel(t, noNamespace(specs.PIDNamespace), setHooks("createContainer", hook("cat > "+file)))
	v.quiet("create", "--bundle", v.bundle, v.id)
	data, err := os.ReadFile(file)
	must(t, err)
	var s specs.State
	must(t, json.Unmarshal(data, &s))
	if want := v.status().Pid; s.Pid != want || s.ID != v.id {
		t.Errorf("%s, want pid %d", data, want)
	}
	v.quiet("delete", "--force", v.id)
}

// setHooks is an edit that sets the hooks of one kind.
func setHooks(kind string, hooks ...specs.Hook) func(*specs.Spec) {
	return func(s *specs.Spec) {
		s.Hooks = &specs.Hooks{}
		switch kind {
		case "prestart":
			s.Hooks.Prestart = hooks
		case "createRuntime":
			s.Hooks.CreateRuntime = hooks
		case "createContainer":
			s.Hooks.CreateContainer = hooks
		case "startContainer":
			s.Hooks.StartContainer = hooks
		case "poststart":
			s.Hooks.Poststart = hooks
		case "poststop":
			s.Hooks.Poststop = hooks
		}
	}
}

// TestRootHooksFail: each kind that stops the lifecycle does, with the status
// and what it said; a time-out ends the hook and its children.
func TestRootHooksFail(t *testing.T) {
	limited := hook("sleep 1000")
	limited.Timeout = ptr(1)
	missing := specs.Hook{Path: "/no/such/hook"}
	for _, kind := range []string{"prestart", "createRuntime", "createContainer"} {
		v := newVessel(t, setHooks(kind, hook("echo what went wrong >&2; exit 3"), hook("echo never > "+t.TempDir()+"/x")))
		v.expectRefusal("hooks."+kind+"[0]", "exit status 3", "what went wrong")
		v.edit(setHooks(kind, hook("i=0; while [ $i -lt 9000 ]; do echo line $i; i=$((i+1)); done; echo the end; exit 3")))
		v.expectRefusal("hooks."+kind+"[0]", "exit status 3: …", "the end\n")
		v.edit(setHooks(kind, hook("exit 0"), hook("kill -9 $$")))
		v.expectRefusal("hooks."+kind+"[1]", "signal 9")
		begin := time.Now()
		v.edit(setHooks(kind, limited))
		v.expectRefusal("hooks."+kind+"[0]", "time was up")
		if d := time.Since(begin); d > time.Minute {
			t.Errorf("%s: ended after %v", kind, d)
		}
		v.edit(setHooks(kind, missing))
		v.expectRefusal("hooks."+kind+"[0]", "/no/such/hook", "(ENOENT)")
	}
	for _, kind := range []string{"startContainer", "poststart"} {
		for want, h := range map[string]specs.Hook{"exit status 3": hook("echo what went wrong >&2; exit 3"), "time was up": limited, "(ENOENT)": missing} {
			v := newVessel(t, testkit.Args("sleep", "1000"), setHooks(kind, h))
			v.create()
			expectError(t, v.coracle("start", v.id), "hooks."+kind+"[0]", want)
			waitFor(t, kind+": its end", func() bool { return v.status().Status == specs.StateStopped })
			v.quiet("delete", v.id)
			expectError(t, v.run(), "hooks."+kind+"[0]", want)
			v.expectGone()
		}
	}
	// A failing poststop hook is a warning, and the next one still runs.
	mark := t.TempDir() + "/ran"
	v := newVessel(t, setHooks("poststop", hook("exit 3"), hook("echo > "+mark)))
	if got := v.run(); got.code != 0 || strings.Count(got.stderr, "hooks.poststop[0]") != 1 {
		t.Errorf("poststop: %+v", got)
	}
	if _, err := os.Stat(mark); err != nil {
		t.Error(err)
	}
	v.expectGone()
}

// TestRootHookLeavesChild: a daemon that a hook leaves behind holds up nobody.
func TestRootHookLeavesChild(t *testing.T) {
	file := t.TempDir() + "/pid"
	v := newVessel(t, setHooks("createRuntime", hook("sleep 30 & echo $! > "+file)))
	begin := time.Now()
	if got := v.run(); got != (said{}) {
		t.Errorf("%+v", got)
	}
	if d := time.Since(begin); d > 25*time.Second {
		t.Errorf("it took %v", d)
	}
	data, err := os.ReadFile(file)
	must(t, err)
	if ended(strings.TrimSpace(string(data))) {
		t.Error("the hook's child was ended")
	}
	must(t, killText(string(data)))
}

// TestRootHookChangesRoot: a createRuntime hook that mounts in the container's
// namespace, as device plugins do, is seen by the container.
func TestRootHookChangesRoot(t *testing.T) {
	v := newVessel(t)
	script := `pid=$(sed 's/.*"pid":\([0-9]*\).*/\1/'); nsenter -t $pid -m mount -t tmpfs hooked ` + v.rootfs("tmp")
	v.edit(setHooks("createRuntime", hook(script)))
	if got := v.sh("grep -c ' /tmp .*hooked' /proc/self/mountinfo"); got != "1\n" {
		t.Errorf("got %q", got)
	}
	v.edit(setHooks("createContainer", hook("mount -t tmpfs hooked "+v.rootfs("tmp"))))
	if got := v.sh("grep -c ' /tmp .*hooked' /proc/self/mountinfo"); got != "1\n" {
		t.Errorf("got %q", got)
	}
}

// TestRootHookUser: the same in a user namespace with masks; where its root has
// no way to the bundle, the container is made all the same.
func TestRootHookUser(t *testing.T) {
	v := newVessel(t, mapped, func(s *specs.Spec) { s.Linux.MaskedPaths = []string{"/etc/group", "/var"} })
	must(t, chownTree(v.rootfs(""), 100000, 200000))
	for dir := v.bundle; dir != os.TempDir(); dir = filepath.Dir(dir) {
		must(t, os.Chmod(dir, 0o755))
	}
	v.edit(setHooks("createContainer", hook("mount -t tmpfs hooked "+v.rootfs("tmp"))))
	const script = "grep -c ' /tmp .*hooked' /proc/self/mountinfo; cat /etc/group; ls /var; ls -d /tmp /work 2>/dev/null; true"
	if got := v.sh(script); got != "1\n/tmp\n" {
		t.Errorf("got %q", got)
	}
	must(t, os.Chmod(v.bundle, 0o700))
	v.edit(setHooks("createContainer", hook("true")))
	if got := v.sh(script); got != "0\n/tmp\n" {
		t.Errorf("hidden: got %q", got)
	}
}
