// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// An event is a line of "events".
type event struct {
	Type string
	ID   string
	Data struct {
		Code   *int
		Signal string
		Count  int
		CPU    struct {
			Usage struct{ Total uint64 }
			PSI   *struct{ Some struct{ Total uint64 } }
		}
		Memory struct {
			Usage struct{ Limit, Usage uint64 }
			Raw   map[string]uint64
		}
		Pids  struct{ Current, Limit uint64 }
		Usage struct {
			CPU uint64 `json:"cpuNanoseconds"`
		}
	}
}

// events starts the stream and returns where its lines come.
func (v vessel) events(t *testing.T, interval string) (*exec.Cmd, chan event) {
	t.Helper()
	c := v.command("events", "--interval", interval, v.id)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	lines := make(chan event, 1000)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(out); in.Scan(); {
			var e event
			if err := json.Unmarshal(in.Bytes(), &e); err != nil || e.ID != v.id {
				t.Errorf("%v: %s", err, in.Text())
			}
			lines <- e
		}
	}()
	waitFor(t, "somebody who watches", func() bool {
		fds, _ := filepath.Glob("/proc/" + itoa(c.Process.Pid) + "/fd/*")
		names := ""
		for _, fd := range fds {
			name, _ := os.Readlink(fd)
			names += name + "\n"
		}
		return strings.Contains(names, "inotify") && strings.Contains(names, "/pids.events")
	})
	return c, lines
}

// expectEvent waits for the next event, which must be of the type.
func expectEvent(t testing.TB, lines chan event, kind string) event {
	t.Helper()
	select {
	case e, ok := <-lines:
		if !ok || e.Type != kind {
			t.Fatalf("got %+v, want %s", e, kind)
		}
		return e
	case <-time.After(time.Minute):
		t.Fatalf("no %s", kind)
	}
	return event{}
}

// TestRootEvents: everything that happens is told when it does, and the last line
// is the end.
func TestRootEvents(t *testing.T) {
	testkit.NoLeaks(t)
	becomeSubreaper(t) // before Linux 6.15 the exit status can be seen until it is reaped
	v := newVessel(t, func(s *specs.Spec) {
		s.Process.Args = []string{"/bin/sh", "-c", "while [ ! -e /go ]; do sleep 0.05; done; (for i in 1 2 3 4 5 6 7 8; do sleep 1 & done); read end < /end; exit 4"}
		s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](5)}}
	})
	must(t, unix.Mkfifo(v.rootfs("end"), 0o600))
	v.create()
	c, lines := v.events(t, "1h")
	v.quiet("start", v.id)
	expectEvent(t, lines, "start")
	v.quiet("pause", v.id)
	expectEvent(t, lines, "freeze")
	v.quiet("resume", v.id)
	expectEvent(t, lines, "thaw")
	v.write("go", "", 0o644)
	if e := expectEvent(t, lines, "pids.max"); e.Data.Count < 1 {
		t.Errorf("got %+v", e)
	}
	must(t, os.WriteFile(v.rootfs("end"), nil, 0)) // the container has run until now
	if e := expectEvent(t, lines, "exit"); e.Data.Code == nil || *e.Data.Code != 4 || e.Data.Usage.CPU == 0 {
		t.Errorf("got %+v", e)
	}
	if e, more := <-lines; more {
		t.Errorf("behind the end: %+v", e)
	}
	must(t, c.Wait())
	v.reap()
	if exit := v.exit(); exit.Code == nil || *exit.Code != 4 {
		t.Errorf("it was not kept: %+v", exit)
	}
	expectError(t, v.coracle("events", v.id), "container not running")
	expectError(t, v.coracle("events", "--stats", v.id), "container not running")
	expectError(t, v.coracle("events", "--interval", "0s", v.id), "--interval")
}

// TestRootEventsShort: a container that ends at once was started all the same, and
// one that is killed before was not.
func TestRootEventsShort(t *testing.T) {
	testkit.NoLeaks(t)
	for name, want := range map[string][]string{"start": {"start", "exit"}, "kill": {"exit"}} {
		v := newVessel(t)
		v.create()
		c, lines := v.events(t, "1h")
		if name == "start" {
			v.quiet("start", v.id)
		} else {
			v.quiet("kill", v.id, "KILL")
		}
		var got []string
		for e := range lines {
			got = append(got, e.Type)
		}
		must(t, c.Wait())
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// TestRootEventsMemory: out of memory, and on v2 slowed down before that.
func TestRootEventsMemory(t *testing.T) {
	testkit.NoLeaks(t)
	v := started(t, noNamespace(specs.PIDNamespace), func(s *specs.Spec) {
		s.Process.Args = []string{"/bin/sh", "-c", `while [ ! -e /go ]; do sleep 0.05; done; (s=$(dd if=/dev/zero bs=1k count=20480 2>/dev/null | tr '\0' x)); sleep 1; exit 5`}
		s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](16 << 20)}}
	})
	_, v1 := os.Stat("/sys/fs/cgroup/memory")
	if v1 != nil {
		v.update(`{"unified":{"memory.high":"15728640"}}`)
	}
	c, lines := v.events(t, "1h")
	v.write("go", "", 0o644)
	seen := map[string]bool{}
	for e := range lines {
		seen[e.Type] = true
	}
	must(t, c.Wait())
	if !seen["oom"] || !seen["exit"] || seen["memory.high"] != (v1 != nil) {
		t.Errorf("got %v", seen)
	}
}

