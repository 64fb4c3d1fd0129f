// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/layout"
	"github.com/coracle-oci/coracle/imgmgr/unpack"
	"github.com/coracle-oci/coracle/internal/fail"
)

func newImportCommand(g *globals) *cobra.Command {
	var o unpack.ImportOptions
	var compress string
	var labels []string
	c := &cobra.Command{
		Use:   "import DIR|TAR|- REF",
		Short: "make an image of a file system: a directory or a tar",
		Long: `import stores a directory, or a tar (which may be packed by gzip or zstd; - is
standard input), as an image of one layer, and names it REF: a name of the
store, or oci:DIR[:TAG]. The same tree gives the same digest: the image has no
time of its own unless SOURCE_DATE_EPOCH is set.

Without root, everything in a directory belongs to root in the image.`,
		Args: cobra.ExactArgs(2),
		Example: `  imgmgr import --cmd /bin/sh rootfs busybox:1.36
  tar -c -C rootfs . | imgmgr import - oci:build/image:busybox`,
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if o.Compression, err = unpack.ParseCompression(compress); err != nil {
				return usage(err)
			}
			if o.Config.Labels, err = parseLabels(labels); err != nil {
				return err
			}
			o.Warn = func(s string) { g.warn("%s", s) }
			return runImport(c.Context(), g, args[0], args[1], o)
		},
	}
	f := c.Flags()
	f.StringVar(&compress, "compress", "gzip", "gzip, zstd or none")
	f.StringArrayVar(&o.Config.Entrypoint, "entrypoint", nil, "program to run, then its fixed arguments: one `ARG` each time")
	f.StringArrayVar(&o.Config.Cmd, "cmd", nil, "default arguments, or the program: one `ARG` each time")
	f.StringArrayVarP(&o.Config.Env, "env", "e", nil, "`NAME=VALUE` for the environment")
	f.StringVar(&o.Config.WorkingDir, "workdir", "", "`DIR` to run in")
	f.StringVar(&o.Config.User, "user", "", "`USER[:GROUP]` to run as")
	f.StringArrayVar(&labels, "label", nil, "`NAME=VALUE` to add to the labels")
	f.StringVar(&o.Architecture, "arch", "", "architecture `ARCH` of the image (default: this machine's)")
	f.StringVar(&o.Author, "author", "", "author of the image")
	f.StringVarP(&o.Comment, "message", "m", "", "comment in the image's history")
	return c
}

func parseLabels(labels []string) (map[string]string, error) {
	if len(labels) == 0 {
		return nil, nil
	}
	m := map[string]string{}
	for _, l := range labels {
		name, value, ok := strings.Cut(l, "=")
		if !ok || name == "" {
			return nil, usage(fail.At("--label", fmt.Sprintf("%q is not NAME=VALUE", l)))
		}
		m[name] = value
	}
	return m, nil
}

func runImport(ctx context.Context, g *globals, from, name string, o unpack.ImportOptions) error {
	for _, e := range o.Config.Env {
		if n, _, ok := strings.Cut(e, "="); !ok || n == "" {
			return usage(fail.At("--env", fmt.Sprintf("%q is not NAME=VALUE", e)))
		}
	}
	to, err := g.openTarget(name)
	if err != nil {
		return err
	}
	defer to.close()
	d, err := importFrom(ctx, from, to.layout, o)
	if e, ok := errors.AsType[*fs.PathError](err); ok && e.Path == from {
		err = &fail.Error{Where: from, Doing: e.Op, Err: e.Err}
	}
	if err != nil {
		return err
	}
	if err := to.layout.Tag(to.name, d); err != nil {
		return err
	}
	fmt.Fprintln(g.stdout, d.Digest)
	return nil
}

func importFrom(ctx context.Context, from string, to *layout.Layout, o unpack.ImportOptions) (v1.Descriptor, error) {
	if from == "-" {
		return unpack.ImportTar(ctx, os.Stdin, "standard input", to, o)
	}
	f, err := os.Open(from)
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return v1.Descriptor{}, err
	}
	if info.IsDir() {
		return unpack.ImportDir(ctx, from, to, o)
	}
	return unpack.ImportTar(ctx, f, from, to, o)
}
