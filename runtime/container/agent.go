// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"encoding/json"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/runtime/config"
)

// An Agent is who answers the calls that a seccomp filter asks about.
type Agent struct {
	Socket   string `json:"socket"`
	Metadata string `json:"metadata,omitempty"`
}

// agentPatience is how long an agent may take to accept a connection and to read
// what it is sent.
const agentPatience = 5 * time.Second

// connect reaches the agent; where there is none it returns -1.
func (a *Agent) connect() (int, error) {
	if a == nil {
		return -1, nil
	}
	fd, err := sys.StreamConnectWithin(a.Socket, agentPatience)
	if err != nil {
		return -1, agentError("connect to the seccomp agent at "+a.Socket, err)
	}
	return fd, nil
}

// handOver gives the agent the listener of a filter, and says what container it is
// of: config-linux.md, "The Container Process State". A connection is for one
// state, and ends with it. Then the process, at the end of conn, may go on.
func (s *State) handOver(agent, listener, conn, pid int, status Status) error {
	defer sys.Close(listener)
	text, err := json.Marshal(specs.ContainerProcessState{Version: specs.Version, Fds: []string{specs.SeccompFdName},
		Pid: pid, Metadata: s.Agent.Metadata, State: s.OCI(status, s.PID)})
	if err == nil {
		err = sys.SendAll(agent, text, listener)
	}
	sys.Close(agent)
	if err != nil {
		return agentError("send the listener to the seccomp agent at "+s.Agent.Socket, err)
	}
	return sys.Send(conn, []byte{1})
}

// silent is the error for a launch program that has said nothing for long. What it
// does last is to execute the container's program, and the agent may be asked about that.
func (s *State) silent(pid int, last bool) error {
	if last && s.Agent != nil {
		return agentError("wait for the seccomp agent at "+s.Agent.Socket+", which has not answered for "+itoa(patience/1000)+" s", syscall.ETIMEDOUT)
	}
	return stuck(pid)
}

func agentError(doing string, err error) error {
	return &fail.Error{Where: config.Name + " linux.seccomp.listenerPath", Doing: doing, Err: err, Hint: hintFor(doing, err)}
}
