// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/testkit"
	"github.com/coracle-oci/coracle/runtime/container"
	"github.com/coracle-oci/coracle/runtime/probe"
)

// A victim is a container whose coracle is killed: the third of the truths,
// every phase survives a kill.
type victim struct {
	t       *testing.T
	random  *rand.Rand
	coracle string
	root    string // of the states
	bundle  string
	id      string
	trace   string   // hooks write into it
	cgroups []string // of the container
	count   map[string]int
	rounds  int
}

const (
	killRounds  = 100 // at least
	killsEach   = 5   // of every phase, at least
	killSeconds = 180 // at most, for all rounds, of which a busy machine needs more; then the phases that lack are told
)

func newVictim(t *testing.T, id string, edits ...func(*specs.Spec)) *victim {
	t.Helper()
	testkit.Need(t, testkit.Root)
	testkit.NoLeaks(t)
	dir := t.TempDir()
	id = fmt.Sprint(id, "-", os.Getpid())
	v := &victim{t: t, random: testkit.Seed(t), coracle: testkit.Bin(t, "coracle"), root: filepath.Join(dir, "root"), id: id,
		trace: filepath.Join(dir, "trace"), count: map[string]int{}}
	edits = append(edits, func(s *specs.Spec) {
		s.Process.Args = []string{"/bin/sleep", "1000"}
		limit := int64(50)
		s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: &limit}}
	})
	v.bundle = testkit.Bundle(t, edits...)
	_, p, _, err := container.Load(container.Options{ID: id, Bundle: v.bundle}, probe.Facts)
	if err != nil {
		t.Fatal(err)
	}
	v.cgroups = p.Cgroup.Dirs
	t.Cleanup(func() { v.run("delete", "--force", v.id); v.run("delete", "--force", v.id+"-next") })
	return v
}

// command is a call of coracle whose output is kept in a file: a pipe would be
// held open by the container.
func (v *victim) command(args ...string) *exec.Cmd {
	cmd := exec.Command(v.coracle, append([]string{"--root", v.root}, args...)...)
	file, err := os.CreateTemp(filepath.Dir(v.root), "output-")
	if err != nil {
		v.t.Fatal(err)
	}
	defer os.Remove(file.Name()) // it is read by its descriptor
	cmd.Stdout, cmd.Stderr = file, file
	return cmd
}

func (v *victim) run(args ...string) (string, error) {
	cmd := v.command(args...)
	file := cmd.Stdout.(*os.File)
	defer file.Close()
	err := cmd.Run()
	out := make([]byte, 4096)
	n, _ := file.ReadAt(out, 0)
	return string(out[:n]), err
}

func (v *victim) must(args ...string) string {
	v.t.Helper()
	out, err := v.run(args...)
	if err != nil {
		v.t.Fatalf("round %d: coracle %s: %v %s", v.rounds, strings.Join(args, " "), err, out)
	}
	return out
}

func (v *victim) state(name string) string { return filepath.Join(v.root, v.id, name) }

func exists(path string) bool { _, err := os.Lstat(path); return err == nil }

// journal is the status that the journal has, "" without one.
func (v *victim) journal() string {
	data, err := os.ReadFile(v.state("state.json"))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(data), `"status":"`)
	status, _, _ := strings.Cut(rest, `"`)
	return status
}

func (v *victim) cgroupCount() (n int) {
	for _, d := range v.cgroups {
		if exists(d) {
			n++
		}
	}
	return n
}

// occupied tells whether a process is in the container's cgroups.
func (v *victim) occupied() bool {
	for _, d := range []string{v.cgroups[0], v.cgroups[len(v.cgroups)-1]} {
		if procs, err := os.ReadFile(d + "/cgroup.procs"); err == nil && len(procs) > 0 {
			return true
		}
	}
	return false
}

// A moment is what a kill waits for, and for how long after it, at most.
type moment struct {
	name   string
	come   func() bool
	spread time.Duration
}

