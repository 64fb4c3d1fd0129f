// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package engines_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// A shim calls the runtime as containerd's does: with the shim's global flags, in
// the bundle, with an environment of its choice.
type shim struct {
	t            testing.TB
	bundle, root string
	env          []string
}

// newShim makes a bundle, and removes the container "c" at the end.
func newShim(t *testing.T, edits ...func(*specs.Spec)) shim {
	t.Helper()
	testkit.Need(t, testkit.Root)
	s := shim{t: t, bundle: testkit.Bundle(t, edits...), root: filepath.Join(t.TempDir(), "states")}
	t.Cleanup(func() { s.call("delete", "--force", "c").exits(0) })
	return s
}

func (s shim) command(args ...string) *exec.Cmd {
	global := []string{"--root", s.root, "--log", s.bundle + "/log.json", "--log-format", "json"}
	cmd := exec.Command(coracle, append(global, args...)...)
	cmd.Dir, cmd.Env = s.bundle, s.env
	return cmd
}

func (s shim) call(args ...string) said {
	s.t.Helper()
	return finish(s.t, s.command(args...))
}

// create makes the container "c", and returns the pid of its init.
func (s shim) create() (pid int) {
	s.t.Helper()
	s.call("create", "--bundle", s.bundle, "--pid-file", s.bundle+"/init.pid", "c").ok()
	text, err := os.ReadFile(s.bundle + "/init.pid")
	must(s.t, err)
	pid, err = strconv.Atoi(string(text)) // as go-runc: a newline is an error
	must(s.t, err)
	return pid
}

// record returns what is in the log, as podman reads it: one JSON object or none.
func (s shim) record() (level, message string) {
	s.t.Helper()
	var r struct{ Level, Msg string }
	data, err := os.ReadFile(s.bundle + "/log.json")
	if err != nil || len(data) == 0 {
		return "", ""
	}
	if err := json.Unmarshal(data, &r); err != nil {
		s.t.Errorf("the log is not one record: %v: %s", err, data)
	}
	return r.Level, r.Msg
}

func forever(s *specs.Spec) { s.Process.Args = []string{"/bin/sleep", "1000"} }

// TestRuleEnvironment: podman calls with nothing but an empty XDG_RUNTIME_DIR.
func TestRuleEnvironment(t *testing.T) {
	s := newShim(t, forever)
	s.env, s.root = []string{"XDG_RUNTIME_DIR="}, "/run/coracle"
	s.create()
	list := exec.Command(coracle, "list", "-q") // the same, as the default
	list.Env = s.env
	finish(t, list).exits(0).prints("c\n")
	s.call("start", "c").exits(0)
	s.call("pause", "c").exits(0)
	s.call("resume", "c").exits(0)
	s.call("kill", "c", "9").exits(0)
	s.call("delete", "--force", "c").exits(0)
}

// TestRuleStdio: the container has the very descriptors of create, nobody else
// keeps them, and create says nothing on them.
func TestRuleStdio(t *testing.T) {
	s := newShim(t, func(s *specs.Spec) {
		s.Process.Args = []string{"/bin/sh", "-c", "echo from the container; ls /proc/self/fd"}
	})
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	cmd := s.command("create", "--bundle", s.bundle, "c")
	leak, err := os.Open(s.bundle) // is fd 3 of the runtime, without close-on-exec
	must(t, err)
	defer leak.Close()
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = w, w, []*os.File{leak}
	must(t, cmd.Run())
	w.Close()
	s.call("start", "c").exits(0)
	must(t, r.SetReadDeadline(time.Now().Add(patience)))
	text, err := io.ReadAll(r) // to the end, which comes with that of the container
	if want := "from the container\n0\n1\n2\n3\n"; err != nil || string(text) != want {
		t.Errorf("%v: %q, want %q (3 is ls' own)", err, text, want)
	}
}

