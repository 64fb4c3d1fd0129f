// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package decode reads JSON into typed values, and says of a wrong one where it
// stands: in "config.json mounts[3].options[1]".
//
// A decoder is a function per object that calls [Reader.Object] with a switch over
// the names of its properties. There is no reflection here because start-up time is
// the product: encoding/json needs 1.4 ms for the config.json of an engine, this
// reader a tenth of that.
//
// It judges types, not values, and touches nothing. Packages config and profile
// call it.
package decode

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/go-json-experiment/json/jsontext"
)

// A Reader walks the tokens of one JSON text. The first error sticks: from then
// on every method does nothing, so that decoders need no error handling of
// their own. A reader that collects goes on after wrong values, which leaves
// them zero; only what is no JSON ends it.
type Reader struct {
	Name     string // of the text: errors and warnings begin with it
	Strict   bool   // an unknown property is an error, not a warning
	Warnings []string
	Err      error
	Found    []*fail.Error // what a reader that collects went on after

	tokens   *jsontext.Decoder
	text     string   // the whole input: strings without escapes are slices of it
	strings  []string // room for lists of them
	collects bool
}

// New returns a reader of a text, to which it keeps no reference.
func New(name string, data []byte) *Reader {
	// A bytes.Buffer is read in place by jsontext, without a copy.
	return &Reader{Name: name, Err: looksLikeJSON(name, data), tokens: jsontext.NewDecoder(bytes.NewBuffer(data)), text: string(data)}
}

// Collect returns a reader that collects. It looks for duplicate names itself.
func Collect(name string, data []byte) *Reader {
	r := New(name, data)
	r.tokens, r.collects = jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true)), true
	return r
}

// Object reads an object and calls field after each property's name; field
// reads the value. Names are only valid until then.
func (r *Reader) Object(field func(name []byte)) {
	if !r.open('{') {
		return
	}
	var seen map[string]bool
	if r.collects { // else the tokenizer looks for duplicates
		seen = map[string]bool{}
	}
	for r.Err == nil && r.tokens.PeekKind() != '}' {
		name, err := r.tokens.ReadValue()
		if err != nil {
			r.syntax(err)
			return
		}
		plain := r.name(name)
		if r.collects {
			if seen[string(plain)] {
				r.Bad("is given twice in the same object")
			}
			seen[string(plain)] = true
		}
		field(plain)
	}
	r.close()
}

// name returns the text of a quoted property name.
func (r *Reader) name(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	// The tokenizer has found it valid already.
	plain, _ := jsontext.AppendUnquote(nil, quoted)
	if bytes.IndexByte(plain, 0) >= 0 {
		r.Bad("the name contains a NUL byte")
	}
	return plain
}

