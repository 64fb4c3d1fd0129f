// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package serve is a small registry over a local OCI layout: for pipelines, for
// trying things out, and to hand images to a neighbour.
//
// The protocol is a library's; here is what it needs of a layout. The image
// "app:1" of the layout is tag 1 of the repository app; one named
// "host/app:1" is there too, unless another image has that place. Blobs belong
// to the layout, not to one repository. What is pushed by digest alone stays
// only as long as something that has a name uses it, or until the next gc.
//
// There is no authentication: listen on addresses that only friends reach.
package serve

import (
	"bufio"
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"

	"cuelabs.dev/go/oci/ociregistry"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/imgmgr/layout"
	"github.com/coracle-oci/coracle/imgmgr/ref"
)

// A backend is a layout as the library wants it. Methods that are not here
// answer "unsupported".
type backend struct {
	*ociregistry.Funcs
	layout   *layout.Layout
	uploads  uploads
	readOnly bool

	use     sync.Mutex
	release func() // of the layout's lock, taken at the first write
}

// writable refuses writes to a read-only registry, and takes the layout's lock
// for the rest of the registry's life: between the first blob of a push and its
// manifest nothing may be collected.
func (b *backend) writable() error {
	if b.readOnly {
		return ociregistry.NewError("this registry is read-only", ociregistry.ErrDenied.Code(), nil)
	}
	b.use.Lock()
	defer b.use.Unlock()
	if b.release != nil {
		return nil
	}
	var err error
	b.release, err = b.layout.Use()
	return err
}

func (b *backend) close() {
	b.uploads.close()
	b.use.Lock()
	defer b.use.Unlock()
	if b.release != nil {
		b.release()
	}
}

// resolve returns the descriptor of a tag.
func (b *backend) resolve(repository, tag string) (v1.Descriptor, error) {
	d, err := b.layout.Resolve(repository + ":" + tag)
	if err == nil || !isNotFound(err) {
		return d, err
	}
	images, err := b.images()
	if err != nil {
		return d, err
	}
	if d, ok := images[repository][tag]; ok {
		return d, nil
	}
	return v1.Descriptor{}, ociregistry.ErrManifestUnknown
}

// images returns all tags of all repositories. The first name wins.
func (b *backend) images() (map[string]map[string]v1.Descriptor, error) {
	names, manifests, err := b.layout.Names()
	if err != nil {
		return nil, err
	}
	all := map[string]map[string]v1.Descriptor{}
	for i, name := range names {
		r, err := ref.Parse(name)
		if err != nil || r.Transport != ref.Store || r.Tag == "" {
			continue // not a name that a registry can have
		}
		repository := r.Repository()
		if all[repository] == nil {
			all[repository] = map[string]v1.Descriptor{}
		}
		if _, taken := all[repository][r.Tag]; !taken || r.Host() == "" {
			all[repository][r.Tag] = manifests[i]
		}
	}
	return all, nil
}

func isNotFound(err error) bool {
	_, ok := errors.AsType[*descriptor.NotFoundError](err)
	return ok
}

// A content is an open blob with its descriptor.
type content struct {
	io.Reader
	io.Closer
	descriptor v1.Descriptor
}

func (c content) Descriptor() v1.Descriptor { return c.descriptor }

// GetBlob opens a blob. It is verified while it is sent: a damaged one ends in a
// broken connection, not in a wrong file.
func (b *backend) GetBlob(ctx context.Context, repository string, d digest.Digest) (ociregistry.BlobReader, error) {
	desc, err := b.ResolveBlob(ctx, repository, d)
	if err != nil {
		return nil, err
	}
	r, err := b.layout.OpenBlob(desc)
	if err != nil {
		return nil, err
	}
	return content{heldBack{bufio.NewReaderSize(r, 64<<10)}, r, desc}, nil
}

// A heldBack reader gives its last byte only after what it reads from has ended
// well: without it the client knows that the blob is not whole.
type heldBack struct{ from *bufio.Reader }

func (h heldBack) Read(p []byte) (int, error) {
	if _, err := h.from.Peek(2); errors.Is(err, io.EOF) {
		return h.from.Read(p) // the last byte, verified, or nothing
	} else if err != nil {
		return 0, err
	}
	return h.from.Read(p[:min(len(p), h.from.Buffered()-1)])
}

// GetBlobRange opens bytes [from, to) of a blob; to is -1 for its end.
func (b *backend) GetBlobRange(ctx context.Context, repository string, d digest.Digest, from, to int64) (ociregistry.BlobReader, error) {
	desc, err := b.ResolveBlob(ctx, repository, d)
	if err != nil {
		return nil, err
	}
	if to < 0 || to > desc.Size {
		to = desc.Size
	}
	if from < 0 || from > to {
		return nil, ociregistry.ErrRangeInvalid
	}
	f, err := b.layout.OpenFile(desc)
	if err != nil {
		return nil, err
	}
	return content{io.NewSectionReader(f, from, to-from), f, desc}, nil
}