// TestRootEventsStats: the figures are those of the cgroup, once or again and
// again, and in names that runc's users know.
func TestRootEventsStats(t *testing.T) {
	testkit.NoLeaks(t)
	v := started(t, func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](64 << 20)}, Pids: &specs.LinuxPids{Limit: ptr[int64](7)}}
	})
	var e event
	got := v.coracle("events", "--stats", v.id)
	must(t, json.Unmarshal([]byte(got.stdout), &e))
	d := e.Data
	if e.Type != "stats" || e.ID != v.id || strings.Count(got.stdout, "\n") != 1 || d.CPU.Usage.Total == 0 || d.Memory.Usage.Limit != 64<<20 ||
		d.Memory.Usage.Usage == 0 || len(d.Memory.Raw) < 10 || d.Pids.Current != 1 || d.Pids.Limit != 7 {
		t.Errorf("got %s", got.stdout)
	}
	if _, err := os.Stat("/proc/pressure/cpu"); err == nil && d.CPU.PSI == nil {
		t.Error("no pressure")
	}
	for _, key := range []string{`"cpu":{"usage":{"total":`, `"throttling":{`, `"cpuset":{`, `"cpu_exclusive":0`, `"memory":{`, `"swap":{`, `"kernelTCP":{`, `"raw":{`, `"pids":{"current":1,"limit":7}`, `"blkio":{`, `"hugetlb":{`, `"intel_rdt":{}`, `"network_interfaces":`} {
		if !strings.Contains(got.stdout, key) {
			t.Errorf("no %s in %s", key, got.stdout)
		}
	}
	c, lines := v.events(t, "50ms")
	for range 3 {
		expectEvent(t, lines, "stats")
	}
	v.quiet("delete", "--force", v.id)
	for last := range lines {
		e = last
	}
	must(t, c.Wait())
	if e.Type != "exit" {
		t.Errorf("the last one is %+v", e)
	}
}

// TestRootTop: a table or JSON of all containers, with rates and peaks.
func TestRootTop(t *testing.T) {
	testkit.NoLeaks(t)
	busy := started(t, testkit.Args("/bin/sh", "-c", "while :; do :; done"))
	lazy := sameBundle(t, busy.bundle)
	lazy.state = busy.state
	t.Cleanup(func() { lazy.coracle("delete", "--force", lazy.id) })
	lazy.edit(sleeper)
	lazy.create()
	got := busy.coracle("top", "--count", "2", "--interval", "200ms")
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	if got.code != 0 || len(lines) != 6 || !strings.HasPrefix(lines[0], "ID ") || strings.Fields(lines[1])[0] != busy.id || strings.Fields(lines[2])[1] != "created" {
		t.Fatalf("got %+v", got)
	}
	if got := busy.coracle("top", "--sort", "id", "--interval", "50ms"); strings.Count(got.stdout, "\n") != 3 {
		t.Errorf("got %+v", got)
	}
	var rows []struct {
		ID         string
		CPUPercent float64 `json:"cpuPercent"`
		Usage      struct {
			Pids   int
			Memory uint64 `json:"memoryBytes"`
		}
	}
	must(t, json.Unmarshal([]byte(busy.coracle("top", "--format", "json", "--interval", "500ms").stdout), &rows))
	if len(rows) != 2 || rows[0].ID != busy.id || rows[0].CPUPercent < 5 || rows[1].CPUPercent > 5 || rows[0].Usage.Pids != 1 || rows[0].Usage.Memory == 0 {
		t.Errorf("got %+v", rows)
	}
	expectError(t, busy.coracle("top", "--sort", "x"), `--sort: unknown column "x"`)
	expectError(t, busy.coracle("top", "--interval", "-1s"), "--interval")
}

// TestRootTopTerminal: on a terminal the table is drawn anew in its place, within
// the edges, until it is interrupted.
func TestRootTopTerminal(t *testing.T) {
	testkit.NoLeaks(t)
	v := started(t)
	p := newPerson(t, 10, 20)
	c := v.command("top", "--interval", "100ms", "--count", "3")
	p.runs(c)
	head := "ID" + strings.Repeat(" ", 18)
	p.expects("\x1b[H" + head + "\x1b[K\r\n" + v.id[:len("coracle-test")])
	p.expects("\x1b[J\x1b[H" + head)
	must(t, c.Wait())
	endless := v.command("top", "--interval", "50ms")
	p.runs(endless)
	for range 5 {
		p.expects("\x1b[J\x1b[H" + head)
	}
	p.types("\x03")
	if err := endless.Wait(); err == nil || !strings.Contains(err.Error(), "interrupt") {
		t.Errorf("got %v", err)
	}
}
