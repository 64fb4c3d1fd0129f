// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package unpack

import (
	"fmt"
	"io"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/imgmgr/layer"
	"github.com/coracle-oci/coracle/imgmgr/layout"
)

// An Image is one image of a layout, its manifest and config verified.
type Image struct {
	Layout     *layout.Layout
	Descriptor v1.Descriptor // of the manifest
	Manifest   v1.Manifest
	Config     v1.Image
	rawConfig  []byte
}

// Load reads the image whose manifest d describes.
func Load(l *layout.Layout, d v1.Descriptor) (*Image, error) {
	where := "manifest " + string(d.Digest)
	data, err := l.ReadBlob(d, descriptor.MaxManifest)
	if err != nil {
		return nil, err
	}
	i := &Image{Layout: l, Descriptor: v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}}
	if i.Manifest, err = descriptor.ParseManifest(where, d.MediaType, data); err != nil {
		return nil, err
	}
	if k := descriptor.KindOf(i.Manifest.Config.MediaType); k != descriptor.KindConfig {
		return nil, descriptor.Invalid(where, "its config is a %q: this is an artifact, not an image", i.Manifest.Config.MediaType)
	}
	if i.rawConfig, err = l.ReadBlob(i.Manifest.Config, descriptor.MaxConfig); err != nil {
		return nil, err
	}
	if i.Config, err = descriptor.ParseConfig("config "+string(i.Manifest.Config.Digest), i.rawConfig); err != nil {
		return nil, err
	}
	return i, descriptor.CheckImage(where, i.Manifest, i.Config)
}

// Blobs returns the layers, lowest first, as package layer takes them.
func (i *Image) Blobs() []layer.Blob {
	blobs := make([]layer.Blob, len(i.Manifest.Layers))
	for n, d := range i.Manifest.Layers {
		compression, _ := descriptor.CompressionOf(d.MediaType) // CheckImage has looked
		blobs[n] = layer.Blob{
			Name:        fmt.Sprintf("layers[%d] %s", n, d.Digest),
			Open:        func() (io.ReadCloser, error) { return i.Layout.OpenBlob(d) },
			Compression: compression,
			DiffID:      i.Config.RootFS.DiffIDs[n],
		}
	}
	return blobs
}
