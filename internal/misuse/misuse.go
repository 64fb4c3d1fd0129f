// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package misuse says what is wrong with a command line of imgmgr or cninet, whose
// library is cobra: in one line with a hint, as package command does for coracle.
package misuse

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/fail"
)

// ExitStatus is that of a wrong command line.
const ExitStatus = 2

// Execute runs root. What fails before one of its commands begins is the fault of
// the command line; the other errors are returned as they are.
func Execute(ctx context.Context, root *cobra.Command) error {
	begun := false
	mark(root, &begun)
	root.DisableSuggestions = true // cobra's are lines of their own
	c, err := root.ExecuteContextC(ctx)
	if err == nil || begun {
		return err
	}
	return &command.ExitError{Code: ExitStatus, Err: &fail.Error{Err: err, Hint: hint(c, err)}}
}

// mark has the commands note that they begin. Cobra looks for flags that exclude
// each other last of all, behind its PersistentPreRun.
func mark(c *cobra.Command, begun *bool) {
	if run := c.RunE; run != nil {
		c.RunE = func(c *cobra.Command, args []string) error {
			*begun = true
			return run(c, args)
		}
	}
	for _, child := range c.Commands() {
		mark(child, begun)
	}
}

// hint is what to do about an error of c's command line.
func hint(c *cobra.Command, err error) string {
	near, word := "", ""
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		if name := unknown.GetSpecifiedName(); unknown.GetSpecifiedShortnames() == "" {
			near = fail.Nearest("--"+name, flags(c))
		}
	} else if _, e := fmt.Sscanf(err.Error(), "unknown command %q", &word); e == nil && c.HasSubCommands() {
		near = called(c, word)
	} else if !c.HasSubCommands() {
		return "usage: " + c.UseLine()
	}
	if near == "" {
		return "see " + c.CommandPath() + " --help"
	}
	return near
}

func flags(c *cobra.Command) (names []string) {
	add := func(f *pflag.Flag) { names = append(names, "--"+f.Name) }
	c.LocalFlags().VisitAll(add)
	c.InheritedFlags().VisitAll(add)
	return names
}

// called is a hint at the command that a word may mean: what another program calls
// it, or nearly its name.
func called(c *cobra.Command, word string) string {
	var names []string
	for _, child := range c.Commands() {
		if slices.Contains(child.SuggestFor, word) {
			return "did you mean " + child.Name() + "?"
		}
		if child.IsAvailableCommand() {
			names = append(names, child.Name())
		}
	}
	return fail.Nearest(word, names)
}
