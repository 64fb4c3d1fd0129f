// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"bytes"
	"errors"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/coracle-oci/coracle/internal/fail"
)

// Check is [Parse] and [Findings] for people who want to know everything that is
// wrong at once: a value of the wrong type does not hide the others. What cannot
// be read is left zero in the config, and nothing more is said about it.
//
// The config is nil if the text is no JSON.
func Check(data []byte) (*Config, []*fail.Error) {
	if err := looksLikeJSON(data); err != nil {
		return nil, []*fail.Error{asFinding(err)}
	}
	r := &reader{tokens: jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true)), text: string(data), collects: true}
	c := new(Config)
	spec(r, &c.Spec)
	r.end()
	if r.err != nil {
		return nil, append(r.found, asFinding(r.err))
	}
	c.Warnings = r.warnings
	found := r.found
	for _, e := range Findings(c) {
		if !Covers(r.found, e.Where) {
			found = append(found, e)
		}
	}
	if len(found) == 0 { // a duplicate in what is skipped is for the tokenizer to find
		if _, err := Parse(data); err != nil {
			found = append(found, asFinding(err))
		}
	}
	return c, found
}

// Covers tells whether something is said already about a place, or about what it
// is a part of.
func Covers(found []*fail.Error, where string) bool {
	for _, e := range found {
		if rest, ok := strings.CutPrefix(where, e.Where); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}

func asFinding(err error) *fail.Error {
	if e, ok := errors.AsType[*fail.Error](err); ok {
		return e
	}
	return &fail.Error{Where: Name, Err: err}
}
