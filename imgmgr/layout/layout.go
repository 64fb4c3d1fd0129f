// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package layout is an OCI image layout on disk: the store of imgmgr, and any
// other layout that a user names (image-spec, image-layout.md).
//
// The store is a plain layout that other tools read. What is ours lies in one
// extra directory, and can be deleted while nothing runs:
//
//	oci-layout           the version
//	index.json           names → manifests; replaced atomically, under index.lock
//	blobs/sha256/…       content, written elsewhere first, verified, then renamed here
//	.imgmgr/lock         shared: somebody adds or reads blobs; exclusive: gc
//	.imgmgr/index.lock   exclusive: somebody changes index.json
//	.imgmgr/ingest/      blobs that are not whole yet; each is locked by its writer
//
// All paths are resolved below the layout's directory by [os.Root]. Blob files
// are opened without following a link and without waiting for a fifo, and must
// be regular: a layout may come from anybody. It speaks no network; package
// copy fills and empties it.
package layout

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-json-experiment/json"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
)

// names inside the layout that are ours.
const (
	privateDir = ".imgmgr"
	ingestDir  = privateDir + "/ingest"
	useLock    = privateDir + "/lock"
	indexLock  = privateDir + "/index.lock"
)

// A Layout is an open OCI image layout. Its methods may be called from several
// goroutines, and several processes may have the same layout open.
type Layout struct {
	path string
	root *os.Root
}

// Open opens the layout in a directory. Nothing is written: reading works on a
// read-only file system.
func Open(dir string) (*Layout, error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, descriptor.NotFound(dir, "no such OCI layout")
	} else if err != nil {
		return nil, &fail.Error{Where: dir, Doing: "open OCI layout", Err: cause(err)}
	}
	l := &Layout{path: dir, root: root}
	if err := l.checkVersion(); err != nil {
		root.Close()
		return nil, err
	}
	return l, nil
}

// Create opens the layout in a directory, and makes it if the directory is
// missing or empty.
func Create(dir string) (*Layout, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, &fail.Error{Where: dir, Doing: "make OCI layout", Err: cause(err)}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, &fail.Error{Where: dir, Doing: "open OCI layout", Err: cause(err)}
	}
	l := &Layout{path: dir, root: root}
	if err := l.create(); err != nil {
		root.Close()
		return nil, err
	}
	return l, nil
}

// create makes what a layout has and checks what is there. Two processes may do
// this at the same time; oci-layout comes last and by rename, so that whoever
// sees it sees a layout.
func (l *Layout) create() error {
	if _, err := l.root.Lstat(v1.ImageLayoutFile); errors.Is(err, fs.ErrNotExist) {
		if err := l.refuseForeign(); err != nil {
			return err
		}
	}
	for _, d := range []string{privateDir, ingestDir, "blobs", "blobs/sha256"} {
		if err := l.root.Mkdir(d, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return l.error("make "+d, err)
		}
	}
	if _, err := l.root.Lstat(v1.ImageLayoutFile); err == nil {
		return l.checkVersion()
	}
	unlock, err := l.lockIndex()
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := l.root.Lstat(v1.ImageIndexFile); errors.Is(err, fs.ErrNotExist) {
		if err := l.writeIndex(v1.Index{}); err != nil {
			return err
		}
	}
	data, err := json.Marshal(v1.ImageLayout{Version: v1.ImageLayoutVersion})
	if err != nil {
		return err
	}
	return l.replace(v1.ImageLayoutFile, data)
}

// refuseForeign keeps us from turning a home directory into a layout by a slip
// of the finger. A layout that somebody is just making has our names only.
func (l *Layout) refuseForeign() error {
	entries, err := fs.ReadDir(l.root.FS(), ".")
	if err != nil {
		return l.error("read the directory", err)
	}
	for _, e := range entries {
		switch e.Name() {
		case privateDir, "blobs", v1.ImageIndexFile, v1.ImageLayoutFile, "lost+found":
		default:
			return &fail.Error{Where: l.path, Doing: "make OCI layout", Err: errors.New("the directory is not empty and is not an OCI layout"), Hint: "choose an empty or new directory"}
		}
	}
	return nil
}

// checkVersion checks the oci-layout file.
func (l *Layout) checkVersion() error {
	const most = 4096
	data, err := l.readSmall(v1.ImageLayoutFile, most)
	where := filepath.Join(l.path, v1.ImageLayoutFile)
	if errors.Is(err, fs.ErrNotExist) {
		return descriptor.Invalid(l.path, "is not an OCI layout: it has no file %s", v1.ImageLayoutFile)
	} else if err != nil {
		return err
	}
	var v v1.ImageLayout
	if err := json.Unmarshal(data, &v); err != nil {
		return descriptor.Invalid(where, "is not valid JSON")
	}
	if v.Version != v1.ImageLayoutVersion {
		return descriptor.Invalid(where, "imageLayoutVersion is %q, want %q", v.Version, v1.ImageLayoutVersion)
	}
	return nil
}

// Path returns the directory as it was given to Open or Create.
func (l *Layout) Path() string { return l.path }

// Close releases the directory.
func (l *Layout) Close() error { return l.root.Close() }

// Use takes the layout's shared lock and returns what releases it. Whoever
// writes blobs that no index names yet, or reads blobs for long, holds it: gc
// does not run meanwhile. On a layout without our directory (somebody else's,
// perhaps read-only) there is no gc of ours to fear, and nothing to lock.
func (l *Layout) Use() (release func(), err error) {
	f, err := l.openLock(useLock)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, errReadOnly) {
		return func() {}, nil
	} else if err != nil {
		return nil, l.error("open lock", err)
	}
	if err := sys.LockShared(int(f.Fd())); err != nil {
		f.Close()
		return nil, l.error("lock the layout", err)
	}
	return func() { f.Close() }, nil
}

func (l *Layout) openLock(name string) (*os.File, error) {
	return l.root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
}

// error is a fail.Error of this layout. It adds no second one on top.
func (l *Layout) error(doing string, err error) error {
	if _, ok := errors.AsType[*fail.Error](err); ok {
		return err
	}
	return &fail.Error{Where: l.path, Doing: doing, Err: cause(err)}
}

// cause strips the path that os adds: the fail.Error names it.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}
