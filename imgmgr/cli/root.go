// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package cli is imgmgr's verbs, one file each.
//
// A verb parses its flags into a struct and calls a package that does the work;
// nothing of the command line's library goes further in than here. Standard
// output is the answer (a digest on the last line, or JSON when asked), standard
// error the conversation. It never ends the process: package command does.
package cli

import (
	"context"
	"errors"
	"io"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/misuse"
)

// Exit statuses beside 0 and 1 (any other failure).
const (
	exitUsage    = misuse.ExitStatus
	exitNotFound = 3
	exitInvalid  = 4 // content that does not verify
)

// verbs is all that imgmgr can do: one line per file.
var verbs = []func(*globals) *cobra.Command{
	newPullCommand,
	newPushCommand,
	newListCommand,
	newInspectCommand,
	newTagCommand,
	newExportCommand,
	newRemoveCommand,
	newCollectCommand,
	newServeCommand,
	newUnpackCommand,
	newCommitCommand,
	newImportCommand,
}

// Run runs one command line (without the program's name) and returns what
// [command.Exit] turns into an exit status.
func Run(args []string, stdout, stderr io.Writer) error {
	g := &globals{stdout: stdout, stderr: stderr}
	root := newRoot(g)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	// The first signal ends the work in good order: transfers stop, partial
	// blobs stay for the next time. A second one kills.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return classify(misuse.Execute(ctx, root))
}

// Root is the table of imgmgr's verbs, for what is made of it.
func Root() *cobra.Command { return newRoot(&globals{}) }

func newRoot(g *globals) *cobra.Command {
	root := &cobra.Command{
		Use:   "imgmgr",
		Short: "move container images, and turn them into runtime bundles and back",
		Long: `imgmgr moves images between registries, OCI layouts and archives, and turns
them into runtime bundles and back. It needs no daemon.

Wherever a reference is taken:
  NAME[:TAG][@DIGEST]         an image of the store; for pull and push also of the registry in NAME
  docker://NAME[:TAG]         an image of a registry
  oci:DIR[:TAG]               an image of an OCI layout
  oci-archive:FILE[:TAG]      an image of a tar of an OCI layout
  docker-archive:FILE[:TAG]   an image of a tar as "docker save" writes it

Exit statuses: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 content does not verify.`,
		Example: `  imgmgr pull registry.example/busybox:1.36
  imgmgr unpack registry.example/busybox:1.36 bundle`,
		Version:       command.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate(command.VersionText("imgmgr"))
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().StringVar(&g.storeDir, "store", "", "`DIR` of the store, an OCI layout (default: /var/lib/imgmgr for root, else $XDG_DATA_HOME/imgmgr)")
	root.PersistentFlags().BoolVarP(&g.quiet, "quiet", "q", false, "say nothing but the answer and errors")
	for _, v := range verbs {
		root.AddCommand(v(g))
	}
	return root
}

// classify gives an error its exit status.
func classify(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*command.ExitError](err); ok {
		return err
	}
	if errors.Is(err, context.Canceled) {
		return &command.ExitError{Code: 1, Err: errors.New("interrupted")}
	}
	if _, ok := errors.AsType[*descriptor.NotFoundError](err); ok {
		return &command.ExitError{Code: exitNotFound, Err: err}
	}
	if _, ok := errors.AsType[*descriptor.InvalidError](err); ok {
		return &command.ExitError{Code: exitInvalid, Err: err}
	}
	return err
}

// usage is an error of the command line that only the verb can see.
func usage(err error) error { return &command.ExitError{Code: exitUsage, Err: err} }
