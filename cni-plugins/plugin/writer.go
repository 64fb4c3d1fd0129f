// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plugin

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// A writer writes one JSON document, a line for each value, indented by four.
// Members of objects have a name, those of lists the name "".
type writer struct {
	b     []byte
	depth int
}

// document returns an object with the fields that fields writes, and a newline.
func document(fields func(*writer)) []byte {
	w := &writer{b: make([]byte, 0, 1024)}
	w.b = append(w.b, '{')
	w.inside('}', func() { fields(w) })
	return append(w.b, '\n')
}

// member begins a line.
func (w *writer) member(name string) {
	if last := w.b[len(w.b)-1]; last != '{' && last != '[' {
		w.b = append(w.b, ',')
	}
	w.line()
	if name != "" {
		w.quote(name)
		w.b = append(w.b, ": "...)
	}
}

func (w *writer) line() {
	w.b = append(append(w.b, '\n'), strings.Repeat("    ", w.depth)...)
}

// inside writes members and the bracket that ends them.
func (w *writer) inside(end byte, members func()) {
	start := len(w.b)
	w.depth++
	members()
	w.depth--
	if len(w.b) > start {
		w.line()
	}
	w.b = append(w.b, end)
}

func (w *writer) object(name string, fields func()) {
	w.member(name)
	w.b = append(w.b, '{')
	w.inside('}', fields)
}

// objects writes a list of n objects, nothing if n is 0.
func (w *writer) objects(name string, n int, fields func(i int)) {
	if n == 0 {
		return
	}
	w.member(name)
	w.b = append(w.b, '[')
	w.inside(']', func() {
		for i := range n {
			w.object("", func() { fields(i) })
		}
	})
}

// strings writes a list, nothing if it is empty.
func (w *writer) strings(name string, list []string) {
	if len(list) == 0 {
		return
	}
	w.member(name)
	w.b = append(w.b, '[')
	w.inside(']', func() {
		for _, s := range list {
			w.string("", s)
		}
	})
}

func (w *writer) string(name, s string) {
	w.member(name)
	w.quote(s)
}

// text writes a string, nothing if it is empty.
func (w *writer) text(name, s string) {
	if s != "" {
		w.string(name, s)
	}
}

func (w *writer) int(name string, n int) {
	w.member(name)
	w.b = strconv.AppendInt(w.b, int64(n), 10)
}

// number writes an integer, nothing if it is 0.
func (w *writer) number(name string, n int) {
	if n != 0 {
		w.int(name, n)
	}
}

// optional writes an integer, nothing without one.
func (w *writer) optional(name string, n *int) {
	if n != nil {
		w.int(name, *n)
	}
}

func (w *writer) quote(s string) { w.b, _ = jsontext.AppendQuote(w.b, s) } // broken UTF-8 becomes U+FFFD
