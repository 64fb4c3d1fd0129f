// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package copy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/imgmgr/layout"
	"github.com/coracle-oci/coracle/imgmgr/ref"
)

// dockerImage is one image in the manifest.json of a docker archive. Members
// are named in Docker's own spelling.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

const dockerManifestName = "manifest.json"

// fromDockerArchive is an image of a tar that "docker save" writes. Such an
// archive has no manifest and no digests of its layers as they lie there: both
// are made here, and what they are made of is checked against the config, which
// knows the digest of each layer's tar.
type fromDockerArchive struct {
	*archive
	image    dockerImage
	manifest []byte
	root     v1.Descriptor
	members  map[digest.Digest]string // blob → member
}

func openDockerArchive(r ref.Ref) (Source, error) {
	a, err := openArchive(r.Path)
	if err != nil {
		return nil, err
	}
	s := &fromDockerArchive{archive: a, members: map[digest.Digest]string{}}
	if err := s.load(r.Tag); err != nil {
		a.Close()
		return nil, err
	}
	return s, nil
}

// load chooses the image and makes its manifest.
func (s *fromDockerArchive) load(tag string) error {
	data, err := s.read(dockerManifestName, maxJSON)
	if err != nil {
		return err
	}
	var images []dockerImage
	if err := json.Unmarshal(data, &images); err != nil {
		return descriptor.Invalid(s.path+" "+dockerManifestName, "is not valid: %v", err)
	}
	if s.image, err = s.choose(images, tag); err != nil {
		return err
	}
	config, err := s.read(s.image.Config, descriptor.MaxConfig)
	if err != nil {
		return err
	}
	m := v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, Layers: []v1.Descriptor{}}
	m.Config = descriptor.Of(v1.MediaTypeImageConfig, config)
	s.members[m.Config.Digest] = s.image.Config
	parsed, err := descriptor.ParseConfig(s.path+" "+s.image.Config, config)
	if err != nil {
		return err
	}
	if len(parsed.RootFS.DiffIDs) != len(s.image.Layers) {
		return descriptor.Invalid(s.path+" "+dockerManifestName, "names %d layers, the config has %d rootfs.diff_ids", len(s.image.Layers), len(parsed.RootFS.DiffIDs))
	}
	for i, name := range s.image.Layers {
		d, err := s.layer(name, parsed.RootFS.DiffIDs[i])
		if err != nil {
			return err
		}
		m.Layers = append(m.Layers, d)
	}
	if s.manifest, err = json.Marshal(m, json.Deterministic(true)); err != nil {
		return err
	}
	s.root = descriptor.Of(m.MediaType, s.manifest)
	if len(s.image.RepoTags) > 0 {
		s.root.Annotations = map[string]string{v1.AnnotationRefName: s.image.RepoTags[0]}
	}
	return nil
}

func (s *fromDockerArchive) choose(images []dockerImage, tag string) (dockerImage, error) {
	if tag == "" {
		if len(images) != 1 {
			return dockerImage{}, descriptor.Invalid(s.path, "has %d images; name one of them", len(images))
		}
		return images[0], nil
	}
	if !strings.Contains(tag[strings.LastIndexByte(tag, '/')+1:], ":") {
		tag += ":" + ref.DefaultTag
	}
	for _, i := range images {
		if slices.Contains(i.RepoTags, tag) {
			return i, nil
		}
	}
	return dockerImage{}, descriptor.NotFound(s.path, "has no image %q", tag)
}

// layer describes a member that is a layer. A plain tar must have the digest
// that the config says; a packed one is checked by whoever unpacks it.
func (s *fromDockerArchive) layer(name string, diffID digest.Digest) (v1.Descriptor, error) {
	r, err := s.open(name)
	if err != nil {
		return v1.Descriptor{}, err
	}
	d := v1.Descriptor{MediaType: v1.MediaTypeImageLayer, Size: r.Size()}
	magic := make([]byte, 4)
	if n, err := r.ReadAt(magic, 0); err != nil && !errors.Is(err, io.EOF) {
		return d, err
	} else if magic = magic[:n]; bytes.HasPrefix(magic, []byte{0x1f, 0x8b}) {
		d.MediaType = v1.MediaTypeImageLayerGzip
	} else if bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}) {
		d.MediaType = v1.MediaTypeImageLayerZstd
	}
	if d.Digest, err = digest.SHA256.FromReader(r); err != nil {
		return d, err
	}
	if d.MediaType == v1.MediaTypeImageLayer && d.Digest != diffID && diffID.Algorithm() == digest.SHA256 {
		return d, descriptor.Mismatch(fmt.Sprintf("%s layer %q", s.path, name), diffID, d.Digest)
	}
	s.members[d.Digest] = name
	return d, nil
}

func (s *fromDockerArchive) Root(context.Context) (v1.Descriptor, error) { return s.root, nil }

func (s *fromDockerArchive) Document(context.Context, v1.Descriptor) ([]byte, error) {
	return s.manifest, nil
}

func (s *fromDockerArchive) Fetch(ctx context.Context, d v1.Descriptor, to *layout.Ingest) error {
	r, err := s.open(s.members[d.Digest])
	if err != nil {
		return err
	}
	return fill(ctx, to, r)
}
