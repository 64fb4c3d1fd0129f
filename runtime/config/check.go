// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"errors"
	"strings"

	"github.com/coracle-oci/coracle/internal/decode"
	"github.com/coracle-oci/coracle/internal/fail"
)

// Check is [Parse] and [Findings] for people who want to know everything that is
// wrong at once: a value of the wrong type does not hide the others. What cannot
// be read is left zero in the config, and nothing more is said about it.
//
// The config is nil if the text is no JSON.
func Check(data []byte) (*Config, []*fail.Error) {
	r := decode.Collect(Name, data)
	c := new(Config)
	spec(r, &c.Spec)
	r.End()
	if r.Err != nil {
		return nil, append(r.Found, asFinding(r.Err))
	}
	c.Warnings = r.Warnings
	found := r.Found
	for _, e := range Findings(c) {
		if !Covers(r.Found, e.Where) {
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
