// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package descriptor

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// ParseManifest returns the image manifest in data. mediaType is what the
// descriptor or the registry says; where names the document in errors.
func ParseManifest(where, mediaType string, data []byte) (v1.Manifest, error) {
	var doc struct {
		v1.Manifest `json:",inline"`
		Manifests   jsontext.Value `json:"manifests"`
		FSLayers    jsontext.Value `json:"fsLayers"`
	}
	if err := decode(where, KindManifest, mediaType, data, MaxManifest, &doc); err != nil {
		return v1.Manifest{}, err
	}
	m := doc.Manifest
	switch {
	case doc.FSLayers != nil:
		return m, Invalid(where, "is a manifest of Docker's schema 1, which carries no content digests; push the image again with a current tool")
	case doc.Manifests != nil: // CVE-2021-41190: a document that is both is ambiguous
		return m, Invalid(where, "has manifests: an index, or both an index and a manifest")
	case m.SchemaVersion != 2:
		return m, Invalid(where, "schemaVersion is %d, want 2", m.SchemaVersion)
	case m.MediaType != "" && m.MediaType != mediaType:
		return m, Invalid(where, "mediaType is %q, its descriptor says %q", m.MediaType, mediaType)
	case len(m.Layers) > MaxLayers:
		return m, Invalid(where, "has %d layers, the limit is %d", len(m.Layers), MaxLayers)
	}
	if err := check(where+" config", m.Config); err != nil {
		return m, err
	}
	for i, l := range m.Layers {
		if err := check(fmt.Sprintf("%s layers[%d]", where, i), l); err != nil {
			return m, err
		}
	}
	if m.Subject != nil {
		return m, check(where+" subject", *m.Subject)
	}
	return m, nil
}

// ParseIndex returns the index (or Docker manifest list) in data.
func ParseIndex(where, mediaType string, data []byte) (v1.Index, error) {
	return parseIndex(where, mediaType, data, MaxManifest)
}

// ParseStoreIndex returns the index.json of a layout. It has no limit of its
// own (the caller has read it), as a store has many images.
func ParseStoreIndex(where string, data []byte) (v1.Index, error) {
	return parseIndex(where, v1.MediaTypeImageIndex, data, len(data))
}

func parseIndex(where, mediaType string, data []byte, limit int) (v1.Index, error) {
	var doc struct {
		v1.Index `json:",inline"`
		Layers   jsontext.Value `json:"layers"`
		Config   jsontext.Value `json:"config"`
	}
	if err := decode(where, KindIndex, mediaType, data, limit, &doc); err != nil {
		return v1.Index{}, err
	}
	x := doc.Index
	switch {
	case doc.Layers != nil || doc.Config != nil:
		return x, Invalid(where, "has config or layers: a manifest, or both an index and a manifest")
	case x.SchemaVersion != 2:
		return x, Invalid(where, "schemaVersion is %d, want 2", x.SchemaVersion)
	case x.MediaType != "" && x.MediaType != mediaType:
		return x, Invalid(where, "mediaType is %q, its descriptor says %q", x.MediaType, mediaType)
	}
	for i, d := range x.Manifests {
		if err := check(fmt.Sprintf("%s manifests[%d]", where, i), d); err != nil {
			return x, err
		}
	}
	return x, nil
}

// ParseConfig returns the image config in data. An artifact's config is not an
// image config: callers look at the media type first.
func ParseConfig(where string, data []byte) (v1.Image, error) {
	var c v1.Image
	if err := decode(where, KindConfig, "", data, MaxConfig, &c); err != nil {
		return c, err
	}
	for i, d := range c.RootFS.DiffIDs {
		if _, err := ParseDigest(string(d)); err != nil {
			return c, Invalid(fmt.Sprintf("%s rootfs.diff_ids[%d]", where, i), "%v", err)
		}
	}
	return c, nil
}

