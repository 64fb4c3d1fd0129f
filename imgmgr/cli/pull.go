// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/copy"
	"github.com/coracle-oci/coracle/imgmgr/layout"
	"github.com/coracle-oci/coracle/imgmgr/ref"
	"github.com/coracle-oci/coracle/internal/fail"
)

func newPullCommand(g *globals) *cobra.Command {
	var t *transfer
	var dryRun bool
	c := &cobra.Command{
		Use:        "pull REF [NAME]",
		SuggestFor: []string{"load"},
		Short:      "bring an image into the store",
		Long: `pull brings an image from a registry, a layout or an archive into the store, and
prints its digest. What an earlier pull left unfinished is gone on with.

The name in the store is that of the registry; for layouts and archives NAME is
needed, unless the image's name there is a whole reference.`,
		Args: cobra.RangeArgs(1, 2),
		Example: `  imgmgr pull registry.example/busybox:1.36
  imgmgr pull --platform linux/arm64 registry.example/busybox:1.36 busybox:arm64
  imgmgr pull oci-archive:busybox.tar busybox:1.36`,
		RunE: func(c *cobra.Command, args []string) error {
			ctx, cancel := t.limit(c.Context())
			defer cancel()
			return t.pull(ctx, args, dryRun)
		},
	}
	t = newTransfer(g, c)
	t.addAll(c)
	c.Flags().BoolVar(&dryRun, "dry-run", false, "only print what would be copied")
	return c
}

// pull is the verb.
func (t *transfer) pull(ctx context.Context, args []string, dryRun bool) error {
	from, err := ref.Parse(args[0])
	if err != nil {
		return usage(err)
	}
	if from, err = from.AtRegistry(); err != nil {
		return usage(err)
	}
	want, err := t.selection()
	if err != nil {
		return err
	}
	open := t.globals.newStore
	if dryRun {
		open = t.globals.store
	}
	l, err := open()
	if dryRun && absent(err) { // all of the image would be copied
		nothing, terr := newTemporary("imgmgr-pull-")
		if terr != nil {
			return terr
		}
		defer nothing.remove()
		l, err = layout.Create(nothing.path)
	}
	if err != nil {
		return err
	}
	defer l.Close()
	unlock, err := l.Use()
	if err != nil {
		return err
	}
	defer unlock()
	s, err := copy.Open(from, t.globals.store, t.client)
	if err != nil {
		return err
	}
	defer s.Close()
	name, err := nameFor(ctx, s, from, args[1:])
	if err != nil {
		return err
	}
	if dryRun {
		return t.printPull(ctx, s, l, want)
	}
	p, err := t.into(ctx, s, l, name, want)
	if err != nil {
		return err
	}
	fmt.Fprintln(t.globals.stdout, p.Root.Digest)
	return nil
}

func (t *transfer) printPull(ctx context.Context, s copy.Source, l *layout.Layout, want copy.Selection) error {
	p, err := copy.PlanPull(ctx, s, l, want)
	if err != nil {
		return err
	}
	fmt.Fprint(t.globals.stdout, p)
	return nil
}

// nameFor returns the name that an image gets in the store: the one given, the
// registry's, or what the layout or archive calls it, if that is a reference with
// a tag ("v1" alone names nothing outside of its layout).
func nameFor(ctx context.Context, s copy.Source, from ref.Ref, args []string) (string, error) {
	text := from.StoreName()
	if len(args) > 0 {
		text = args[0]
	} else if text == "" {
		root, err := s.Root(ctx)
		if err != nil {
			return "", err
		}
		if text = root.Annotations[v1.AnnotationRefName]; !strings.ContainsAny(text, ":@") {
			text = ""
		}
	}
	if text == "" {
		return "", usage(&fail.Error{Where: from.String(), Err: errNoName, Hint: "give one: imgmgr pull " + from.String() + " NAME"})
	}
	r, err := ref.Parse(text)
	if err != nil {
		return "", usage(err)
	}
	if r.StoreName() == "" {
		return "", usage(fail.At(text, "is not a name for the store"))
	}
	return r.StoreName(), nil
}

type cliError string

func (e cliError) Error() string { return string(e) }

const errNoName = cliError("the image has no name for the store")
