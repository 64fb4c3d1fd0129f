// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package netns opens netlink sockets and files in another network namespace.
package netns

import (
	"errors"
	"io/fs"

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

// home is the namespace that this program runs in, with all its threads.
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

// Socket opens a netlink socket in the namespace.
func (n *Namespace) Socket(protocol int) (int, error) {
	mine, err := n.home()
	if err != nil {
		return -1, err
	}
	return sys.NetlinkSocketIn(n.fd, mine.fd, protocol)
}

// OpenFile opens a file as the namespace sees it.
func (n *Namespace) OpenFile(path string, flags int) (int, error) {
	mine, err := n.home()
	if err != nil {
		return -1, err
	}
	return sys.OpenInNetns(n.fd, mine.fd, path, flags)
}
