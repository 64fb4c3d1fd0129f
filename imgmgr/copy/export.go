// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package copy

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"

	"github.com/go-json-experiment/json"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/imgmgr/layout"
	"github.com/coracle-oci/coracle/internal/fail"
)

// ExportOCI writes an image as a tar of an OCI layout. The name ("" for none)
// becomes its ref.name. Equal images give equal bytes: no times, no owners.
func ExportOCI(ctx context.Context, w io.Writer, from *layout.Layout, p *Plan, name string) error {
	t := tar.NewWriter(w)
	version, err := json.Marshal(v1.ImageLayout{Version: v1.ImageLayoutVersion})
	if err != nil {
		return err
	}
	root := p.Root
	root.Annotations = nil
	if name != "" {
		root.Annotations = map[string]string{v1.AnnotationRefName: name}
	}
	index, err := json.Marshal(v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{root}}, json.Deterministic(true))
	if err != nil {
		return err
	}
	if err := writeMember(t, v1.ImageLayoutFile, version); err != nil {
		return err
	}
	if err := writeMember(t, v1.ImageIndexFile, index); err != nil {
		return err
	}
	for _, b := range p.Blobs {
		if err := writeBlob(ctx, t, from, b.Descriptor); err != nil {
			return err
		}
	}
	for _, d := range p.Documents {
		if err := writeMember(t, blobMember(d.Descriptor), d.Content); err != nil {
			return err
		}
	}
	return t.Close()
}

// ExportDocker writes one image as "docker load" reads it. The layers stay
// packed as they are, which docker and podman accept.
func ExportDocker(ctx context.Context, w io.Writer, from *layout.Layout, p *Plan, name string) error {
	where := "manifest " + string(p.Root.Digest)
	if len(p.Documents) != 1 {
		return descriptor.Invalid(where, "is an index: a docker archive has images of one platform")
	}
	m, err := descriptor.ParseManifest(where, p.Root.MediaType, p.Documents[0].Content)
	if err != nil {
		return err
	}
	image := dockerImage{Config: m.Config.Digest.Encoded() + ".json", Layers: []string{}, RepoTags: []string{}}
	if name != "" {
		image.RepoTags = []string{name}
	}
	t, written := tar.NewWriter(w), map[string]bool{}
	config, err := from.ReadBlob(m.Config, descriptor.MaxConfig)
	if err != nil {
		return err
	}
	for _, l := range m.Layers {
		if _, err := descriptor.CompressionOf(l.MediaType); err != nil {
			return err
		}
		member := blobMember(l)
		image.Layers = append(image.Layers, member)
		if written[member] {
			continue
		}
		written[member] = true
		if err := writeBlob(ctx, t, from, l); err != nil {
			return err
		}
	}
	manifest, err := json.Marshal([]dockerImage{image}, json.Deterministic(true))
	if err != nil {
		return err
	}
	if err := writeMember(t, image.Config, config); err != nil {
		return err
	}
	if err := writeMember(t, dockerManifestName, manifest); err != nil {
		return err
	}
	return t.Close()
}

func blobMember(d v1.Descriptor) string {
	return "blobs/" + d.Digest.Algorithm().String() + "/" + d.Digest.Encoded()
}

func writeMember(t *tar.Writer, name string, content []byte) error {
	return writeStream(t, name, int64(len(content)), bytes.NewReader(content))
}

// writeBlob writes a blob, verified on the way: what was written is thrown away
// if it turns out wrong.
func writeBlob(ctx context.Context, t *tar.Writer, from *layout.Layout, d v1.Descriptor) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r, err := from.OpenBlob(d)
	if err != nil {
		return err
	}
	defer r.Close()
	return writeStream(t, blobMember(d), d.Size, r)
}

func writeStream(t *tar.Writer, name string, size int64, from io.Reader) error {
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644}); err != nil {
		return err
	}
	_, err := io.Copy(t, from)
	return err
}

// WriteFile writes a file that appears under its name only when it is whole. An
// error leaves what was there before.
func WriteFile(name string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return &fail.Error{Where: name, Doing: "write archive", Err: err}
	}
	defer os.Remove(f.Name()) // gone under this name if all went well
	w := bufio.NewWriterSize(f, 256<<10)
	err = write(w)
	if e := w.Flush(); err == nil {
		err = e
	}
	if e := f.Chmod(0o644); err == nil {
		err = e
	}
	if e := f.Sync(); err == nil {
		err = e
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
