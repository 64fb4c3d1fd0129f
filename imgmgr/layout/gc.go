// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package layout

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
)

// Garbage is what gc removed, or would remove.
type Garbage struct {
	Blobs    []digest.Digest // blobs that no image uses
	Partials []string        // unfinished blobs that nobody writes, by file name
	Stages   []string        // directories that a killed unpack left, by path
	Bytes    int64           // of blobs and partials
}

// Collect removes the blobs that no image of index.json reaches, and partial
// blobs. It refuses while somebody uses the layout: a blob that was just pulled
// is not named yet. With dryRun it only tells.
func (l *Layout) Collect(dryRun bool) (Garbage, error) {
	if err := l.makeDirs(privateDir, ingestDir); err != nil {
		return Garbage{}, l.error("make "+privateDir, err)
	}
	lock, err := l.openLock(useLock)
	if err != nil {
		return Garbage{}, l.error("open lock", err)
	}
	defer lock.Close()
	if free, err := sys.TryLockExclusive(int(lock.Fd())); err != nil {
		return Garbage{}, l.error("lock the layout", err)
	} else if !free {
		return Garbage{}, &fail.Error{Where: l.path, Doing: "collect garbage", Err: errors.New("the layout is in use by another imgmgr"), Hint: "try again when it has finished"}
	}
	used, err := l.Reachable()
	if err != nil {
		return Garbage{}, err
	}
	var g Garbage
	if err := l.sweepPartials(&g, dryRun); err != nil {
		return g, err
	}
	if err := l.sweepStages(&g, dryRun); err != nil {
		return g, err
	}
	return g, l.sweepBlobs(&g, used, dryRun)
}

// Reachable returns the digests of all blobs that the images of index.json are
// made of. A document that is there but does not parse is an error: what it
// would have kept is not known.
func (l *Layout) Reachable() (map[digest.Digest]bool, error) {
	x, err := l.Index()
	if err != nil {
		return nil, err
	}
	seen := map[digest.Digest]bool{}
	for todo := x.Manifests; len(todo) > 0; {
		d := todo[0]
		todo = todo[1:]
		if seen[d.Digest] {
			continue
		}
		seen[d.Digest] = true
		// The children of an index need not be here: a sparse index is what a
		// pull of one platform keeps.
		if _, err := l.Stat(d.Digest); err != nil {
			if _, ok := errors.AsType[*descriptor.NotFoundError](err); ok {
				continue
			}
			return nil, err
		}
		children, err := l.Children(d)
		if err != nil {
			return nil, err
		}
		todo = append(todo, children...)
	}
	return seen, nil
}

// Children returns the descriptors that a manifest or index names; none for
// other blobs. Config and layers come in this order.
func (l *Layout) Children(d v1.Descriptor) ([]v1.Descriptor, error) {
	where := "blob " + string(d.Digest)
	switch descriptor.KindOf(d.MediaType) {
	case descriptor.KindIndex:
		data, err := l.ReadBlob(d, descriptor.MaxManifest)
		if err != nil {
			return nil, err
		}
		x, err := descriptor.ParseIndex(where, d.MediaType, data)
		return x.Manifests, err
	case descriptor.KindManifest:
		data, err := l.ReadBlob(d, descriptor.MaxManifest)
		if err != nil {
			return nil, err
		}
		m, err := descriptor.ParseManifest(where, d.MediaType, data)
		return append([]v1.Descriptor{m.Config}, m.Layers...), err
	}
	return nil, nil
}

func (l *Layout) sweepPartials(g *Garbage, dryRun bool) error {
	entries, err := fs.ReadDir(l.root.FS(), ingestDir)
	if err != nil {
		return l.error("read "+ingestDir, err)
	}
	for _, e := range entries {
		if err := l.sweepPartial(g, e, dryRun); err != nil {
			return l.error("remove "+e.Name(), err)
		}
	}
	return nil
}

// sweepPartial removes one file of the ingest directory unless it is locked.
func (l *Layout) sweepPartial(g *Garbage, e fs.DirEntry, dryRun bool) error {
	name := ingestDir + "/" + e.Name()
	info, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if info.Mode().IsRegular() {
		f, err := l.root.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close() // after the removal: the lock is held until then
		if free, err := sys.TryLockExclusive(int(f.Fd())); err != nil || !free {
			return err
		}
	}
	if !dryRun {
		if err := l.root.RemoveAll(name); err != nil {
			return err
		}
	}
	g.Partials = append(g.Partials, e.Name())
	g.Bytes += info.Size()
	return nil
}

func (l *Layout) sweepBlobs(g *Garbage, used map[digest.Digest]bool, dryRun bool) error {
	for _, algorithm := range []string{"sha256", "sha512"} {
		dir := "blobs/" + algorithm
		entries, err := fs.ReadDir(l.root.FS(), dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return l.error("read "+dir, err)
		}
		for _, e := range entries {
			d, err := descriptor.ParseDigest(algorithm + ":" + e.Name())
			if err != nil || used[d] {
				continue // a name that is no digest is not ours
			}
			info, err := e.Info()
			if err != nil {
				return l.error("look at blob "+string(d), err)
			}
			if !dryRun {
				if err := l.root.Remove(dir + "/" + e.Name()); err != nil {
					return l.error("remove blob "+string(d), err)
				}
			}
			g.Blobs = append(g.Blobs, d)
			g.Bytes += info.Size()
		}
	}
	return nil
}

// Names returns the names in index.json with their descriptors, in its order.
// Descriptors without a name have "".
func (l *Layout) Names() ([]string, []v1.Descriptor, error) {
	x, err := l.Index()
	if err != nil {
		return nil, nil, err
	}
	names := make([]string, len(x.Manifests))
	for i, d := range x.Manifests {
		names[i] = strings.ToValidUTF8(d.Annotations[v1.AnnotationRefName], "?")
	}
	return names, x.Manifests, nil
}
