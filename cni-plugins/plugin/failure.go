// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plugin

import (
	"errors"

	"github.com/coracle-oci/coracle/internal/fail"
)

// The codes of the specification, section 5 "Error".
const (
	CodeVersion      = 1  // a version of the specification that we do not speak
	CodeUnsupported  = 2  // a field that we do not support
	CodeContainer    = 3  // unknown container
	CodeEnvironment  = 4  // the environment is wrong or incomplete
	CodeIO           = 5  // reading or writing failed
	CodeDecoding     = 6  // the configuration is no JSON, or of wrong types
	CodeInvalid      = 7  // the configuration is wrong
	CodeTryLater     = 11 // a transient condition
	CodeNotAvailable = 50 // STATUS: no ADD would work
	CodeLimited      = 51 // STATUS: containers would have limited connectivity
)

// Our own codes.
const (
	CodeKernel    = 100 // the kernel refused an operation
	CodeExhausted = 101 // no free address in a range
	CodeTaken     = 102 // the address that was asked for belongs to another container
	CodeConflict  = 103 // the bridge or the interface exists and is not as asked for
	CodeDuplicate = 104 // this container has a lease for this interface already
	CodeDrifted   = 105 // CHECK found something else than ADD had made
)

// An Error is what a plugin answers instead of a result.
type Error struct {
	Code int
	Err  error
}

// Fail gives an error its code; one that has a code keeps it.
func Fail(code int, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	return &Error{code, err}
}

// Error returns the text of Err.
func (e *Error) Error() string { return fail.Reason(e.Err) }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of err; that of a refusal of the kernel if it has none.
func CodeOf(err error) int {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeKernel
}

// EncodeError returns the answer for err: cniVersion, code, msg, and as details
// the hint, if there is one.
func EncodeError(version string, err error) []byte {
	return document(func(w *writer) {
		w.string("cniVersion", spoken(version))
		w.int("code", CodeOf(err))
		w.string("msg", fail.Reason(err))
		w.text("details", fail.HintOf(err))
	})
}

// ParseError reads the answer of a plugin that failed.
func ParseError(stdout []byte) (error, bool) {
	var code int
	var told fail.Error
	err := Read("", stdout, func(j *Reader) {
		j.Object(func(name string) {
			switch name {
			case "code":
				j.Int(&code)
			case "msg":
				j.String(&told.Doing)
			case "details":
				j.String(&told.Hint)
			default:
				j.Skip()
			}
		})
	})
	if err != nil || told.Doing == "" {
		return nil, false
	}
	return &Error{code, &told}, true
}

// Invalid is for a field whose value is wrong in itself.
func Invalid(field, what string) error { return Fail(CodeInvalid, fail.At(field, what)) }

// Unsupported is for a field that we know and cannot serve.
func Unsupported(field, what string) error { return Fail(CodeUnsupported, fail.At(field, what)) }

func environment(name, what string) error { return Fail(CodeEnvironment, fail.At(name, what)) }

// Environment is for a variable of the environment that turns out wrong later.
func Environment(name, doing string, err error) error {
	return Fail(CodeEnvironment, &fail.Error{Where: name, Doing: doing, Err: err})
}
