// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package ref parses what a person types to name an image.
//
// There are five ways to name one:
//
//	NAME[:TAG][@DIGEST]            an image of the store; for pull and push also of the registry in NAME
//	docker://NAME[:TAG][@DIGEST]   an image of a registry
//	oci:DIR[:TAG]                  an image of an OCI layout
//	oci-archive:FILE[:TAG]         an image of a tar of an OCI layout
//	docker-archive:FILE[:TAG]      an image of a tar that "docker save" writes
//
// It opens nothing and resolves nothing: package copy does. A name in the
// store is what the user typed, with ":latest" where there is neither tag nor
// digest. Only docker:// adds what docker adds (the default registry and
// "library/"): a bare short name never reaches a registry by accident.
package ref

import (
	"strings"

	"github.com/coracle-oci/coracle/internal/fail"
)

// A Transport says where an image is.
type Transport string

// The transports, spelled as users type them. Store has no prefix.
const (
	Store         Transport = ""
	Registry      Transport = "docker"
	Layout        Transport = "oci"
	OCIArchive    Transport = "oci-archive"
	DockerArchive Transport = "docker-archive"
)

// DefaultTag is the tag of a name that has neither tag nor digest.
const DefaultTag = "latest"

// DefaultRegistry is the registry of a docker:// name that has none.
const DefaultRegistry = "docker.io"

// limits of the distribution grammar, and of image-spec's ref.name (ours).
const (
	maxName  = 255
	maxTag   = 128
	maxLabel = 1024
)

// A Ref is a parsed reference. For Store and Registry, Name is set and one of
// Tag and Digest at least; for the others Path is set and Tag is the image's
// name inside (org.opencontainers.image.ref.name), or empty.
type Ref struct {
	Transport Transport
	Path      string // directory or file
	Name      string // "host:port/repository", as typed
	Tag       string
	Digest    string // "sha256:…", valid
}

// Parse returns the reference that s spells.
func Parse(s string) (Ref, error) {
	r, err := parse(s)
	if err != nil {
		return Ref{}, &fail.Error{Where: "reference " + quote(s), Err: err}
	}
	return r, nil
}

func parse(s string) (Ref, error) {
	if rest, ok := strings.CutPrefix(s, "docker://"); ok {
		return parseRegistry(rest)
	}
	for _, t := range []Transport{Layout, OCIArchive, DockerArchive} {
		if rest, ok := strings.CutPrefix(s, string(t)+":"); ok {
			return parsePath(t, rest)
		}
	}
	if scheme, _, ok := strings.Cut(s, "://"); ok {
		return Ref{}, reason("unknown transport " + quote(scheme) + "; known are docker://, oci:, oci-archive:, docker-archive:")
	}
	return parseName(s)
}

// parsePath splits at the first colon, as skopeo does: a tag may have colons.
func parsePath(t Transport, s string) (Ref, error) {
	path, label, tagged := strings.Cut(s, ":")
	switch {
	case path == "":
		return Ref{}, reason("path is empty")
	case strings.ContainsRune(path, 0):
		return Ref{}, reason("path contains a NUL")
	case tagged && !ValidLabel(label):
		return Ref{}, reason("tag " + quote(label) + " is not a valid image name")
	}
	return Ref{Transport: t, Path: path, Tag: label}, nil
}

func parseRegistry(s string) (Ref, error) {
	r, err := parseName(s)
	if err != nil {
		return Ref{}, err
	}
	r.Transport = Registry
	if r.Host() != "" {
		return r, nil
	}
	if !strings.Contains(r.Name, "/") {
		r.Name = "library/" + r.Name
	}
	r.Name = DefaultRegistry + "/" + r.Name
	return r, nil
}

func parseName(s string) (Ref, error) {
	if s == "" {
		return Ref{}, reason("is empty")
	}
	name, digest, pinned := strings.Cut(s, "@")
	if pinned && !ValidDigest(digest) {
		return Ref{}, reason("digest " + quote(digest) + " is not sha256: and 64, or sha512: and 128 lower-case hex digits")
	}
	tag := ""
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name, tag = name[:i], name[i+1:]
		if !ValidTag(tag) {
			return Ref{}, reason("tag " + quote(tag) + " is not up to 128 letters, digits, _ . -")
		}
	}
	if err := checkName(name); err != nil {
		return Ref{}, err
	}
	switch Transport(name) {
	case Layout, OCIArchive, DockerArchive: // "oci:latest" would be the layout in ./latest
		return Ref{}, reason("the name " + quote(name) + " is taken by the transport " + name + ":")
	}
	if tag == "" && !pinned {
		tag = DefaultTag
	}
	return Ref{Name: name, Tag: tag, Digest: digest}, nil
}

// String spells r so that Parse returns r again.
func (r Ref) String() string {
	switch r.Transport {
	case Store:
		return r.full()
	case Registry:
		return "docker://" + r.full()
	}
	if r.Tag == "" {
		return string(r.Transport) + ":" + r.Path
	}
	return string(r.Transport) + ":" + r.Path + ":" + r.Tag
}

func (r Ref) full() string {
	s := r.Name
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest
	}
	return s
}

// StoreName is the name under which the image lies in the store: NAME:TAG, or
// NAME@DIGEST where no tag was typed. It is "" for paths.
func (r Ref) StoreName() string {
	switch {
	case r.Name == "":
		return ""
	case r.Tag != "":
		return r.Name + ":" + r.Tag
	}
	return r.Name + "@" + r.Digest
}

// Host is the registry in the name, with its port, or "" for a short name. As
// for docker: the first component if it has a dot, a colon, an upper-case
// letter, or is "localhost".
func (r Ref) Host() string {
	first, _, ok := strings.Cut(r.Name, "/")
	if ok && isHost(first) {
		return first
	}
	return ""
}

// Repository is the name without the registry.
func (r Ref) Repository() string {
	if h := r.Host(); h != "" {
		return r.Name[len(h)+1:]
	}
	return r.Name
}

// AtRegistry returns r as an image of the registry in its name, or an error
// for a short name.
func (r Ref) AtRegistry() (Ref, error) {
	if r.Transport != Store || r.Host() != "" {
		if r.Transport == Store {
			r.Transport = Registry
		}
		return r, nil
	}
	return Ref{}, &fail.Error{
		Where: "reference " + quote(r.String()),
		Err:   reason("names no registry"),
		Hint:  "write HOST/" + r.full() + ", or docker://" + r.full() + " for the default registry " + DefaultRegistry,
	}
}

// reason is an error that says why a reference is refused.
type reason string

func (r reason) Error() string { return string(r) }

func quote(s string) string {
	const most = 200
	if len(s) > most {
		s = s[:most] + "…"
	}
	return `"` + s + `"`
}
