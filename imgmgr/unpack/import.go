// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package unpack

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"runtime"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/imgmgr/entry"
	"github.com/coracle-oci/coracle/imgmgr/layer"
	"github.com/coracle-oci/coracle/imgmgr/layout"
	"github.com/coracle-oci/coracle/internal/inroot"
)

// ImportOptions say what the new image is like.
type ImportOptions struct {
	Compression  descriptor.Compression
	Config       v1.ImageConfig
	Architecture string // "" for this machine's
	Author       string
	Comment      string
	Warn         func(string)
}

// ImportDir stores a directory as an image of one layer in a layout, whose Use
// lock the caller holds. The same tree and options give the same image: there
// is no time in it but those of the files, and SOURCE_DATE_EPOCH.
func ImportDir(ctx context.Context, path string, to *layout.Layout, o ImportOptions) (v1.Descriptor, error) {
	root, err := inroot.Open(path)
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer root.Close()
	changes, err := layer.Diff(root, nil, nil, path, o.Warn)
	if err != nil {
		return v1.Descriptor{}, err
	}
	d, diffID, err := writeLayer(to, o.Compression, false, func(w io.Writer) error {
		return layer.Pack(w, root, changes, layer.PackOptions{Where: path, Single: os.Geteuid() != 0, Interrupted: ctx.Err})
	})
	if err != nil {
		return v1.Descriptor{}, err
	}
	return o.image(to, d, diffID)
}

// ImportTar stores a tar, which may be packed by gzip or zstd, as an image of one
// layer. The layer has the tar's own bytes; a tar that unpack would refuse is
// refused.
func ImportTar(ctx context.Context, r io.Reader, name string, to *layout.Layout, o ImportOptions) (v1.Descriptor, error) {
	plain, done, err := uncompressed(r)
	if err != nil {
		return v1.Descriptor{}, descriptor.Invalid(name, "%v", err)
	}
	defer done()
	d, diffID, err := writeLayer(to, o.Compression, false, func(w io.Writer) error {
		return copyTar(ctx, w, plain, name, o.Warn)
	})
	if err != nil {
		return v1.Descriptor{}, err
	}
	return o.image(to, d, diffID)
}

// uncompressed tells by the first bytes how a tar is packed.
func uncompressed(r io.Reader) (io.Reader, func(), error) {
	in := bufio.NewReaderSize(r, 256<<10)
	magic, err := in.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(in)
		return z, func() {}, err
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(in, zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}
	return in, func() {}, nil
}

// copyTar copies a tar to its end, and reads it on the way.
func copyTar(ctx context.Context, w io.Writer, r io.Reader, name string, warn func(string)) error {
	all := io.TeeReader(r, w)
	entries := entry.NewReader(entry.ReaderSource(all))
	count := 0
	for {
		h, err := entries.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		var op entry.Op
		if err == nil {
			op, err = entry.Compile(h)
		}
		if errors.Is(err, io.ErrUnexpectedEOF) && count == 0 {
			return descriptor.Invalid(name, "is not a tar, or has only the beginning of one")
		}
		if err != nil {
			return descriptor.Invalid(name, "%v", err)
		}
		if op.Warning != "" {
			warn(op.Warning)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		count++
	}
	if count == 0 {
		return descriptor.Invalid(name, "is a tar without entries")
	}
	_, err := io.Copy(io.Discard, all)
	return err
}

// image stores the config and manifest of an image of one layer.
func (o *ImportOptions) image(to *layout.Layout, d v1.Descriptor, diffID digest.Digest) (v1.Descriptor, error) {
	created, err := epoch()
	if err != nil {
		return v1.Descriptor{}, err
	}
	architecture := o.Architecture
	if architecture == "" {
		architecture = runtime.GOARCH
	}
	config, err := json.Marshal(v1.Image{
		Created: created, Author: o.Author,
		Platform: v1.Platform{OS: "linux", Architecture: architecture},
		Config:   o.Config,
		RootFS:   v1.RootFS{Type: "layers", DiffIDs: []digest.Digest{diffID}},
		History:  []v1.History{{Created: created, CreatedBy: "imgmgr import", Author: o.Author, Comment: o.Comment}},
	})
	if err != nil {
		return v1.Descriptor{}, err
	}
	m := v1.Manifest{MediaType: v1.MediaTypeImageManifest, Layers: []v1.Descriptor{d}}
	m.SchemaVersion = 2
	if m.Config, err = to.WriteBlob(v1.MediaTypeImageConfig, config); err != nil {
		return v1.Descriptor{}, err
	}
	return writeManifest(to, m)
}
