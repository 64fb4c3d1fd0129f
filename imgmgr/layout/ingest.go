// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package layout

import (
	"crypto/rand"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/internal/sys"
)

// An Ingest is a blob on its way into the layout whose descriptor is known. Its
// bytes lie in a file named after the digest, so that the next process goes on
// where this one was killed. It is for one goroutine.
type Ingest struct {
	layout *Layout
	want   v1.Descriptor
	name   string
	file   *os.File // locked; nil when the blob is in the layout
	hash   hash.Hash
	n      int64
}

// Ingest opens the partial blob of d, or begins one. It waits while another
// process writes the same blob. Afterwards look at [Ingest.Done]: the blob may
// be there already. Close it in any case.
func (l *Layout) Ingest(d v1.Descriptor) (*Ingest, error) {
	valid, err := descriptor.ParseDigest(string(d.Digest))
	if err != nil {
		return nil, err
	}
	if d.Size < 0 {
		return nil, descriptor.Invalid("blob "+string(valid), "its descriptor says %d bytes", d.Size)
	}
	i := &Ingest{layout: l, want: d, name: ingestDir + "/" + valid.Algorithm().String() + "-" + valid.Encoded()}
	if l.Has(d) {
		return i, nil
	}
	if i.file, err = l.lockPartial(i.name, os.O_RDWR|os.O_CREATE); err != nil {
		return nil, l.error("keep partial blob "+string(valid), err)
	}
	if l.Has(d) { // whoever held the lock has finished it
		l.root.Remove(i.name)
		i.file.Close()
		i.file = nil
		return i, nil
	}
	if err := i.rehash(); err != nil {
		i.file.Close()
		return nil, l.error("read partial blob "+string(valid), err)
	}
	return i, nil
}

// lockPartial opens and locks a file in the ingest directory. Between the two
// somebody may have renamed or removed the file: then it is not the one with
// this name any more, and the lock would protect nothing.
func (l *Layout) lockPartial(name string, flags int) (*os.File, error) {
	for {
		if info, err := l.root.Lstat(name); err == nil && !info.Mode().IsRegular() {
			return nil, errors.New("is not a regular file")
		}
		f, err := l.root.OpenFile(name, flags, 0o644)
		if errors.Is(err, fs.ErrNotExist) {
			if err := l.makeDirs(privateDir, ingestDir); err != nil {
				return nil, err
			}
			f, err = l.root.OpenFile(name, flags, 0o644)
		}
		if err != nil {
			return nil, err
		}
		if err := sys.LockExclusive(int(f.Fd())); err != nil {
			f.Close()
			return nil, err
		}
		ours, err1 := f.Stat()
		named, err2 := l.root.Lstat(name)
		if err1 == nil && err2 == nil && os.SameFile(ours, named) {
			return f, nil
		}
		f.Close()
	}
}

