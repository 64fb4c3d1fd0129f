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
	"time"
	"unicode/utf8"

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

	uid int // Owner's
}

func describe(s *container.State) *report {
	r := &report{s.OCIVersion, s.ID, s.PID, s.Now(), s.Bundle, s.Rootfs, s.Created, s.Annotations, "", nil, "", s.UID()}
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
func (r *report) encode() []byte {
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
			if c.Bool("quiet") {
				return printIDs(s, c.Warn)
			}
			return printList(s, c.String("format"), c.Warn)
		},
	}
}

func printIDs(s container.Store, warn func(string, ...any)) error {
	states, err := s.List(warn)
	for _, state := range states {
		fmt.Println(state.ID)
	}
	return err
}

func printList(s container.Store, format string, warn func(string, ...any)) error {
	if err := checkFormat(format); err != nil {
		return err
	}
	list, err := container.Each(s, describe, warn)
	if err != nil {
		return err
	}
	owners := map[int]string{}
	for _, r := range list {
		known := false
		if r.Owner, known = owners[r.uid]; !known {
			r.Owner = owner(r.uid)
			owners[r.uid] = r.Owner
		}
	}
	if format == "json" {
		return printCompact(list)
	}
	rows := [][]string{{"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"}}
	for _, r := range list {
		rows = append(rows, []string{r.ID, strconv.Itoa(r.PID), string(r.Status), oneLine(r.Bundle), r.Created.Format(time.RFC3339Nano), r.Owner})
	}
	_, err = os.Stdout.Write(columns(rows))
	return err
}

// columns writes what package text/tabwriter would, in a sixth of the time: it is what
// one CPU does alone of a long list.
func columns(rows [][]string) (text []byte) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell)+3, 12)
		}
	}
	for _, row := range rows {
		last := len(row) - 1
		for i, cell := range row[:last] {
			text = append(text, cell...)
			for range widths[i] - utf8.RuneCountInString(cell) {
				text = append(text, ' ')
			}
		}
		text = append(append(text, row[last]...), '\n')
	}
	return text
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
