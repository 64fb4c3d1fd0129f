// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package descriptor reads the documents of an image: manifests, indexes and
// configs of OCI and Docker, as the Go types of image-spec.
//
// Reading is strict, because one document must not mean two things to two
// programs: member names are compared case-exactly, a duplicate name, a byte
// after the value and invalid UTF-8 are refused, every digest is validated
// before anybody makes a path of it, and sizes are limited. It fetches and
// stores nothing.
package descriptor

import (
	_ "crypto/sha256" // go-digest looks algorithms up in crypto's registry
	_ "crypto/sha512"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Limits in bytes. distribution-spec names 4 MiB for manifests; the one for
// configs is ours.
const (
	MaxManifest = 4 << 20
	MaxConfig   = 8 << 20
)

// MaxLayers is how many layers an image may have. Overlay stops at 500 and
// docker at 127; the limit is there so that nobody's table grows without bound.
const MaxLayers = 2048

// Media types of Docker's image format, version 2 schema 2.
const (
	DockerManifest     = "application/vnd.docker.distribution.manifest.v2+json"
	DockerList         = "application/vnd.docker.distribution.manifest.list.v2+json"
	DockerConfig       = "application/vnd.docker.container.image.v1+json"
	DockerLayer        = "application/vnd.docker.image.rootfs.diff.tar"
	DockerLayerGzip    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	DockerLayerZstd    = "application/vnd.docker.image.rootfs.diff.tar.zstd"
	DockerForeignLayer = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
)

// A Kind is what a media type stands for.
type Kind string

// The kinds. Other is a blob that only its owner understands.
const (
	KindIndex    Kind = "index"
	KindManifest Kind = "manifest"
	KindConfig   Kind = "config"
	KindLayer    Kind = "layer"
	KindOther    Kind = "blob"
)

// KindOf returns the kind of a media type.
func KindOf(mediaType string) Kind {
	switch mediaType {
	case v1.MediaTypeImageIndex, DockerList:
		return KindIndex
	case v1.MediaTypeImageManifest, DockerManifest:
		return KindManifest
	case v1.MediaTypeImageConfig, DockerConfig:
		return KindConfig
	}
	if _, err := CompressionOf(mediaType); err == nil {
		return KindLayer
	}
	return KindOther
}

// A Compression is how a layer's tar is packed.
type Compression string

// The compressions of image-spec.
const (
	Plain Compression = "none"
	Gzip  Compression = "gzip"
	Zstd  Compression = "zstd"
)

// CompressionOf returns how a layer of a media type is packed. It refuses media
// types that are not layers.
func CompressionOf(mediaType string) (Compression, error) {
	switch mediaType {
	case v1.MediaTypeImageLayer, v1.MediaTypeImageLayerNonDistributable, DockerLayer: //nolint:staticcheck // deprecated, but in old images
		return Plain, nil
	case v1.MediaTypeImageLayerGzip, v1.MediaTypeImageLayerNonDistributableGzip, DockerLayerGzip, DockerForeignLayer:
		return Gzip, nil
	case v1.MediaTypeImageLayerZstd, v1.MediaTypeImageLayerNonDistributableZstd, DockerLayerZstd:
		return Zstd, nil
	}
	return "", Invalid("", "media type %q is not that of a layer", mediaType)
}

// IsForeign tells whether a layer need not lie in a registry: its descriptor
// has URLs that we never follow (they are the image author's choice of whom we
// talk to).
func IsForeign(mediaType string) bool {
	return mediaType == DockerForeignLayer || strings.Contains(mediaType, ".nondistributable.")
}

// ParseDigest returns s as a digest. go-digest panics on what it does not know,
// so that nothing reaches it unchecked: only sha256 and sha512 in lower-case hex.
func ParseDigest(s string) (digest.Digest, error) {
	algorithm, encoded, _ := strings.Cut(s, ":")
	want := map[string]int{"sha256": 64, "sha512": 128}[algorithm]
	if want == 0 || len(encoded) != want || strings.Trim(encoded, "0123456789abcdef") != "" {
		if len(s) > 160 {
			s = s[:160] + "…"
		}
		return "", Invalid("", "digest %q is not sha256: and 64, or sha512: and 128 lower-case hex digits", s)
	}
	return digest.Digest(s), nil
}

// Of returns the descriptor of content.
func Of(mediaType string, content []byte) v1.Descriptor {
	return v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}
}

// Verify tells whether content is what d describes.
func Verify(where string, d v1.Descriptor, content []byte) error {
	if _, err := ParseDigest(string(d.Digest)); err != nil {
		return Invalid(where, "%v", err)
	}
	if got := d.Digest.Algorithm().FromBytes(content); got != d.Digest {
		return Mismatch(where, d.Digest, got)
	}
	if d.Size != int64(len(content)) {
		return Invalid(where, "content has %d bytes, its descriptor says %d", len(content), d.Size)
	}
	return nil
}