// TestRuleOrphan: the init is the caller's child once create is over, the process of
// exec too, and the pid is what the caller waits for.
func TestRuleOrphan(t *testing.T) {
	must(t, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	defer unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	s := newShim(t, func(s *specs.Spec) { s.Process.Args = []string{"/bin/sh", "-c", "exit 17"} })
	pid := s.create()
	s.call("start", "c").exits(0)
	var status unix.WaitStatus
	for {
		if _, err := unix.Wait4(pid, &status, 0, nil); err == nil {
			break
		} else if err != unix.EINTR {
			t.Fatalf("wait for %d: %v", pid, err)
		}
	}
	if status.ExitStatus() != 17 {
		t.Errorf("exit status %d, want 17", status.ExitStatus())
	}
}

// TestRuleErrors: one record in the log, one line on stderr, nothing on stdout, no pid
// file, and words that engines take for exit statuses.
func TestRuleErrors(t *testing.T) {
	not126 := regexp.MustCompile(`(?i)permission denied|operation not permitted`)
	not127 := regexp.MustCompile(`(?i)executable file not found in|no such file or directory|open executable`)
	for _, c := range []struct {
		name, program, says string
		status              int // that podman and docker make of it
	}{
		{"not in PATH", "no-such-program", `exec: "no-such-program": executable file not found in $PATH`, 127},
		{"no such file", "/no/such/file", `exec: "/no/such/file": stat /no/such/file: no such file or directory`, 127},
		{"not executable", "/etc/passwd", `exec: "/etc/passwd": permission denied`, 126},
		{"invalid", "", "process.args", 125},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newShim(t, func(s *specs.Spec) {
				s.Process.Args = []string{c.program}
				if c.program == "" {
					s.Process.Args = nil
				}
			})
			failed := s.call("create", "--bundle", s.bundle, "--pid-file", s.bundle+"/init.pid", "c").exits(1).complains(c.says)
			if failed.stdout != "" || strings.Count(failed.stderr, "\n") != 1 {
				t.Errorf("stdout %q, stderr %q: want one line on stderr", failed.stdout, failed.stderr)
			}
			level, message := s.record()
			if level != "error" || !strings.Contains(message, c.says) {
				t.Errorf("log: level %q, msg %q; want an error with %q", level, message, c.says)
			}
			status := 125
			switch {
			case not126.MatchString(message):
				status = 126
			case not127.MatchString(message):
				status = 127
			}
			if status != c.status {
				t.Errorf("%q means %d to podman, want %d", message, status, c.status)
			}
			if _, err := os.Stat(s.bundle + "/init.pid"); err == nil {
				t.Error("there is a pid file")
			}
		})
	}
}

// TestRuleGone: what is called when everything is over, and the words for that.
func TestRuleGone(t *testing.T) {
	s := newShim(t, func(s *specs.Spec) { s.Process.Args = []string{"/bin/true"} })
	s.call("delete", "c").exits(1).complains("does not exist")
	s.call("kill", "c", "9").exits(1).complains("does not exist")
	s.call("delete", "--force", "c").exits(0)
	pid := s.create()
	fd, err := unix.PidfdOpen(pid, 0)
	must(t, err)
	defer unix.Close(fd)
	s.call("start", "c").exits(0)
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(patience.Milliseconds()))
	dead := s.call("kill", "c", "9").exits(1)
	if !regexp.MustCompile(`os: process already finished|container not running|(?i)no such process`).MatchString(dead.stderr) {
		t.Errorf("kill of a dead container says %q", dead.stderr)
	}
	s.call("kill", "--all", "c", "9")
	s.call("delete", "c").exits(0)
	s.call("delete", "--force", "c").exits(0)
}