func (l *Layout) makeDirs(names ...string) error {
	for _, n := range names {
		if err := l.root.Mkdir(n, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// rehash reads what an earlier process left, so that the hash covers it. A
// partial blob that is too long is no prefix of anything: it begins again.
func (i *Ingest) rehash() error {
	i.hash = i.want.Digest.Algorithm().Hash()
	n, err := io.Copy(i.hash, io.LimitReader(i.file, i.want.Size+1))
	if err != nil {
		return err
	}
	if i.n = n; n > i.want.Size {
		return i.Reset()
	}
	return nil
}

// Done tells whether the blob is in the layout.
func (i *Ingest) Done() bool { return i.file == nil }

// Have is how many bytes are there: where to go on.
func (i *Ingest) Have() int64 { return i.n }

// Write adds bytes. More than the descriptor says are refused.
func (i *Ingest) Write(p []byte) (int, error) {
	if i.n+int64(len(p)) > i.want.Size {
		return 0, descriptor.Invalid("blob "+string(i.want.Digest), "has more than the %d bytes that its descriptor says", i.want.Size)
	}
	n, err := i.file.Write(p)
	i.hash.Write(p[:n])
	i.n += int64(n)
	if err != nil {
		err = i.layout.error("write blob "+string(i.want.Digest), err)
	}
	return n, err
}

// Reset throws the bytes away.
func (i *Ingest) Reset() error {
	if err := i.file.Truncate(0); err != nil {
		return err
	}
	if _, err := i.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	i.hash.Reset()
	i.n = 0
	return nil
}

// Commit verifies size and digest and puts the blob into the layout. After an
// error the bytes are still there: Reset, or Close and let somebody look.
func (i *Ingest) Commit() error {
	where := "blob " + string(i.want.Digest)
	if i.n != i.want.Size {
		return descriptor.Invalid(where, "ends after %d bytes, its descriptor says %d", i.n, i.want.Size)
	}
	if got := digest.NewDigest(i.want.Digest.Algorithm(), i.hash); got != i.want.Digest {
		return descriptor.Mismatch(where, i.want.Digest, got)
	}
	if err := i.layout.publish(i.file, i.name, i.want.Digest); err != nil {
		return err
	}
	i.file = nil
	return nil
}

// publish makes a locked, complete file of the ingest directory a blob, and
// closes it. The data reaches the disk before the name does: a name that is a
// digest promises the content.
func (l *Layout) publish(f *os.File, name string, d digest.Digest) error {
	target, err := blobName(d)
	if err != nil {
		return err
	}
	err = f.Chmod(0o644)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = l.makeDirs("blobs", "blobs/"+d.Algorithm().String())
	}
	if err == nil {
		err = l.root.Rename(name, target)
	}
	if err != nil {
		return l.error("store blob "+string(d), err)
	}
	f.Close() // everything is on the disk: nothing can fail any more
	return nil
}

// Close keeps the partial blob for the next time. One without a byte is removed.
func (i *Ingest) Close() error {
	if i.file == nil {
		return nil
	}
	if i.n == 0 {
		i.layout.root.Remove(i.name)
	}
	err := i.file.Close()
	i.file = nil
	return err
}

// Discard removes the partial blob.
func (i *Ingest) Discard() error {
	if i.file == nil {
		return nil
	}
	i.n = 0
	return i.Close()
}

// A Writer is a new blob whose digest is known only at its end: a layer that is
// being made, or an upload.
type Writer struct {
	layout *Layout
	name   string
	file   *os.File
	hash   hash.Hash
	n      int64
}

// NewBlob begins a blob. Close it in any case; without Commit nothing is left.
func (l *Layout) NewBlob() (*Writer, error) {
	w := &Writer{layout: l, name: ingestDir + "/new-" + rand.Text(), hash: digest.SHA256.Hash()}
	var err error
	if w.file, err = l.lockPartial(w.name, os.O_RDWR|os.O_CREATE|os.O_EXCL); err != nil {
		return nil, l.error("begin a blob", err)
	}
	return w, nil
}

// Write adds bytes.
func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	w.hash.Write(p[:n])
	w.n += int64(n)
	if err != nil {
		err = w.layout.error("write a blob", err)
	}
	return n, err
}

// Size is how many bytes were written.
func (w *Writer) Size() int64 { return w.n }

// Digest is the digest of what was written so far.
func (w *Writer) Digest() digest.Digest { return digest.NewDigest(digest.SHA256, w.hash) }

// Commit puts the blob into the layout and returns its descriptor.
func (w *Writer) Commit(mediaType string) (v1.Descriptor, error) {
	d := v1.Descriptor{MediaType: mediaType, Digest: w.Digest(), Size: w.n}
	if w.layout.Has(d) {
		return d, w.Close()
	}
	if err := w.layout.publish(w.file, w.name, d.Digest); err != nil {
		return d, err
	}
	w.file = nil
	return d, nil
}

// Close removes what was not committed.
func (w *Writer) Close() error {
	if w.file == nil {
		return nil
	}
	w.layout.root.Remove(w.name)
	err := w.file.Close()
	w.file = nil
	return err
}

// WriteBlob puts a small blob (a manifest, a config) into the layout.
func (l *Layout) WriteBlob(mediaType string, content []byte) (v1.Descriptor, error) {
	d := descriptor.Of(mediaType, content)
	if l.Has(d) {
		return d, nil
	}
	w, err := l.NewBlob()
	if err != nil {
		return d, err
	}
	defer w.Close()
	if _, err := w.Write(content); err != nil {
		return d, err
	}
	return w.Commit(mediaType)
}

// Progress is how many bytes of a blob are in the layout, whole or partial.
func (l *Layout) Progress(d v1.Descriptor) int64 {
	if l.Has(d) {
		return d.Size
	}
	info, err := l.root.Lstat(ingestDir + "/" + d.Digest.Algorithm().String() + "-" + d.Digest.Encoded())
	if err != nil {
		return 0
	}
	return info.Size()
}
