// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package unpack

import (
	"encoding/json"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/imgmgr/layout"
	"github.com/coracle-oci/coracle/internal/fail"
)

// layerTypes are the media types of new layers: Docker's for images that have
// Docker's already, since some registries refuse a mixture.
var layerTypes = map[bool]map[descriptor.Compression]string{
	false: {descriptor.Plain: v1.MediaTypeImageLayer, descriptor.Gzip: v1.MediaTypeImageLayerGzip, descriptor.Zstd: v1.MediaTypeImageLayerZstd},
	true:  {descriptor.Plain: descriptor.DockerLayer, descriptor.Gzip: descriptor.DockerLayerGzip, descriptor.Zstd: descriptor.DockerLayerZstd},
}

// ParseCompression returns what --compress names.
func ParseCompression(s string) (descriptor.Compression, error) {
	c := descriptor.Compression(s)
	if layerTypes[false][c] == "" {
		return "", fail.At("--compress", strconv.Quote(s)+" is none of gzip, zstd and none")
	}
	return c, nil
}

// writeLayer stores the tar that produce writes as a new layer. The encoders run
// with one worker each: the same tar gives the same blob on every machine.
func writeLayer(l *layout.Layout, c descriptor.Compression, docker bool, produce func(io.Writer) error) (d v1.Descriptor, diffID digest.Digest, err error) {
	blob, err := l.NewBlob()
	if err != nil {
		return d, "", err
	}
	defer blob.Close()
	packed, err := compressor(blob, c)
	if err != nil {
		return d, "", err
	}
	hash := digest.SHA256.Hash()
	if err := produce(io.MultiWriter(hash, packed)); err != nil {
		return d, "", err
	}
	if err := packed.Close(); err != nil {
		return d, "", err
	}
	d, err = blob.Commit(layerTypes[docker][c])
	return d, digest.NewDigest(digest.SHA256, hash), err
}

type noCloser struct{ io.Writer }

func (noCloser) Close() error { return nil }

func compressor(w io.Writer, c descriptor.Compression) (io.WriteCloser, error) {
	switch c {
	case descriptor.Gzip:
		return gzip.NewWriterLevel(w, gzip.DefaultCompression)
	case descriptor.Zstd:
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	}
	return noCloser{w}, nil
}

// writeManifest stores a manifest and returns its descriptor.
func writeManifest(l *layout.Layout, m v1.Manifest) (v1.Descriptor, error) {
	data, err := json.Marshal(m)
	if err != nil {
		return v1.Descriptor{}, err
	}
	return l.WriteBlob(m.MediaType, data)
}

// epoch is the time that SOURCE_DATE_EPOCH says, for images that are to come out
// the same every time; nil without it. See reproducible-builds.org.
func epoch() (*time.Time, error) {
	s, ok := os.LookupEnv("SOURCE_DATE_EPOCH")
	if !ok {
		return nil, nil
	}
	sec, err := strconv.ParseInt(s, 10, 64)
	if err != nil || sec < 0 || sec > 1<<40 {
		return nil, fail.At("SOURCE_DATE_EPOCH", strconv.Quote(s)+" is no number of seconds")
	}
	t := time.Unix(sec, 0).UTC()
	return &t, nil
}
