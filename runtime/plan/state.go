// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import "strconv"

// StateDir stands for the directory of the container's state in the paths of
// host steps, as "PID" does for its process: plan does not know where it lies.
const StateDir = "STATE"

// NotifyDir is the directory in it that the container gets, with a socket that it
// can tell a service manager by.
const NotifyDir = "notify"

// journal is what is on disk before anything else is touched: whatever becomes
// of create from here on, delete knows what there is to remove.
func (c *compiler) journal() {
	c.host(HostStep{Do: MakeState, Path: StateDir, Doing: "make the directory of the state"})
	c.host(HostStep{Do: KeepConfig, Path: StateDir + "/config.json", Doing: "keep the config"})
	c.host(HostStep{Do: WriteState, Path: StateDir + "/state.json", Value: "creating", Doing: "write the journal"})
	if c.Notify {
		c.host(HostStep{Do: MakeNotify, Path: StateDir + "/" + NotifyDir, Doing: "make the directory for sd_notify", From: "NOTIFY_SOCKET"})
	}
}

// recordCreated is what makes the container one that start will find. The pid
// file comes after it: who sees that may ask for the state.
func (c *compiler) recordCreated() {
	c.host(HostStep{At: AtCreated, Do: WriteState, Path: StateDir + "/state.json", Value: "created", Doing: "write that all is made"})
	c.sendPIDFD(AtCreated)
	if c.PIDFile != "" {
		c.host(HostStep{At: AtCreated, Do: WritePIDFile, Path: c.PIDFile, Doing: "write the pid", From: "--pid-file"})
	}
}

// meanwhile is what the parent does while the program makes mounts: a file says that
// it is not started where no socket does, and the state is written of which then only
// the name is left to be changed.
func (c *compiler) meanwhile() {
	if c.plan.Starts {
		c.host(HostStep{Do: MakeMark, Path: StateDir + "/start", Doing: "note that it is not started"})
	}
	if !c.plan.Clones { // its pid is in it
		c.host(HostStep{Do: DraftState, Path: StateDir + "/state.json.new", Value: "created", Doing: "prepare to write that all is made"})
	}
}

// recordStarted is what start does: it connects before the launch program goes
// on, and does the rest when the container's program runs.
func (c *compiler) recordStarted() {
	c.agent(AtStart)
	if !c.plan.Starts {
		c.host(HostStep{At: AtStart, Do: Connect, Path: StateDir + "/start", Doing: "let the launch program go on"})
	}
	c.host(HostStep{At: AboutToRun, Do: RemoveSocket, Path: StateDir + "/start", Doing: "remove the socket of start"})
	if h := c.spec.Hooks; h != nil {
		for i := range h.Poststart {
			c.host(HostStep{At: AboutToRun, Do: RunHook, Hook: &h.Poststart[i], Value: "running", Doing: "run " + h.Poststart[i].Path, From: index("hooks.poststart", i)})
		}
	}
}

// Journal tells whether a step is one of those that stand before all others.
func (k HostKind) Journal() bool {
	return k == MakeState || k == KeepConfig || k == WriteState || k == MakeNotify
}

// recordCall is such a step as people read it.
func (h *HostStep) recordCall() string {
	switch h.Do {
	case MakeState, MakeNotify:
		return "mkdir " + h.Path
	case KeepConfig:
		return "write " + h.Path
	case MakeMark:
		return "make " + h.Path
	case WriteState, DraftState:
		return "write " + h.Path + " " + strconv.Quote(h.Value)
	case WritePIDFile:
		return "write " + h.Path + " PID"
	case ConnectAgent:
		return "connect " + h.Path
	case SendListener:
		return "send the state and the listener to " + h.Path
	case SendTerminal:
		return "send the terminal to " + h.Path
	case Connect:
		return "connect " + h.Path
	case RemoveSocket:
		return "unlink " + h.Path
	}
	return "unknown"
}
