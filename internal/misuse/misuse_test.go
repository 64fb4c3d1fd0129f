// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package misuse

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/spf13/cobra"

	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/fail"
)

func boat() *cobra.Command {
	root := &cobra.Command{Use: "boat", SilenceErrors: true, SilenceUsage: true}
	root.PersistentFlags().Bool("quiet", false, "")
	row := &cobra.Command{Use: "row NAME", SuggestFor: []string{"paddle"}, Args: cobra.ExactArgs(1), RunE: func(_ *cobra.Command, args []string) error {
		return errors.New(args[0] + " sinks")
	}}
	row.Flags().String("harbour", "", "")
	row.Flags().Bool("open-sea", false, "")
	row.MarkFlagsMutuallyExclusive("harbour", "open-sea")
	root.AddCommand(row)
	return root
}

func TestMisuse(t *testing.T) {
	for _, c := range []struct {
		args      []string
		say, hint string
	}{
		{[]string{"rwo"}, `unknown command "rwo" for "boat"`, "did you mean row?"},
		{[]string{"paddle"}, `unknown command "paddle" for "boat"`, "did you mean row?"},
		{[]string{"--quiet", "swim"}, `unknown command "swim" for "boat"`, "see boat --help"},
		{[]string{"row", "--harbor", "x"}, "unknown flag: --harbor", "did you mean --harbour?"},
		{[]string{"row", "--quite", "x"}, "unknown flag: --quite", "did you mean --quiet?"},
		{[]string{"--quite"}, "unknown flag: --quite", "did you mean --quiet?"},
		{[]string{"row", "-x"}, "unknown shorthand flag: 'x' in -x", "see boat row --help"},
		{[]string{"row", "--harbour=x", "--open-sea", "x"}, "if any flags in the group [harbour open-sea] are set none of the others can be; [harbour open-sea] were all set", "usage: boat row NAME [flags]"},
		{[]string{"row"}, "accepts 1 arg(s), received 0", "usage: boat row NAME [flags]"},
		{[]string{"row", "--harbour"}, "flag needs an argument: --harbour", "usage: boat row NAME [flags]"},
	} {
		root := boat()
		root.SetArgs(c.args)
		err := Execute(context.Background(), root)
		exit, ok := errors.AsType[*command.ExitError](err)
		if !ok || exit.Code != ExitStatus || exit.Err.Error() != c.say || fail.HintOf(exit.Err) != c.hint {
			t.Errorf("%v: %v; hint: %s", c.args, err, fail.HintOf(err))
		}
	}
}

// TestUse: what a command itself returns is none of the command line's fault.
func TestUse(t *testing.T) {
	root := boat()
	root.SetArgs([]string{"row", "tub"})
	if err := Execute(context.Background(), root); err == nil || err.Error() != "tub sinks" {
		t.Error(err)
	}
	root = boat()
	root.SetArgs([]string{"--help"})
	root.SetOut(io.Discard)
	if err := Execute(context.Background(), root); err != nil {
		t.Error(err)
	}
}
