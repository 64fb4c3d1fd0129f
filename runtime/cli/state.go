// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/runtime/container"
)

// A report is a container as state and list print it: runc's keys.
type report struct {
	OCIVersion  string            `json:"ociVersion"`
	ID          string            `json:"id"`
	PID         int               `json:"pid"`
	Status      container.Status  `json:"status"`
	Bundle      string            `json:"bundle"`
	Rootfs      string            `json:"rootfs"`
	Created     time.Time         `json:"created"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Owner       string            `json:"owner"`
	Exit        *container.Exit   `json:"exit,omitempty"`
	Scope       string            `json:"systemd-scope,omitempty"` // crun's key
}

func describe(s *container.State) report {
	r := report{s.OCIVersion, s.ID, s.PID, s.Now(), s.Bundle, s.Rootfs, s.Created, s.Annotations, "", nil, ""}
	if s.Unit != nil {
		r.Scope = s.Unit.Name
	}
	if r.Status == container.Stopped {
		r.PID = 0
	}
	return r
}

// encode is json.Marshal without learning the type by reflection, which takes as
// long as all else that state does. A test compares the two.
func (r report) encode() []byte {
	b := []byte{'{'}
	raw := func(name string, value any) {
		text, err := json.Marshal(value) // of strings and numbers, but for what few containers have
		if err != nil {
			panic("bug: " + name + ": " + err.Error())
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(strconv.AppendQuote(b, name), ':'), text...)
	}
	raw("ociVersion", r.OCIVersion)
	raw("id", r.ID)
	raw("pid", r.PID)
	raw("status", string(r.Status))
	raw("bundle", r.Bundle)
	raw("rootfs", r.Rootfs)
	raw("created", r.Created.Format(time.RFC3339Nano))
	if len(r.Annotations) > 0 {
		raw("annotations", r.Annotations)
	}
	raw("owner", r.Owner)
	if r.Exit != nil {
		raw("exit", r.Exit)
	}
	if r.Scope != "" {
		raw("systemd-scope", r.Scope)
	}
	return append(b, '}')
}

func stateVerb() command.Verb {
	return command.Verb{
		Name: "state", Args: "ID", Min: 1, Max: 1,
		Others:  []string{"inspect"},
		Summary: "print the state of a container as JSON",
		Long: `
The keys are those of the OCI runtime specification, and rootfs, created and
owner, as runc prints them, and systemd-scope, as crun does. That of a stopped
container has exit as well: what it had used, and if somebody saw its end (run
--keep, wait, events) code, signal and time.

exit status:
  0  it was printed
  1  there is no such container`,
		Run: withStore(func(c *command.Call, s container.Store) error {
			state, err := s.Look(c.Args[0])
			if err != nil {
				return err
			}
			r := describe(state)
			if r.Status == container.Stopped {
				r.Exit = state.Ended()
			}
			var text bytes.Buffer
			if err := json.Indent(&text, r.encode(), "", "  "); err != nil {
				return err
			}
			return printLine(text.String())
		}),
	}
}

func listVerb() command.Verb {
	return command.Verb{
		Name: "list", Max: 0,
		Others: []string{"ls"},
		Flags: []command.Flag{
			{Names: []string{"format", "f"}, Value: "FORMAT", Default: "table", Words: []string{"table", "json"}, Help: "table or json"},
			{Names: []string{"quiet", "q"}, Help: "print the ids alone"},
		},
		Summary: "list the containers below --root",
		Long: `
examples:
  coracle list
  coracle list --format json | jq -r '.[] | select(.status == "stopped").id'

exit status:
  0  they were listed, be it none
  1  they could not be`,
		Run: func(c *command.Call) error {
			s, err := store(c)
			if err != nil {
				return err
			}
			states, err := s.List()
			if err != nil {
				return err
			}
			return printList(states, c.String("format"), c.Bool("quiet"))
		},
	}
}

func printList(states []*container.State, format string, quiet bool) error {
	if quiet {
		for _, s := range states {
			fmt.Println(s.ID)
		}
		return nil
	}
	if err := checkFormat(format); err != nil {
		return err
	}
	list, owners := make([]report, 0, len(states)), map[int]string{}
	for _, s := range states {
		r, known := describe(s), false
		if r.Owner, known = owners[s.UID()]; !known {
			r.Owner = owner(s.UID())
			owners[s.UID()] = r.Owner
		}
		list = append(list, r)
	}
	if format == "json" {
		return printCompact(list)
	}
	var text bytes.Buffer // the writer writes each cell for itself
	w := tabwriter.NewWriter(&text, 12, 1, 3, ' ', 0)
	fmt.Fprint(w, "ID\tPID\tSTATUS\tBUNDLE\tCREATED\tOWNER\n")
	for _, r := range list {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", r.ID, r.PID, r.Status, oneLine(r.Bundle), r.Created.Format(time.RFC3339Nano), r.Owner)
	}
	w.Flush()
	_, err := os.Stdout.Write(text.Bytes())
	return err
}

// oneLine keeps a bundle's name from breaking the table.
func oneLine(s string) string {
	if strings.ContainsAny(s, "\n\t\r") {
		return strconv.Quote(s)
	}
	return s
}

// owner is the name of a user, or "#1000" for one without a name, as in runc.
func owner(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return "#" + strconv.Itoa(uid)
}
