// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package serve

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"cuelabs.dev/go/oci/ociregistry/ociserver"

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
		if r.Method == http.MethodPut { // no manifest is larger, and blobs are not held in memory
			limitManifest(r)
		}
		protocol.ServeHTTP(w, r)
	}), b.close
}

// limitManifest bounds what the library reads into memory.
func limitManifest(r *http.Request) {
	if strings.Contains(r.URL.Path, "/manifests/") {
		r.Body = http.MaxBytesReader(nil, r.Body, descriptor.MaxManifest)
	}
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
