// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/imgmgr/layout"
	"github.com/coracle-oci/coracle/imgmgr/ref"
	"github.com/coracle-oci/coracle/internal/fail"
)

// listed is one line of ls.
type listed struct {
	Name      string   `json:"name"`
	Digest    string   `json:"digest"`
	MediaType string   `json:"mediaType"`
	Size      int64    `json:"size"` // bytes of all blobs of the image that are in the store
	Platforms []string `json:"platforms,omitempty"`
}

func newListCommand(g *globals) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:        "ls [oci:DIR]",
		SuggestFor: []string{"list", "images"},
		Short:      "list the images of the store, or of another OCI layout",
		Args:       cobra.MaximumNArgs(1),
		Example:    "  imgmgr ls\n  imgmgr ls oci:build/image --format json",
		RunE: func(_ *cobra.Command, args []string) error {
			asJSON, err := wantJSON(format)
			if err != nil {
				return err
			}
			images, err := g.list(args)
			if err != nil {
				return err
			}
			if asJSON {
				return g.printJSON(images)
			}
			w := tabwriter.NewWriter(g.stdout, 0, 8, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tSIZE\tPLATFORM\tDIGEST")
			for _, i := range images {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", printable(i.Name), size(i.Size), strings.Join(i.Platforms, ","), i.Digest)
			}
			return w.Flush()
		},
	}
	c.Flags().StringVar(&format, "format", "table", "`FORMAT`: table or json")
	return c
}

// listable opens the layout that ls is about.
func (g *globals) listable(args []string) (*layout.Layout, error) {
	if len(args) == 0 {
		return g.store()
	}
	r, err := ref.Parse(args[0])
	if err != nil {
		return nil, usage(err)
	}
	if r.Transport != ref.Layout || r.Tag != "" {
		return nil, usage(fail.At(args[0], "is not oci:DIR"))
	}
	return layout.Open(r.Path)
}

// names completes the first operand of a verb, and all of rm's, by the images of the
// store. Shells offer files where none fits.
func (g *globals) names(c *cobra.Command, args []string, _ string) (names []string, files cobra.ShellCompDirective) {
	if len(args) > 0 && c.Name() != "rm" {
		return nil, files
	}
	dir, err := g.storePath()
	if err != nil {
		return nil, files
	}
	l, err := layout.Open(dir)
	if err != nil {
		return nil, files
	}
	defer l.Close()
	names, _, _ = l.Names()
	return slices.DeleteFunc(names, func(n string) bool { return n == "" }), files
}

