// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"syscall"

	"github.com/go-json-experiment/json"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/internal/fail"
)

// manifestTypes is what we can read, best first.
var manifestTypes = strings.Join([]string{v1.MediaTypeImageIndex, v1.MediaTypeImageManifest, descriptor.DockerList, descriptor.DockerManifest}, ", ")

// Resolve returns the descriptor of a tag or digest. It asks with HEAD, which
// registries do not count as a pull. Where that does not say enough (no HEAD, no
// digest in the answer), the manifest itself is fetched.
func (r *Repository) Resolve(ctx context.Context, reference string) (v1.Descriptor, error) {
	response, err := r.do(ctx, "look up "+r.at(reference), r.manifestRequest(http.MethodHead, reference), http.StatusOK)
	switch {
	case err == nil:
		drain(response.Body)
		mediaType := contentType(response)
		d, bad := descriptor.ParseDigest(response.Header.Get("Docker-Content-Digest"))
		kind := descriptor.KindOf(mediaType)
		if bad == nil && response.ContentLength > 0 && (kind == descriptor.KindManifest || kind == descriptor.KindIndex) {
			if strings.Contains(reference, ":") && reference != string(d) {
				return v1.Descriptor{}, descriptor.Invalid(r.at(reference), "the registry answers with digest %s", d)
			}
			return v1.Descriptor{MediaType: mediaType, Digest: d, Size: response.ContentLength}, nil
		}
	case isStatus(err, http.StatusUnauthorized, http.StatusForbidden), !isAnswer(err):
		return v1.Descriptor{}, r.explain("look up", reference, err)
	}
	d, _, err := r.Manifest(ctx, reference)
	return d, err
}

// isAnswer tells whether the registry answered at all.
func isAnswer(err error) bool {
	e, ok := errors.AsType[*statusError](err)
	return ok && !e.temporary()
}

// Manifest returns a manifest or index by tag or digest, and its descriptor.
// The content has the digest that was asked for, or that the registry claims.
func (r *Repository) Manifest(ctx context.Context, reference string) (v1.Descriptor, []byte, error) {
	var d v1.Descriptor
	var content []byte
	again := true // after a digest that does not match, once
	err := r.client.run(ctx, "fetch "+r.at(reference), func() (bool, error) {
		var err error
		d, content, err = r.manifestOnce(ctx, reference)
		if _, ok := errors.AsType[*descriptor.InvalidError](err); ok && again {
			again = false
			d, content, err = r.manifestOnce(ctx, reference)
		}
		return false, err
	})
	if err != nil {
		return d, nil, r.explain("fetch", reference, err)
	}
	return d, content, nil
}

func (r *Repository) manifestRequest(method, reference string) request {
	return request{method: method, url: r.url("/manifests/" + reference), scope: r.pullScope(), header: http.Header{"Accept": {manifestTypes}}}
}

func (r *Repository) manifestOnce(ctx context.Context, reference string) (v1.Descriptor, []byte, error) {
	response, err := r.host.once(ctx, r.manifestRequest(http.MethodGet, reference))
	if err != nil {
		return v1.Descriptor{}, nil, err
	}
	if response.StatusCode != http.StatusOK {
		return v1.Descriptor{}, nil, newStatusError(response, http.MethodGet)
	}
	defer drain(response.Body)
	content, err := io.ReadAll(io.LimitReader(response.Body, descriptor.MaxManifest+1))
	if err != nil {
		return v1.Descriptor{}, nil, err
	}
	if len(content) > descriptor.MaxManifest {
		return v1.Descriptor{}, nil, descriptor.Invalid(r.at(reference), "manifest is larger than %d bytes", descriptor.MaxManifest)
	}
	d := descriptor.Of(contentType(response), content)
	if k := descriptor.KindOf(d.MediaType); k != descriptor.KindManifest && k != descriptor.KindIndex {
		d.MediaType = ownMediaType(content, d.MediaType)
	}
	want := response.Header.Get("Docker-Content-Digest")
	if strings.Contains(reference, ":") {
		want = reference
	}
	if want == "" {
		return d, content, nil
	}
	claimed, err := descriptor.ParseDigest(want)
	if err != nil {
		return d, nil, descriptor.Invalid(r.at(reference), "Docker-Content-Digest: %v", err)
	}
	d.Digest = claimed
	return d, content, descriptor.Verify(r.at(reference), d, content)
}

// contentType returns the media type of a response without its parameters.
func contentType(response *http.Response) string {
	t, _, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}

// ownMediaType returns what a document says of itself, for registries that send
// a Content-Type that says nothing.
func ownMediaType(content []byte, otherwise string) string {
	var doc struct {
		MediaType string `json:"mediaType"`
	}
	if json.Unmarshal(content, &doc) != nil || doc.MediaType == "" {
		return otherwise
	}
	return doc.MediaType
}

// A Partial is where a blob goes, with what is there already. It is an ingest of
// package layout.
type Partial interface {
	io.Writer
	Have() int64   // bytes that are there: where to go on
	Reset() error  // forget them
	Commit() error // verify and keep; an InvalidError if the content is wrong
}

