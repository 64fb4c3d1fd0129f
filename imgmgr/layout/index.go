// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package layout

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
)

// errReadOnly is what a lock on a read-only file system says.
const errReadOnly = syscall.EROFS

// maxIndex is the limit of index.json in bytes. It is higher than that of other
// indexes: a store has many images.
const maxIndex = 64 << 20

// Index returns what index.json says now.
func (l *Layout) Index() (v1.Index, error) {
	where := filepath.Join(l.path, v1.ImageIndexFile)
	data, err := l.readSmall(v1.ImageIndexFile, maxIndex)
	if errors.Is(err, fs.ErrNotExist) {
		return v1.Index{}, descriptor.Invalid(l.path, "is not an OCI layout: it has no file %s", v1.ImageIndexFile)
	} else if err != nil {
		return v1.Index{}, err
	}
	return descriptor.ParseStoreIndex(where, data)
}

// Resolve returns the descriptor with a name (its ref.name annotation). With
// the name "" it returns the only image of the layout. Two descriptors of one
// name are ambiguous and refused, unless they are the same.
func (l *Layout) Resolve(name string) (v1.Descriptor, error) {
	x, err := l.Index()
	if err != nil {
		return v1.Descriptor{}, err
	}
	d, err := Choose(l.path, x, name)
	return d, l.orElse(err)
}

// orElse adds to an image that is not there where to see those that are.
func (l *Layout) orElse(err error) error {
	if _, ok := errors.AsType[*descriptor.NotFoundError](err); !ok {
		return err
	}
	return &fail.Error{Err: err, Hint: "imgmgr ls oci:" + l.path + " shows the images that are there"}
}

// Choose returns the descriptor of an index with a name, as [Layout.Resolve]
// does. where names the layout or archive in errors.
func Choose(where string, x v1.Index, name string) (v1.Descriptor, error) {
	var found []v1.Descriptor
	for _, d := range x.Manifests {
		if name != "" && d.Annotations[v1.AnnotationRefName] != name {
			continue
		}
		if !slices.ContainsFunc(found, func(f v1.Descriptor) bool { return f.Digest == d.Digest }) {
			found = append(found, d)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0 && name == "":
		return v1.Descriptor{}, descriptor.NotFound(where, "has no image")
	case len(found) == 0:
		return v1.Descriptor{}, descriptor.NotFound(where, "has no image %q", name)
	case name == "":
		return v1.Descriptor{}, descriptor.Invalid(where, "has %d images; name one of them", len(found))
	}
	return v1.Descriptor{}, descriptor.Invalid(where, "has %d different images named %q", len(found), name)
}

// Tag gives a name to a manifest or index whose blobs are all in the layout,
// and takes it from the one that had it. Keep the [Layout.Use] lock from
// writing the first blob until Tag has returned.
func (l *Layout) Tag(name string, d v1.Descriptor) error {
	return l.Update(func(x *v1.Index) error {
		x.Manifests = slices.DeleteFunc(x.Manifests, func(old v1.Descriptor) bool {
			return old.Annotations[v1.AnnotationRefName] == name
		})
		// What the source's index said of the image stays; its name does not.
		d.Annotations = maps.Clone(d.Annotations)
		if d.Annotations == nil {
			d.Annotations = map[string]string{}
		}
		d.Annotations[v1.AnnotationRefName] = name
		d.Data = nil
		x.Manifests = append(x.Manifests, d)
		return nil
	})
}

// Untag removes a name. Blobs stay until gc.
func (l *Layout) Untag(name string) error {
	return l.Update(func(x *v1.Index) error {
		n := len(x.Manifests)
		x.Manifests = slices.DeleteFunc(x.Manifests, func(d v1.Descriptor) bool {
			return d.Annotations[v1.AnnotationRefName] == name
		})
		if len(x.Manifests) == n {
			return l.orElse(descriptor.NotFound(l.path, "has no image %q", name))
		}
		return nil
	})
}

// Update changes index.json under its lock and replaces it atomically. If
// change fails, nothing is written.
func (l *Layout) Update(change func(*v1.Index) error) error {
	unlock, err := l.lockIndex()
	if err != nil {
		return err
	}
	defer unlock()
	x, err := l.Index()
	if err != nil {
		return err
	}
	if err := change(&x); err != nil {
		return err
	}
	return l.writeIndex(x)
}

func (l *Layout) lockIndex() (unlock func(), err error) {
	if err := l.root.Mkdir(privateDir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, l.error("make "+privateDir, err)
	}
	f, err := l.openLock(indexLock)
	if err != nil {
		return nil, l.error("open index lock", err)
	}
	if err := sys.LockExclusive(int(f.Fd())); err != nil {
		f.Close()
		return nil, l.error("lock "+v1.ImageIndexFile, err)
	}
	return func() { f.Close() }, nil
}

func (l *Layout) writeIndex(x v1.Index) error {
	x.Versioned = specs.Versioned{SchemaVersion: 2}
	x.MediaType = v1.MediaTypeImageIndex
	if x.Manifests == nil {
		x.Manifests = []v1.Descriptor{}
	}
	data, err := json.Marshal(x, json.Deterministic(true), jsontext.Multiline(true))
	if err != nil {
		return err
	}
	return l.replace(v1.ImageIndexFile, append(data, '\n'))
}

// replace writes a file of the layout so that a reader, or a power cut, finds
// the old content or the new one. Writers hold the index lock, so one temporary
// name is enough and a stale one is simply overwritten.
func (l *Layout) replace(name string, data []byte) error {
	temporary := privateDir + "/" + name + ".new"
	f, err := l.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return l.error("write "+name, err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = l.root.Rename(temporary, name)
	}
	if err != nil {
		l.root.Remove(temporary)
		return l.error("write "+name, err)
	}
	return nil
}

// readSmall reads a regular file of the layout that has at most limit bytes.
func (l *Layout) readSmall(name string, limit int64) ([]byte, error) {
	f, err := l.openRegular(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, l.error("read "+name, err)
	}
	if int64(len(data)) > limit {
		return nil, descriptor.Invalid(filepath.Join(l.path, name), "is larger than %d bytes", limit)
	}
	return data, nil
}

// openRegular opens a regular file of the layout. A symlink is refused even if
// it stays inside: [os.Root] would follow it. O_NONBLOCK makes the open of a
// fifo return at once; on regular files it has no effect, open(2).
func (l *Layout) openRegular(name string) (*os.File, error) {
	before, err := l.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	irregular := descriptor.Invalid(filepath.Join(l.path, name), "is not a regular file")
	if !before.Mode().IsRegular() {
		return nil, irregular
	}
	f, err := l.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	// The file may have been exchanged since Lstat looked at it.
	if after, err := f.Stat(); err != nil || !os.SameFile(before, after) {
		f.Close()
		return nil, irregular
	}
	return f, nil
}
