// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package copy

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"

	"github.com/go-json-experiment/json"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/imgmgr/layout"
	"github.com/coracle-oci/coracle/imgmgr/ref"
	"github.com/coracle-oci/coracle/internal/fail"
)

// An archive is a tar whose members are looked up by name. Names are keys, never
// paths: nothing of it is unpacked.
type archive struct {
	path    string
	file    *os.File
	members map[string]member
}

type member struct {
	offset, size int64
	link         string // name of another member
}

// limits of an archive's table.
const (
	maxMembers = 100_000
	maxJSON    = 64 << 20
)

func openArchive(name string) (*archive, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a fifo must not hang us
	if errors.Is(err, fs.ErrNotExist) {
		return nil, descriptor.NotFound(name, "no such archive")
	} else if err != nil {
		return nil, &fail.Error{Where: name, Doing: "open archive", Err: err}
	}
	a := &archive{path: name, file: f, members: map[string]member{}}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, descriptor.Invalid(name, "is not a regular file")
	}
	if err := a.index(); err != nil {
		f.Close()
		return nil, err
	}
	return a, nil
}

// index reads the headers. The tar reader seeks over the contents, and stands at
// the first byte of a member after Next.
func (a *archive) index() error {
	for r := tar.NewReader(a.file); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return descriptor.Invalid(a.path, "is not a tar archive: %v", err)
		}
		if len(a.members) >= maxMembers {
			return descriptor.Invalid(a.path, "has more than %d members", maxMembers)
		}
		name := path.Clean(h.Name)
		offset, err := a.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		switch h.Typeflag {
		case tar.TypeReg:
			if offset+h.Size > a.size() {
				return descriptor.Invalid(a.path, "ends in the middle of %q", name)
			}
			a.members[name] = member{offset: offset, size: h.Size}
		case tar.TypeSymlink, tar.TypeLink:
			// Old versions of docker link equal layers to each other.
			target := h.Linkname
			if h.Typeflag == tar.TypeSymlink {
				target = path.Join(path.Dir(name), target)
			}
			a.members[name] = member{link: path.Clean(target)}
		}
	}
	if len(a.members) == 0 {
		return descriptor.Invalid(a.path, "is an empty archive")
	}
	return nil
}

func (a *archive) size() int64 {
	info, err := a.file.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

// open returns the content of a member. A link is followed once, to another
// member: what is outside of the archive does not exist.
func (a *archive) open(name string) (*io.SectionReader, error) {
	m, ok := a.members[path.Clean(name)]
	if ok && m.link != "" {
		if m, ok = a.members[m.link]; ok && m.link != "" {
			ok = false
		}
	}
	if !ok {
		return nil, descriptor.Invalid(a.path, "has no member %q", name)
	}
	return io.NewSectionReader(a.file, m.offset, m.size), nil
}

// read returns a small member.
func (a *archive) read(name string, limit int64) ([]byte, error) {
	r, err := a.open(name)
	if err != nil {
		return nil, err
	}
	if r.Size() > limit {
		return nil, descriptor.Invalid(a.path, "member %q has %d bytes, the limit is %d", name, r.Size(), limit)
	}
	return io.ReadAll(r)
}

func (a *archive) Close() error { return a.file.Close() }

// fromOCIArchive is an image of a tar of an OCI layout.
type fromOCIArchive struct {
	*archive
	tag string
}

func openOCIArchive(r ref.Ref) (Source, error) {
	a, err := openArchive(r.Path)
	if err != nil {
		return nil, err
	}
	s := &fromOCIArchive{a, r.Tag}
	if err := s.checkVersion(); err != nil {
		a.Close()
		return nil, err
	}
	return s, nil
}

func (s *fromOCIArchive) checkVersion() error {
	data, err := s.read(v1.ImageLayoutFile, 4096)
	if err != nil {
		return err
	}
	var v v1.ImageLayout
	if err := json.Unmarshal(data, &v); err != nil || v.Version != v1.ImageLayoutVersion {
		return descriptor.Invalid(s.path+" "+v1.ImageLayoutFile, "imageLayoutVersion is %q, want %q", v.Version, v1.ImageLayoutVersion)
	}
	return nil
}

func (s *fromOCIArchive) Root(context.Context) (v1.Descriptor, error) {
	data, err := s.read(v1.ImageIndexFile, maxJSON)
	if err != nil {
		return v1.Descriptor{}, err
	}
	x, err := descriptor.ParseStoreIndex(s.path+" "+v1.ImageIndexFile, data)
	if err != nil {
		return v1.Descriptor{}, err
	}
	return layout.Choose(s.path, x, s.tag)
}

func (s *fromOCIArchive) blob(d v1.Descriptor) (*io.SectionReader, error) {
	valid, err := descriptor.ParseDigest(string(d.Digest))
	if err != nil {
		return nil, err
	}
	r, err := s.open("blobs/" + valid.Algorithm().String() + "/" + valid.Encoded())
	if err == nil && r.Size() != d.Size {
		err = descriptor.Invalid(s.path+" blob "+string(valid), "has %d bytes, its descriptor says %d", r.Size(), d.Size)
	}
	return r, err
}

func (s *fromOCIArchive) Document(_ context.Context, d v1.Descriptor) ([]byte, error) {
	r, err := s.blob(d)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return content, descriptor.Verify(s.path+" blob "+string(d.Digest), d, content)
}

func (s *fromOCIArchive) Fetch(ctx context.Context, d v1.Descriptor, to *layout.Ingest) error {
	r, err := s.blob(d)
	if err != nil {
		return err
	}
	return fill(ctx, to, r)
}
