// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package plan is what a plugin is about to do, as a list: each step says where
// it happens, what it sends, and what takes it back. Plugins compile their
// configuration into it, package apply carries it out, CNI_PLAN=1 prints it.
// Nothing here touches the system.
package plan

import (
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/coracle-oci/coracle/internal/netlink"
)

// A Place is where a step happens.
type Place int

const (
	Host      Place = iota // links, addresses and sysctls of the plugin's own network namespace
	Container              // those of CNI_NETNS
	Firewall               // one transaction of nf_tables in the plugin's own network namespace
	Ledger                 // addresses on disk; printed only: package ledger does it
)

// String is how a plan names the place.
func (p Place) String() string { return [...]string{"host", "container", "firewall", "ledger"}[p] }

// A Step is messages that go out together, or one sysctl.
type Step struct {
	In     Place
	Do     []netlink.Message
	Undo   []netlink.Message // what takes Do back, tried to the end
	Sysctl *Sysctl
	// Note is what a step of the ledger does.
	Note string
	// UnlessPorts keeps Undo from happening when the bridge of this name has
	// ports: others use by then what this step made.
	UnlessPorts string
}

// A Sysctl is a value to be written below /proc/sys. It is not taken back: it
// says how the machine or an interface behaves, and others rely on it too.
type Sysctl struct {
	Path     string // "net/ipv4/ip_forward"
	Value    string
	Optional bool // the file may be missing (a kernel without IPv6)
}

// A Plan is steps in their order.
type Plan []Step

// String is the plan as CNI_PLAN=1 prints it, one line per message.
func (p Plan) String() string { return p.text(false) }

// Dump is String with the body of each message in hexadecimal below it.
func (p Plan) Dump() string { return p.text(true) }

func (p Plan) text(bodies bool) string {
	var b strings.Builder
	for i, step := range p {
		head := strconv.Itoa(i) + " " + step.In.String()
		for _, line := range step.lines(bodies) {
			b.WriteString(head + "\t" + line + "\n")
			head = ""
		}
	}
	return b.String()
}

func (s Step) lines(bodies bool) (lines []string) {
	if s.Note != "" {
		lines = append(lines, s.Note)
	}
	if s.Sysctl != nil {
		lines = append(lines, "sysctl "+s.Sysctl.Path+" = "+s.Sysctl.Value)
	}
	for _, m := range s.Do {
		lines = append(lines, m.String())
		if bodies {
			lines = append(lines, "  "+hex.EncodeToString(m.Body))
		}
	}
	for _, m := range s.Undo {
		lines = append(lines, "  undo: "+m.String())
	}
	return lines
}
