// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package copy

import (
	"context"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
)

// A Selection says which images of an index are meant.
type Selection struct {
	All      bool        // the index itself, with all that it names
	Platform v1.Platform // else the image for this platform
	Strict   bool        // the user named the platform: an image of another is refused, too

	// chosen is what was chosen from an index before, or nil.
	chosen func(index digest.Digest) (v1.Descriptor, bool)
}

// A Plan is what a copy does, in this order: the blobs, then the documents.
type Plan struct {
	Root      v1.Descriptor
	Blobs     []Item     // configs and layers
	Documents []Document // manifests and indexes, children before parents
	Foreign   []v1.Descriptor
	index     digest.Digest // the index that Root was chosen from, or ""
}

// An Item is a blob to move.
type Item struct {
	v1.Descriptor
	Have bool // it is at the destination
}

// A Document is a manifest or index to move.
type Document struct {
	v1.Descriptor
	Content []byte
	Have    bool
}

// limits of one copy: beyond these it is not an image but an attack.
const (
	maxDocuments = 2000
	maxDepth     = 8
)

// Compile reads the documents of an image and returns what is to be moved. have
// tells what the destination has. known may return a document without asking the
// source, or nil; it may be nil itself.
func Compile(ctx context.Context, s Source, want Selection, have func(v1.Descriptor) bool, known func(v1.Descriptor) []byte) (*Plan, error) {
	named, err := s.Root(ctx)
	if err != nil {
		return nil, err
	}
	c := &compiler{source: s, want: want, have: have, known: known, seen: map[digest.Digest]bool{}, plan: &Plan{}}
	root := named
	if !want.All {
		if root, err = c.narrow(ctx, named); err != nil {
			return nil, err
		}
		if root.Digest != named.Digest {
			c.plan.index = named.Digest
		}
	}
	c.plan.Root = root
	return c.plan, c.visit(ctx, root, 0)
}

type compiler struct {
	source Source
	want   Selection
	have   func(v1.Descriptor) bool
	known  func(v1.Descriptor) []byte
	seen   map[digest.Digest]bool
	plan   *Plan
}

// narrow follows indexes to the manifest for the platform.
func (c *compiler) narrow(ctx context.Context, d v1.Descriptor) (v1.Descriptor, error) {
	for range maxDepth {
		if descriptor.KindOf(d.MediaType) != descriptor.KindIndex {
			return d, nil
		}
		if c.want.chosen != nil {
			if before, ok := c.want.chosen(d.Digest); ok {
				return before, nil
			}
		}
		where := "index " + string(d.Digest)
		content, err := c.document(ctx, d)
		if err != nil {
			return d, err
		}
		x, err := descriptor.ParseIndex(where, d.MediaType, content)
		if err != nil {
			return d, err
		}
		if d, err = descriptor.Select(where, x, c.want.Platform); err != nil {
			return d, err
		}
		d.Platform, d.Annotations = nil, nil // they are the index's words
	}
	return d, descriptor.Invalid("index "+string(d.Digest), "is nested more than %d deep", maxDepth)
}

func (c *compiler) document(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	if d.Size > descriptor.MaxManifest {
		return nil, descriptor.Invalid(string(d.Digest), "has %d bytes, the limit for a manifest is %d", d.Size, descriptor.MaxManifest)
	}
	if c.known != nil {
		if content := c.known(d); content != nil {
			return content, nil
		}
	}
	return c.source.Document(ctx, d)
}

// visit adds a manifest or index, behind all that it names. Each is visited
// once, however often it is named.
func (c *compiler) visit(ctx context.Context, d v1.Descriptor, depth int) error {
	if c.seen[d.Digest] {
		return nil
	}
	c.seen[d.Digest] = true
	where := string(descriptor.KindOf(d.MediaType)) + " " + string(d.Digest)
	switch {
	case depth > maxDepth:
		return descriptor.Invalid(where, "is nested more than %d deep", maxDepth)
	case len(c.plan.Documents) >= maxDocuments:
		return descriptor.Invalid(where, "the image has more than %d manifests", maxDocuments)
	}
	content, err := c.document(ctx, d)
	if err != nil {
		return err
	}
	switch descriptor.KindOf(d.MediaType) {
	case descriptor.KindIndex:
		x, err := descriptor.ParseIndex(where, d.MediaType, content)
		if err != nil {
			return err
		}
		for _, child := range x.Manifests {
			if err := c.child(ctx, child, depth); err != nil {
				return err
			}
		}
	case descriptor.KindManifest:
		m, err := descriptor.ParseManifest(where, d.MediaType, content)
		if err != nil {
			return err
		}
		for _, b := range append([]v1.Descriptor{m.Config}, m.Layers...) {
			c.blob(b)
		}
	default:
		return descriptor.Invalid(where, "media type %q is neither that of a manifest nor of an index", d.MediaType)
	}
	c.plan.Documents = append(c.plan.Documents, Document{d, content, c.have(d)})
	return nil
}

// child adds what an index names: other documents, or a blob.
func (c *compiler) child(ctx context.Context, d v1.Descriptor, depth int) error {
	switch descriptor.KindOf(d.MediaType) {
	case descriptor.KindIndex, descriptor.KindManifest:
		return c.visit(ctx, d, depth+1)
	}
	c.blob(d)
	return nil
}

func (c *compiler) blob(d v1.Descriptor) {
	if c.seen[d.Digest] {
		return
	}
	c.seen[d.Digest] = true
	item := Item{d, c.have(d)}
	if !item.Have && len(d.URLs) > 0 && descriptor.IsForeign(d.MediaType) {
		// Its URLs are the author's choice of whom we talk to: never followed.
		c.plan.Foreign = append(c.plan.Foreign, d)
		return
	}
	c.plan.Blobs = append(c.plan.Blobs, item)
}

// Missing returns how many bytes of blobs are to be moved.
func (p *Plan) Missing() (blobs int, bytes int64) {
	for _, b := range p.Blobs {
		if !b.Have {
			blobs, bytes = blobs+1, bytes+b.Size
		}
	}
	return blobs, bytes
}

// String is the plan for people: one line for each step, in the order of the
// steps.
//
//	copy  sha256:…    1048576  application/vnd.oci.image.layer.v1.tar+gzip
//	have  sha256:…        412  application/vnd.oci.image.manifest.v1+json
func (p *Plan) String() string {
	var b strings.Builder
	line := func(have bool, d v1.Descriptor) {
		verb := "copy"
		if have {
			verb = "have"
		}
		fmt.Fprintf(&b, "%s  %s %12d  %s\n", verb, d.Digest, d.Size, d.MediaType)
	}
	for _, i := range p.Blobs {
		line(i.Have, i.Descriptor)
	}
	for _, d := range p.Documents {
		line(d.Have, d.Descriptor)
	}
	for _, d := range p.Foreign {
		fmt.Fprintf(&b, "skip  %s %12d  %s\n", d.Digest, d.Size, d.MediaType)
	}
	return b.String()
}

// Find returns the root of an image. With narrow, an index is followed to the
// manifest for the platform.
func Find(ctx context.Context, s Source, want Selection, narrow bool) (v1.Descriptor, error) {
	root, err := s.Root(ctx)
	if err != nil || !narrow {
		return root, err
	}
	c := &compiler{source: s, want: want}
	return c.narrow(ctx, root)
}
