// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// encode returns state.json. It is written by hand as it is written twice for
// every container: to learn the type by reflection takes encoding/json longer
// than all else that is done with it. A test compares the two.
func (s *State) encode() ([]byte, error) {
	b := make([]byte, 0, 4096)
	text := func(name, value string) {
		b = append(append(append(b, ',', '"'), name...), '"', ':')
		b, _ = jsontext.AppendQuote(b, value) // it replaces what is not UTF-8, as encoding/json does
	}
	raw := func(name string, value []byte) {
		b = append(append(append(append(b, ',', '"'), name...), '"', ':'), value...)
	}
	b = append(b, `{"version":`...)
	b = strconv.AppendInt(b, int64(s.Version), 10)
	text("ociVersion", s.OCIVersion)
	text("id", s.ID)
	text("status", string(s.Status))
	raw("pid", strconv.AppendInt(nil, int64(s.PID), 10))
	raw("startTime", strconv.AppendUint(nil, s.StartTime, 10))
	text("bundle", s.Bundle)
	text("rootfs", s.Rootfs)
	text("created", s.Created.Format(time.RFC3339Nano))
	if len(s.Annotations) > 0 {
		raw("annotations", nil)
		open := byte('{')
		for _, key := range slices.Sorted(maps.Keys(s.Annotations)) {
			b = append(b, open)
			b, _ = jsontext.AppendQuote(b, key)
			b = append(b, ':')
			b, _ = jsontext.AppendQuote(b, s.Annotations[key])
			open = ','
		}
		b = append(b, '}')
	}
	raw("cgroups", []byte{'['})
	for i, dir := range s.Cgroups {
		if i > 0 {
			b = append(b, ',')
		}
		b, _ = jsontext.AppendQuote(b, dir)
	}
	b = append(b, ']')
	if len(s.Groups) > 0 {
		groups, err := json.Marshal(s.Groups)
		if err != nil {
			return nil, err
		}
		raw("groups", groups)
	}
	if s.Unit != nil {
		unit, err := json.Marshal(s.Unit)
		if err != nil {
			return nil, err
		}
		raw("unit", unit)
	}
	if s.Hooks != nil {
		hooks, err := json.Marshal(s.Hooks)
		if err != nil {
			return nil, err
		}
		raw("hooks", hooks)
	}
	raw("steps", []byte{'['})
	for i, step := range s.Steps {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"index":`...)
		b = strconv.AppendInt(b, int64(step.Index), 10)
		text("doing", step.Doing)
		if step.From != "" {
			text("from", step.From)
		}
		if step.Execve {
			raw("execve", []byte("true"))
		}
		b = append(b, '}')
	}
	b = append(b, ']')
	raw("ownPids", strconv.AppendBool(nil, s.OwnPIDs))
	if s.Agent != nil {
		agent, err := json.Marshal(s.Agent)
		if err != nil {
			return nil, err
		}
		raw("agent", agent)
	}
	if s.NoPivot {
		raw("noPivot", []byte("true"))
	}
	if s.NoKeyring {
		raw("noKeyring", []byte("true"))
	}
	if s.Exit != nil { // nobody waits for that one
		exit, err := json.Marshal(s.Exit)
		if err != nil {
			return nil, err
		}
		raw("exit", exit)
	}
	return append(b, '}'), nil
}
