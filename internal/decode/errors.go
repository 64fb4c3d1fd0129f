// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package decode

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/go-json-experiment/json/jsontext"
)

// looksLikeJSON refuses what is no JSON object at all, in words that fit better
// than those of a tokenizer which stumbles over the first byte.
func looksLikeJSON(name string, data []byte) error {
	rest := bytes.TrimLeft(data, " \t\r\n")
	switch {
	case len(rest) == 0:
		return fail.At(name, "is empty")
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return &fail.Error{Where: name, Doing: "begins with a byte order mark", Hint: "save it as plain UTF-8"}
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		return &fail.Error{Where: name, Doing: "is UTF-16", Hint: "save it as plain UTF-8"}
	case rest[0] != '{':
		if kind := jsontext.Value(rest[:1]).Kind(); kind != 0 && kind != '}' && kind != ']' {
			return fail.At(name, "must be an object, not "+kindName(kind))
		}
		return &fail.Error{Where: name, Doing: "is not JSON: it begins with " + strconv.QuoteRuneToASCII(firstRune(rest))}
	}
	return nil
}

func firstRune(b []byte) rune {
	first, _ := utf8.DecodeRune(b)
	return first
}

// Bad notes that the value read last is wrong.
func (r *Reader) Bad(what string) { r.Refuse(what, "") }

// Refuse is Bad with a hint.
func (r *Reader) Refuse(what, hint string) {
	if r.Err != nil {
		return
	}
	e := &fail.Error{Where: strings.TrimRight(r.Name+" "+r.path(), " "), Doing: what, Hint: hint}
	if r.collects {
		r.Found = append(r.Found, e)
		return
	}
	r.Err = e
}

// wrong notes that the value read last is of another type than the spec's.
func (r *Reader) wrong(want, got jsontext.Kind) {
	r.Bad("must be " + kindName(want) + ", not " + kindName(got))
}

func kindName(kind jsontext.Kind) string {
	switch kind {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case 'n':
		return "null"
	default:
		return "true or false"
	}
}

// syntax notes an error of the tokenizer.
func (r *Reader) syntax(err error) {
	if r.Err != nil {
		return
	}
	at, what := r.tokens.InputOffset(), err.Error()
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		at, what = syntactic.ByteOffset, syntactic.Err.Error()
	}
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		what = r.duplicate(at)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		at, what = int64(len(r.text)), "the text ends too early"
	}
	r.Err = fail.At(r.position(at), what)
}

// duplicate names the property at an offset, which stands there for the second time.
func (r *Reader) duplicate(at int64) string {
	name := "a name"
	rest := strings.TrimLeft(r.text[at:], " \t\r\n,")
	if raw, err := jsontext.NewDecoder(strings.NewReader(rest)).ReadValue(); err == nil {
		name = string(raw)
	}
	return name + " is given twice in the same object"
}

// position returns "config.json:3:17": line and column in bytes, both from 1.
func (r *Reader) position(offset int64) string {
	before := r.text[:min(offset, int64(len(r.text)))]
	line := 1 + strings.Count(before, "\n")
	column := len(before) - strings.LastIndexByte(before, '\n')
	return r.Name + ":" + strconv.Itoa(line) + ":" + strconv.Itoa(column)
}

// path returns where the token read last stands: "mounts[3].options[1]". It is
// the JSON pointer in the form in which people write it.
func (r *Reader) path() string {
	var b strings.Builder
	level := 0
	for name := range r.tokens.StackPointer().Tokens() {
		// A pointer does not say whether "0" is an index or a name.
		if kind, _ := r.tokens.StackIndex(level + 1); kind == '[' {
			b.WriteString("[" + name + "]")
		} else {
			b.WriteString(Member(b.Len() == 0, name))
		}
		level++
	}
	return b.String()
}

// Member returns a property's name as a path has it: quoted in brackets where a
// dot would mislead, as in sysctl["net.ipv4.ip_forward"].
func Member(first bool, name string) string {
	switch {
	case name == "" || strings.ContainsAny(name, ".[]\" \t\n"):
		return "[" + strconv.Quote(name) + "]"
	case first:
		return name
	default:
		return "." + name
	}
}
