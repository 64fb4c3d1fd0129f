// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package recorder answers for the seccomp filter of a container whose calls are
// recorded: it is the agent at linux.seccomp.listenerPath, in coracle's own process.
//
// Whatever process is to get the filter, that of run or one of exec, brings its
// listener, over which the kernel asks about each call that it and its children make.
// What is answered, and what comes of it, package seccomp says. Package cli calls it.
package recorder

import (
	"errors"
	"os"
	"runtime"
	"slices"
	"strconv"
	"syscall"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/seccomp"
)

// A Recorder is running until it is stopped. Then its recording is the caller's.
type Recorder struct {
	Socket string // where it listens

	recording *seccomp.Recording
	path      int // a descriptor of the socket's inode, which no directory has
	stopper   int // hanging up here stops it
	done      chan struct{}
}

// A source is a descriptor with something to do when it can be read.
type source struct {
	fd   int
	read func(*server, int) bool // false: it is at its end
}

// A server is what the recorder's goroutine has.
type server struct {
	recording *seccomp.Recording
	sources   []source // the first ends it
}

// Start begins to listen.
func Start(recording *seccomp.Recording) (*Recorder, error) {
	r := &Recorder{recording: recording, path: -1, done: make(chan struct{})}
	listener, err := r.listen()
	stopped := -1
	if err == nil {
		r.stopper, stopped, err = sys.SeqPacketPair()
	}
	if err != nil {
		sys.Close(listener)
		sys.Close(r.path)
		return nil, &fail.Error{Doing: "listen for seccomp filters", Err: err}
	}
	s := &server{recording: recording, sources: []source{{fd: stopped}, {listener, (*server).accept}}}
	go func() {
		runtime.LockOSThread() // which ends with it
		s.serve()
		close(r.done)
	}()
	return r, nil
}

// listen makes a socket that has a path although it lies in no directory, so that
// nothing is left behind by a coracle that is killed.
func (r *Recorder) listen() (listener int, err error) {
	dir, err := os.MkdirTemp("", "coracle-")
	if err != nil {
		return -1, err
	}
	defer os.RemoveAll(dir)
	at, err := sys.OpenDir(dir)
	if err != nil {
		return -1, err
	}
	defer sys.Close(at)
	if listener, err = sys.StreamListen(at, "agent"); err != nil {
		return -1, err
	}
	if r.path, err = sys.OpenAt(at, "agent", linux.O_PATH|linux.O_CLOEXEC, 0); err != nil {
		return listener, err
	}
	r.Socket = "/proc/" + strconv.Itoa(os.Getpid()) + "/fd/" + strconv.Itoa(r.path)
	return listener, nil
}

// Stop ends it. Processes that are left get ENOSYS for every call.
func (r *Recorder) Stop() {
	sys.Close(r.stopper)
	<-r.done
	sys.Close(r.path)
}

// serve reads from all sources until it is stopped.
func (s *server) serve() {
	for {
		poll := make([]linux.PollFd, len(s.sources))
		for i := range s.sources {
			poll[i] = linux.PollFd{Fd: int32(s.sources[i].fd), Events: linux.POLLIN}
		}
		if _, err := sys.Poll(-1, poll); err != nil || poll[0].Revents != 0 {
			break
		}
		for i := len(poll) - 1; i > 0; i-- {
			// A listener of which only the end is told must not be read: before Linux 6.11
			// that takes for ever.
			from, events := s.sources[i], poll[i].Revents
			if events != 0 && (events&linux.POLLIN == 0 || !from.read(s, from.fd)) {
				sys.Close(from.fd)
				s.sources = slices.Delete(s.sources, i, i+1)
			}
		}
	}
	for _, left := range s.sources {
		sys.Close(left.fd)
	}
}

// accept takes a connection of whoever has a listener of a filter.
func (s *server) accept(fd int) bool {
	if conn, err := sys.Accept(fd); err == nil {
		s.sources = append(s.sources, source{conn, (*server).receive})
	}
	return true
}

// receive reads from a connection: the state of a container, which is known, and
// with its first byte the listener.
func (s *server) receive(conn int) bool {
	n, fds, err := sys.Receive(conn, make([]byte, 4096))
	for _, fd := range fds {
		sys.SeccompPrompt(fd) // who cannot have that loses more calls to signals
		s.sources = append(s.sources, source{fd, (*server).answer})
	}
	return err == nil && n > 0
}

// answer answers one call. A listener is at its end when the last process with its
// filter is gone; ENOENT is a process that was killed while it asked, or, without
// WAIT_KILLABLE_RECV, got a signal. One that gets it before its call is received is
// never seen here: it gets EINTR, or makes the call again and is asked about again.
func (s *server) answer(listener int) bool {
	c, err := sys.SeccompReceive(listener)
	if err != nil {
		return errors.Is(err, syscall.ENOENT)
	}
	a := sys.SeccompAnswer{ID: c.ID}
	if happens, errno := s.recording.Answer(seccomp.Data{Number: c.Number, Arch: c.Arch, Pointer: c.Pointer, Args: c.Args}); happens {
		a.Flags = sys.SeccompContinue
	} else {
		a.Errno = -int32(errno)
	}
	err = sys.SeccompRespond(listener, a)
	return err == nil || errors.Is(err, syscall.ENOENT)
}
