// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package trace notes where the time of a command goes: phases, one after the
// other, as the Trace Event Format has them, which Chrome and Perfetto show.
//
// A nil [Recorder] notes nothing, at the price of a comparison. Package command
// makes one for --trace.
package trace

import (
	"bytes"
	"strconv"
	"time"
)

// A Recorder notes when phases begin.
type Recorder struct {
	began  time.Time
	phases []phase
}

type phase struct {
	name  string
	begin time.Duration
}

// New returns a recorder whose first phase, the start of the program, has taken
// the given time already.
func New(before time.Duration) *Recorder {
	return &Recorder{began: time.Now().Add(-before), phases: []phase{{name: "start-up"}}}
}

// Phase ends a phase and begins the next.
func (r *Recorder) Phase(name string) {
	if r != nil {
		r.phases = append(r.phases, phase{name, time.Since(r.began)})
	}
}

// JSON ends the last phase and returns the trace: complete events, with their
// times in microseconds.
func (r *Recorder) JSON(pid int) []byte {
	r.Phase("")
	var b bytes.Buffer
	b.WriteString(`{"displayTimeUnit":"ms","traceEvents":[`)
	for i, p := range r.phases[:len(r.phases)-1] {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n{\"name\":" + strconv.Quote(p.name) + `,"ph":"X","ts":` + microseconds(p.begin) +
			`,"dur":` + microseconds(r.phases[i+1].begin-p.begin) + `,"pid":` + strconv.Itoa(pid) + `,"tid":1}`)
	}
	b.WriteString("\n]}\n")
	return b.Bytes()
}

func microseconds(d time.Duration) string { return strconv.FormatFloat(float64(d)/1e3, 'f', 3, 64) }
