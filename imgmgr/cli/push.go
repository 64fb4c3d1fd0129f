// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/coracle-oci/coracle/imgmgr/copy"
	"github.com/coracle-oci/coracle/imgmgr/layout"
	"github.com/coracle-oci/coracle/imgmgr/ref"
	"github.com/coracle-oci/coracle/internal/fail"
)

func newPushCommand(g *globals) *cobra.Command {
	var t *transfer
	var dryRun bool
	c := &cobra.Command{
		Use:               "push REF [DESTINATION]",
		ValidArgsFunction: g.names,
		Short:             "send an image to a registry, a layout or an archive",
		Long: `push sends an image, by default to the registry in its name, and prints its
digest. An index goes out whole; --platform sends one image of it. Blobs that the
registry has, or has in another repository that the store knows, are not sent.`,
		Args: cobra.RangeArgs(1, 2),
		Example: `  imgmgr push registry.example/app:2
  imgmgr push app:2 docker://registry.example/team/app:2
  imgmgr push app:2 oci:dir:2`,
		RunE: func(c *cobra.Command, args []string) error {
			ctx, cancel := t.limit(c.Context())
			defer cancel()
			return t.push(ctx, args, dryRun)
		},
	}
	t = newTransfer(g, c)
	c.Flags().BoolVar(&dryRun, "dry-run", false, "only print what would be sent")
	return c
}

func newExportCommand(g *globals) *cobra.Command {
	var t *transfer
	c := &cobra.Command{
		Use:               "export REF FILE",
		ValidArgsFunction: g.names,
		SuggestFor:        []string{"save"},
		Short:             "write an image to a file, as an OCI archive",
		Long: `export writes an image to a tar of an OCI layout, and prints its digest. FILE may
also be oci-archive:FILE[:TAG] or docker-archive:FILE[:TAG].`,
		Args: cobra.ExactArgs(2),
		Example: `  imgmgr export busybox:1.36 busybox.tar
  imgmgr export busybox:1.36 docker-archive:busybox.tar`,
		RunE: func(c *cobra.Command, args []string) error {
			ctx, cancel := t.limit(c.Context())
			defer cancel()
			to, err := ref.Parse(args[1])
			if err != nil || to.Transport == ref.Store {
				to, err = ref.Ref{Transport: ref.OCIArchive, Path: args[1]}, nil
			}
			if to.Transport != ref.OCIArchive && to.Transport != ref.DockerArchive {
				return usage(fail.At(args[1], "is not a file"))
			}
			return t.send(ctx, args[0], to, false)
		},
	}
	t = newTransfer(g, c)
	t.addAll(c)
	return c
}

// push is the verb.
func (t *transfer) push(ctx context.Context, args []string, dryRun bool) error {
	to, err := ref.Parse(args[len(args)-1])
	if err != nil {
		return usage(err)
	}
	if to, err = to.AtRegistry(); err != nil {
		return usage(err)
	}
	if to.Transport == ref.Registry && to.Tag == "" && to.Digest == "" {
		to.Tag = ref.DefaultTag
	}
	t.all = t.platform == "" && to.Transport != ref.DockerArchive
	return t.send(ctx, args[0], to, dryRun)
}

// send brings an image from anywhere to anywhere but the store. What does not
// lie in a layout yet passes through the store.
func (t *transfer) send(ctx context.Context, text string, to ref.Ref, dryRun bool) error {
	from, err := ref.Parse(text)
	if err != nil {
		return usage(err)
	}
	want, err := t.selection()
	if err != nil {
		return err
	}
	s, err := copy.Open(from, t.globals.store, t.client)
	if err != nil {
		return err
	}
	defer s.Close()
	l, unlock, err := t.stage(ctx, from, s, want, dryRun)
	if err != nil {
		return err
	}
	defer unlock()
	p, err := copy.PlanPush(ctx, s, want)
	if err != nil {
		return err
	}
	if dryRun {
		fmt.Fprint(t.globals.stdout, p)
		return nil
	}
	if err := t.deliver(ctx, l, s, p, want, from, to); err != nil {
		return err
	}
	fmt.Fprintln(t.globals.stdout, p.Root.Digest)
	return nil
}

// stage returns the layout that the image lies in, locked; the image is brought
// there if it lies in none.
func (t *transfer) stage(ctx context.Context, from ref.Ref, s copy.Source, want copy.Selection, dryRun bool) (*layout.Layout, func(), error) {
	var l *layout.Layout
	var err error
	switch from.Transport {
	case ref.Layout:
		l, err = layout.Open(from.Path)
	case ref.Store:
		l, err = t.globals.store()
	default:
		l, err = t.globals.newStore()
	}
	if err != nil {
		return nil, nil, err
	}
	unlock, err := l.Use()
	if err != nil {
		l.Close()
		return nil, nil, err
	}
	end := func() { unlock(); l.Close() }
	if from.Transport != ref.Store && from.Transport != ref.Layout && !dryRun {
		if _, err := t.into(ctx, s, l, "", want); err != nil {
			end()
			return nil, nil, err
		}
	}
	return l, end, nil
}

// deliver is the second half of send.
func (t *transfer) deliver(ctx context.Context, l *layout.Layout, s copy.Source, p *copy.Plan, want copy.Selection, from, to ref.Ref) error {
	switch to.Transport {
	case ref.Registry:
		c, err := t.client()
		if err != nil {
			return err
		}
		return copy.Push(ctx, l, p, c, to, t.options())
	case ref.Layout:
		return t.toLayout(ctx, s, want, to)
	}
	name := to.Tag
	return copy.WriteFile(to.Path, func(w io.Writer) error {
		if to.Transport == ref.DockerArchive {
			if name == "" {
				name = from.StoreName()
			}
			return copy.ExportDocker(ctx, w, l, p, name)
		}
		if name == "" {
			name = from.StoreName()
		}
		return copy.ExportOCI(ctx, w, l, p, name)
	})
}

// toLayout copies to another layout. Its tag is the name there.
func (t *transfer) toLayout(ctx context.Context, s copy.Source, want copy.Selection, to ref.Ref) error {
	l, err := layout.Create(to.Path)
	if err != nil {
		return err
	}
	defer l.Close()
	unlock, err := l.Use()
	if err != nil {
		return err
	}
	defer unlock()
	name := to.Tag
	if name == "" {
		name = ref.DefaultTag
	}
	_, err = t.into(ctx, s, l, name, want)
	return err
}