// killAt runs coracle and kills it soon after the moment has come, or lets it
// end if it does before. It watches without a pause: what it waits for lasts
// some ten microseconds.
func (v *victim) killAt(m moment, args ...string) {
	v.t.Helper()
	cmd := v.command(args...)
	defer cmd.Stdout.(*os.File).Close()
	if err := cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	over := func() bool {
		select {
		case <-ended:
			return true
		default:
			return false
		}
	}
	for until := time.Now().Add(30 * time.Second); !m.come() && !over(); {
		if time.Now().After(until) {
			v.t.Fatalf("round %d: %s of %q does not come", v.rounds, m.name, args)
		}
	}
	if v.random.IntN(4) > 0 {
		for until := time.Now().Add(time.Duration(v.random.Int64N(int64(m.spread) + 1))); time.Now().Before(until); {
		}
	}
	if !over() {
		cmd.Process.Kill()
	}
	<-ended
}

// rounds repeats round with each moment in turn until all phases were hit often
// enough. round returns the phase that was hit.
func (v *victim) repeat(phases []string, moments []moment, round func(moment) string) {
	v.t.Helper()
	began := time.Now()
	enough := func() bool {
		for _, p := range phases {
			if v.count[p] < killsEach {
				return false
			}
		}
		return v.rounds >= killRounds
	}
	for ; !enough() && time.Since(began) < killSeconds*time.Second; v.rounds++ {
		m := moments[v.rounds%len(moments)]
		if v.rounds >= killRounds { // what lacks is short: the first of the moments leads to it
			m = moments[0]
			m.spread = time.Duration(v.random.IntN(800)) * time.Microsecond
		}
		if phase := round(m); phase != "" {
			v.count[phase]++
		}
		v.gone()
	}
	var lines []string
	for _, p := range slices.Sorted(maps.Keys(v.count)) {
		lines = append(lines, fmt.Sprintf("%s %d", p, v.count[p]))
	}
	v.t.Logf("%d kills in %.1f s: %s", v.rounds, time.Since(began).Seconds(), strings.Join(lines, ", "))
	for _, p := range phases {
		if v.count[p] < killsEach {
			v.t.Errorf("the phase %q was hit %d times", p, v.count[p])
		}
	}
}

// gone: after delete --force there is nothing left of the container.
func (v *victim) gone() {
	v.t.Helper()
	v.must("delete", "--force", v.id)
	if exists(v.state("")) {
		v.t.Fatalf("round %d: the state is left", v.rounds)
	}
	for _, d := range v.cgroups {
		if exists(d) {
			v.t.Fatalf("round %d: %s is left", v.rounds, d)
		}
	}
}

// TestRootKillCreate kills create, proves from what it left where it was, and
// that the next call works.
func TestRootKillCreate(t *testing.T) {
	var trace string
	v := newVictim(t, "killed-create", func(s *specs.Spec) {
		trace = filepath.Join(t.TempDir(), "trace")
		s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "echo > " + trace}}}}
	})
	v.trace = trace
	inProcess := false
	moments := []moment{
		{"directory", func() bool { return exists(v.state("")) }, time.Millisecond},
		{"journal", func() bool { return exists(v.state("state.json")) }, time.Millisecond},
		{"first cgroup", func() bool { return exists(v.cgroups[0]) }, time.Millisecond},
		{"last cgroup", func() bool { return exists(v.cgroups[len(v.cgroups)-1]) }, time.Millisecond},
		{"socket", func() bool { return exists(v.state("start")) }, time.Millisecond},
		{"process", func() bool { inProcess = inProcess || v.occupied(); return inProcess }, time.Millisecond},
		{"hook", func() bool { return exists(trace) }, time.Millisecond},
		{"created", func() bool { return v.journal() == "created" }, time.Millisecond},
		{"any", func() bool { return v.random.IntN(400) == 0 }, time.Millisecond},
	}
	v.repeat([]string{"directory", "journal", "cgroups", "listening", "process", "hooks", "created"}, moments, func(m moment) string {
		os.Remove(trace)
		inProcess = false
		v.killAt(m, "create", "--bundle", v.bundle, v.id)
		phase := v.phase(inProcess)
		// The next create works, whatever is left, under another id and under the same.
		v.must("create", "--bundle", v.bundle, v.id+"-next")
		v.must("delete", "--force", v.id+"-next")
		if phase != "created" && v.rounds%3 == 0 {
			v.must("create", "--bundle", v.bundle, v.id)
		}
		return phase
	})
}

