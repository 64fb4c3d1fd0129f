// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package copy

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/imgmgr/layout"
	"github.com/coracle-oci/coracle/imgmgr/ref"
)

func newStore(t *testing.T) *layout.Layout {
	t.Helper()
	l, err := layout.Create(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func write(t *testing.T, l *layout.Layout, mediaType string, v any) v1.Descriptor {
	t.Helper()
	content, ok := v.([]byte)
	if !ok {
		var err error
		if content, err = json.Marshal(v); err != nil {
			t.Fatal(err)
		}
	}
	d, err := l.WriteBlob(mediaType, content)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// image writes an image for a platform, with plain layers.
func image(t *testing.T, l *layout.Layout, platform string, layers ...string) v1.Descriptor {
	t.Helper()
	p, err := descriptor.ParsePlatform(platform)
	if err != nil {
		t.Fatal(err)
	}
	m := v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest}
	c := v1.Image{Platform: p, RootFS: v1.RootFS{Type: "layers"}}
	for _, s := range layers {
		d := write(t, l, v1.MediaTypeImageLayer, []byte(s))
		m.Layers = append(m.Layers, d)
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, d.Digest)
	}
	m.Config = write(t, l, v1.MediaTypeImageConfig, c)
	d := write(t, l, v1.MediaTypeImageManifest, m)
	d.Platform = &p
	return d
}

func index(t *testing.T, l *layout.Layout, manifests ...v1.Descriptor) v1.Descriptor {
	t.Helper()
	return write(t, l, v1.MediaTypeImageIndex, v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: manifests})
}

func tag(t *testing.T, l *layout.Layout, name string, d v1.Descriptor) {
	t.Helper()
	if err := l.Tag(name, d); err != nil {
		t.Fatal(err)
	}
}

// source opens an image of a layout anew: closing it must not close the layout.
func source(t *testing.T, l *layout.Layout, name string) Source {
	t.Helper()
	again, err := layout.Open(l.Path())
	if err != nil {
		t.Fatal(err)
	}
	s := FromLayout(again, name, "")
	t.Cleanup(func() { s.Close() })
	return s
}

func pull(t *testing.T, s Source, to *layout.Layout, name string, want Selection) (*Plan, error) {
	t.Helper()
	p, err := PlanPull(t.Context(), s, to, want)
	if err != nil {
		return nil, err
	}
	return p, Pull(t.Context(), s, to, name, p, want, Options{})
}

var amd64 = Selection{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}}

// TestPlan: the list is the plan. Shared blobs are moved once, blobs come before
// the documents that name them, and the root is last.
func TestPlan(t *testing.T) {
	from, to := newStore(t), newStore(t)
	tag(t, from, "x:1", index(t, from, image(t, from, "linux/amd64", "shared", "amd"), image(t, from, "linux/arm64", "shared", "arm"), image(t, from, "linux/amd64", "shared", "amd")))
	write(t, to, v1.MediaTypeImageLayer, []byte("shared"))
	for _, c := range []struct {
		name string
		want Selection
		plan string
	}{
		{"one platform", amd64, "copy config\nhave layer\ncopy layer\ncopy manifest\n"},
		{"all", Selection{All: true}, "copy config\nhave layer\ncopy layer\ncopy config\ncopy layer\ncopy manifest\ncopy manifest\ncopy index\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := PlanPull(t.Context(), source(t, from, "x:1"), to, c.want)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for line := range strings.Lines(p.String()) {
				f := strings.Fields(line)
				fmt.Fprintln(&got, f[0], descriptor.KindOf(f[3]))
			}
			if got.String() != c.plan {
				t.Errorf("plan\n%s\nwant\n%s", got.String(), c.plan)
			}
			if last := p.Documents[len(p.Documents)-1]; last.Digest != p.Root.Digest {
				t.Error("the root is not last")
			}
		})
	}
	_, err := PlanPull(t.Context(), source(t, from, "x:1"), to, Selection{Platform: v1.Platform{OS: "linux", Architecture: "riscv64"}})
	if _, ok := errors.AsType[*descriptor.NotFoundError](err); !ok {
		t.Errorf("%v, want a NotFoundError", err)
	}
}

