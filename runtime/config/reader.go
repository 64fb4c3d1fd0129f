// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/go-json-experiment/json/jsontext"
)

// A reader walks the tokens of one JSON text. The first error sticks: from then
// on every method does nothing, so that decoders need no error handling of
// their own. A reader that collects goes on after wrong values, which leaves
// them zero; only what is no JSON ends it.
//
// There is no reflection here because start-up time is the product: encoding/json
// needs 1.4 ms for the config.json of an engine, this reader a tenth of that.
type reader struct {
	tokens   *jsontext.Decoder
	text     string // the whole input: strings without escapes are slices of it
	warnings []string
	err      error

	collects bool
	found    []*fail.Error
}

func newReader(data []byte) *reader {
	// A bytes.Buffer is read in place by jsontext, without a copy.
	return &reader{tokens: jsontext.NewDecoder(bytes.NewBuffer(data)), text: string(data)}
}

// object reads an object and calls field after each property's name; field
// reads the value. Names are only valid until then.
func (r *reader) object(field func(name []byte)) {
	if !r.open('{') {
		return
	}
	var seen map[string]bool
	if r.collects { // else the tokenizer looks for duplicates
		seen = map[string]bool{}
	}
	for r.err == nil && r.tokens.PeekKind() != '}' {
		name, err := r.tokens.ReadValue()
		if err != nil {
			r.syntax(err)
			return
		}
		plain := r.name(name)
		if r.collects {
			if seen[string(plain)] {
				r.bad("is given twice in the same object")
			}
			seen[string(plain)] = true
		}
		field(plain)
	}
	r.close()
}

// name returns the text of a quoted property name.
func (r *reader) name(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	// The tokenizer has found it valid already.
	plain, _ := jsontext.AppendUnquote(nil, quoted)
	if bytes.IndexByte(plain, 0) >= 0 {
		r.bad("the name contains a NUL byte")
	}
	return plain
}

// open reads the first token of an object or array. It answers false where there is
// none: null is an absent object, anything else an error.
func (r *reader) open(kind jsontext.Kind) bool {
	if r.err != nil {
		return false
	}
	if r.tokens.PeekKind() != kind {
		if got, _ := r.value(); r.err == nil && got != 'n' {
			r.wrong(kind, got)
		}
		return false
	}
	if _, err := r.tokens.ReadToken(); err != nil {
		r.syntax(err)
		return false
	}
	return true
}

// close reads the last token of an object or array.
func (r *reader) close() {
	if r.err != nil {
		return
	}
	if _, err := r.tokens.ReadToken(); err != nil {
		r.syntax(err)
	}
}

// value reads any value and returns it as it is written, quotes included.
func (r *reader) value() (kind jsontext.Kind, text string) {
	if r.err != nil {
		return 0, ""
	}
	raw, err := r.tokens.ReadValue()
	if err != nil {
		r.syntax(err)
		return 0, ""
	}
	end := r.tokens.InputOffset()
	return raw.Kind(), r.text[end-int64(len(raw)) : end]
}

// unknown warns of the property whose name was read last, and skips its value.
func (r *reader) unknown() {
	if r.err != nil {
		return
	}
	r.warnings = append(r.warnings, Name+" "+r.path()+": unknown property")
	r.skip()
}

// skip ignores a value on purpose.
func (r *reader) skip() { r.value() }

// end verifies that nothing follows the first value.
func (r *reader) end() {
	if r.err != nil {
		return
	}
	at := r.tokens.InputOffset()
	if _, err := r.tokens.ReadToken(); !errors.Is(err, io.EOF) {
		at += int64(len(r.text[at:]) - len(strings.TrimLeft(r.text[at:], " \t\r\n")))
		r.err = fail.At(r.position(at), "something follows the end of the JSON text")
	}
}

// array reads a list; element decodes one member. An empty list is not nil.
func array[T any](r *reader, to *[]T, element func(*reader, *T)) {
	if !r.open('[') {
		return
	}
	list := []T{}
	for r.err == nil && r.tokens.PeekKind() != ']' {
		list = append(list, *new(T))
		notNull(r, element, &list[len(list)-1])
	}
	r.close()
	*to = list
}

// dictionary reads an object whose names are the user's.
func dictionary[T any](r *reader, to *map[string]T, element func(*reader, *T)) {
	entries := map[string]T{}
	absent := r.err != nil || r.tokens.PeekKind() == 'n'
	r.object(func(name []byte) {
		key := string(name)
		var value T
		notNull(r, element, &value)
		entries[key] = value
	})
	if !absent {
		*to = entries
	}
}

// notNull decodes a member of a list or dictionary: null is an absent property,
// but there is no such thing as an absent member.
func notNull[T any](r *reader, element func(*reader, *T), to *T) {
	if r.err == nil && r.tokens.PeekKind() == 'n' {
		r.skip()
		r.bad("must not be null")
		return
	}
	element(r, to)
}

// pointer reads a value that may be absent, which differs from its zero value.
func pointer[T any](r *reader, to **T, element func(*reader, *T)) {
	if r.err != nil {
		return
	}
	if r.tokens.PeekKind() == 'n' {
		r.skip()
		return
	}
	*to = new(T)
	element(r, *to)
}

// str reads a string.
func str[T ~string](r *reader, to *T) {
	kind, text := r.value()
	switch {
	case kind == 'n' || r.err != nil:
	case kind != '"':
		r.wrong('"', kind)
	case strings.IndexByte(text, '\\') < 0:
		*to = T(text[1 : len(text)-1])
	default:
		plain, _ := jsontext.AppendUnquote(nil, text) // found valid by value
		// The kernel's strings end at the first NUL: what the user reads and
		// what the kernel does would differ. Only an escape can make one.
		if bytes.IndexByte(plain, 0) >= 0 {
			r.bad("contains a NUL byte")
		}
		*to = T(plain)
	}
}

// boolean reads true or false.
func boolean(r *reader, to *bool) {
	switch kind, _ := r.value(); {
	case kind == 'n' || r.err != nil:
	case kind == 't' || kind == 'f':
		*to = kind == 't'
	default:
		r.wrong('t', kind)
	}
}

// integer is the Go types that the spec's numbers have.
type integer interface {
	~int | ~int32 | ~int64 | ~uint | ~uint16 | ~uint32 | ~uint64
}

// number reads a whole number that fits its type: no fraction, no exponent.
func number[T integer](r *reader, to *T) {
	kind, text := r.value()
	if kind == 'n' || r.err != nil {
		return
	}
	if kind != '0' {
		r.wrong('0', kind)
		return
	}
	var err error
	if signed := *new(T)-1 < 0; signed {
		var n int64
		n, err = strconv.ParseInt(text, 10, 64)
		*to = T(n)
		if err == nil && int64(*to) == n {
			return
		}
	} else {
		var n uint64
		n, err = strconv.ParseUint(text, 10, 64)
		*to = T(n)
		if err == nil && uint64(*to) == n {
			return
		}
	}
	if strings.ContainsAny(text, ".eE") {
		r.bad(text + " is not a whole number")
		return
	}
	low, high := limits[T]()
	r.bad(text + " is out of range (" + low + " to " + high + ")")
}

// limits returns the smallest and the largest value of T.
func limits[T integer]() (low, high string) {
	if zero := T(0); zero-1 > 0 {
		return "0", strconv.FormatUint(uint64(zero-1), 10)
	}
	top := T(1)
	for top*2+1 > top {
		top = top*2 + 1
	}
	return strconv.FormatInt(-int64(top)-1, 10), strconv.FormatInt(int64(top), 10)
}
