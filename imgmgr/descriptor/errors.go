// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package descriptor

import (
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/coracle-oci/coracle/internal/fail"
)

// An InvalidError says that content is not what its descriptor or its
// specification says. imgmgr exits with 4.
type InvalidError struct{ Reason string }

func (e *InvalidError) Error() string { return e.Reason }

// Invalid returns a [fail.Error] for content that does not verify.
func Invalid(where, format string, args ...any) error {
	return &fail.Error{Where: where, Err: &InvalidError{fmt.Sprintf(format, args...)}}
}

// A NotFoundError says that an image, blob or tag does not exist. imgmgr exits
// with 3.
type NotFoundError struct{ Reason string }

func (e *NotFoundError) Error() string { return e.Reason }

// NotFound returns a [fail.Error] for what does not exist.
func NotFound(where, format string, args ...any) error {
	return &fail.Error{Where: where, Err: &NotFoundError{fmt.Sprintf(format, args...)}}
}

// Mismatch is the error for content that hashes to something else. Both digests
// are in it: they are what one looks for in a registry's log.
func Mismatch(where string, want, got digest.Digest) error {
	return Invalid(where, "content has digest %s, want %s", got, want)
}