// list returns the images of the layout that ls is about.
func (g *globals) list(args []string) ([]listed, error) {
	l, err := g.listable(args)
	if len(args) == 0 && g.isEmpty(err) {
		return []listed{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer l.Close()
	names, manifests, err := l.Names()
	if err != nil {
		return nil, err
	}
	images := make([]listed, len(names))
	for i, d := range manifests {
		images[i] = listed{Name: names[i], Digest: string(d.Digest), MediaType: d.MediaType}
		if err := images[i].weigh(l, d, map[string]bool{}); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(images, func(a, b listed) int { return strings.Compare(a.Name, b.Name) })
	return images, nil
}

// weigh adds up what of an image is in the layout, each blob once.
func (i *listed) weigh(l *layout.Layout, d v1.Descriptor, seen map[string]bool) error {
	if seen[string(d.Digest)] || !l.Has(d) {
		return nil
	}
	seen[string(d.Digest)] = true
	i.Size += d.Size
	children, err := l.Children(d)
	if err != nil {
		return err
	}
	for _, c := range children {
		if descriptor.KindOf(c.MediaType) == descriptor.KindConfig && l.Has(c) {
			if err := i.addPlatform(l, c); err != nil {
				return err
			}
		}
		if err := i.weigh(l, c, seen); err != nil {
			return err
		}
	}
	return nil
}

func (i *listed) addPlatform(l *layout.Layout, config v1.Descriptor) error {
	data, err := l.ReadBlob(config, descriptor.MaxConfig)
	if err != nil {
		return err
	}
	c, err := descriptor.ParseConfig("blob "+string(config.Digest), data)
	if err != nil {
		return err
	}
	if p := printable(descriptor.FormatPlatform(c.Platform)); !slices.Contains(i.Platforms, p) {
		i.Platforms = append(i.Platforms, p)
	}
	return nil
}

// printable keeps what an image says of itself from talking to the terminal.
func printable(s string) string {
	if s == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

func newRemoveCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:               "rm NAME...",
		ValidArgsFunction: g.names,
		SuggestFor:        []string{"rmi", "remove", "delete", "untag"},
		Short:             "remove names from the store; gc removes what they leave behind",
		Long:              "rm removes names from the store: those that are there, also if others are not. gc\nremoves what they leave behind.",
		Args:              cobra.MinimumNArgs(1),
		Example:           "  imgmgr rm registry.example/busybox:1.36 && imgmgr gc",
		RunE: func(_ *cobra.Command, args []string) error {
			names := make([]ref.Ref, len(args))
			for i, a := range args {
				r, err := ref.Parse(a)
				if err != nil {
					return usage(err)
				}
				if r.Transport != ref.Store {
					return usage(fail.At(a, "rm removes images of the store only"))
				}
				names[i] = r
			}
			l, err := g.store()
			if err != nil {
				return err
			}
			defer l.Close()
			var failed []error
			for _, r := range names {
				if err := removeName(l, r); err != nil {
					failed = append(failed, err)
				}
			}
			return fail.Join(failed)
		},
	}
}

// removeName removes one name. With a digest behind it, only if it still has
// this digest.
func removeName(l *layout.Layout, r ref.Ref) error {
	if r.Tag != "" && r.Digest != "" {
		if _, err := resolve(l, r); err != nil {
			return err
		}
	}
	return l.Untag(r.StoreName())
}

// resolve returns the image of a name, and of the digest behind it if there is one.
func resolve(l *layout.Layout, r ref.Ref) (v1.Descriptor, error) {
	d, err := l.Resolve(r.StoreName())
	if err == nil && r.Digest != "" && string(d.Digest) != r.Digest {
		err = descriptor.NotFound(l.Path(), "has %s with another digest, %s", r.StoreName(), d.Digest)
	}
	return d, err
}

func newTagCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:               "tag NAME NEW-NAME",
		ValidArgsFunction: g.names,
		Short:             "give an image of the store one more name",
		Long: `tag gives an image of the store one more name, and prints its digest. If another
image has NEW-NAME, it loses it. Other names stay: rm removes them.`,
		Args:    cobra.ExactArgs(2),
		Example: "  imgmgr tag app:1 registry.example/team/app:1 && imgmgr push registry.example/team/app:1",
		RunE: func(_ *cobra.Command, args []string) error {
			var names [2]ref.Ref
			for i, a := range args {
				r, err := ref.Parse(a)
				if err != nil {
					return usage(err)
				}
				if r.Transport != ref.Store || i == 1 && r.Digest != "" {
					return usage(fail.At(a, "tag names images of the store only"))
				}
				names[i] = r
			}
			l, err := g.store()
			if err != nil {
				return err
			}
			defer l.Close()
			release, err := l.Use()
			if err != nil {
				return err
			}
			defer release()
			d, err := resolve(l, names[0])
			if err != nil {
				return err
			}
			if err := l.Tag(names[1].StoreName(), d); err != nil {
				return err
			}
			fmt.Fprintln(g.stdout, d.Digest)
			return nil
		},
	}
}

// collect removes the store's garbage. A pull that was killed may have left none, or
// what is no store yet.
func (g *globals) collect(dryRun bool) (layout.Garbage, error) {
	dir, err := g.storePath()
	if err != nil {
		return layout.Garbage{}, err
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		g.warn("%s: no such store", dir)
		return layout.Garbage{}, nil
	}
	l, err := layout.Create(dir)
	if err != nil {
		return layout.Garbage{}, err
	}
	defer l.Close()
	return l.Collect(dryRun)
}

// collected is the answer of gc.
type collected struct {
	Blobs    []string `json:"blobs"`
	Partials []string `json:"partials"`
	Stages   []string `json:"stages"`
	Bytes    int64    `json:"bytes"`
}

func newCollectCommand(g *globals) *cobra.Command {
	var format string
	var dryRun bool
	c := &cobra.Command{
		Use:   "gc",
		Short: "remove blobs that no image of the store uses, unfinished downloads, and what killed unpacks left",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			asJSON, err := wantJSON(format)
			if err != nil {
				return err
			}
			garbage, err := g.collect(dryRun)
			if err != nil {
				return err
			}
			none := []string{} // is [] in JSON
			answer := collected{Blobs: none, Partials: append(none, garbage.Partials...), Stages: append(none, garbage.Stages...), Bytes: garbage.Bytes}
			for _, d := range garbage.Blobs {
				answer.Blobs = append(answer.Blobs, string(d))
			}
			if asJSON {
				return g.printJSON(answer)
			}
			for _, name := range slices.Concat(answer.Blobs, answer.Partials, answer.Stages) {
				fmt.Fprintln(g.stdout, name)
			}
			verb := "removed"
			if dryRun {
				verb = "would remove"
			}
			g.progress("%s %d blobs and %d unfinished downloads, %s", verb, len(answer.Blobs), len(answer.Partials), size(answer.Bytes))
			if n := len(answer.Stages); n > 0 {
				g.progress("%s %d directories that killed unpacks left", verb, n)
			}
			return nil
		},
	}
	c.Flags().StringVar(&format, "format", "table", "`FORMAT`: table or json")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "only print what would be removed")
	return c
}
