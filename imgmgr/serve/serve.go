// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package serve

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"

	"cuelabs.dev/go/oci/ociregistry"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/imgmgr/layout"
	"github.com/coracle-oci/coracle/internal/fail"
)

// Options are how a layout is served.
type Options struct {
	ReadOnly bool
}

// Handler returns the registry as an HTTP handler, and what ends its uploads.
func Handler(l *layout.Layout, o Options) (http.Handler, func()) {
	b := &backend{layout: l, readOnly: o.ReadOnly}
	protocol := ociserver.New(b, &ociserver.Options{
		// An empty answer would claim that nothing refers to an image. Without
		// the API, clients use the tag that distribution-spec has for this.
		DisableReferrersAPI: true,
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
			if err := checkManifest(r); err != nil {
				ociregistry.WriteError(w, err)
				return
			}
		}
		protocol.ServeHTTP(w, r)
	}), b.close
}

// checkManifest reads and checks a manifest before the library does: the library
// has no limit, and takes JSON that it cannot read for a failure of its own.
func checkManifest(r *http.Request) error {
	data, err := io.ReadAll(io.LimitReader(r.Body, descriptor.MaxManifest+1))
	if err != nil {
		return ociregistry.NewError(err.Error(), ociregistry.ErrManifestInvalid.Code(), nil)
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err == nil {
		_, err = parts(v1.Descriptor{MediaType: mediaType}, data)
	}
	if err != nil {
		return ociregistry.NewError(err.Error(), ociregistry.ErrManifestInvalid.Code(), nil)
	}
	r.Body = io.NopCloser(bytes.NewReader(data))
	return nil
}

// Run serves a layout at a listener until the context ends. Requests that run
// then get a moment to finish.
func Run(ctx context.Context, listener net.Listener, l *layout.Layout, o Options) error {
	handler, end := Handler(l, o)
	defer end()
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		const moment = 5 * time.Second
		last, cancel := context.WithTimeout(context.Background(), moment)
		defer cancel()
		if server.Shutdown(last) != nil {
			server.Close()
		}
	})
	err := server.Serve(listener)
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return &fail.Error{Where: listener.Addr().String(), Doing: "serve", Err: err}
}
