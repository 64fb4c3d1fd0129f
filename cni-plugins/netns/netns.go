// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package netns opens netlink sockets and files in another network namespace.
// It is the only package that changes the namespace of a thread.
package netns

import (
	"errors"
	"io/fs"
	"os"
	"runtime"

	"github.com/coracle-oci/coracle/internal/sys"
)

// A Namespace is an open network namespace.
type Namespace struct {
	fd  int
	own *Namespace // that of this program, once it is needed
}

// Open opens the namespace at path; what is there must be one.
func Open(path string) (*Namespace, error) {
	fd, err := sys.OpenNetns(path)
	if err != nil {
		return nil, err
	}
	return &Namespace{fd: fd}, nil
}

// Gone tells whether the error of [Open] says that there is no namespace: no
// file at all, or one that is not a namespace (any more).
func Gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, sys.ErrNotNetns) }

// FD is the descriptor, for requests that move a link there.
func (n *Namespace) FD() int { return n.fd }

// Close closes the namespace.
func (n *Namespace) Close() error {
	if n.own != nil {
		n.own.Close()
	}
	return sys.CloseNetns(n.fd)
}

// home is the namespace that this program runs in. Between calls of [Namespace.Do]
// all threads that run are there.
func (n *Namespace) home() (*Namespace, error) {
	if n.own != nil {
		return n.own, nil
	}
	own, err := Open("/proc/thread-self/ns/net")
	n.own = own
	return own, err
}

// IsOwn tells whether the namespace is the one that this program runs in.
func (n *Namespace) IsOwn() (bool, error) {
	mine, err := n.home()
	if err != nil {
		return false, err
	}
	return sys.SameNetns(n.fd, mine.fd)
}

// Do calls f inside the namespace. f must not start goroutines: only this
// thread is there. Sockets that f opens stay there.
//
// A thread that cannot come back is not given to other goroutines: it stays
// locked, and ends with this one.
func (n *Namespace) Do(f func() error) error {
	runtime.LockOSThread()
	mine, err := n.home()
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	if err := sys.SetNetns(n.fd); err != nil {
		runtime.UnlockOSThread()
		return &os.PathError{Op: "setns", Path: "CNI_NETNS", Err: err}
	}
	err = f()
	if back := sys.SetNetns(mine.fd); back != nil {
		return errors.Join(err, &os.PathError{Op: "setns", Path: "/proc/thread-self/ns/net", Err: back})
	}
	runtime.UnlockOSThread()
	return err
}
