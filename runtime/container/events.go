// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/stats"
)

// An Event is one line of "events". stats and oom are runc's.
type Event struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Data any    `json:"data,omitempty"`
}

// Stats reads all that the cgroups of a container that runs can tell.
func (s Store) Stats(id string) (Event, error) {
	state, err := s.Look(id)
	if err != nil {
		return Event{}, err
	}
	if now := state.Now(); now == Stopped || now == Creating {
		return Event{}, &fail.Error{Where: id, Err: ErrNotRunning}
	}
	return Event{"stats", id, stats.New(state.Cgroups).Stats(state.PID)}, nil
}

// Events tells what happens to a container until it ends: start, exit, oom,
// freeze, thaw, pids.max and memory.high when they happen, and stats after each
// interval. It sleeps on the kernel's own notices and, where these do not tell of
// all, wakes up by itself.
func (s Store) Events(id string, interval time.Duration, emit func(Event) error) error {
	w, err := s.watch(id)
	if err != nil {
		return err
	}
	defer w.close()
	next := time.Now().Add(interval)
	for {
		fds := w.pollList()
		if _, err := sys.Poll(max(0, min(time.Until(next), w.longest)), fds); err != nil {
			return &fail.Error{Where: id, Doing: "wait for events", Err: err}
		}
		for _, e := range w.happened(fds) {
			if err := emit(e); err != nil {
				return err
			}
		}
		if fds[0].Revents != 0 {
			return w.last(emit)
		}
		if !time.Now().Before(next) {
			next = time.Now().Add(interval)
			if err := emit(Event{"stats", id, w.reader.Stats(w.state.PID)}); err != nil {
				return err
			}
		}
	}
}

// A watcher has open what gives notice of a container.
type watcher struct {
	store   Store
	state   *State
	reader  *stats.Reader
	pidFD   int
	oomFD   int // v1: out of memory; -1 without
	inotify int
	files   []watchedFile
	created bool   // it has not been started yet
	freezer string // v1's file, which gives notice of who writes to it; "" without
	frozen  bool
	longest time.Duration // that it may sleep
}

// deafSleep is how late it may be told what the kernel gives no notice of.
const deafSleep = time.Second / 2

// A watchedFile is a file of counters. The kernel gives notice of them (POLLPRI),
// but not of v1's pids.events, at least since Linux 6.11.
type watchedFile struct {
	fd     int
	counts map[string]uint64
	events []told
}

// notices are the files with the counters that are told, and the events' names.
var notices = [...]struct {
	file   string
	events []told
}{
	{"cgroup.events", nil}, // frozen
	{"memory.events", []told{{"oom_kill", "oom"}, {"high", "memory.high"}}},
	{"pids.events", []told{{"max", "pids.max"}}},
}

// told is a counter, and the event when it grows.
type told struct{ counter, event string }

// watch opens everything. The counters are read here: only what changes is told.
func (s Store) watch(id string) (w *watcher, err error) {
	state, err := s.Look(id)
	if err != nil {
		return nil, err
	}
	made := &watcher{store: s, state: state, reader: stats.New(state.Cgroups), pidFD: -1, oomFD: -1, inotify: -1, longest: math.MaxInt64}
	w = made
	defer func() {
		if err != nil {
			made.close()
		}
	}()
	if w.pidFD, err = sys.PidfdOpen(state.PID); err != nil || !state.alive() {
		return nil, &fail.Error{Where: id, Err: ErrNotRunning}
	}
	if w.inotify, err = sys.Inotify(); err != nil {
		return nil, &fail.Error{Where: id, Doing: "watch it", Err: err}
	}
	if _, err = sys.Watch(w.inotify, state.dir, linux.IN_DELETE); err != nil {
		return nil, &fail.Error{Where: id, Doing: "watch its state", Err: err}
	}
	w.created = state.waits()
	for _, dir := range state.Cgroups {
		w.open(dir)
	}
	w.frozen = w.isFrozen()
	return w, nil
}

// open adds what a directory has.
func (w *watcher) open(dir string) {
	v1 := false
	for _, n := range notices {
		fd, err := sys.OpenFile(dir + "/" + n.file)
		if err != nil {
			v1 = v1 || n.file == "cgroup.events"
			continue
		}
		f := watchedFile{fd: fd, events: n.events}
		f.counts = f.read()
		w.files = append(w.files, f)
		if n.file == "pids.events" && v1 {
			w.longest = deafSleep
		}
	}
	if fd, err := sys.OOMNotice(dir); err == nil {
		w.oomFD = fd
	}
	if _, err := sys.Watch(w.inotify, dir+"/freezer.state", linux.IN_MODIFY); err == nil {
		w.freezer = dir + "/freezer.state"
	}
}

