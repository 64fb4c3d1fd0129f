// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// decode reads state.json. It stands on a token reader as every command begins
// with it, and most do little else: to learn the type by reflection takes
// encoding/json longer than all that kill does. A test compares the two. Keys that
// are not known are of a newer coracle, and are skipped.
func (s *State) decode(data []byte) error {
	r := &stateReader{tokens: jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true))}
	r.object(func(name string) {
		switch name {
		case "version":
			r.integer(&s.Version)
		case "ociVersion":
			r.text(&s.OCIVersion)
		case "id":
			r.text(&s.ID)
		case "status":
			r.text((*string)(&s.Status))
		case "pid":
			r.integer(&s.PID)
		case "startTime":
			s.StartTime = r.number()
		case "bundle":
			r.text(&s.Bundle)
		case "rootfs":
			r.text(&s.Rootfs)
		case "created":
			r.time(&s.Created)
		case "annotations":
			s.Annotations = map[string]string{}
			r.object(func(key string) {
				var value string
				r.text(&value)
				s.Annotations[key] = value
			})
		case "cgroups":
			s.Cgroups = make([]string, 0, 16)
			r.array(func() {
				var dir string
				r.text(&dir)
				s.Cgroups = append(s.Cgroups, dir)
			})
		case "steps":
			if s.lock < 0 { // they are for start and for encode
				r.value()
				return
			}
			s.Steps = make([]Step, 0, 16)
			r.array(func() { s.Steps = append(s.Steps, r.step()) })
		case "ownPids":
			s.OwnPIDs = r.boolean()
		case "noPivot":
			s.NoPivot = r.boolean()
		case "noKeyring":
			s.NoKeyring = r.boolean()
		case "hooks":
			r.rare(&s.Hooks)
		case "exit":
			r.rare(&s.Exit)
		case "groups":
			r.rare(&s.Groups)
		case "unit":
			r.rare(&s.Unit)
		case "agent":
			r.rare(&s.Agent)
		default:
			r.value()
		}
	})
	return r.err
}

// A stateReader reads the tokens of state.json. The first error sticks.
type stateReader struct {
	tokens *jsontext.Decoder
	err    error
}

func (r *stateReader) step() (step Step) {
	r.object(func(name string) {
		switch name {
		case "index":
			r.integer(&step.Index)
		case "doing":
			r.text(&step.Doing)
		case "from":
			r.text(&step.From)
		case "execve":
			step.Execve = r.boolean()
		default:
			r.value()
		}
	})
	return step
}

// token reads one token, which must be of the kind.
func (r *stateReader) token(kind jsontext.Kind) jsontext.Token {
	if r.err != nil {
		return jsontext.Token{}
	}
	token, err := r.tokens.ReadToken()
	if err == nil && token.Kind() != kind {
		err = errors.New(cmp.Or(string(r.tokens.StackPointer()), "all of it") + " has the wrong type")
	}
	if r.err = err; err != nil {
		return jsontext.Token{}
	}
	return token
}

func (r *stateReader) object(field func(name string)) {
	r.token('{')
	for r.err == nil && r.tokens.PeekKind() != '}' {
		if name := r.token('"'); r.err == nil {
			field(name.String())
		}
	}
	r.token('}')
}

func (r *stateReader) array(item func()) {
	r.token('[')
	for r.err == nil && r.tokens.PeekKind() != ']' {
		item()
	}
	r.token(']')
}

func (r *stateReader) text(to *string) {
	if token := r.token('"'); r.err == nil {
		*to = token.String()
	}
}

func (r *stateReader) number() (n uint64) {
	if token := r.token('0'); r.err == nil {
		n, r.err = strconv.ParseUint(token.String(), 10, 64)
	}
	return n
}

func (r *stateReader) integer(to *int) {
	if token := r.token('0'); r.err == nil {
		*to, r.err = strconv.Atoi(token.String())
	}
}

func (r *stateReader) boolean() bool {
	if r.err == nil && r.tokens.PeekKind() == 'f' {
		r.token('f')
		return false
	}
	r.token('t')
	return r.err == nil
}

func (r *stateReader) time(to *time.Time) {
	if token := r.token('"'); r.err == nil {
		*to, r.err = time.Parse(time.RFC3339Nano, token.String())
	}
}

// value reads whatever comes.
func (r *stateReader) value() (raw jsontext.Value) {
	if r.err == nil {
		raw, r.err = r.tokens.ReadValue()
	}
	return raw
}

// rare reads what few containers have.
func (r *stateReader) rare(to any) {
	if raw := r.value(); r.err == nil {
		r.err = json.Unmarshal(raw, to)
	}
}
