// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package fail

import "strings"

// failures is what went wrong with several things.
type failures []error

// Join returns several errors as one of one line, with the hint of the first; of a
// single one that one, of none nil.
func Join(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return failures(errs)
}

// Error returns all of them.
func (f failures) Error() string {
	texts := make([]string, len(f))
	for i, err := range f {
		texts[i] = Reason(err)
	}
	return oneLine(strings.Join(texts, "; "))
}

// Unwrap returns them.
func (f failures) Unwrap() []error { return f }
