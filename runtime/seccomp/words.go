// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

import (
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// The flags of seccomp(2), linux/seccomp.h.
const (
	FlagTSync        = 1 << 0
	FlagLog          = 1 << 1
	FlagSpecAllow    = 1 << 2
	FlagNewListener  = 1 << 3
	FlagTSyncESRCH   = 1 << 4
	FlagWaitKillable = 1 << 5
)

func flagBit(name specs.LinuxSeccompFlag) uint32 {
	switch name {
	case specs.LinuxSeccompFlagLog:
		return FlagLog
	case specs.LinuxSeccompFlagSpecAllow:
		return FlagSpecAllow
	case specs.LinuxSeccompFlagWaitKillableRecv:
		return FlagWaitKillable
	}
	return FlagTSync
}

// LoadFlags returns the flags for seccomp(2): with a listener if there is
// something to listen to. Only then the kernel takes WAIT_KILLABLE_RECV; and with
// one, TSYNC must say how it fails in another way than by a thread's id.
func (p *Profile) LoadFlags() (flags uint32, text string) {
	flags = p.Flags
	switch {
	case !p.Notifies:
		flags &^= FlagWaitKillable
	case flags&FlagTSync != 0:
		flags |= FlagNewListener | FlagTSyncESRCH
	default:
		flags |= FlagNewListener
	}
	for i, name := range [...]string{"TSYNC", "LOG", "SPEC_ALLOW", "NEW_LISTENER", "TSYNC_ESRCH", "WAIT_KILLABLE_RECV"} {
		if flags&(1<<i) != 0 {
			if text != "" {
				text += "|"
			}
			text += name
		}
	}
	return flags, text
}

// ActionText is what a filter returns, in the spec's words: "SCMP_ACT_ERRNO(38)".
func ActionText(ret uint32) string {
	data := "(" + strconv.Itoa(int(ret&retData)) + ")"
	switch ret & retAction {
	case retKillProcess:
		return "SCMP_ACT_KILL_PROCESS"
	case retKillThread:
		return "SCMP_ACT_KILL_THREAD"
	case retTrap:
		return "SCMP_ACT_TRAP"
	case retErrno:
		return "SCMP_ACT_ERRNO" + data
	case retNotify:
		return "SCMP_ACT_NOTIFY"
	case retTrace:
		return "SCMP_ACT_TRACE" + data
	case retLog:
		return "SCMP_ACT_LOG"
	case retAllow:
		return "SCMP_ACT_ALLOW"
	}
	return "0x" + strconv.FormatUint(uint64(ret), 16)
}

var operatorNames = [...]string{"!=", "<", "<=", "==", ">=", ">", "=="}

// String is the condition as people read it.
func (c Condition) String() string {
	arg := "arg" + strconv.Itoa(int(c.Arg))
	if c.Op == MaskedEqual {
		arg = "(" + arg + " & " + hex(c.Mask) + ")"
	}
	return arg + " " + operatorNames[c.Op] + " " + hex(c.Value)
}

func hex(v uint64) string {
	if v < 10 {
		return strconv.Itoa(int(v))
	}
	return "0x" + strconv.FormatUint(v, 16)
}
