// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/coracle-oci/coracle/imgmgr/layout"
	"github.com/coracle-oci/coracle/imgmgr/ref"
	"github.com/coracle-oci/coracle/imgmgr/unpack"
	"github.com/coracle-oci/coracle/internal/fail"
)

func newCommitCommand(g *globals) *cobra.Command {
	var o unpack.CommitOptions
	var compress string
	c := &cobra.Command{
		Use:   "commit BUNDLE REF",
		Short: "make an image of a bundle and its changes",
		Long: `commit stores the image that BUNDLE was unpacked from with one more layer, which
has what changed in rootfs since then and nothing else, and names it REF: a name
of the store, or oci:DIR[:TAG]. Unchanged files are known by their inode and
ctime, so that their content is not read. Without changes, REF is the same image.

Mount points and sockets are not part of the image; files named .wh.* cannot be.`,
		Args:    cobra.ExactArgs(2),
		Example: "  imgmgr commit web1 registry.example/web:2\n  imgmgr commit --compress zstd web1 oci:build/image:web",
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if o.Compression, err = unpack.ParseCompression(compress); err != nil {
				return usage(err)
			}
			o.Warn = func(s string) { g.warn("%s", s) }
			return runCommit(c.Context(), g, args[0], args[1], o)
		},
	}
	c.Flags().StringVar(&compress, "compress", "gzip", "gzip, zstd or none")
	c.Flags().StringVar(&o.Author, "author", "", "author in the image's history")
	c.Flags().StringVarP(&o.Comment, "message", "m", "", "comment in the image's history")
	return c
}

func runCommit(ctx context.Context, g *globals, bundle, name string, o unpack.CommitOptions) error {
	to, err := g.openTarget(name)
	if err != nil {
		return err
	}
	defer to.close()
	made, err := unpack.Commit(ctx, bundle, to.layout, o)
	if err != nil {
		return err
	}
	if made.Changes == 0 {
		g.progress("nothing changed in %s", bundle)
	} else {
		g.progress("%d changes in a layer of %s", made.Changes, size(made.Layer.Size))
	}
	if err := to.layout.Tag(to.name, made.Manifest); err != nil {
		return err
	}
	fmt.Fprintln(g.stdout, made.Manifest.Digest)
	return nil
}

// A target is where a new image goes.
type target struct {
	layout *layout.Layout
	name   string
	unlock func()
}

func (t *target) close() {
	t.unlock()
	t.layout.Close()
}

// openTarget opens the layout that a reference to a new image names, and keeps
// its gc from running.
func (g *globals) openTarget(text string) (*target, error) {
	r, err := ref.Parse(text)
	if err != nil {
		return nil, usage(err)
	}
	t := &target{name: r.StoreName()}
	switch {
	case r.Digest != "":
		return nil, usage(fail.At(text, "a new image has no digest yet"))
	case r.Transport == ref.Store:
		t.layout, err = g.newStore()
	case r.Transport == ref.Layout:
		if t.name = r.Tag; t.name == "" {
			t.name = ref.DefaultTag
		}
		t.layout, err = layout.Create(r.Path)
	default:
		return nil, usage(&fail.Error{Where: text, Doing: "is neither a name of the store nor oci:DIR[:TAG]", Hint: "push and export bring images of the store elsewhere"})
	}
	if err != nil {
		return nil, err
	}
	if t.unlock, err = t.layout.Use(); err != nil {
		t.layout.Close()
		return nil, err
	}
	return t, nil
}