// Fetch downloads a blob. It goes on behind what is there, again after each
// break, and fetches the whole once more if the digest is wrong at the end. What
// arrived stays in the partial blob if it fails.
func (r *Repository) Fetch(ctx context.Context, d v1.Descriptor, to Partial) error {
	again := true
	err := r.client.run(ctx, "fetch blob "+short(d), func() (bool, error) {
		before := to.Have()
		err := r.fetchOnce(ctx, d, to)
		if err == nil {
			err = local(to.Commit())
		}
		if _, ok := errors.AsType[*descriptor.InvalidError](err); ok && again {
			// A wrong byte came over the line or from an earlier run.
			again = false
			if r.client.options.Retrying != nil {
				r.client.options.Retrying("fetch blob "+short(d), err, 0)
			}
			if err := to.Reset(); err != nil {
				return false, &localError{err}
			}
			return true, errAgain
		}
		return to.Have() > before, err
	})
	if _, ok := errors.AsType[*descriptor.InvalidError](err); ok {
		to.Reset() // no prefix of it is worth keeping
	}
	return r.explain("fetch blob", string(d.Digest), err)
}

// errAgain starts a transfer over.
var errAgain = errors.New("the content was wrong")

// local marks errors of the disk, which no other try changes. Content that is
// wrong is not one.
func local(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*descriptor.InvalidError](err); ok {
		return err
	}
	return &localError{err}
}

// fetchOnce reads what is missing in one request. It returns nil when all bytes
// are there.
func (r *Repository) fetchOnce(ctx context.Context, d v1.Descriptor, to Partial) error {
	have := to.Have()
	if have == d.Size && d.Size > 0 {
		return nil
	}
	q := request{method: http.MethodGet, url: r.url("/blobs/" + string(d.Digest)), scope: r.pullScope(), header: http.Header{}}
	if have > 0 {
		q.header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	response, err := r.host.once(ctx, q)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
		// The whole blob, though only the rest was asked for: skip what is there.
		if _, err := io.CopyN(io.Discard, response.Body, have); err != nil {
			return unexpected(err)
		}
	case http.StatusPartialContent:
		if err := checkRange(response.Header.Get("Content-Range"), have, d.Size); err != nil {
			return descriptor.Invalid("blob "+string(d.Digest), "%v", err)
		}
	case http.StatusRequestedRangeNotSatisfiable:
		return descriptor.Invalid("blob "+string(d.Digest), "the registry has no byte %d of it, its descriptor says %d", have, d.Size)
	default:
		return newStatusError(response, http.MethodGet)
	}
	return receive(response.Body, d.Size, to)
}

// receive copies a body until the blob is whole.
func receive(body io.Reader, size int64, to Partial) error {
	buffer := make([]byte, 128<<10)
	for {
		n, err := body.Read(buffer)
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return local(err)
			}
		}
		switch {
		case errors.Is(err, io.EOF) && to.Have() < size:
			return io.ErrUnexpectedEOF
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// checkRange tells whether a Content-Range begins where we asked: anything else
// would put bytes in the wrong place.
func checkRange(header string, start, size int64) error {
	var first, last, total int64
	if n, err := fmt.Sscanf(header, "bytes %d-%d/%d", &first, &last, &total); n != 3 || err != nil {
		if n, err := fmt.Sscanf(header, "bytes %d-%d/*", &first, &last); n != 2 || err != nil {
			return fmt.Errorf("the registry answers with Content-Range %q", header)
		}
		total = size
	}
	if first != start || total != size || last < first || last >= total {
		return fmt.Errorf("the registry answers with Content-Range %q, want from %d of %d", header, start, size)
	}
	return nil
}

// short names a blob in progress lines.
func short(d v1.Descriptor) string {
	const most = len("sha256:") + 12
	if len(d.Digest) <= most {
		return string(d.Digest)
	}
	return string(d.Digest[:most])
}

// at names an image in errors.
func (r *Repository) at(reference string) string {
	if strings.Contains(reference, ":") {
		return r.String() + "@" + reference
	}
	return r.String() + ":" + reference
}

// explain makes an error one that a user can act on.
func (r *Repository) explain(doing, reference string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if l, ok := errors.AsType[*localError](err); ok {
		return l.err // it names the file
	}
	if _, ok := errors.AsType[*fail.Error](err); ok {
		return err
	}
	where := r.at(reference)
	if isStatus(err, http.StatusNotFound) {
		return notFound(where, "no such image or blob", err)
	}
	if isStatus(err, http.StatusUnauthorized, http.StatusForbidden) {
		return unauthorized(where, doing, err)
	}
	e := &fail.Error{Where: where, Doing: doing, Err: err}
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, plain := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case unknown:
		e.Hint = "give the certificate authority of the registry with --ca FILE"
	case plain || errors.Is(err, http.ErrSchemeMismatch) || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		e.Hint = "the registry speaks plain HTTP; use --insecure if that is meant"
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Hint = "nobody listens at that address; a port stands behind the host, as in HOST:5000/NAME"
	}
	return e
}
