// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Pushed says how a blob got to the registry.
type Pushed string

// The ways.
const (
	Existed  Pushed = "exists"
	Mounted  Pushed = "mounted"
	Uploaded Pushed = "uploaded"
)

// A Content is a blob to be sent. It is read by position: net/http may still be
// reading the body of a request that has failed when the next one begins.
type Content interface {
	io.ReaderAt
	io.Closer
}

// Has tells whether the repository has a blob.
func (r *Repository) Has(ctx context.Context, d v1.Descriptor) (bool, error) {
	q := request{method: http.MethodHead, url: r.url("/blobs/" + string(d.Digest)), scope: r.pushScope()}
	response, err := r.do(ctx, "look for blob "+short(d), q, http.StatusOK)
	if isStatus(err, http.StatusNotFound, http.StatusMethodNotAllowed) {
		return false, nil
	} else if err != nil {
		return false, r.explain("look for blob", string(d.Digest), err)
	}
	drain(response.Body)
	return true, nil
}

// Push brings a blob to the repository: not at all if it is there, by a mount
// from another repository of the registry if from names one, or by an upload
// that goes on after a break if the registry keeps what it got.
func (r *Repository) Push(ctx context.Context, d v1.Descriptor, open func() (Content, error), from string) (Pushed, error) {
	if there, err := r.Has(ctx, d); err != nil || there {
		return Existed, err
	}
	content, err := open()
	if err != nil {
		return "", err
	}
	defer content.Close()
	u := &upload{repository: r, descriptor: d, content: content, from: from}
	err = r.client.run(ctx, "push blob "+short(d), func() (bool, error) { return u.try(ctx) })
	if err != nil {
		return "", r.explain("push blob", string(d.Digest), err)
	}
	if u.mounted {
		return Mounted, nil
	}
	return Uploaded, nil
}

// An upload is one blob on its way to a registry.
type upload struct {
	repository *Repository
	descriptor v1.Descriptor
	content    io.ReaderAt
	from       string

	session string // URL of the upload at the registry, "" if there is none
	offset  int64  // how far the registry got when we last looked
	fresh   bool   // the session was begun by this try
	mounted bool
}

// try does what is left, once. It reports progress if the registry kept more
// than at the last try.
func (u *upload) try(ctx context.Context) (bool, error) {
	before := u.offset
	if err := u.resume(ctx); err != nil || u.mounted {
		return false, err
	}
	progress := u.offset > before
	var err error
	if u.offset == 0 {
		err = u.put(ctx, u.descriptor.Size) // all in one
	} else if err = u.patch(ctx); err == nil {
		err = u.put(ctx, 0)
	}
	// A registry that kept a prefix we know nothing of (its answer does not tell
	// one byte from none), or has forgotten the session: begin again.
	if isStatus(err, http.StatusBadRequest, http.StatusNotFound, http.StatusRequestedRangeNotSatisfiable) && !u.fresh {
		u.session, u.offset = "", 0
		return progress, errRestart
	}
	return progress, err
}

// errRestart begins a new upload session.
var errRestart = errors.New("the registry has forgotten the upload")

// resume finds out where the registry is, or begins a session.
func (u *upload) resume(ctx context.Context) error {
	if u.session != "" {
		if u.offset = u.ask(ctx); u.offset >= 0 {
			u.fresh = false
			return nil
		}
	}
	u.session, u.offset, u.fresh = "", 0, true
	return u.begin(ctx)
}

// ask returns how many bytes the registry has, or -1 if the session is gone or
// it does not say. Some registries forget the session when a connection breaks.
func (u *upload) ask(ctx context.Context) int64 {
	r := u.repository
	response, err := r.host.once(ctx, request{method: http.MethodGet, url: u.session, scope: r.pushScope()})
	if err != nil {
		return -1
	}
	defer drain(response.Body)
	var first, last int64
	n, err := fmt.Sscanf(strings.TrimPrefix(response.Header.Get("Range"), "bytes="), "%d-%d", &first, &last)
	if response.StatusCode != http.StatusNoContent || n != 2 || err != nil || first != 0 || last < 0 {
		return -1
	}
	if u.move(response) != nil {
		return -1
	}
	if last == 0 {
		return 0 // "0-0" is what registries say of nothing, too
	}
	if last+1 > u.descriptor.Size {
		return -1
	}
	return last + 1
}