func (w *watcher) close() {
	for _, fd := range append([]int{w.pidFD, w.oomFD, w.inotify}, w.fds()...) {
		sys.Close(fd)
	}
}

func (w *watcher) fds() (fds []int) {
	for _, f := range w.files {
		fds = append(fds, f.fd)
	}
	return fds
}

// pollList has the pidfd first, then inotify, the eventfd and the files.
func (w *watcher) pollList() []linux.PollFd {
	list := []linux.PollFd{{Fd: int32(w.pidFD), Events: linux.POLLIN}, {Fd: int32(w.inotify), Events: linux.POLLIN}, {Fd: int32(w.oomFD), Events: linux.POLLIN}}
	for _, fd := range w.fds() {
		list = append(list, linux.PollFd{Fd: int32(fd), Events: linux.POLLPRI})
	}
	return list
}

// happened returns the events that the descriptors stand for. All counters are
// looked at, whatever woke it up.
func (w *watcher) happened(fds []linux.PollFd) (events []Event) {
	ended := fds[0].Revents != 0
	if fds[1].Revents != 0 {
		_, _ = sys.FileEvents(w.inotify) // what they are about is looked at below
		if w.created && !w.state.waits() && w.state.alive() {
			w.created = false
			events = append(events, w.event("start", nil))
		}
	}
	if fds[2].Revents&linux.POLLIN != 0 {
		sys.Drain(w.oomFD)
		if w.reader.Usage().Memory > 0 || !ended { // also given when the cgroup goes
			events = append(events, w.event("oom", nil))
		}
	}
	for i := range w.files {
		events = append(events, w.counted(&w.files[i])...)
	}
	if now := w.isFrozen(); now != w.frozen && !ended {
		w.frozen = now
		events = append(events, w.event(map[bool]string{true: "freeze", false: "thaw"}[now], nil))
	}
	return events
}

// counted returns an event for each counter that has grown.
func (w *watcher) counted(f *watchedFile) (events []Event) {
	now := f.read()
	for _, e := range f.events {
		if more := now[e.counter] - f.counts[e.counter]; now[e.counter] > f.counts[e.counter] {
			events = append(events, w.event(e.event, map[string]uint64{"count": more}))
		}
	}
	if now != nil {
		f.counts = now
	}
	return events
}

// read reads the counters from the beginning; that also ends the notice. nil: the
// cgroup is gone.
func (f *watchedFile) read() map[string]uint64 {
	data, err := sys.ReadAt(f.fd, 4096)
	if err != nil {
		return nil
	}
	counts := map[string]uint64{}
	for line := range bytes.Lines(data) {
		name, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		counts[string(name)], _ = strconv.ParseUint(string(value), 10, 64)
	}
	return counts
}

// isFrozen asks both freezers.
func (w *watcher) isFrozen() bool {
	for _, f := range w.files {
		if f.counts["frozen"] == 1 {
			return true
		}
	}
	if w.freezer == "" {
		return false
	}
	data, err := sys.ReadInto(make([]byte, 0, 16), w.freezer)
	return err == nil && !bytes.HasPrefix(data, []byte("THAWED"))
}

func (w *watcher) event(kind string, data any) Event { return Event{kind, w.state.ID, data} }

// last tells the end. Whether a container was started that ended at once is known
// when start has let go of the lock: it removes its socket before.
func (w *watcher) last(emit func(Event) error) error {
	exit := &Exit{Time: time.Now().UTC(), Usage: w.reader.Usage()}
	if status, ok := sys.ExitStatus(w.pidFD, w.state.PID); ok {
		exit = w.store.keep(w.state.ID, w.state.ended(syscall.WaitStatus(status)))
	}
	if w.created {
		// A start that is still at work has yet to remove its socket.
		if s, err := w.store.Open(w.state.ID, Exclusive); err == nil {
			s.Close()
		}
		if _, err := os.Lstat(filepath.Join(w.state.dir, startSocket)); errors.Is(err, os.ErrNotExist) {
			if err := emit(w.event("start", nil)); err != nil {
				return err
			}
		}
	}
	return emit(w.event("exit", exit))
}
