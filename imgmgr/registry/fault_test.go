// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/imgmgr/layout"
	"github.com/coracle-oci/coracle/imgmgr/ref"
)

// A bench is a real registry behind a proxy that breaks things.
type bench struct {
	t      *testing.T
	server *httptest.Server
	inner  http.Handler

	mu    sync.Mutex
	log   []string // "GET /v2/…", with the Range if there is one
	fault func(n int, w http.ResponseWriter, r *http.Request) (handled bool)
	hits  map[string]int // by method and kind of URL
}

// newBench starts both. The fault gets each request with its number among those
// of the same method and kind, from 1; it may answer it, or not.
func newBench(t *testing.T, fault func(b *bench, n int, w http.ResponseWriter, r *http.Request) bool) *bench {
	t.Helper()
	b := &bench{t: t, inner: ociserver.New(ocimem.New(), nil), hits: map[string]int{}}
	b.server = httptest.NewServer(b)
	t.Cleanup(func() { b.server.CloseClientConnections(); b.server.Close() })
	if fault != nil {
		b.fault = func(n int, w http.ResponseWriter, r *http.Request) bool { return fault(b, n, w, r) }
	}
	return b
}

// kind names what a request is about.
func kind(r *http.Request) string {
	switch p := r.URL.Path; {
	case strings.Contains(p, "/uploads/"):
		return "upload"
	case strings.Contains(p, "/blobs/"):
		return "blob"
	case strings.Contains(p, "/manifests/"):
		return "manifest"
	default:
		return "other"
	}
}

func (b *bench) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	entry := r.Method + " " + kind(r)
	b.hits[entry]++
	n := b.hits[entry]
	if s := r.Header.Get("Range"); s != "" {
		entry += " " + s
	}
	b.log = append(b.log, entry)
	fault := b.fault
	b.mu.Unlock()
	if fault != nil && fault(n, w, r) {
		return
	}
	b.inner.ServeHTTP(w, r)
}

// requests returns the log of one method and kind.
func (b *bench) requests(prefix string) (found []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.log {
		if strings.HasPrefix(l, prefix) {
			found = append(found, l)
		}
	}
	return found
}

// answer runs the real registry and returns its answer.
func (b *bench) answer(r *http.Request) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	b.inner.ServeHTTP(recorder, r)
	return recorder
}

// cut sends the true answer up to some bytes of the body, then ends the
// connection: with a reset, or with a clean end.
func (b *bench) cut(w http.ResponseWriter, r *http.Request, after int, reset bool) bool {
	true_ := b.answer(r)
	conn, buffer, err := http.NewResponseController(w).Hijack()
	if err != nil {
		b.t.Error(err)
		return true
	}
	defer conn.Close()
	fmt.Fprintf(buffer, "HTTP/1.1 %d X\r\n", true_.Code)
	true_.Header().Write(buffer)
	buffer.WriteString("\r\n")
	buffer.Write(true_.Body.Bytes()[:min(after, true_.Body.Len())])
	buffer.Flush()
	if reset {
		// The client must get what was sent before the reset: a reset throws
		// away what the other end has not read yet.
		time.Sleep(20 * time.Millisecond)
		conn.(*net.TCPConn).SetLinger(0)
	}
	return true
}