func TestPull(t *testing.T) {
	from, to := newStore(t), newStore(t)
	root := index(t, from, image(t, from, "linux/amd64", "one"), image(t, from, "linux/arm64", "two"))
	tag(t, from, "x:1", root)
	if _, err := pull(t, source(t, from, "x:1"), to, "y:1", Selection{All: true}); err != nil {
		t.Fatal(err)
	}
	if d, err := to.Resolve("y:1"); err != nil || d.Digest != root.Digest {
		t.Errorf("%v, %v", d, err)
	}
	used, err := to.Reachable()
	if err != nil || len(used) != 7 {
		t.Errorf("%d blobs, %v; want 7", len(used), err)
	}
	for d := range used {
		if _, err := to.Stat(d); err != nil {
			t.Error(err)
		}
	}
	p, err := PlanPull(t.Context(), source(t, from, "x:1"), to, Selection{All: true})
	if n, _ := p.Missing(); err != nil || n != 0 || strings.Contains(p.String(), "copy") {
		t.Errorf("the second time:\n%s%v", p, err)
	}
}

// TestPullStrictPlatform: an image that is not an index must be for the platform
// that the user named.
func TestPullStrictPlatform(t *testing.T) {
	from, to := newStore(t), newStore(t)
	tag(t, from, "x:1", image(t, from, "linux/amd64", "one"))
	arm := Selection{Platform: v1.Platform{OS: "linux", Architecture: "arm64"}, Strict: true}
	_, err := pull(t, source(t, from, "x:1"), to, "x:1", arm)
	if _, ok := errors.AsType[*descriptor.NotFoundError](err); !ok {
		t.Errorf("%v, want a NotFoundError", err)
	}
	if names, _, _ := to.Names(); len(names) != 0 {
		t.Errorf("named %v all the same", names)
	}
	arm.Strict = false // the default platform does not refuse
	if _, err := pull(t, source(t, from, "x:1"), to, "x:1", arm); err != nil {
		t.Error(err)
	}
}

