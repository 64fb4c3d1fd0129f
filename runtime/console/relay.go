// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package console

import (
	"io"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
)

// A Relay connects the caller's standard input and output with the terminal of a
// container. Where they are a terminal too it is in raw mode meanwhile, so that
// ^C is a character that reaches the container, and the sizes are kept the same.
type Relay struct {
	master  *os.File
	fd      int           // of master; its method Fd would make it blocking
	saved   *sys.Terminal // what the caller's terminal was; nil: none
	ended   atomic.Bool   // the container's init has
	printed chan struct{}
}

// What is read when the init has ended is what it has left behind: no more than
// a terminal holds, and it is there within a moment.
const (
	moment = 200 * time.Millisecond
	rest   = 1 << 20
)

// Connect takes the master over and begins to copy.
func Connect(master int) (*Relay, error) {
	sys.SetNonblock(master) // so that reads can be given a time
	r := &Relay{master: os.NewFile(uintptr(master), "terminal"), fd: master, printed: make(chan struct{})}
	if saved, err := sys.MakeRaw(0); err == nil {
		r.saved = saved
		r.Resize()
	} else if sys.IsTerminal(0) {
		r.master.Close()
		return nil, &fail.Error{Where: "standard input", Doing: "set the terminal to raw mode", Err: err}
	}
	// A closed standard output is to be an error of write(2), not our end.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	go r.print(os.Stdout)
	go func() {
		io.Copy(r.master, os.Stdin)
		if r.saved == nil { // end of a pipe: what a terminal says then is ^D
			r.master.Write([]byte{4})
		}
	}()
	return r, nil
}

// print copies what the container says until the last process that has the
// terminal is gone (EIO) or, once the init has ended, nothing more comes: others
// may keep the terminal open for ever. Output that nobody takes is dropped, so
// that the container does not stand still.
func (r *Relay) print(out io.Writer) {
	defer close(r.printed)
	buf := make([]byte, 32<<10)
	for left := rest; left > 0; {
		if r.ended.Load() {
			r.master.SetReadDeadline(time.Now().Add(moment))
		}
		n, err := r.master.Read(buf)
		out.Write(buf[:n])
		if r.ended.Load() {
			left -= n
		}
		if err != nil {
			return
		}
	}
}

// Resize gives the container's terminal the size of ours.
func (r *Relay) Resize() {
	if r.saved != nil {
		sys.CopySize(r.fd, 0)
	}
}

// Close prints what is left and restores the caller's terminal. The init has ended.
// Who reads our output may take it as slowly as it likes; it is not waited for any more
// when stop says so, which is asked again and again.
func (r *Relay) Close(stop func() bool) {
	r.ended.Store(true)
	r.master.SetReadDeadline(time.Now().Add(moment))
	for done := false; !done; {
		select {
		case <-r.printed:
			done = true
		case <-time.After(moment):
			done = stop()
		}
	}
	r.master.Close()
	if r.saved != nil {
		r.saved.Restore()
	}
}

// Size gives the terminal of a container that has not begun the size of the
// caller's, if there is one: the program must not see it change.
func Size(master int) { sys.CopySize(master, 0) }
