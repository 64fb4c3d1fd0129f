// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plugin

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/go-json-experiment/json/jsontext"
)

// A Reader walks the tokens of one JSON text. The first error sticks: from then
// on every method does nothing, so that what reads a configuration needs no
// error handling of its own. null is a value that is not there.
//
// Names of fields match in any case: engines marshal Go structs without tags.
// There is no reflection here because start-up time is the product: a cold
// encoding/json costs as much as half of what the kernel does for an ADD.
type Reader struct {
	tokens  *jsontext.Decoder
	where   string // what paths begin with: "ipam"
	data    []byte
	unknown []string // names for [Reader.Supported]
	err     error
}

// stdin is the name of the whole configuration in errors. Paths leave it out.
const stdin = "standard input"

// Read calls value with a reader at the beginning of text, which must be one
// JSON value, and returns an error of code 6 if it is none or of wrong types.
func Read(where string, text []byte, value func(*Reader)) error {
	// A bytes.Buffer is read in place by jsontext, without a copy. Names that
	// come twice and broken UTF-8 have always been taken.
	r := &Reader{where: where, data: text,
		tokens: jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))}
	value(r)
	if r.err != nil {
		return r.err
	}
	if _, err := r.tokens.ReadToken(); !errors.Is(err, io.EOF) {
		r.bad("something follows the end of the JSON text")
	}
	return r.err
}

// Object reads an object and calls field with each field's name in lower case;
// field reads the value.
func (r *Reader) Object(field func(name string)) {
	r.list('{', func() {
		var name string
		r.String(&name)
		if r.err == nil {
			field(strings.ToLower(name))
		}
	})
}

// Array reads a list and calls element for each of its members.
func (r *Reader) Array(element func()) { r.list('[', element) }

// list reads an object or array.
func (r *Reader) list(kind jsontext.Kind, member func()) {
	if r.err != nil {
		return
	}
	if r.tokens.PeekKind() != kind {
		if got, raw := r.value(); r.err == nil && got != 'n' {
			r.wrong(got, raw)
		}
		return
	}
	r.token()
	for r.err == nil {
		if next := r.tokens.PeekKind(); next == '}' || next == ']' {
			r.token()
			return
		}
		member()
	}
}

func (r *Reader) token() {
	if _, err := r.tokens.ReadToken(); err != nil {
		r.syntax(err)
	}
}

// value reads any value and returns where it stands in the text.
func (r *Reader) value() (kind jsontext.Kind, raw []byte) {
	if r.err != nil {
		return 0, nil
	}
	value, err := r.tokens.ReadValue()
	if err != nil {
		r.syntax(err)
		return 0, nil
	}
	end := r.tokens.InputOffset()
	return value.Kind(), r.data[end-int64(len(value)) : end]
}

// Skip ignores a value on purpose.
func (r *Reader) Skip() { r.value() }

// Raw keeps a value as it is written, for a later [Read]; nil for null.
func (r *Reader) Raw(to *[]byte) {
	kind, raw := r.value()
	if *to = raw; kind == 'n' {
		*to = nil
	}
}

// String reads a string.
func (r *Reader) String(to *string) {
	kind, raw := r.value()
	switch {
	case r.err != nil || kind == 'n':
	case kind != '"':
		r.wrong(kind, raw)
	case bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw):
		*to = string(raw[1 : len(raw)-1])
	default:
		plain, _ := jsontext.AppendUnquote(nil, raw) // found valid by value
		*to = string(plain)
	}
}

// Strings reads a list of strings.
func (r *Reader) Strings(to *[]string) {
	*to = nil
	r.Array(func() {
		var s string
		r.String(&s)
		*to = append(*to, s)
	})
}

// Text reads a string that parse turns into a value of its own type.
func Text[T any](r *Reader, to *T, parse func(string) (T, error)) {
	if r.err != nil || r.tokens.PeekKind() == 'n' {
		r.Skip()
		return
	}
	var s string
	r.String(&s)
	if r.err != nil || s == "" {
		return
	}
	value, err := parse(s)
	if err != nil {
		r.bad("not an address: " + s)
		return
	}
	*to = value
}

// Bool reads true or false.
func (r *Reader) Bool(to *bool) {
	switch kind, raw := r.value(); {
	case r.err != nil || kind == 'n':
	case kind == 't' || kind == 'f':
		*to = kind == 't'
	default:
		r.wrong(kind, raw)
	}
}

// Int reads a whole number.
func (r *Reader) Int(to *int) {
	kind, raw := r.value()
	if r.err != nil || kind == 'n' {
		return
	}
	n, err := strconv.Atoi(string(raw))
	if kind != '0' || err != nil {
		r.wrong(kind, raw)
		return
	}
	*to = n
}

// IntPointer reads a whole number whose absence differs from 0.
func (r *Reader) IntPointer(to **int) {
	if *to = nil; r.err != nil || r.tokens.PeekKind() == 'n' {
		r.Skip()
		return
	}
	*to = new(int)
	r.Int(*to)
}

// Unknown reads the value of a field that nobody knows. A field that a
// network's owner wrote and nobody obeys is worse than an error, unless its
// value asks for nothing (false, 0, "", null, empty). Fields of a namespace
// ("cni.dev/…", "io.kubernetes.cri…") and "_comment"s pass.
func (r *Reader) Unknown(name string) {
	_, raw := r.value()
	switch string(raw) {
	case "false", "0", `""`, "null", "[]", "{}", "":
		return
	}
	if !strings.ContainsAny(name, "./:") && !strings.HasPrefix(name, "_") {
		r.unknown = append(r.unknown, member(r.prefix(), r.last()))
	}
}

// Supported returns an error of code 2 if [Reader.Unknown] read something.
func (r *Reader) Supported() error {
	if r.err != nil || len(r.unknown) == 0 {
		return r.err
	}
	return Unsupported(slices.Min(r.unknown), "this field is not supported")
}

// bad notes that the value read last is wrong.
func (r *Reader) bad(what string) {
	if r.err == nil {
		r.err = Fail(CodeDecoding, fail.At(r.path(), what))
	}
}

// wrong notes that the value read last is of another type than expected.
func (r *Reader) wrong(got jsontext.Kind, raw []byte) {
	name := map[jsontext.Kind]string{'{': "object", '[': "array", '"': "string", 't': "bool", 'f': "bool"}[got]
	if got == '0' {
		name = "number " + string(raw)
	}
	r.bad("must not be a JSON " + name)
}

// syntax notes an error of the tokenizer, with the byte at which it stumbled.
func (r *Reader) syntax(err error) {
	what := err.Error()
	if s, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		what = s.Err.Error() + " after " + strconv.FormatInt(s.ByteOffset, 10) + " bytes"
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		what = "the text ends too early"
	}
	r.err = Fail(CodeDecoding, &fail.Error{Where: r.where, Doing: "read the configuration", Err: errors.New(what)})
}

// path returns where the token read last stands: "ipam.ranges[0][1].subnet".
func (r *Reader) path() string {
	path, level := r.prefix(), 0
	for name := range r.tokens.StackPointer().Tokens() {
		// A pointer does not say whether "0" is an index or a name.
		if kind, _ := r.tokens.StackIndex(level + 1); kind == '[' {
			path += "[" + name + "]"
		} else {
			path = member(path, name)
		}
		level++
	}
	if path == "" {
		return r.where
	}
	return path
}

// last returns the name of the field read last, as it is written.
func (r *Reader) last() string { return r.tokens.StackPointer().LastToken() }

func (r *Reader) prefix() string {
	if r.where == stdin {
		return ""
	}
	return r.where
}

func member(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