// ResolveBlob looks a blob up.
func (b *backend) ResolveBlob(_ context.Context, _ string, d digest.Digest) (v1.Descriptor, error) {
	if _, err := descriptor.ParseDigest(string(d)); err != nil {
		return v1.Descriptor{}, ociregistry.ErrDigestInvalid
	}
	size, err := b.layout.Stat(d)
	if isNotFound(err) {
		err = ociregistry.ErrBlobUnknown
	}
	return v1.Descriptor{MediaType: "application/octet-stream", Digest: d, Size: size}, err
}

// GetManifest opens a manifest or index by digest.
func (b *backend) GetManifest(ctx context.Context, repository string, d digest.Digest) (ociregistry.BlobReader, error) {
	desc, data, err := b.document(ctx, repository, d)
	if err != nil {
		return nil, err
	}
	return content{strings.NewReader(string(data)), io.NopCloser(nil), desc}, nil
}

// document reads a blob that is a manifest or index.
func (b *backend) document(ctx context.Context, repository string, d digest.Digest) (v1.Descriptor, []byte, error) {
	desc, err := b.ResolveBlob(ctx, repository, d)
	if errors.Is(err, ociregistry.ErrBlobUnknown) || err == nil && desc.Size > descriptor.MaxManifest {
		return desc, nil, ociregistry.ErrManifestUnknown
	} else if err != nil {
		return desc, nil, err
	}
	data, err := b.layout.ReadBlob(desc, descriptor.MaxManifest)
	if err != nil {
		return desc, nil, err
	}
	if desc.MediaType = descriptor.Sniff(data); desc.MediaType == "" {
		return desc, nil, ociregistry.ErrManifestUnknown
	}
	return desc, data, nil
}

// GetTag opens a manifest or index by tag.
func (b *backend) GetTag(ctx context.Context, repository, tag string) (ociregistry.BlobReader, error) {
	d, err := b.resolve(repository, tag)
	if err != nil {
		return nil, err
	}
	return b.GetManifest(ctx, repository, d.Digest)
}

// ResolveManifest looks a manifest or index up by digest.
func (b *backend) ResolveManifest(ctx context.Context, repository string, d digest.Digest) (v1.Descriptor, error) {
	desc, _, err := b.document(ctx, repository, d)
	return desc, err
}

// ResolveTag looks a tag up.
func (b *backend) ResolveTag(ctx context.Context, repository, tag string) (v1.Descriptor, error) {
	d, err := b.resolve(repository, tag)
	if err != nil {
		return d, err
	}
	return b.ResolveManifest(ctx, repository, d.Digest)
}

// PushManifest stores a manifest or index whose parts are all there.
func (b *backend) PushManifest(_ context.Context, repository, tag string, data []byte, mediaType string) (v1.Descriptor, error) {
	if err := b.writable(); err != nil {
		return v1.Descriptor{}, err
	}
	d := descriptor.Of(mediaType, data)
	children, err := parts(d, data)
	if err != nil {
		return d, ociregistry.NewError(err.Error(), ociregistry.ErrManifestInvalid.Code(), nil)
	}
	for _, c := range children {
		if !b.layout.Has(c) && !descriptor.IsForeign(c.MediaType) {
			return d, ociregistry.NewError("unknown blob "+string(c.Digest), ociregistry.ErrManifestBlobUnknown.Code(), nil)
		}
	}
	if d, err = b.layout.WriteBlob(mediaType, data); err != nil {
		return d, err
	}
	if tag != "" {
		err = b.layout.Tag(repository+":"+tag, d)
	}
	return d, err
}

// parts parses a manifest or index. The children of an index need not be there.
func parts(d v1.Descriptor, data []byte) ([]v1.Descriptor, error) {
	if descriptor.KindOf(d.MediaType) == descriptor.KindIndex {
		_, err := descriptor.ParseIndex("index", d.MediaType, data)
		return nil, err
	}
	m, err := descriptor.ParseManifest("manifest", d.MediaType, data)
	return append([]v1.Descriptor{m.Config}, m.Layers...), err
}

// DeleteTag removes a tag.
func (b *backend) DeleteTag(_ context.Context, repository, tag string) error {
	if err := b.writable(); err != nil {
		return err
	}
	err := b.layout.Untag(repository + ":" + tag)
	if isNotFound(err) {
		return ociregistry.ErrManifestUnknown
	}
	return err
}

// Repositories lists the repositories in order.
func (b *backend) Repositories(_ context.Context, after string) iter.Seq2[string, error] {
	images, err := b.images()
	return sorted(images, after, err)
}

// Tags lists the tags of a repository in order.
func (b *backend) Tags(_ context.Context, repository, after string) iter.Seq2[string, error] {
	images, err := b.images()
	if err == nil && images[repository] == nil {
		err = ociregistry.ErrNameUnknown
	}
	return sorted(images[repository], after, err)
}

// sorted yields the keys behind one, in order, or an error.
func sorted[V any](m map[string]V, after string, err error) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err != nil {
			yield("", err)
			return
		}
		var keys []string
		for k := range m {
			if k > after {
				keys = append(keys, k)
			}
		}
		slices.Sort(keys)
		for _, k := range keys {
			if !yield(k, nil) {
				return
			}
		}
	}
}