// CheckImage tells whether a manifest and its config belong together and make
// a filesystem: one diff ID for each layer, layers of known media types.
func CheckImage(where string, m v1.Manifest, c v1.Image) error {
	if k := KindOf(m.Config.MediaType); k != KindConfig {
		return Invalid(where+" config", "media type %q is not that of an image config: this is an artifact, not an image", m.Config.MediaType)
	}
	if len(c.RootFS.DiffIDs) != len(m.Layers) {
		return Invalid(where, "has %d layers, but its config has %d rootfs.diff_ids", len(m.Layers), len(c.RootFS.DiffIDs))
	}
	for i, l := range m.Layers {
		if _, err := CompressionOf(l.MediaType); err != nil {
			return Invalid(fmt.Sprintf("%s layers[%d]", where, i), "%v", err)
		}
	}
	return nil
}

// decode decodes one strict JSON document. jsontext itself refuses duplicate
// names, invalid UTF-8 (a BOM too), trailing data and nesting beyond 10,000.
func decode(where string, kind Kind, mediaType string, data []byte, limit int, into any) error {
	if len(data) > limit {
		return Invalid(where, "has %d bytes, the limit for this kind (%s) is %d", len(data), kind, limit)
	}
	if mediaType != "" && KindOf(mediaType) != kind {
		return Invalid(where, "media type %q is not that of an image %s", mediaType, kind)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return Invalid(where, "%s is not valid: %s", kind, jsonReason(err))
	}
	return nil
}

// jsonReason says what is wrong in a document's own words: the JSON path and
// the reason, without names of Go types.
func jsonReason(err error) string {
	if e, ok := errors.AsType[*json.SemanticError](err); ok {
		reason := "a JSON " + kindName(e.JSONKind) + " does not fit here"
		if e.Err != nil {
			reason = e.Err.Error()
		}
		return fmt.Sprintf("%s: %s", pointer(e.JSONPointer), reason)
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Sprintf("%s (byte %d): %v", pointer(e.JSONPointer), e.ByteOffset, e.Err)
	}
	return err.Error()
}

func pointer(p jsontext.Pointer) string {
	const most = 200
	switch {
	case p == "":
		return "document"
	case len(p) > most:
		return string(p[:most]) + "…"
	}
	return string(p)
}

func kindName(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "boolean"
	case '"':
		return "string"
	case '0':
		return "number"
	case '{':
		return "object"
	case '[':
		return "array"
	}
	return "value"
}

// check checks a descriptor inside a document.
func check(where string, d v1.Descriptor) error {
	if _, err := ParseDigest(string(d.Digest)); err != nil {
		return Invalid(where+" digest", "%v", err)
	}
	if d.Size < 0 {
		return Invalid(where+" size", "is %d", d.Size)
	}
	if d.MediaType == "" {
		return Invalid(where+" mediaType", "is missing")
	}
	if d.Data != nil { // embedded content, image-spec descriptor.md
		return Verify(where+" data", d, d.Data)
	}
	return nil
}

// Sniff returns the media type of a manifest or index that lies somewhere
// without a descriptor: what it says of itself, else what its members show (OCI
// documents need not have a mediaType). It returns "" for anything else.
func Sniff(content []byte) string {
	var doc struct {
		MediaType string         `json:"mediaType"`
		Config    jsontext.Value `json:"config"`
		Manifests jsontext.Value `json:"manifests"`
	}
	if len(content) > MaxManifest || json.Unmarshal(content, &doc) != nil {
		return ""
	}
	switch k := KindOf(doc.MediaType); {
	case k == KindManifest || k == KindIndex:
		return doc.MediaType
	case doc.MediaType != "":
		return ""
	case doc.Manifests != nil && doc.Config == nil:
		return v1.MediaTypeImageIndex
	case doc.Config != nil && doc.Manifests == nil:
		return v1.MediaTypeImageManifest
	}
	return ""
}