// phase is how far create had come: the last thing that it left.
func (v *victim) phase(inProcess bool) string {
	switch status := v.journal(); {
	case status == "created":
		return "created"
	case exists(v.trace):
		return "hooks"
	case inProcess:
		return "process"
	case exists(v.state("start")):
		return "listening"
	case v.cgroupCount() > 0:
		return "cgroups"
	case status == "creating":
		return "journal"
	case exists(v.state("")):
		return "directory"
	}
	return "nothing"
}

// TestRootKillStart kills start: the container waits still, runs, or has ended,
// and coracle knows which.
func TestRootKillStart(t *testing.T) {
	var trace string
	v := newVictim(t, "killed-start", func(s *specs.Spec) {
		trace = filepath.Join(t.TempDir(), "trace")
		hook := specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", "echo > " + trace}}
		s.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/bin/true"}}, Poststart: []specs.Hook{hook}}
	})
	executed := func() bool {
		pid := strings.TrimSpace(readFile(filepath.Join(filepath.Dir(v.root), "pid")))
		return strings.HasPrefix(readFile("/proc/"+pid+"/cmdline"), "/bin/sleep")
	}
	moments := []moment{
		{"executed", executed, time.Millisecond},
		{"at once", func() bool { return true }, time.Millisecond},
		{"some time", func() bool { return v.random.IntN(300) == 0 }, time.Millisecond},
		{"socket removed", func() bool { return !exists(v.state("start")) }, time.Millisecond},
		{"hook", func() bool { return exists(trace) }, time.Millisecond},
	}
	v.repeat([]string{"created", "running, socket left", "running", "poststart"}, moments, func(m moment) string {
		os.Remove(trace)
		v.must("create", "--bundle", v.bundle, "--pid-file", filepath.Join(filepath.Dir(v.root), "pid"), v.id)
		v.killAt(m, "start", v.id)
		status := v.status()
		switch {
		case exists(trace):
			if status != "running" {
				t.Fatalf("round %d: %s after poststart hooks", v.rounds, status)
			}
			return "poststart"
		case status == "created":
			out, err := v.run("start", v.id)
			switch s := v.status(); {
			case err == nil && s == "running":
				return "created"
			case err != nil && (s == "stopped" || s == "running"): // it had accepted the first one: it ended for want of anybody to report to, or was past that
				return s
			default:
				t.Fatalf("round %d: %s after the next start: %v %s", v.rounds, s, err, out)
			}
		case status == "running" && exists(v.state("start")):
			return "running, socket left"
		case status == "running" || status == "stopped": // the init ends when its reports reach nobody
			return status
		}
		t.Fatalf("round %d: status %q", v.rounds, status)
		return ""
	})
}

func readFile(path string) string { data, _ := os.ReadFile(path); return string(data) }

// status is what coracle says of the container. An init that is on its way from
// one to the next is asked again.
func (v *victim) status() string {
	v.t.Helper()
	_, rest, _ := strings.Cut(v.must("state", v.id), `"status": "`)
	status, _, _ := strings.Cut(rest, `"`)
	return status
}

// TestRootKillDelete kills delete --force of a running container; the next one
// takes up where it was.
func TestRootKillDelete(t *testing.T) {
	v := newVictim(t, "killed-delete")
	alive := func() bool { return v.occupied() }
	some := func() bool { return v.cgroupCount() < len(v.cgroups) }
	moments := []moment{
		{"init ended", func() bool { return !alive() }, time.Millisecond},
		{"at once", func() bool { return true }, time.Millisecond},
		{"some time", func() bool { return v.random.IntN(300) == 0 }, time.Millisecond},
		{"first cgroup gone", some, time.Millisecond},
		{"cgroups gone", func() bool { return v.cgroupCount() == 0 }, time.Millisecond},
		{"journal gone", func() bool { return !exists(v.state("state.json")) }, time.Millisecond},
	}
	v.repeat([]string{"alive", "ended", "some cgroups", "no cgroups"}, moments, func(m moment) string {
		v.must("create", "--bundle", v.bundle, v.id)
		v.must("start", v.id)
		v.killAt(m, "delete", "--force", v.id)
		switch n := v.cgroupCount(); {
		case !exists(v.state("")):
			return "done"
		case n == len(v.cgroups) && alive():
			return "alive"
		case n == len(v.cgroups):
			return "ended"
		case n > 0:
			return "some cgroups"
		}
		return "no cgroups"
	})
}