// client returns a client with short waits.
func (b *bench) client(change ...func(*Options)) *Client {
	b.t.Helper()
	b.t.Setenv("HOME", b.t.TempDir()) // nobody's credentials
	b.t.Setenv("DOCKER_CONFIG", "")
	b.t.Setenv("XDG_RUNTIME_DIR", "")
	b.t.Setenv("XDG_CONFIG_HOME", "")
	o := Options{Insecure: true, UserAgent: "test", Policy: Policy{
		Tries: 5, Backoff: time.Millisecond, MaxBackoff: 5 * time.Millisecond, MaxRetryAfter: 30 * time.Millisecond, Stall: 300 * time.Millisecond,
	}}
	for _, c := range change {
		c(&o)
	}
	c, err := New(o)
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

func (b *bench) repository(c *Client) *Repository {
	b.t.Helper()
	r, err := ref.Parse("docker://" + strings.TrimPrefix(b.server.URL, "http://") + "/some/app:v1")
	if err != nil {
		b.t.Fatal(err)
	}
	repository, err := c.Repository(r)
	if err != nil {
		b.t.Fatal(err)
	}
	return repository
}

// plant puts an image into the registry, past the proxy, and returns its layer
// and its manifest.
func (b *bench) plant(content []byte) (layer, manifest v1.Descriptor) {
	b.t.Helper()
	post := func(method, path, mediaType string, body []byte) {
		q := httptest.NewRequest(method, path, bytes.NewReader(body))
		q.Header.Set("Content-Type", mediaType)
		if w := b.answer(q); w.Code != http.StatusCreated {
			b.t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
	}
	layer = descriptor.Of(v1.MediaTypeImageLayer, content)
	config := []byte(`{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["` + string(layer.Digest) + `"]}}`)
	c := descriptor.Of(v1.MediaTypeImageConfig, config)
	post(http.MethodPost, "/v2/some/app/blobs/uploads/?digest="+string(layer.Digest), "application/octet-stream", content)
	post(http.MethodPost, "/v2/some/app/blobs/uploads/?digest="+string(c.Digest), "application/octet-stream", config)
	m := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[{"mediaType":%q,"digest":%q,"size":%d}]}`,
		v1.MediaTypeImageManifest, c.MediaType, c.Digest, c.Size, layer.MediaType, layer.Digest, layer.Size)
	post(http.MethodPut, "/v2/some/app/manifests/v1", v1.MediaTypeImageManifest, m)
	return layer, descriptor.Of(v1.MediaTypeImageManifest, m)
}

// noise is content that does not repeat, so that no byte can be misplaced
// without being noticed.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1, 2, 3}).Read(b)
	return b
}

func store(t *testing.T) *layout.Layout {
	t.Helper()
	l, err := layout.Create(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// fetchInto fetches a blob into a layout.
func fetchInto(ctx context.Context, r *Repository, l *layout.Layout, d v1.Descriptor) error {
	i, err := l.Ingest(d)
	if err != nil {
		return err
	}
	defer i.Close()
	return r.Fetch(ctx, d, i)
}

const blobSize = 1 << 20

// TestFetchFaults is the table of faults that a pull must survive.
func TestFetchFaults(t *testing.T) {
	type fault = func(b *bench, n int, w http.ResponseWriter, r *http.Request) bool
	onBlob := func(f fault) fault {
		return func(b *bench, n int, w http.ResponseWriter, r *http.Request) bool {
			return r.Method == http.MethodGet && kind(r) == "blob" && f(b, n, w, r)
		}
	}
	status := func(times, code int, retryAfter string) fault {
		return onBlob(func(_ *bench, n int, w http.ResponseWriter, _ *http.Request) bool {
			if n > times {
				return false
			}
			if retryAfter != "" {
				w.Header().Set("Retry-After", retryAfter)
			}
			w.WriteHeader(code)
			return true
		})
	}
	for _, c := range []struct {
		name  string
		fault fault
		want  []string // requests for the blob
	}{
		{"reset once", onBlob(func(b *bench, n int, w http.ResponseWriter, r *http.Request) bool {
			return n == 1 && b.cut(w, r, 400_000, true)
		}), []string{"GET blob", "GET blob bytes=400000-"}},
		{"reset three times", onBlob(func(b *bench, n int, w http.ResponseWriter, r *http.Request) bool {
			return n <= 3 && b.cut(w, r, 100_000, true)
		}), []string{"GET blob", "GET blob bytes=100000-", "GET blob bytes=200000-", "GET blob bytes=300000-"}},
		{"reset more often than there are tries, with progress", onBlob(func(b *bench, n int, w http.ResponseWriter, r *http.Request) bool {
			return n <= 8 && b.cut(w, r, 100_000, true)
		}), nil},
		{"early end", onBlob(func(b *bench, n int, w http.ResponseWriter, r *http.Request) bool {
			return n == 1 && b.cut(w, r, 600_000, false)
		}), []string{"GET blob", "GET blob bytes=600000-"}},
		{"early end without a length", onBlob(func(b *bench, n int, w http.ResponseWriter, r *http.Request) bool {
			if n != 1 {
				return false
			}
			w.Write(b.answer(r).Body.Bytes()[:300_000]) // chunked, and properly ended
			return true
		}), []string{"GET blob", "GET blob bytes=300000-"}},
		{"reset, and Range is ignored", onBlob(func(b *bench, n int, w http.ResponseWriter, r *http.Request) bool {
			r.Header.Del("Range")
			return n <= 2 && b.cut(w, r, n*400_000, true)
		}), []string{"GET blob", "GET blob bytes=400000-", "GET blob bytes=800000-"}},
		{"another range than asked for", onBlob(func(b *bench, n int, w http.ResponseWriter, r *http.Request) bool {
			if n == 1 {
				return b.cut(w, r, 400_000, true)
			}
			if r.Header.Get("Range") != "" {
				r.Header.Set("Range", "bytes=100-")
			}
			return false
		}), []string{"GET blob", "GET blob bytes=400000-", "GET blob"}},
		{"range not satisfiable", onBlob(func(b *bench, n int, w http.ResponseWriter, r *http.Request) bool {
			if n == 1 {
				return b.cut(w, r, 400_000, true)
			}
			if r.Header.Get("Range") == "" {
				return false
			}
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return true
		}), []string{"GET blob", "GET blob bytes=400000-", "GET blob"}},
		{"429 once, wait 1 s (capped)", status(1, 429, "1"), []string{"GET blob", "GET blob"}},
		{"429 three times", status(3, 429, "1"), nil},
		{"429 until 2099 (capped)", status(1, 429, "Fri, 01 Jan 2099 00:00:00 GMT"), nil},
		{"429 with nonsense", status(2, 429, "soon"), nil},
		{"500 once", status(1, 500, ""), nil},
		{"502 twice", status(2, 502, ""), nil},
		{"503 with Retry-After twice", status(2, 503, "1"), nil},
		{"408 once", status(1, 408, ""), nil},
		{"never answers, once", onBlob(func(_ *bench, n int, _ http.ResponseWriter, r *http.Request) bool {
			if n == 1 {
				<-r.Context().Done()
			}
			return n == 1
		}), []string{"GET blob", "GET blob"}},
		{"goes silent in the middle", onBlob(func(b *bench, n int, w http.ResponseWriter, r *http.Request) bool {
			if n != 1 {
				return false
			}
			body := b.answer(r).Body.Bytes()
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			w.Write(body[:500_000])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return true
		}), []string{"GET blob", "GET blob bytes=500000-"}},
		{"one wrong byte, once", onBlob(func(b *bench, n int, w http.ResponseWriter, r *http.Request) bool {
			if n != 1 {
				return false
			}
			body := b.answer(r).Body.Bytes()
			body[777] ^= 1
			w.Write(body)
			return true
		}), []string{"GET blob", "GET blob"}},
		{"too long, once", onBlob(func(b *bench, n int, w http.ResponseWriter, r *http.Request) bool {
			if n == 1 {
				w.Write(append(b.answer(r).Body.Bytes(), "more"...))
			}
			return n == 1
		}), []string{"GET blob", "GET blob"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, c.fault)
			layer, _ := b.plant(noise(blobSize))
			l := store(t)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if err := fetchInto(ctx, b.repository(b.client()), l, layer); err != nil {
				t.Fatal(err)
			}
			if got, err := l.ReadBlob(layer, blobSize); err != nil || !bytes.Equal(got, noise(blobSize)) {
				t.Errorf("the blob is wrong: %v", err)
			}
			got := b.requests("GET blob")
			if c.want != nil && strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("requests\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// TestFetchFails is what a pull must not survive, and how soon it says so.
func TestFetchFails(t *testing.T) {
	wrong := noise(blobSize)
	wrong[5] ^= 1
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		say    []string
		most   int // requests
	}{
		{"not found", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, []string{"404"}, 1},
		{"forbidden", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, []string{"403"}, 1},
		{"unauthorized", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
			w.WriteHeader(401)
		}, []string{"401"}, 1},
		{"always 500", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			w.Write([]byte(`{"errors":[{"code":"UNKNOWN","message":"disk\nfull"}]}`))
		}, []string{"500", "disk\\nfull", "tried 5 times"}, 5},
		{"always 429 until 2099", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "Fri, 01 Jan 2099 00:00:00 GMT")
			w.WriteHeader(429)
		}, []string{"429"}, 5},
		{"never answers", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, []string{"no byte for too long"}, 5},
		{"always wrong", func(w http.ResponseWriter, _ *http.Request) { w.Write(wrong) },
			[]string{string(descriptor.Of("", wrong).Digest), string(descriptor.Of("", noise(blobSize)).Digest)}, 2},
		{"redirect loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, 307) }, []string{"10 redirects"}, 11},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, func(_ *bench, _ int, w http.ResponseWriter, r *http.Request) bool {
				if kind(r) != "blob" {
					return false
				}
				c.answer(w, r)
				return true
			})
			layer, _ := b.plant(noise(blobSize))
			l := store(t)
			start := time.Now()
			err := fetchInto(t.Context(), b.repository(b.client()), l, layer)
			if err == nil {
				t.Fatal("no error")
			}
			for _, s := range c.say {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("error %q does not say %q", err, s)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q has more than one line", err)
			}
			if n := len(b.requests("GET blob")); n > c.most {
				t.Errorf("%d requests, want at most %d", n, c.most)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
			if l.Has(layer) {
				t.Error("the blob is in the layout")
			}
		})
	}
}

// TestFetchAcrossRuns: what one run got, the next one does not fetch again; and
// if it was wrong, it is not trusted.
func TestFetchAcrossRuns(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil bool
		want  []string
	}{
		{"good", false, []string{"GET blob", "GET blob bytes=700000-"}},
		{"spoiled on the disk", true, []string{"GET blob", "GET blob bytes=700000-", "GET blob"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			b := newBench(t, func(b *bench, n int, w http.ResponseWriter, r *http.Request) bool {
				if kind(r) != "blob" || n != 1 {
					return false
				}
				if c.spoil {
					body := b.answer(r).Body.Bytes()
					body[3] ^= 1
					w.Header().Set("Content-Length", fmt.Sprint(len(body)))
					w.Write(body[:700_000])
				} else {
					w.Header().Set("Content-Length", fmt.Sprint(blobSize))
					w.Write(b.answer(r).Body.Bytes()[:700_000])
				}
				w.(http.Flusher).Flush()
				time.Sleep(50 * time.Millisecond)
				cancel() // the user's ^C
				return true
			})
			layer, _ := b.plant(noise(blobSize))
			l := store(t)
			repository := b.repository(b.client())
			if err := fetchInto(ctx, repository, l, layer); !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v, want the cancellation", err)
			}
			if err := fetchInto(t.Context(), b.repository(b.client()), l, layer); err != nil {
				t.Fatal(err)
			}
			if got := b.requests("GET blob"); strings.Join(got, "|") != strings.Join(c.want, "|") {
				t.Errorf("requests %q, want %q", got, c.want)
			}
			if got, err := l.ReadBlob(layer, blobSize); err != nil || !bytes.Equal(got, noise(blobSize)) {
				t.Errorf("the blob is wrong: %v", err)
			}
		})
	}
}

func TestResolve(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault func(b *bench, n int, w http.ResponseWriter, r *http.Request) bool
		gets  int
	}{
		{"HEAD is enough", nil, 0},
		{"no HEAD", func(_ *bench, _ int, w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodHead {
				w.WriteHeader(405)
			}
			return r.Method == http.MethodHead
		}, 1},
		{"no Docker-Content-Digest", func(b *bench, _ int, w http.ResponseWriter, r *http.Request) bool {
			a := b.answer(r)
			w.Header().Set("Content-Type", a.Header().Get("Content-Type"))
			w.Write(a.Body.Bytes())
			return true
		}, 1},
		{"Content-Type says nothing", func(b *bench, _ int, w http.ResponseWriter, r *http.Request) bool {
			a := b.answer(r)
			w.Header().Set("Docker-Content-Digest", a.Header().Get("Docker-Content-Digest"))
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			w.Write(a.Body.Bytes())
			return true
		}, 1},
		{"503 twice", func(_ *bench, n int, w http.ResponseWriter, _ *http.Request) bool {
			if n <= 2 {
				w.WriteHeader(503)
			}
			return n <= 2
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, c.fault)
			_, want := b.plant([]byte("layer"))
			got, err := b.repository(b.client()).Resolve(t.Context(), "v1")
			if err != nil || got.Digest != want.Digest || got.Size != want.Size || got.MediaType != want.MediaType {
				t.Errorf("%+v, %v; want %+v", got, err, want)
			}
			if n := len(b.requests("GET manifest")); n != c.gets {
				t.Errorf("%d GETs, want %d", n, c.gets)
			}
		})
	}
}

func TestManifestVerifies(t *testing.T) {
	for _, times := range []int{1, 99} {
		t.Run(fmt.Sprint(times), func(t *testing.T) {
			b := newBench(t, func(b *bench, n int, w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodGet || n > times {
					return false
				}
				a := b.answer(r)
				for k, v := range a.Header() {
					w.Header()[k] = v
				}
				body := a.Body.Bytes()
				body[len(body)-2] = ' '
				w.Write(body)
				return true
			})
			_, want := b.plant([]byte("layer"))
			for _, reference := range []string{"v1", string(want.Digest)} {
				b.mu.Lock()
				b.hits = map[string]int{}
				b.mu.Unlock()
				_, _, err := b.repository(b.client()).Manifest(t.Context(), reference)
				if times == 1 && err != nil {
					t.Errorf("%s: %v", reference, err)
				}
				if _, ok := errors.AsType[*descriptor.InvalidError](err); times > 1 && !ok {
					t.Errorf("%s: %v, want an InvalidError", reference, err)
				}
			}
		})
	}
}

func TestNotFound(t *testing.T) {
	b := newBench(t, nil)
	b.plant([]byte("layer"))
	_, err := b.repository(b.client()).Resolve(t.Context(), "nope")
	if _, ok := errors.AsType[*descriptor.NotFoundError](err); !ok {
		t.Errorf("%v, want a NotFoundError", err)
	}
}

func TestConnectionRefused(t *testing.T) {
	b := newBench(t, nil)
	b.plant([]byte("layer"))
	repository := b.repository(b.client())
	b.server.Close()
	start := time.Now()
	if _, err := repository.Resolve(t.Context(), "v1"); err == nil || !strings.Contains(err.Error(), "connection refused (ECONNREFUSED)") && !strings.Contains(err.Error(), "connection refused") {
		t.Error(err)
	}
	if time.Since(start) > time.Second {
		t.Error("took too long")
	}
}

type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

// TestPushFaults is the table of faults that a push must survive.
func TestPushFaults(t *testing.T) {
	// swallow reads some bytes of an upload, gives them to the registry if keep
	// says so, and resets the connection.
	swallow := func(b *bench, w http.ResponseWriter, r *http.Request, n int64, keep bool) bool {
		part, _ := io.ReadAll(io.LimitReader(r.Body, n))
		if keep {
			q := httptest.NewRequest(http.MethodPatch, r.URL.Path, bytes.NewReader(part))
			if a := b.answer(q); a.Code != http.StatusAccepted {
				b.t.Errorf("PATCH: %d %s", a.Code, a.Body)
			}
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			b.t.Error(err)
			return true
		}
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
		return true
	}
	for _, c := range []struct {
		name  string
		fault func(b *bench, n int, w http.ResponseWriter, r *http.Request) bool
		want  string // methods of the upload requests
	}{
		{"no fault", nil, "POST PUT"},
		{"reset, the registry keeps what it got", func(b *bench, n int, w http.ResponseWriter, r *http.Request) bool {
			return r.Method == http.MethodPut && n == 1 && swallow(b, w, r, 400_000, true)
		}, "POST PUT GET PATCH PUT"},
		{"reset, the registry keeps nothing", func(b *bench, n int, w http.ResponseWriter, r *http.Request) bool {
			return r.Method == http.MethodPut && n == 1 && swallow(b, w, r, 400_000, false)
		}, ""},
		{"reset, the registry forgets the session", func(b *bench, n int, w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet {
				w.WriteHeader(404)
				return true
			}
			return r.Method == http.MethodPut && n == 1 && swallow(b, w, r, 400_000, false)
		}, "POST PUT GET POST PUT"},
		{"500 to the first of each", func(_ *bench, n int, w http.ResponseWriter, r *http.Request) bool {
			if n == 1 && kind(r) == "upload" {
				w.WriteHeader(500)
			}
			return n == 1 && kind(r) == "upload"
		}, ""},
		{"503 with Retry-After", func(_ *bench, n int, w http.ResponseWriter, r *http.Request) bool {
			if n <= 2 && r.Method == http.MethodPost {
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(503)
			}
			return n <= 2 && r.Method == http.MethodPost
		}, "POST POST POST PUT"},
		{"absolute Location with a query", func(b *bench, _ int, w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost {
				if kind(r) == "upload" && r.URL.Query().Get("_state") != "a b" {
					b.t.Errorf("%s lost the query: %s", r.Method, r.URL)
				}
				return false
			}
			a := b.answer(r)
			w.Header().Set("Location", b.server.URL+a.Header().Get("Location")+"?_state=a%20b")
			w.WriteHeader(a.Code)
			return true
		}, "POST PUT"},
		{"never answers the upload, once", func(_ *bench, n int, _ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost && n == 1 {
				<-r.Context().Done()
				return true
			}
			return false
		}, "POST POST PUT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, c.fault)
			content := noise(blobSize)
			d := descriptor.Of("application/octet-stream", content)
			repository := b.repository(b.client())
			open := func() (Content, error) { return memory{bytes.NewReader(content)}, nil }
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if how, err := repository.Push(ctx, d, open, ""); err != nil || how != Uploaded {
				t.Fatal(how, err)
			}
			var methods []string
			b.mu.Lock()
			for _, l := range b.log {
				if m, k, _ := strings.Cut(l, " "); k == "upload" {
					methods = append(methods, m)
				}
			}
			b.fault = nil
			b.mu.Unlock()
			if got := strings.Join(methods, " "); c.want != "" && got != c.want {
				t.Errorf("requests %s, want %s", got, c.want)
			}
			l := store(t)
			if err := fetchInto(t.Context(), repository, l, d); err != nil {
				t.Error(err)
			}
			if how, err := repository.Push(ctx, d, open, ""); err != nil || how != Existed {
				t.Error(how, err)
			}
		})
	}
}

func TestMount(t *testing.T) {
	for _, c := range []struct {
		name   string
		from   string
		refuse bool
		want   Pushed
	}{
		{"there", "some/app", false, Mounted},
		{"not there", "other/app", false, Uploaded},
		{"not supported", "some/app", true, Uploaded},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, func(_ *bench, _ int, w http.ResponseWriter, r *http.Request) bool {
				if c.refuse && r.URL.Query().Get("mount") != "" {
					w.WriteHeader(405)
					return true
				}
				return false
			})
			content := []byte("layer to mount")
			layer, _ := b.plant(content)
			client := b.client()
			r, _ := ref.Parse("docker://" + strings.TrimPrefix(b.server.URL, "http://") + "/new/app")
			repository, err := client.Repository(r)
			if err != nil {
				t.Fatal(err)
			}
			how, err := repository.Push(t.Context(), layer, func() (Content, error) { return memory{bytes.NewReader(content)}, nil }, c.from)
			if err != nil || how != c.want {
				t.Errorf("%q, %v; want %q", how, err, c.want)
			}
			if ok, err := repository.Has(t.Context(), layer); err != nil || !ok {
				t.Errorf("the blob is not there: %v", err)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for have, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-7": 0, "1.5": 0, "soon": 0,
		"99999999999999999":             (1 << 30) * time.Second,
		"Fri, 02 Jan 2026 03:04:15 GMT": 10 * time.Second,
		"Fri, 02 Jan 2015 03:04:15 GMT": 0,
	} {
		if got := retryAfter(have, now); got != want {
			t.Errorf("%q: %v, want %v", have, got, want)
		}
	}
}

func TestBackoff(t *testing.T) {
	p := Policy{Backoff: 100 * time.Millisecond, MaxBackoff: time.Second}
	for failures, most := range map[int]time.Duration{1: 100 * time.Millisecond, 2: 200 * time.Millisecond, 3: 400 * time.Millisecond, 9: time.Second, 99: time.Second} {
		for range 50 {
			if d := p.backoff(failures); d < most/2 || d > most {
				t.Fatalf("after %d failures %v, want between %v and %v", failures, d, most/2, most)
			}
		}
	}
}