// open reads the first token of an object or array. It answers false where there is
// none: null is an absent object, anything else an error.
func (r *Reader) open(kind jsontext.Kind) bool {
	if r.Err != nil {
		return false
	}
	if r.tokens.PeekKind() != kind {
		if got, _ := r.value(); r.Err == nil && got != 'n' {
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
func (r *Reader) close() {
	if r.Err != nil {
		return
	}
	if _, err := r.tokens.ReadToken(); err != nil {
		r.syntax(err)
	}
}

// value reads any value and returns it as it is written, quotes included.
func (r *Reader) value() (kind jsontext.Kind, text string) {
	if r.Err != nil {
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

// Unknown warns of the property whose name was read last, and skips its value; for
// a strict reader it is an error.
func (r *Reader) Unknown() {
	if r.Err != nil {
		return
	}
	if r.Strict {
		r.Bad("unknown property")
	} else {
		r.Warnings = append(r.Warnings, r.Name+" "+r.path()+": unknown property")
	}
	r.Skip()
}

// Skip ignores a value on purpose.
func (r *Reader) Skip() { r.value() }

// End verifies that nothing follows the first value.
func (r *Reader) End() {
	if r.Err != nil {
		return
	}
	at := r.tokens.InputOffset()
	if _, err := r.tokens.ReadToken(); !errors.Is(err, io.EOF) {
		at += int64(len(r.text[at:]) - len(strings.TrimLeft(r.text[at:], " \t\r\n")))
		r.Err = fail.At(r.position(at), "something follows the end of the JSON text")
	}
}

// Array reads a list; element decodes one member. An empty list is not nil.
func Array[T any](r *Reader, to *[]T, element func(*Reader, *T)) {
	if !r.open('[') {
		return
	}
	list := []T{}
	for r.Err == nil && r.tokens.PeekKind() != ']' {
		if n := len(list); n == cap(list) && n < 64 {
			list = slices.Grow(list, max(1, 7*n)) // to copy takes longer than fresh memory that is not used
		}
		list = append(list, *new(T))
		notNull(r, element, &list[len(list)-1])
	}
	r.close()
	*to = list
}

// Strings reads a list of strings.
func Strings(r *Reader, to *[]string) {
	if list := r.plain(); list != nil {
		*to = list
	} else {
		Array(r, to, Str)
	}
}

// plain reads a list of strings, if that is what comes and none has an escape: in
// one go, as it may be long. Else it returns nil, and has read nothing.
func (r *Reader) plain() []string {
	if r.Err != nil || r.tokens.PeekKind() != '[' {
		return nil
	}
	if r.strings == nil {
		r.strings = make([]string, 0, len(r.text)/16)
	}
	list := r.strings
	_, rest, _ := strings.Cut(r.text[r.tokens.InputOffset():], "[")
	for {
		rest = trimSpace(rest)
		if rest == "" || rest[0] != '"' {
			return nil
		}
		text, behind, found := strings.Cut(rest[1:], `"`)
		if !found || strings.IndexByte(text, '\\') >= 0 {
			return nil
		}
		list = append(list, text)
		behind = trimSpace(behind)
		if strings.HasPrefix(behind, "]") {
			break
		}
		if rest, found = strings.CutPrefix(behind, ","); !found {
			return nil
		}
	}
	r.Skip() // it finds what is wrong inside a string
	list, r.strings = list[len(r.strings):], list
	return slices.Clip(list)
}

// trimSpace returns what follows the white space at the beginning.
func trimSpace(text string) string {
	for text != "" && (text[0] == ' ' || text[0] == '\n' || text[0] == '\t' || text[0] == '\r') {
		text = text[1:]
	}
	return text
}

// Dictionary reads an object whose names are the user's.
func Dictionary[T any](r *Reader, to *map[string]T, element func(*Reader, *T)) {
	entries := map[string]T{}
	absent := r.Err != nil || r.tokens.PeekKind() == 'n'
	r.Object(func(name []byte) {
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
func notNull[T any](r *Reader, element func(*Reader, *T), to *T) {
	if r.Err == nil && r.tokens.PeekKind() == 'n' {
		r.Skip()
		r.Bad("must not be null")
		return
	}
	element(r, to)
}

// Pointer reads a value that may be absent, which differs from its zero value.
func Pointer[T any](r *Reader, to **T, element func(*Reader, *T)) {
	if r.Err != nil {
		return
	}
	if r.tokens.PeekKind() == 'n' {
		r.Skip()
		return
	}
	*to = new(T)
	element(r, *to)
}

// Str reads a string.
func Str[T ~string](r *Reader, to *T) {
	kind, text := r.value()
	switch {
	case kind == 'n' || r.Err != nil:
	case kind != '"':
		r.wrong('"', kind)
	case strings.IndexByte(text, '\\') < 0:
		*to = T(text[1 : len(text)-1])
	default:
		plain, _ := jsontext.AppendUnquote(nil, text) // found valid by value
		// The kernel's strings end at the first NUL: what the user reads and
		// what the kernel does would differ. Only an escape can make one.
		if bytes.IndexByte(plain, 0) >= 0 {
			r.Bad("contains a NUL byte")
		}
		*to = T(plain)
	}
}

// Bool reads true or false.
func Bool(r *Reader, to *bool) {
	switch kind, _ := r.value(); {
	case kind == 'n' || r.Err != nil:
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

// Number reads a whole number that fits its type: no fraction, no exponent.
func Number[T integer](r *Reader, to *T) {
	kind, text := r.value()
	if kind == 'n' || r.Err != nil {
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
		r.Bad(text + " is not a whole number")
		return
	}
	low, high := limits[T]()
	r.Bad(text + " is out of range (" + low + " to " + high + ")")
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