// begin opens a session, or mounts the blob.
func (u *upload) begin(ctx context.Context) error {
	r := u.repository
	q := request{method: http.MethodPost, url: r.url("/blobs/uploads/"), scope: r.pushScope(), header: http.Header{}}
	if u.from != "" {
		q.url += "?" + url.Values{"mount": {string(u.descriptor.Digest)}, "from": {u.from}}.Encode()
		q.scope += " repository:" + u.from + ":pull"
	}
	response, err := r.host.once(ctx, q)
	if u.from != "" && (err != nil && isAnswer(err) || err == nil && response.StatusCode >= 400 && response.StatusCode < 500) {
		// It does not mount, or we may not read the other repository.
		if err == nil {
			drain(response.Body)
		}
		u.from = ""
		return u.begin(ctx)
	}
	if err != nil {
		return err
	}
	switch {
	case response.StatusCode == http.StatusCreated && u.from != "":
		u.mounted = true
	case response.StatusCode != http.StatusAccepted:
		return newStatusError(response, http.MethodPost)
	default:
		if err := u.move(response); err != nil {
			drain(response.Body)
			return err
		}
	}
	drain(response.Body)
	return nil
}

// move takes the next URL of the session from a response. It may be relative.
func (u *upload) move(response *http.Response) error {
	location, err := response.Location()
	if err != nil {
		return permanent("the registry's answer has no usable Location")
	}
	if location.Scheme != "https" && (location.Scheme != "http" || response.Request.URL.Scheme == "https") {
		return permanent("the registry wants the upload at " + location.Scheme + "://" + location.Host)
	}
	u.session = location.String()
	return nil
}

// patch sends the rest without closing the upload.
func (u *upload) patch(ctx context.Context) error {
	header := http.Header{"Content-Range": {fmt.Sprintf("%d-%d", u.offset, u.descriptor.Size-1)}}
	response, err := u.send(ctx, http.MethodPatch, u.session, u.descriptor.Size-u.offset, header)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusAccepted && response.StatusCode != http.StatusNoContent {
		return newStatusError(response, http.MethodPatch)
	}
	defer drain(response.Body)
	return u.move(response)
}

// put closes the upload, with length bytes as its last (or only) part.
func (u *upload) put(ctx context.Context, length int64) error {
	separator := "?"
	if strings.Contains(u.session, "?") {
		separator = "&" // what is there is the registry's, and stays as it is
	}
	response, err := u.send(ctx, http.MethodPut, u.session+separator+"digest="+url.QueryEscape(string(u.descriptor.Digest)), length, http.Header{})
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusCreated && response.StatusCode != http.StatusNoContent {
		return newStatusError(response, http.MethodPut)
	}
	drain(response.Body)
	return nil
}

// send sends the last length bytes of the blob.
func (u *upload) send(ctx context.Context, method, to string, length int64, header http.Header) (*http.Response, error) {
	header.Set("Content-Type", "application/octet-stream")
	return u.repository.host.once(ctx, request{
		method: method, url: to, header: header, scope: u.repository.pushScope(),
		body: io.NewSectionReader(u.content, u.descriptor.Size-length, length), length: length,
	})
}

// PushManifest stores a manifest or index under a tag or its digest.
func (r *Repository) PushManifest(ctx context.Context, reference string, d v1.Descriptor, content []byte) error {
	err := r.client.run(ctx, "push manifest "+short(d), func() (bool, error) {
		response, err := r.host.once(ctx, request{
			method: http.MethodPut, url: r.url("/manifests/" + reference), scope: r.pushScope(),
			header: http.Header{"Content-Type": {d.MediaType}},
			body:   strings.NewReader(string(content)), length: int64(len(content)),
		})
		if err != nil {
			return false, err
		}
		if response.StatusCode != http.StatusCreated && response.StatusCode != http.StatusOK && response.StatusCode != http.StatusAccepted {
			return false, newStatusError(response, http.MethodPut)
		}
		drain(response.Body)
		return false, nil
	})
	return r.explain("push manifest", reference, err)
}