// TestPullWrong: a blob that is not what the manifest says ends the pull, and
// leaves neither a name nor a part of it.
func TestPullWrong(t *testing.T) {
	from, to := newStore(t), newStore(t)
	tag(t, from, "x:1", image(t, from, "linux/amd64", "good", "fine", "right"))
	bad := descriptor.Of("", []byte("fine"))
	if err := os.WriteFile(filepath.Join(from.Path(), "blobs/sha256", bad.Digest.Encoded()), []byte("evil"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := pull(t, source(t, from, "x:1"), to, "x:1", amd64)
	if _, ok := errors.AsType[*descriptor.InvalidError](err); !ok || !strings.Contains(err.Error(), string(bad.Digest)) {
		t.Errorf("%v, want an InvalidError with the digest", err)
	}
	if names, _, _ := to.Names(); len(names) != 0 || to.Has(bad) {
		t.Errorf("names %v, blob %v", names, to.Has(bad))
	}
	// Of the others a part may be there: what was underway when the pull ended is
	// resumed by the next one.
	g, err := to.Collect(true)
	if err != nil || slices.ContainsFunc(g.Partials, func(name string) bool { return strings.Contains(name, bad.Digest.Encoded()) }) {
		t.Errorf("%+v, %v", g, err)
	}
}

func TestForeignLayers(t *testing.T) {
	from, to := newStore(t), newStore(t)
	config := write(t, from, v1.MediaTypeImageConfig, v1.Image{})
	far := descriptor.Of(descriptor.DockerForeignLayer, []byte("far away"))
	far.URLs = []string{"file:///etc/passwd", "http://127.0.0.1:1/"}
	tag(t, from, "x:1", write(t, from, v1.MediaTypeImageManifest, v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, Config: config, Layers: []v1.Descriptor{far}}))
	p, err := pull(t, source(t, from, "x:1"), to, "x:1", amd64)
	if err != nil || len(p.Foreign) != 1 || to.Has(far) {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestIndexFan: a child that is listed 100,000 times is visited once.
func TestIndexFan(t *testing.T) {
	from, to := newStore(t), newStore(t)
	child := image(t, from, "linux/amd64", "one")
	child.Platform = nil
	var fan []v1.Descriptor
	for range 20_000 { // as many as fit into 4 MiB
		fan = append(fan, child)
	}
	tag(t, from, "x:1", index(t, from, fan...))
	p, err := pull(t, source(t, from, "x:1"), to, "x:1", Selection{All: true})
	if err != nil || len(p.Documents) != 2 {
		t.Errorf("%d documents, %v", len(p.Documents), err)
	}
}

func TestEachStops(t *testing.T) {
	boom := errors.New("boom")
	err := each(t.Context(), 3, make([]int, 1000), func(ctx context.Context, _ int) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Errorf("%v, want the first error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := each(ctx, 2, []int{1}, func(context.Context, int) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the cancellation", err)
	}
}

// TestArchives: what is exported can be read again, is the same image, and is
// the same bytes when it is exported again.
func TestArchives(t *testing.T) {
	from := newStore(t)
	root := image(t, from, "linux/amd64", "one", "two", "one")
	tag(t, from, "x:1", root)
	p, err := PlanPush(t.Context(), source(t, from, "x:1"), amd64)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		transport ref.Transport
		export    func(context.Context, io.Writer, *layout.Layout, *Plan, string) error
	}{{ref.OCIArchive, ExportOCI}, {ref.DockerArchive, ExportDocker}} {
		t.Run(string(c.transport), func(t *testing.T) {
			var archives []string
			for i := range 2 {
				name := filepath.Join(t.TempDir(), fmt.Sprint(i))
				if err := WriteFile(name, func(w io.Writer) error { return c.export(t.Context(), w, from, p, "x:1") }); err != nil {
					t.Fatal(err)
				}
				data, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				archives = append(archives, string(data))
				for _, label := range []string{"", "x:1"} {
					to := newStore(t)
					s, err := Open(ref.Ref{Transport: c.transport, Path: name, Tag: label}, nil, nil)
					if err != nil {
						t.Fatal(err)
					}
					defer s.Close()
					got, err := pull(t, s, to, "y:1", amd64)
					if err != nil {
						t.Fatal(err)
					}
					if c.transport == ref.OCIArchive && got.Root.Digest != root.Digest {
						t.Errorf("digest %s, want %s", got.Root.Digest, root.Digest)
					}
					if len(got.Blobs) != 3 {
						t.Errorf("%d blobs, want a config and two layers", len(got.Blobs))
					}
				}
			}
			if archives[0] != archives[1] {
				t.Error("two exports differ")
			}
			s, err := Open(ref.Ref{Transport: c.transport, Path: writeTar(t, archives[0]), Tag: "no:1"}, nil, nil)
			if err == nil {
				_, err = s.Root(t.Context())
			}
			if _, ok := errors.AsType[*descriptor.NotFoundError](err); !ok {
				t.Errorf("%v, want a NotFoundError", err)
			}
		})
	}
}

func writeTar(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "archive")
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestWriteFileLeavesNothing(t *testing.T) {
	name := writeTar(t, "old")
	err := WriteFile(name, func(w io.Writer) error {
		w.Write([]byte("half"))
		return errors.New("no")
	})
	got, _ := os.ReadFile(name)
	entries, _ := os.ReadDir(filepath.Dir(name))
	if err == nil || string(got) != "old" || len(entries) != 1 {
		t.Errorf("%v, %q, %v", err, got, entries)
	}
}

// TestHostileArchives: names in an archive are keys, links lead to members only,
// and everything else is refused as invalid.
func TestHostileArchives(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	layer := []byte("host secret")
	if err := os.WriteFile(secret, layer, 0o600); err != nil {
		t.Fatal(err)
	}
	type entry struct {
		name, link string
		content    []byte
	}
	build := func(entries ...entry) string {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, e := range entries {
			h := &tar.Header{Name: e.name, Typeflag: tar.TypeReg, Size: int64(len(e.content)), Mode: 0o644}
			if e.link != "" {
				h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
			}
			if err := w.WriteHeader(h); err != nil {
				t.Fatal(err)
			}
			w.Write(e.content)
		}
		w.Close()
		return b.String()
	}
	config := fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[%q]}}`, descriptor.Of("", layer).Digest)
	docker := func(layerName string) entry {
		return entry{name: "manifest.json", content: fmt.Appendf(nil, `[{"Config":"c.json","RepoTags":["a:b"],"Layers":[%q]}]`, layerName)}
	}
	c, version := entry{name: "c.json", content: config}, entry{name: "oci-layout", content: []byte(`{"imageLayoutVersion":"1.0.0"}`)}
	missing := descriptor.Of("", layer)
	indexed := entry{name: "index.json", content: fmt.Appendf(nil, `{"schemaVersion":2,"manifests":[{"mediaType":%q,"digest":%q,"size":%d}]}`, v1.MediaTypeImageManifest, missing.Digest, missing.Size)}
	blob := "blobs/sha256/" + missing.Digest.Encoded()
	for _, x := range []struct {
		name      string
		transport ref.Transport
		archive   string
	}{
		{"empty", ref.OCIArchive, ""},
		{"empty docker", ref.DockerArchive, ""},
		{"zeros", ref.OCIArchive, strings.Repeat("\x00", 10240)},
		{"garbage", ref.OCIArchive, strings.Repeat("garbage ", 2000)},
		{"garbage docker", ref.DockerArchive, strings.Repeat("garbage ", 2000)},
		{"no layout file", ref.OCIArchive, build(indexed)},
		{"no index", ref.OCIArchive, build(version)},
		{"blob missing", ref.OCIArchive, build(version, indexed)},
		{"blob is a link to the host", ref.OCIArchive, build(version, indexed, entry{name: blob, link: secret})},
		{"blob under another name", ref.OCIArchive, build(version, indexed, entry{name: "../../" + blob, content: layer})},
		{"truncated", ref.OCIArchive, build(version, indexed, entry{name: blob, content: layer})[:3100]},
		{"docker: no config", ref.DockerArchive, build(docker("l.tar"), entry{name: "l.tar", content: layer})},
		{"docker: layer is a host path", ref.DockerArchive, build(docker("../../../../../../../.."+secret), c)},
		{"docker: layer is an absolute path", ref.DockerArchive, build(docker(secret), c)},
		{"docker: layer is a link to the host", ref.DockerArchive, build(docker("l.tar"), c, entry{name: "l.tar", link: secret})},
		{"docker: links in a circle", ref.DockerArchive, build(docker("l.tar"), c, entry{name: "l.tar", link: "m.tar"}, entry{name: "m.tar", link: "l.tar"})},
		{"docker: wrong layer", ref.DockerArchive, build(docker("l.tar"), c, entry{name: "l.tar", content: []byte("evil secret")})},
		{"docker: diff IDs missing", ref.DockerArchive, build(entry{name: "manifest.json", content: []byte(`[{"Config":"c.json","Layers":[]}]`)}, c)},
		{"docker: two answers", ref.DockerArchive, build(entry{name: "manifest.json", content: []byte(`[{"Config":"c.json","Config":"d.json"}]`)}, c)},
	} {
		t.Run(x.name, func(t *testing.T) {
			to := newStore(t)
			s, err := Open(ref.Ref{Transport: x.transport, Path: writeTar(t, x.archive)}, nil, nil)
			if err == nil {
				defer s.Close()
				_, err = pull(t, s, to, "x:1", amd64)
			}
			if _, ok := errors.AsType[*descriptor.InvalidError](err); !ok {
				t.Errorf("%v, want an InvalidError", err)
			}
			if names, _, _ := to.Names(); len(names) != 0 || to.Has(missing) {
				t.Error("something of it came into the store")
			}
		})
	}
	// A link inside is what old versions of docker write.
	good := build(docker("a/l.tar"), c, entry{name: "a/l.tar", link: "../b/l.tar"}, entry{name: "b/l.tar", content: layer})
	s, err := Open(ref.Ref{Transport: ref.DockerArchive, Path: writeTar(t, good)}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p, err := pull(t, s, newStore(t), "x:1", amd64)
	if err != nil || !slices.ContainsFunc(p.Blobs, func(i Item) bool { return i.Digest == missing.Digest }) {
		t.Error(err)
	}
}

// TestPullWaitsForOthers: a blob that another process fetches is waited for, and
// the wait ends with the context.
func TestPullWaitsForOthers(t *testing.T) {
	from, to := newStore(t), newStore(t)
	root := image(t, from, "linux/amd64", "one")
	tag(t, from, "x:1", root)
	layer := descriptor.Of(v1.MediaTypeImageLayer, []byte("one"))
	other, err := to.Ingest(layer)
	if err != nil {
		t.Fatal(err)
	}
	p, err := PlanPull(t.Context(), source(t, from, "x:1"), to, amd64)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := Pull(ctx, source(t, from, "x:1"), to, "x:1", p, amd64, Options{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want the deadline", err)
	}
	done := make(chan error)
	go func() { done <- Pull(t.Context(), source(t, from, "x:1"), to, "x:1", p, amd64, Options{}) }()
	if _, err := other.Write([]byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := other.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || !to.Has(layer) {
		t.Error(err)
	}
}
