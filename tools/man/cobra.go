// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package main

import (
	"bytes"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/coracle-oci/coracle/internal/command"
)

// addCobra adds the pages and completions of imgmgr or cninet.
func addCobra(files map[string]string, root *cobra.Command) error {
	name := root.Name()
	p := command.Program{Name: name, Summary: root.Short, Long: long(root), Globals: flags(root.PersistentFlags())}
	for _, c := range root.Commands() {
		_, operands, _ := strings.Cut(c.Use, " ")
		v := command.Verb{Name: c.Name(), Args: operands, Summary: c.Short, Long: long(c), Flags: flags(c.NonInheritedFlags())}
		p.Verbs = append(p.Verbs, command.Maker{Name: v.Name, Make: func() command.Verb { return v }})
	}
	addPages(files, p)
	var bash, zsh, fish bytes.Buffer
	if err := root.GenBashCompletionV2(&bash, true); err != nil {
		return err
	}
	if err := root.GenZshCompletion(&zsh); err != nil {
		return err
	}
	if err := root.GenFishCompletion(&fish, true); err != nil {
		return err
	}
	addCompletions(files, name, bash.String(), zsh.String(), fish.String())
	return nil
}

func long(c *cobra.Command) string {
	text := c.Long
	if c.Example != "" {
		text += "\n\nexamples:\n" + c.Example
	}
	return text
}

// none is the defaults that say nothing.
var none = []string{"", "false", "0", "0s", "[]"}

func flags(set *pflag.FlagSet) (list []command.Flag) {
	set.VisitAll(func(f *pflag.Flag) {
		value, help := pflag.UnquoteUsage(f)
		names := []string{f.Name}
		if f.Shorthand != "" {
			names = append(names, f.Shorthand)
		}
		flag := command.Flag{Names: names, Value: strings.ToUpper(value), Help: help}
		if !slices.Contains(none, f.DefValue) {
			flag.Default = f.DefValue
		}
		list = append(list, flag)
	})
	return list
}
