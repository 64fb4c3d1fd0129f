// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package command is what the programs of this module have in common as
// programs: how they talk on standard error, and how they exit.
//
// Standard output is the answer, standard error the conversation. Lines begin
// with the program's name and are lower case, without a full stop. This is the
// only package that calls os.Exit.
package command

import (
	"errors"
	"fmt"
	"os"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
)

// An ExitError asks for an exit status. Err is what the user is told; nil where
// all has been said (the status of a container's process).
type ExitError struct {
	Code int
	Err  error
}

// Error returns the text of Err, or names the status.
func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit status %d", e.Code)
	}
	return e.Err.Error()
}

// Unwrap returns Err.
func (e *ExitError) Unwrap() error { return e.Err }

// Exit ends the program with the status that err asks for: 0 for nil, 1 for
// any error but an [ExitError]. It tells the user what err says.
func Exit(program string, err error) {
	if err == nil {
		os.Exit(0)
	}
	code := 1
	if exit, ok := errors.AsType[*ExitError](err); ok {
		code, err = exit.Code, exit.Err
	}
	if err != nil {
		os.Stderr.WriteString(Line(program, err, sys.IsTerminal(2)))
	}
	os.Exit(code)
}

// Line is what standard error gets for err: one line with the hint at its end,
// or, for a person at a terminal, the hint on a second line.
func Line(program string, err error, terminal bool) string {
	text, hint := fail.Reason(err), fail.HintOf(err)
	switch {
	case hint == "":
		return program + ": " + text + "\n"
	case terminal:
		return program + ": " + text + "\n" + program + ": hint: " + hint + "\n"
	default:
		return program + ": " + text + "; hint: " + hint + "\n"
	}
}
