// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package layout

import (
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
)

// blobName is where a blob lies. The digest is validated first: no path is made
// of what a document says.
func blobName(d digest.Digest) (string, error) {
	valid, err := descriptor.ParseDigest(string(d))
	if err != nil {
		return "", err
	}
	return "blobs/" + valid.Algorithm().String() + "/" + valid.Encoded(), nil
}

// Has tells whether a blob is there with the size that its descriptor says. It
// does not hash: every reader does.
func (l *Layout) Has(d v1.Descriptor) bool {
	name, err := blobName(d.Digest)
	if err != nil {
		return false
	}
	info, err := l.root.Lstat(name)
	return err == nil && info.Mode().IsRegular() && info.Size() == d.Size
}

// Stat returns the size of a blob in bytes.
func (l *Layout) Stat(d digest.Digest) (int64, error) {
	name, err := blobName(d)
	if err != nil {
		return 0, err
	}
	info, err := l.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, descriptor.NotFound(l.path, "has no blob %s", d)
	case err != nil:
		return 0, l.error("look at blob "+string(d), err)
	case !info.Mode().IsRegular():
		return 0, descriptor.Invalid(l.path+"/"+name, "is not a regular file")
	}
	return info.Size(), nil
}

// OpenFile opens the file of a blob whose size is as described. The content is
// NOT verified: for readers that hash on a goroutine of their own, or that seek.
func (l *Layout) OpenFile(d v1.Descriptor) (*os.File, error) {
	name, err := blobName(d.Digest)
	if err != nil {
		return nil, err
	}
	f, err := l.openRegular(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, descriptor.NotFound(l.path, "has no blob %s", d.Digest)
	} else if err != nil {
		return nil, l.error("open blob "+string(d.Digest), err)
	}
	info, err := f.Stat()
	if err == nil && info.Size() != d.Size {
		err = descriptor.Invalid(l.path+"/"+name, "has %d bytes, its descriptor says %d", info.Size(), d.Size)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// OpenBlob opens a blob that verifies itself: the Read that would return EOF
// returns an error instead if the digest or the size is not as described. What
// was read before is to be believed only after EOF.
func (l *Layout) OpenBlob(d v1.Descriptor) (io.ReadCloser, error) {
	f, err := l.OpenFile(d)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{Verifying(l.path+" blob "+string(d.Digest), f, d), f}, nil
}

// ReadBlob returns the verified content of a blob of at most limit bytes.
func (l *Layout) ReadBlob(d v1.Descriptor, limit int64) ([]byte, error) {
	if d.Size > limit {
		return nil, descriptor.Invalid(l.path+" blob "+string(d.Digest), "has %d bytes, the limit for this kind (%s) is %d", d.Size, descriptor.KindOf(d.MediaType), limit)
	}
	r, err := l.OpenBlob(d)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data := make([]byte, 0, d.Size+1)
	for {
		n, err := r.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if errors.Is(err, io.EOF) {
			return data, nil
		} else if err != nil {
			return nil, l.error("read blob "+string(d.Digest), err)
		}
	}
}

// Verifying returns a reader of r that fails at the end if the content is not
// what d describes, and as soon as there is too much of it. d.Digest is valid.
func Verifying(where string, r io.Reader, d v1.Descriptor) io.Reader {
	return &verifier{where: where, from: r, want: d, hash: d.Digest.Algorithm().Hash()}
}

type verifier struct {
	where string
	from  io.Reader
	want  v1.Descriptor
	hash  hash.Hash
	n     int64
	err   error
}

func (v *verifier) Read(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	n, err := v.from.Read(p)
	v.hash.Write(p[:n])
	v.n += int64(n)
	switch got := digest.Digest(""); {
	case v.n > v.want.Size:
		err = descriptor.Invalid(v.where, "has more than the %d bytes that its descriptor says", v.want.Size)
	case !errors.Is(err, io.EOF):
	case v.n < v.want.Size:
		err = descriptor.Invalid(v.where, "ends after %d bytes, its descriptor says %d", v.n, v.want.Size)
	default:
		if got = digest.NewDigest(v.want.Digest.Algorithm(), v.hash); got != v.want.Digest {
			err = descriptor.Mismatch(v.where, v.want.Digest, got)
		}
	}
	v.err = err
	return n, err
}