// TestRuleUpdate: what docker 20.10 and CRI send. Zero means "leave it", and so do
// rules for devices.
func TestRuleUpdate(t *testing.T) {
	s := newShim(t, forever, func(s *specs.Spec) {
		limit := int64(64 << 20)
		s.Linux.CgroupsPath = "/rule/update"
		s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit}}
	})
	s.create()
	s.call("start", "c").exits(0)
	for _, resources := range []string{
		`{"memory":{"limit":0,"reservation":0,"kernel":0},"cpu":{"shares":0,"quota":0,"period":0},"blockIO":{"weight":0}}`,
		`{"devices":[{"allow":false,"access":"rwm"}]}`,
		`{}`,
	} {
		update := s.command("update", "--resources=-", "c")
		update.Stdin = strings.NewReader(resources)
		finish(t, update).exits(0)
		limit(t, "rule/update", "67108864")
	}
	update := s.command("update", "--resources", "-", "c")
	update.Stdin = strings.NewReader(`{"memory":{"limit":33554432}}`)
	finish(t, update).exits(0)
	limit(t, "rule/update", "33554432")
}

// TestRuleVersions: containerd 2 writes 1.3.0, docker 20.10 and podman 4.3 a version in
// development.
func TestRuleVersions(t *testing.T) {
	for _, version := range []string{"1.0.0", "1.0.2-dev", "1.2.1", "1.3.0", "1.99.0"} {
		t.Run(version, func(t *testing.T) {
			newShim(t, forever, func(s *specs.Spec) { s.Version = version }).create()
		})
	}
}

// TestRuleStates: state as cri-o and buildah decode it, ps as the shim does.
func TestRuleStates(t *testing.T) {
	s := newShim(t, forever, func(s *specs.Spec) { s.Annotations = map[string]string{"a": "b"} })
	pid := s.create()
	for _, status := range []string{"created", "running", "paused"} {
		switch status {
		case "running":
			s.call("start", "c").exits(0)
		case "paused":
			s.call("pause", "c").exits(0)
		}
		var state struct {
			OCIVersion, ID, Status, Bundle, Rootfs string
			Pid                                    int
			Created                                time.Time
			Annotations                            map[string]string
		}
		must(t, json.Unmarshal([]byte(s.call("state", "c").ok().stdout), &state))
		if state.ID != "c" || state.Status != status || state.Bundle != s.bundle || state.Pid != pid ||
			state.Annotations["a"] != "b" || time.Since(state.Created) > time.Hour || state.OCIVersion == "" || state.Rootfs == "" {
			t.Errorf("when %s: %+v", status, state)
		}
	}
	var pids []int
	must(t, json.Unmarshal([]byte(s.call("ps", "--format", "json", "c").ok().stdout), &pids))
	if len(pids) != 1 || pids[0] != pid {
		t.Errorf("ps: %v, want [%d]", pids, pid)
	}
	s.call("kill", "c", "KILL").exits(0) // a paused one, by name
	s.call("delete", "--force", "c").exits(0)
	finish(t, s.command("list", "--format=json")).exits(0)
}

// TestRuleParallel: twenty creates in one root at once.
func TestRuleParallel(t *testing.T) {
	s := newShim(t, forever)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			id := fmt.Sprint("p", i)
			s.call("create", "--bundle", s.bundle, id).exits(0)
			s.call("start", id).exits(0)
			s.call("delete", "--force", id).exits(0)
		})
	}
	all.Wait()
}

// TestRuleVersion: docker reads names and versions off --version, and cri-o the
// features off stdout and stderr together.
func TestRuleVersion(t *testing.T) {
	lines := call(t, coracle, "--version").exits(0).stdout
	if !regexp.MustCompile(`(?m)^coracle version \S+$`).MatchString(lines) || !strings.Contains(lines, "\nspec: 1.") {
		t.Errorf("--version: %q", lines)
	}
	both, err := exec.Command(coracle, "features").CombinedOutput()
	must(t, err)
	var features struct{ OCIVersionMin, OCIVersionMax string }
	must(t, json.NewDecoder(bytes.NewReader(both)).Decode(&features))
	if features.OCIVersionMin == "" || features.OCIVersionMax == "" {
		t.Errorf("features: %s", both)
	}
}
