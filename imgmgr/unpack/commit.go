// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package unpack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/imgmgr/layer"
	"github.com/coracle-oci/coracle/imgmgr/layout"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/inroot"
)

// CommitOptions say how to commit.
type CommitOptions struct {
	Compression descriptor.Compression
	Author      string
	Comment     string
	Warn        func(string)
}

// A Committed is what a commit made.
type Committed struct {
	Manifest v1.Descriptor
	Layer    v1.Descriptor // empty if nothing had changed
	Changes  int
}

// Commit stores the image of a bundle with its changes as a further layer in a
// layout, whose Use lock the caller holds, and returns its manifest; the caller
// gives it a name. Without changes, it is the image that the bundle was made of.
func Commit(ctx context.Context, bundle string, to *layout.Layout, o CommitOptions) (*Committed, error) {
	dir, err := inroot.Open(bundle)
	if err != nil {
		return nil, bundleError(bundle, err)
	}
	defer dir.Close()
	from, index, err := readOrigin(dir, bundle)
	if err != nil {
		return nil, err
	}
	base, release, err := openBase(from, to)
	if err != nil {
		return nil, err
	}
	defer release()
	root, err := dir.OpenDir(rootfsName)
	if err != nil {
		return nil, bundleError(bundle, err)
	}
	defer root.Close()
	changes, err := layer.Diff(root, index, base.Blobs(), bundle, o.Warn)
	if err != nil {
		return nil, err
	}
	if err := base.copyTo(to, len(changes) == 0); err != nil {
		return nil, err
	}
	if len(changes) == 0 {
		return &Committed{Manifest: base.Descriptor}, nil
	}
	docker := base.Manifest.MediaType == descriptor.DockerManifest
	d, diffID, err := writeLayer(to, o.Compression, docker, func(w io.Writer) error {
		return layer.Pack(w, root, changes, layer.PackOptions{Where: bundle, Single: from.Single, Interrupted: ctx.Err})
	})
	if err != nil {
		return nil, err
	}
	m := base.Manifest
	m.Layers = append(slices.Clone(m.Layers), d)
	m.Subject = nil
	if m.MediaType == "" {
		m.MediaType = v1.MediaTypeImageManifest
	}
	history := v1.History{CreatedBy: "imgmgr commit", Author: o.Author, Comment: o.Comment}
	rootfs := base.Config.RootFS
	rootfs.DiffIDs = append(slices.Clone(rootfs.DiffIDs), diffID)
	config, err := base.configWith(rootfs, history)
	if err != nil {
		return nil, err
	}
	if m.Config, err = to.WriteBlob(m.Config.MediaType, config); err != nil {
		return nil, err
	}
	manifest, err := writeManifest(to, m)
	return &Committed{Manifest: manifest, Layer: d, Changes: len(changes)}, err
}

func bundleError(bundle string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return &fail.Error{Where: bundle, Doing: e.Op + " " + filepath.Base(e.Path), Err: e.Err, Hint: "commit takes a directory that imgmgr unpack made"}
	}
	return &fail.Error{Where: bundle, Err: err}
}

// maxIndex bounds the change index: that of ten million files.
const maxIndex = 1 << 30

func readOrigin(dir *inroot.Dir, bundle string) (origin, *layer.Index, error) {
	var from origin
	data, err := dir.ReadFile(originName, descriptor.MaxManifest)
	if err != nil {
		return from, nil, bundleError(bundle, err)
	}
	if err := jsonv2.Unmarshal(data, &from); err != nil || from.Version != 1 {
		return from, nil, &fail.Error{Where: bundle + "/" + originName, Err: fmt.Errorf("is not a version 1 file of imgmgr unpack")}
	}
	if _, err := descriptor.ParseDigest(string(from.Manifest.Digest)); err != nil {
		return from, nil, &fail.Error{Where: bundle + "/" + originName, Err: err}
	}
	data, err = dir.ReadFile(indexName, maxIndex)
	if err != nil {
		return from, nil, bundleError(bundle, err)
	}
	index, err := layer.ParseIndex(data)
	if err != nil {
		err = &fail.Error{Where: bundle + "/" + indexName, Err: err, Hint: "unpack the image again and put the changes there"}
	}
	return from, index, err
}

// openBase loads the image that a bundle was made of: from the layout it came
// from, or from the target if it is there.
func openBase(from origin, to *layout.Layout) (*Image, func(), error) {
	if i, err := Load(to, from.Manifest); err == nil && i.complete() {
		return i, func() {}, nil
	}
	l, err := layout.Open(from.Layout)
	if err != nil {
		return nil, nil, err
	}
	unlock, err := l.Use()
	if err != nil {
		l.Close()
		return nil, nil, err
	}
	release := func() { unlock(); l.Close() }
	i, err := Load(l, from.Manifest)
	if err != nil {
		release()
		if _, ok := errors.AsType[*descriptor.NotFoundError](err); ok {
			err = &fail.Error{Err: err, Hint: "the image that the bundle was made of is gone; pull it again: " + from.Name}
		}
		return nil, nil, err
	}
	return i, release, nil
}

// complete tells whether all layers are there.
func (i *Image) complete() bool {
	return !slices.ContainsFunc(i.Manifest.Layers, func(d v1.Descriptor) bool { return !i.Layout.Has(d) })
}

// copyTo brings the layers into another layout, and with whole the rest, too.
func (i *Image) copyTo(to *layout.Layout, whole bool) error {
	if i.Layout == to {
		return nil
	}
	blobs := slices.Clone(i.Manifest.Layers)
	if whole {
		blobs = append(blobs, i.Manifest.Config, i.Descriptor)
	}
	for _, d := range blobs {
		if to.Has(d) {
			continue
		}
		if err := copyBlob(i.Layout, to, d); err != nil {
			return err
		}
	}
	return nil
}

func copyBlob(from, to *layout.Layout, d v1.Descriptor) error {
	r, err := from.OpenFile(d)
	if err != nil {
		return err
	}
	defer r.Close()
	in, err := to.Ingest(d)
	if err != nil || in.Done() {
		return err
	}
	defer in.Close()
	// What a killed commit left is a prefix of what there is.
	if _, err := r.Seek(in.Have(), io.SeekStart); err != nil {
		return err
	}
	if _, err := io.Copy(in, r); err != nil {
		return err
	}
	return in.Commit()
}

// configWith returns the image's config with another rootfs and one more line of
// history. What image-spec does not know (Docker's health check) stays.
func (i *Image) configWith(rootfs v1.RootFS, h v1.History) ([]byte, error) {
	config := map[string]jsontext.Value{}
	if err := jsonv2.Unmarshal(i.rawConfig, &config); err != nil {
		return nil, err
	}
	created, err := epoch()
	if err != nil {
		return nil, err
	}
	if created == nil {
		now := time.Now().UTC()
		created = &now
	}
	h.Created = created
	for name, v := range map[string]any{"created": created, "rootfs": rootfs, "history": append(slices.Clone(i.Config.History), h)} {
		data, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		config[name] = data
	}
	return jsonv2.Marshal(config, jsonv2.Deterministic(true))
}
