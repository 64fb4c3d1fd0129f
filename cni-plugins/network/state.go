// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package network

import (
	"encoding/json"
	"io"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
)

// FromState reads the state that an OCI runtime gives its hooks on standard
// input (runtime-spec, "State"). A container that runs has a network namespace;
// of a stopped one only the id counts.
func FromState(r io.Reader, running bool) (Container, error) {
	var state specs.State
	const where = "standard input"
	if err := json.NewDecoder(io.LimitReader(r, 1<<20)).Decode(&state); err != nil {
		return Container{}, &fail.Error{Where: where, Doing: "read the container's state", Err: err,
			Hint: "a runtime's hook gets it there; by hand use --id and --netns"}
	}
	if state.ID == "" {
		return Container{}, fail.At(where+" id", "is missing")
	}
	if !running {
		return Container{ID: state.ID}, nil
	}
	if state.Pid <= 0 {
		return Container{}, fail.At(where+" pid", "the container has no process")
	}
	return Container{ID: state.ID, Netns: "/proc/" + strconv.Itoa(state.Pid) + "/ns/net"}, nil
}
