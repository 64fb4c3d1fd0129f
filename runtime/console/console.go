// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package console is the runtime's side of a container's terminal: it hands the
// master over to an engine, or connects it with the caller's own terminal. The
// terminal itself is made by the launch program, inside the container.
package console

import (
	"time"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
)

// patience is how long an engine may take to accept a connection.
const patience = 5 * time.Second

// Send connects to the console socket of an engine and sends it the master: one
// message with exactly one descriptor.
func Send(socket string, master int) error {
	fd, err := sys.StreamConnectWithin(socket, patience)
	if err == nil {
		defer sys.Close(fd)
		err = sys.Send(fd, []byte("/dev/ptmx"), master)
	}
	if err != nil {
		return &fail.Error{Where: "--console-socket", Doing: "send the terminal to " + socket, Err: err}
	}
	return nil
}
