// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package serve

import (
	"context"
	"crypto/rand"
	"io"
	"sync"
	"time"

	"cuelabs.dev/go/oci/ociregistry"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/imgmgr/layout"
)

// limits of uploads that are under way.
const (
	maxUploads = 256
	maxIdle    = 30 * time.Minute
)

// uploads are the blobs that are being pushed in pieces. They are forgotten when
// the registry stops.
type uploads struct {
	mu   sync.Mutex
	open map[string]*upload
}

// An upload is one of them. A request has it for itself; between requests it
// waits for the next.
type upload struct {
	id     string
	all    *uploads
	mu     sync.Mutex // held by a request
	writer *layout.Writer
	last   time.Time
}

func (u *uploads) add(w *layout.Writer) (*upload, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for id, old := range u.open {
		if old.mu.TryLock() {
			if time.Since(old.last) > maxIdle {
				old.writer.Close()
				delete(u.open, id)
			}
			old.mu.Unlock()
		}
	}
	if len(u.open) >= maxUploads {
		return nil, ociregistry.ErrTooManyRequests
	}
	if u.open == nil {
		u.open = map[string]*upload{}
	}
	n := &upload{id: rand.Text(), all: u, writer: w, last: time.Now()}
	n.mu.Lock()
	u.open[n.id] = n
	return n, nil
}

// take returns an upload and keeps others from it.
func (u *uploads) take(id string) (*upload, error) {
	u.mu.Lock()
	found := u.open[id]
	u.mu.Unlock()
	if found == nil {
		return nil, ociregistry.ErrBlobUploadUnknown
	}
	found.mu.Lock()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.open[id] == nil { // it ended while we waited
		found.mu.Unlock()
		return nil, ociregistry.ErrBlobUploadUnknown
	}
	return found, nil
}

func (u *uploads) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, o := range u.open {
		o.writer.Close()
	}
	u.open = nil
}

// PushBlob stores a blob that comes in one piece.
func (b *backend) PushBlob(_ context.Context, _ string, d v1.Descriptor, from io.Reader) (v1.Descriptor, error) {
	if err := b.writable(); err != nil {
		return d, err
	}
	w, err := b.layout.NewBlob()
	if err != nil {
		return d, err
	}
	defer w.Close()
	if _, err := io.Copy(w, from); err != nil {
		return d, err
	}
	return commit(w, d.Digest)
}

// commit stores what was written if it is what the client said.
func commit(w *layout.Writer, want digest.Digest) (v1.Descriptor, error) {
	if _, err := descriptor.ParseDigest(string(want)); err != nil {
		return v1.Descriptor{}, ociregistry.ErrDigestInvalid
	}
	if got := w.Digest(); got != want {
		return v1.Descriptor{}, ociregistry.NewError("content has digest "+string(got)+", want "+string(want), ociregistry.ErrDigestInvalid.Code(), nil)
	}
	return w.Commit("application/octet-stream")
}

// PushBlobChunked begins an upload.
func (b *backend) PushBlobChunked(context.Context, string, int) (ociregistry.BlobWriter, error) {
	if err := b.writable(); err != nil {
		return nil, err
	}
	w, err := b.layout.NewBlob()
	if err != nil {
		return nil, err
	}
	u, err := b.uploads.add(w)
	if err != nil {
		w.Close()
		return nil, err
	}
	return u, nil
}

// PushBlobChunkedResume goes on with an upload. An offset of -1 asks how far it
// is; 0 is also what the library passes when the client did not say.
func (b *backend) PushBlobChunkedResume(_ context.Context, _, id string, offset int64, _ int) (ociregistry.BlobWriter, error) {
	u, err := b.uploads.take(id)
	if err != nil {
		return nil, err
	}
	if offset > 0 && offset != u.writer.Size() {
		u.mu.Unlock()
		return nil, ociregistry.ErrRangeInvalid
	}
	return u, nil
}

// MountBlob makes a blob of one repository one of another: here they share all.
func (b *backend) MountBlob(ctx context.Context, _, to string, d digest.Digest) (v1.Descriptor, error) {
	return b.ResolveBlob(ctx, to, d)
}

// Write, Size, ID, ChunkSize, Commit and Cancel are ociregistry.BlobWriter.
// Close ends the request, not the upload.

func (u *upload) Write(p []byte) (int, error) { return u.writer.Write(p) }
func (u *upload) Size() int64                 { return u.writer.Size() }
func (u *upload) ID() string                  { return u.id }
func (u *upload) ChunkSize() int              { return 0 }

func (u *upload) Close() error {
	u.last = time.Now()
	u.mu.Unlock()
	return nil
}

func (u *upload) Commit(want digest.Digest) (v1.Descriptor, error) {
	d, err := commit(u.writer, want)
	u.Cancel() // wrong content is no beginning of the right one
	return d, err
}

func (u *upload) Cancel() error {
	u.all.mu.Lock()
	delete(u.all.open, u.id)
	u.all.mu.Unlock()
	return u.writer.Close()
}
