// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package copy moves images: from a source it compiles a plan, the list of
// documents and blobs that the destination lacks, and only then moves them.
//
// Everything passes through an OCI layout. What comes from a registry or an
// archive goes into the store, verified blob by blob; what goes to a registry or
// an archive comes from there. That way a broken transfer leaves whole and
// partial blobs which the next call finds, whatever the two ends are. Documents
// (manifests, indexes) come last, so that nobody sees an image without its blobs.
// It prints nothing: package cli does.
package copy

import (
	"context"
	"errors"
	"io"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/imgmgr/layout"
	"github.com/coracle-oci/coracle/imgmgr/ref"
	"github.com/coracle-oci/coracle/imgmgr/registry"
)

// A Source is where an image comes from.
type Source interface {
	// Root returns the descriptor of the image: a manifest or an index.
	Root(ctx context.Context) (v1.Descriptor, error)
	// Document returns the content of a manifest or index, verified.
	Document(ctx context.Context, d v1.Descriptor) ([]byte, error)
	// Fetch brings a blob into a layout and commits it.
	Fetch(ctx context.Context, d v1.Descriptor, to *layout.Ingest) error
	Close() error
}

// Open opens the source that a reference names. The store is needed for names
// of the store only, the client for names of registries only.
func Open(r ref.Ref, store func() (*layout.Layout, error), client func() (*registry.Client, error)) (Source, error) {
	switch r.Transport {
	case ref.Registry:
		c, err := client()
		if err != nil {
			return nil, err
		}
		return FromRegistry(c, r)
	case ref.Layout:
		l, err := layout.Open(r.Path)
		if err != nil {
			return nil, err
		}
		return FromLayout(l, r.Tag, ""), nil
	case ref.OCIArchive:
		return openOCIArchive(r)
	case ref.DockerArchive:
		return openDockerArchive(r)
	}
	l, err := store()
	if err != nil {
		return nil, err
	}
	return FromLayout(l, r.StoreName(), r.Digest), nil
}

// FromLayout is an image of a layout, by its name there and, where digest is not
// "", with that digest. Closing the source closes the layout.
func FromLayout(l *layout.Layout, name, digest string) Source {
	return &fromLayout{layout: l, name: name, digest: digest}
}

type fromLayout struct {
	layout       *layout.Layout
	name, digest string
}

func (s *fromLayout) Root(context.Context) (v1.Descriptor, error) {
	d, err := s.layout.Resolve(s.name)
	if err == nil && s.digest != "" && string(d.Digest) != s.digest {
		err = descriptor.NotFound(s.layout.Path(), "has %q with another digest, %s", s.name, d.Digest)
	}
	return d, err
}

func (s *fromLayout) Document(_ context.Context, d v1.Descriptor) ([]byte, error) {
	return s.layout.ReadBlob(d, descriptor.MaxManifest)
}

func (s *fromLayout) Fetch(ctx context.Context, d v1.Descriptor, to *layout.Ingest) error {
	f, err := s.layout.OpenFile(d)
	if err != nil {
		return err
	}
	defer f.Close()
	return fill(ctx, to, f)
}

func (s *fromLayout) Close() error { return s.layout.Close() }

// fill writes a local blob from its start. The ingest verifies it: reading twice
// to verify here too would find nothing more.
func fill(ctx context.Context, to *layout.Ingest, from io.Reader) error {
	if to.Have() > 0 {
		if err := to.Reset(); err != nil {
			return err
		}
	}
	buffer := make([]byte, 256<<10)
	for ctx.Err() == nil {
		n, err := from.Read(buffer)
		if _, err := to.Write(buffer[:n]); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			err := to.Commit()
			if _, ok := errors.AsType[*descriptor.InvalidError](err); ok {
				to.Discard() // of a local file, no part is worth keeping
			}
			return err
		} else if err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// FromRegistry is an image of a registry.
func FromRegistry(c *registry.Client, r ref.Ref) (Source, error) {
	repository, err := c.Repository(r)
	if err != nil {
		return nil, err
	}
	reference := r.Digest
	if reference == "" {
		reference = r.Tag
	}
	return &fromRegistry{repository: repository, reference: reference}, nil
}

type fromRegistry struct {
	repository *registry.Repository
	reference  string // tag or digest
}

func (s *fromRegistry) Root(ctx context.Context) (v1.Descriptor, error) {
	return s.repository.Resolve(ctx, s.reference)
}

func (s *fromRegistry) Document(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	_, content, err := s.repository.Manifest(ctx, string(d.Digest))
	if err != nil {
		return nil, err
	}
	return content, descriptor.Verify(s.repository.String()+"@"+string(d.Digest), d, content)
}

func (s *fromRegistry) Fetch(ctx context.Context, d v1.Descriptor, to *layout.Ingest) error {
	return s.repository.Fetch(ctx, d, to)
}

func (s *fromRegistry) Close() error { return nil }
