// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/copy"
	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/imgmgr/layout"
	"github.com/coracle-oci/coracle/imgmgr/ref"
)

// inspected is the answer of inspect for a manifest.
type inspected struct {
	Name        string            `json:"name"`
	Digest      string            `json:"digest"`
	MediaType   string            `json:"mediaType"`
	Platform    string            `json:"platform,omitzero"`
	Created     *time.Time        `json:"created,omitzero"`
	Size        int64             `json:"size"` // bytes of config and layers
	Annotations map[string]string `json:"annotations,omitempty"`
	Config      *v1.ImageConfig   `json:"config,omitzero"`
	Layers      []inspectedLayer  `json:"layers"`
	History     []v1.History      `json:"history,omitempty"`
}

type inspectedLayer struct {
	Digest    string `json:"digest"`
	DiffID    string `json:"diffID,omitzero"`
	MediaType string `json:"mediaType"`
	Size      int64  `json:"size"`
}

// inspectedIndex is the answer of inspect for an index.
type inspectedIndex struct {
	Name        string            `json:"name"`
	Digest      string            `json:"digest"`
	MediaType   string            `json:"mediaType"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Manifests   []inspectedChild  `json:"manifests"`
}

type inspectedChild struct {
	Digest    string `json:"digest"`
	MediaType string `json:"mediaType"`
	Platform  string `json:"platform,omitzero"`
	Size      int64  `json:"size"`
}

func newInspectCommand(g *globals) *cobra.Command {
	var t *transfer
	var raw, config bool
	c := &cobra.Command{
		Use:               "inspect REF",
		ValidArgsFunction: g.names,
		Short:             "tell what an image is, as JSON",
		Long: `inspect prints a summary of an image's manifest and config as JSON: for an index
the list of its images, unless --platform chooses one. Of a registry, no layer is
fetched and nothing is kept.`,
		Args:    cobra.ExactArgs(1),
		Example: "  imgmgr inspect busybox:1.36\n  imgmgr inspect --raw docker://registry.example/busybox:1.36",
		RunE: func(c *cobra.Command, args []string) error {
			ctx, cancel := t.limit(c.Context())
			defer cancel()
			return t.inspect(ctx, args[0], raw, config)
		},
	}
	t = newTransfer(g, c)
	c.Flags().String("format", "json", "json")
	c.Flags().BoolVar(&raw, "raw", false, "print the manifest or index itself, byte for byte")
	c.Flags().BoolVar(&config, "config", false, "print the image config itself, byte for byte")
	c.MarkFlagsMutuallyExclusive("raw", "config")
	return c
}

func (t *transfer) inspect(ctx context.Context, text string, raw, wantConfig bool) error {
	r, err := ref.Parse(text)
	if err != nil {
		return usage(err)
	}
	want, err := t.selection()
	if err != nil {
		return err
	}
	s, err := copy.Open(r, t.globals.store, t.client)
	if err != nil {
		return err
	}
	defer s.Close()
	root, err := copy.Find(ctx, s, want, t.platform != "" || wantConfig)
	if err != nil {
		return err
	}
	content, err := s.Document(ctx, root)
	if err != nil {
		return err
	}
	if raw {
		_, err := t.globals.stdout.Write(content)
		return err
	}
	if descriptor.KindOf(root.MediaType) == descriptor.KindIndex {
		return t.inspectIndex(text, root, content)
	}
	return t.inspectManifest(ctx, s, text, root, content, wantConfig)
}

func (t *transfer) inspectIndex(text string, root v1.Descriptor, content []byte) error {
	x, err := descriptor.ParseIndex(text, root.MediaType, content)
	if err != nil {
		return err
	}
	answer := inspectedIndex{Name: text, Digest: string(root.Digest), MediaType: root.MediaType, Annotations: x.Annotations, Manifests: []inspectedChild{}}
	for _, d := range x.Manifests {
		c := inspectedChild{Digest: string(d.Digest), MediaType: d.MediaType, Size: d.Size}
		if d.Platform != nil {
			c.Platform = descriptor.FormatPlatform(*d.Platform)
		}
		answer.Manifests = append(answer.Manifests, c)
	}
	return t.globals.printJSON(answer)
}

func (t *transfer) inspectManifest(ctx context.Context, s copy.Source, text string, root v1.Descriptor, content []byte, wantConfig bool) error {
	m, err := descriptor.ParseManifest(text, root.MediaType, content)
	if err != nil {
		return err
	}
	data, err := t.config(ctx, s, m.Config)
	if err != nil {
		return err
	}
	if wantConfig {
		_, err := t.globals.stdout.Write(data)
		return err
	}
	answer := inspected{Name: text, Digest: string(root.Digest), MediaType: root.MediaType, Annotations: m.Annotations, Size: m.Config.Size, Layers: []inspectedLayer{}}
	for _, l := range m.Layers {
		answer.Layers = append(answer.Layers, inspectedLayer{Digest: string(l.Digest), MediaType: l.MediaType, Size: l.Size})
		answer.Size += l.Size
	}
	if descriptor.KindOf(m.Config.MediaType) != descriptor.KindConfig {
		return t.globals.printJSON(answer) // an artifact: its config is its own affair
	}
	c, err := descriptor.ParseConfig(text+" config", data)
	if err != nil {
		return err
	}
	answer.describe(c)
	return t.globals.printJSON(answer)
}

// describe adds what the config says.
func (a *inspected) describe(c v1.Image) {
	a.Platform, a.Created, a.Config, a.History = descriptor.FormatPlatform(c.Platform), c.Created, &c.Config, c.History
	for i := range min(len(a.Layers), len(c.RootFS.DiffIDs)) {
		a.Layers[i].DiffID = string(c.RootFS.DiffIDs[i])
	}
}

// config reads an image's config. It comes through a throw-away layout: every
// source knows how to bring a blob into one, resumed and verified.
func (t *transfer) config(ctx context.Context, s copy.Source, d v1.Descriptor) ([]byte, error) {
	if d.Size > descriptor.MaxConfig {
		return nil, descriptor.Invalid("config "+string(d.Digest), "has %d bytes, the limit is %d", d.Size, descriptor.MaxConfig)
	}
	dir, err := newTemporary("imgmgr-inspect-")
	if err != nil {
		return nil, err
	}
	defer dir.remove()
	l, err := layout.Create(dir.path)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	i, err := l.Ingest(d)
	if err != nil {
		return nil, err
	}
	defer i.Close()
	if err := s.Fetch(ctx, d, i); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return l.ReadBlob(d, descriptor.MaxConfig)
}
