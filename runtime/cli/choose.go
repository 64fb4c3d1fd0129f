// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"slices"

	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/container"
)

func regexFlag() command.Flag {
	return command.Flag{Names: []string{"regex", "r"}, Help: "ID is a regular expression: every container whose id it matches"}
}

// chosen returns the ids that the operands name or, with --regex, match.
func chosen(c *command.Call, s container.Store, operands []string) ([]string, error) {
	if !c.Bool("regex") {
		return operands, nil
	}
	all, err := s.List(c.Warn)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, text := range operands {
		expression, err := compilePattern(text)
		if err != nil {
			return nil, &fail.Error{Where: "--regex", Err: err}
		}
		for _, state := range all {
			if expression.matches(state.ID) && !slices.Contains(ids, state.ID) {
				ids = append(ids, state.ID)
			}
		}
	}
	return ids, nil
}

// each goes on after a failure, and reports all of them in one line.
func each(ids []string, do func(id string) error) error {
	var failed []error
	for _, id := range ids {
		if err := do(id); err != nil {
			failed = append(failed, err)
		}
	}
	return fail.Join(failed)
}
