// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package serve

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/imgmgr/layout"
)

// start serves a new layout.
func start(t *testing.T, o Options) (*layout.Layout, string) {
	t.Helper()
	l, err := layout.Create(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	handler, end := Handler(l, o)
	s := httptest.NewServer(handler)
	t.Cleanup(func() { s.Close(); end(); l.Close() })
	return l, s.URL
}

// call sends a request and returns status, headers and body.
func call(t *testing.T, method, url, body string, header ...string) (int, http.Header, string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	if err != nil && method != http.MethodHead {
		t.Fatal(err)
	}
	return r.StatusCode, r.Header, string(data)
}

func want(t *testing.T, what string, got, status int) {
	t.Helper()
	if got != status {
		t.Errorf("%s: status %d, want %d", what, got, status)
	}
}

const emptyConfig = `{"architecture":"amd64","os":"linux"}`

func manifestOf(config v1.Descriptor) string {
	return `{"schemaVersion":2,"config":{"mediaType":"` + v1.MediaTypeImageConfig + `","digest":"` + string(config.Digest) + `","size":37},"layers":[]}`
}

// TestPushPull is the life of an image, request by request.
func TestPushPull(t *testing.T) {
	l, url := start(t, Options{})
	config := descriptor.Of("", []byte(emptyConfig))
	manifest := manifestOf(config)
	m := descriptor.Of("", []byte(manifest))

	status, _, _ := call(t, "HEAD", url+"/v2/a/b/blobs/"+string(config.Digest), "")
	want(t, "HEAD of a blob that is not there", status, 404)
	status, _, _ = call(t, "PUT", url+"/v2/a/b/manifests/1", manifest, "Content-Type", v1.MediaTypeImageManifest)
	want(t, "manifest without its config", status, 404)

	status, h, _ := call(t, "POST", url+"/v2/a/b/blobs/uploads/", "")
	want(t, "POST", status, 202)
	session := url + h.Get("Location")
	status, _, _ = call(t, "PATCH", session, emptyConfig[:10])
	want(t, "PATCH", status, 202)
	status, h, _ = call(t, "GET", session, "")
	want(t, "GET of the upload", status, 204)
	if h.Get("Range") != "0-9" {
		t.Errorf("the upload is at %q, want 0-9", h.Get("Range"))
	}
	status, _, _ = call(t, "PATCH", session, emptyConfig[5:], "Content-Range", "5-36")
	want(t, "PATCH at the wrong place", status, 416)
	status, _, _ = call(t, "PATCH", session, emptyConfig[10:], "Content-Range", "10-36")
	want(t, "PATCH at the right place", status, 202)
	status, _, _ = call(t, "PUT", session+"?digest="+string(config.Digest), "")
	want(t, "PUT", status, 201)
	status, _, _ = call(t, "GET", session, "")
	want(t, "GET of an upload that has ended", status, 404)

	status, h, _ = call(t, "PUT", url+"/v2/a/b/manifests/1", manifest, "Content-Type", v1.MediaTypeImageManifest)
	want(t, "PUT of the manifest", status, 201)
	if h.Get("Docker-Content-Digest") != string(m.Digest) {
		t.Errorf("digest %q, want %q", h.Get("Docker-Content-Digest"), m.Digest)
	}
	for _, reference := range []string{"1", string(m.Digest)} {
		status, h, body := call(t, "GET", url+"/v2/a/b/manifests/"+reference, "")
		want(t, reference, status, 200)
		if body != manifest || h.Get("Content-Type") != v1.MediaTypeImageManifest {
			t.Errorf("%s: %s as %s", reference, body, h.Get("Content-Type"))
		}
	}
	status, h, body := call(t, "GET", url+"/v2/a/b/blobs/"+string(config.Digest), "", "Range", "bytes=5-8")
	want(t, "range", status, 206)
	if body != emptyConfig[5:9] || h.Get("Content-Range") != "bytes 5-8/37" {
		t.Errorf("range: %q, %q", body, h.Get("Content-Range"))
	}
	_, _, body = call(t, "GET", url+"/v2/a/b/tags/list", "")
	if !strings.Contains(body, `["1"]`) {
		t.Errorf("tags: %s", body)
	}
	if d, err := l.Resolve("a/b:1"); err != nil || d.Digest != m.Digest {
		t.Errorf("the layout has %v, %v", d, err)
	}
	if g, err := l.Collect(false); err == nil {
		t.Errorf("gc ran beside a registry that is written to: %+v", g)
	}
	status, _, _ = call(t, "DELETE", url+"/v2/a/b/manifests/1", "")
	want(t, "DELETE", status, 202)
	status, _, _ = call(t, "GET", url+"/v2/a/b/manifests/1", "")
	want(t, "GET of a deleted tag", status, 404)
}

func TestRefuses(t *testing.T) {
	l, url := start(t, Options{})
	config, err := l.WriteBlob("", []byte(emptyConfig))
	if err != nil {
		t.Fatal(err)
	}
	status, _, body := call(t, "POST", url+"/v2/a/blobs/uploads/?digest="+string(config.Digest), "something else")
	if status != 400 || !strings.Contains(body, "DIGEST_INVALID") {
		t.Errorf("wrong digest: %d %s", status, body)
	}
	for name, m := range map[string]string{
		"twice":      strings.Replace(manifestOf(config), `"layers":[]`, `"layers":[],"layers":[]`, 1),
		"trailing":   manifestOf(config) + "{}",
		"bad digest": strings.Replace(manifestOf(config), "sha256:", "sha256:..", 1),
	} {
		status, _, _ := call(t, "PUT", url+"/v2/a/manifests/1", m, "Content-Type", v1.MediaTypeImageManifest)
		if status/100 != 4 {
			t.Errorf("%s: status %d", name, status)
		}
	}
	status, _, _ = call(t, "PUT", url+"/v2/a/manifests/1", strings.Repeat(" ", descriptor.MaxManifest+1), "Content-Type", v1.MediaTypeImageManifest)
	if status < 400 {
		t.Errorf("huge manifest: %d", status)
	}
	for _, path := range []string{"/v2/a/blobs/sha256:../../../../etc/passwd", "/v2/../../etc/passwd", "/v2/a/manifests/..%2f..%2fetc", "/v2/a/blobs/sha256:ab"} {
		if status, _, body := call(t, "GET", url+path, ""); status < 400 || strings.Contains(body, "root:") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if names, _, _ := l.Names(); len(names) != 0 {
		t.Errorf("names %v", names)
	}
}

func TestReadOnly(t *testing.T) {
	l, url := start(t, Options{ReadOnly: true})
	status, _, _ := call(t, "POST", url+"/v2/a/blobs/uploads/", "")
	want(t, "upload", status, 403)
	status, _, _ = call(t, "PUT", url+"/v2/a/manifests/1", `{"schemaVersion":2,"manifests":[]}`, "Content-Type", v1.MediaTypeImageIndex)
	want(t, "manifest", status, 403)
	if _, err := l.Collect(false); err != nil {
		t.Errorf("gc: %v", err)
	}
}

// TestNames: images of the store under the names that they have there.
func TestNames(t *testing.T) {
	l, url := start(t, Options{})
	var all []v1.Descriptor
	for _, s := range []string{"one", "two"} {
		config, _ := l.WriteBlob("", []byte(emptyConfig))
		d, err := l.WriteBlob(v1.MediaTypeImageManifest, []byte(strings.Replace(manifestOf(config), `"layers"`, `"annotations":{"x":"`+s+`"},"layers"`, 1)))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	for name, d := range map[string]v1.Descriptor{"h.example:5000/far/app:1": all[0], "app:1": all[0], "h.example/app:1": all[1], "h.example/app:2": all[1]} {
		if err := l.Tag(name, d); err != nil {
			t.Fatal(err)
		}
	}
	for path, d := range map[string]v1.Descriptor{"far/app/manifests/1": all[0], "app/manifests/1": all[0], "app/manifests/2": all[1]} {
		status, h, _ := call(t, "HEAD", url+"/v2/"+path, "")
		if status != 200 || h.Get("Docker-Content-Digest") != string(d.Digest) {
			t.Errorf("%s: %d %s, want %s", path, status, h.Get("Docker-Content-Digest"), d.Digest)
		}
	}
	_, _, body := call(t, "GET", url+"/v2/_catalog", "")
	if !strings.Contains(body, `["app","far/app"]`) {
		t.Errorf("catalog: %s", body)
	}
}

// TestDamagedBlob: a blob that has changed on the disk does not arrive whole.
func TestDamagedBlob(t *testing.T) {
	l, url := start(t, Options{})
	content := bytes.Repeat([]byte("x"), 1<<20)
	d, _ := l.WriteBlob("", content)
	content[1<<19] = 'y'
	if err := os.WriteFile(filepath.Join(l.Path(), "blobs/sha256", d.Digest.Encoded()), content, 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := http.Get(url + "/v2/a/blobs/" + string(d.Digest))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if got, err := io.ReadAll(r.Body); err == nil {
		t.Errorf("%d bytes arrived without an error", len(got))
	}
}

func TestRunStops(t *testing.T) {
	l, err := layout.Create(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- Run(ctx, listener, l, Options{}) }()
	status, _, _ := call(t, "GET", "http://"+listener.Addr().String()+"/v2/", "")
	want(t, "ping", status, 200)
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it does not stop")
	}
}
