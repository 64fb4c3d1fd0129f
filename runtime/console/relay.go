// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package console

import (
	"io"
	"os"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
)

// A Relay connects the caller's standard input and output with the terminal of a
// container. Where they are a terminal too it is in raw mode meanwhile, so that
// ^C is a character that reaches the container, and the sizes are kept the same.
type Relay struct {
	master  *os.File
	saved   *sys.Terminal // what the caller's terminal was; nil: none
	printed chan struct{}
}

// Connect takes the master over and begins to copy.
func Connect(master int) (*Relay, error) {
	sys.SetNonblock(master) // so that Close ends a read that waits
	r := &Relay{master: os.NewFile(uintptr(master), "terminal"), printed: make(chan struct{})}
	if saved, err := sys.MakeRaw(0); err == nil {
		r.saved = saved
		r.Resize()
	} else if sys.IsTerminal(0) {
		r.master.Close()
		return nil, &fail.Error{Where: "standard input", Doing: "set the terminal to raw mode", Err: err}
	}
	go func() {
		io.Copy(os.Stdout, r.master) // ends with EIO when the last process has closed it
		close(r.printed)
	}()
	go func() {
		io.Copy(r.master, os.Stdin)
		if r.saved == nil { // end of a pipe: what a terminal says then is ^D
			r.master.Write([]byte{4})
		}
	}()
	return r, nil
}

// Resize gives the container's terminal the size of ours.
func (r *Relay) Resize() {
	if r.saved != nil {
		sys.CopySize(int(r.master.Fd()), 0)
	}
}

// Close prints what is left and restores the caller's terminal.
func (r *Relay) Close() {
	<-r.printed
	r.master.Close()
	if r.saved != nil {
		r.saved.Restore()
	}
}
