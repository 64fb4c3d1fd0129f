// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package fail defines the one error that users see.
//
// The layer that knows the field builds an [Error]; the layers below return an
// errno or an [io/fs.PathError] and wrap nothing. It prints nothing itself:
// package command is the voice. Everybody may call it.
package fail

import (
	"errors"
	"strings"
	"syscall"
)

// An Error says in one line what went wrong, and in a second what to do.
type Error struct {
	Where string // file, with the JSON path inside it, or a flag: "config.json mounts[3].source"
	Doing string // imperative phrase: "bind /srv/data on /data"
	Err   error  // an errno when the kernel said no; nil when Doing says it all
	Hint  string // one actionable sentence, or nothing
}

// At returns an Error for a value that is wrong in itself: no operation failed.
func At(where, what string) *Error { return &Error{Where: where, Doing: what} }

// Error returns "where: doing: reason", lower case, in one line. An errno in
// Err is given as text and name: people search for the name.
func (e *Error) Error() string {
	parts := make([]string, 0, 3)
	for _, p := range []string{e.Where, e.Doing} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	if e.Err != nil {
		parts = append(parts, Reason(e.Err))
	}
	return oneLine(strings.Join(parts, ": "))
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Reason returns the text of err, with the name of an errno behind it.
func Reason(err error) string {
	text := err.Error()
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return text
	}
	if name := ErrnoName(errno); name != "" && !strings.Contains(text, "("+name+")") {
		text += " (" + name + ")"
	}
	return text
}

// HintOf returns the hint of the first Error in err's chain that has one.
func HintOf(err error) string {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return ""
		}
		if e.Hint != "" {
			return oneLine(e.Hint)
		}
		err = e.Err
	}
	return ""
}

// oneLine escapes what would break the line: names come from users.
func oneLine(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f:
			const hex = "0123456789abcdef"
			b.WriteString(`\x` + string(hex[r>>4]) + string(hex[r&15]))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Errno makes an error of an errno, for the packages that must not import
// syscall: they take the numbers from internal/sys/linux.
func Errno(n int) error { return syscall.Errno(n) }
