// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package layout

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
)

func create(t *testing.T) *Layout {
	t.Helper()
	l, err := Create(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// image writes an image of one config and the layers given.
func image(t *testing.T, l *Layout, layers ...string) v1.Descriptor {
	t.Helper()
	write := func(mediaType string, content []byte) v1.Descriptor {
		d, err := l.WriteBlob(mediaType, content)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	m := v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest}
	m.Config = write(v1.MediaTypeImageConfig, []byte(`{"architecture":"amd64","os":"linux"}`))
	for _, c := range layers {
		m.Layers = append(m.Layers, write(v1.MediaTypeImageLayer, []byte(c)))
	}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return write(v1.MediaTypeImageManifest, data)
}

func wantInvalid(t *testing.T, err error, say string) {
	t.Helper()
	if _, ok := errors.AsType[*descriptor.InvalidError](err); !ok || !strings.Contains(err.Error(), say) {
		t.Errorf("error is %v, want an InvalidError that says %q", err, say)
	}
}

func wantNotFound(t *testing.T, err error) {
	t.Helper()
	if _, ok := errors.AsType[*descriptor.NotFoundError](err); !ok {
		t.Errorf("error is %v, want a NotFoundError", err)
	}
}

func TestCreateOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	_, err := Open(dir)
	wantNotFound(t, err)
	l, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for _, open := range []func(string) (*Layout, error){Open, Create} {
		l, err := open(dir)
		if err != nil {
			t.Fatal(err)
		}
		x, err := l.Index()
		if err != nil || x.SchemaVersion != 2 || len(x.Manifests) != 0 {
			t.Errorf("%+v, %v", x, err)
		}
		l.Close()
	}
}

func TestCreateRefusesOtherDirectories(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "letter.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(dir); err == nil {
		t.Fatal("made a layout among other files")
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 1 {
		t.Errorf("left %v", entries)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, c := range []struct{ name, file, content, want string }{
		{"version", "oci-layout", `{"imageLayoutVersion":"9.9.9"}`, "9.9.9"},
		{"case", "oci-layout", `{"imagelayoutversion":"1.0.0"}`, "want"},
		{"json", "oci-layout", `{`, "not valid"},
		{"missing", "oci-layout", "", "has no file"},
		{"no index", "index.json", "", "has no file"},
		{"index twice", "index.json", `{"schemaVersion":2,"manifests":[],"manifests":[]}`, "duplicate"},
		{"index digest", "index.json", `{"schemaVersion":2,"manifests":[{"mediaType":"x","size":1,"digest":"sha256:../../etc/passwd"}]}`, "digest"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := create(t)
			path := filepath.Join(l.Path(), c.file)
			if c.content == "" {
				os.Remove(path)
			} else if err := os.WriteFile(path, []byte(c.content), 0o644); err != nil {
				t.Fatal(err)
			}
			again, err := Open(l.Path())
			if err == nil {
				_, err = again.Index()
			}
			wantInvalid(t, err, c.want)
		})
	}
}

func TestTags(t *testing.T) {
	l := create(t)
	one, two := image(t, l, "one"), image(t, l, "two")
	_, err := l.Resolve("a:1")
	wantNotFound(t, err)
	wantNotFound(t, l.Untag("a:1"))
	for _, d := range []v1.Descriptor{one, two, one} {
		if err := l.Tag("a:1", d); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Tag("b:1", two); err != nil {
		t.Fatal(err)
	}
	if d, err := l.Resolve("a:1"); err != nil || d.Digest != one.Digest {
		t.Errorf("%v, %v", d, err)
	}
	_, err = l.Resolve("")
	wantInvalid(t, err, "2 images")
	if err := l.Untag("a:1"); err != nil {
		t.Fatal(err)
	}
	if d, err := l.Resolve(""); err != nil || d.Digest != two.Digest {
		t.Errorf("%v, %v", d, err)
	}
	err = l.Update(func(x *v1.Index) error {
		d := one
		d.Annotations = map[string]string{v1.AnnotationRefName: "b:1"}
		x.Manifests = append(x.Manifests, d)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.Resolve("b:1")
	wantInvalid(t, err, "2 different images")
}

func TestTagsConcurrently(t *testing.T) {
	l := create(t)
	d := image(t, l, "x")
	const writers, each = 8, 10
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			mine, err := Open(l.Path())
			if err != nil {
				t.Error(err)
				return
			}
			defer mine.Close()
			for i := range each {
				if err := mine.Tag(fmt.Sprintf("n:%d.%d", w, i), d); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	names, _, err := l.Names()
	if err != nil || len(names) != writers*each {
		t.Errorf("%d names, %v; want %d: an update was lost", len(names), err, writers*each)
	}
}

func TestBlobs(t *testing.T) {
	l := create(t)
	content := bytes.Repeat([]byte("coracle "), 100_000)
	d, err := l.WriteBlob("text/plain", content)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := l.ReadBlob(d, 1<<20); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	_, err = l.ReadBlob(d, 1000)
	wantInvalid(t, err, "limit")
	short := d
	short.Size--
	_, err = l.OpenBlob(short)
	wantInvalid(t, err, "bytes")
	missing := descriptor.Of("x", []byte("nowhere"))
	_, err = l.OpenBlob(missing)
	wantNotFound(t, err)
	for _, bad := range []digest.Digest{"sha256:../../../../etc/passwd", "sha256:ab", "md5:d41d8cd98f00b204e9800998ecf8427e", ""} {
		if _, err := l.OpenBlob(v1.Descriptor{Digest: bad}); err == nil || l.Has(v1.Descriptor{Digest: bad}) {
			t.Errorf("digest %q was accepted", bad)
		}
	}
}

func TestCorruptBlob(t *testing.T) {
	l := create(t)
	d, _ := l.WriteBlob("text/plain", []byte("what was meant"))
	name, _ := blobName(d.Digest)
	if err := os.WriteFile(filepath.Join(l.Path(), name), []byte("what was faked"), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := l.OpenBlob(d)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, err = io.ReadAll(r)
	wantInvalid(t, err, string(d.Digest))
}

// TestIrregularBlobs: a layout may come from anybody. Nothing but a regular
// file is a blob, and a fifo must not hang us.
func TestIrregularBlobs(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	content := []byte("host secret")
	if err := os.WriteFile(secret, content, 0o600); err != nil {
		t.Fatal(err)
	}
	d := descriptor.Of("text/plain", content)
	name, _ := blobName(d.Digest)
	for _, c := range []struct {
		name  string
		plant func(path string) error
	}{
		{"symlink", func(p string) error { return os.Symlink(secret, p) }},
		{"symlink inside", func(p string) error { return os.Symlink("../../index.json", p) }},
		{"fifo", func(p string) error { return syscall.Mkfifo(p, 0o644) }},
		{"directory", func(p string) error { return os.Mkdir(p, 0o755) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := create(t)
			if err := c.plant(filepath.Join(l.Path(), name)); err != nil {
				t.Fatal(err)
			}
			if l.Has(d) {
				t.Error("Has says that it is a blob")
			}
			_, err := l.OpenBlob(d)
			wantInvalid(t, err, "regular")
		})
	}
}

func TestIngestResumes(t *testing.T) {
	l := create(t)
	content := bytes.Repeat([]byte("0123456789"), 50_000)
	d := descriptor.Of("x", content)
	for have := 0; have < len(content); have += 200_000 {
		i, err := l.Ingest(d)
		if err != nil {
			t.Fatal(err)
		}
		if i.Done() || i.Have() != int64(have) {
			t.Fatalf("has %d bytes, done %v; want %d", i.Have(), i.Done(), have)
		}
		if _, err := i.Write(content[have:min(have+200_000, len(content))]); err != nil {
			t.Fatal(err)
		}
		if i.Have() == d.Size {
			if err := i.Commit(); err != nil {
				t.Fatal(err)
			}
		} else {
			wantInvalid(t, i.Commit(), "ends after")
		}
		i.Close()
	}
	if got, err := l.ReadBlob(d, 1<<20); err != nil || !bytes.Equal(got, content) {
		t.Error(err)
	}
	if i, err := l.Ingest(d); err != nil || !i.Done() {
		t.Errorf("not done, %v", err)
	}
	wantEmptyIngest(t, l)
}

func TestIngestVerifies(t *testing.T) {
	l := create(t)
	d := descriptor.Of("x", []byte("good"))
	i, err := l.Ingest(d)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	i.Write([]byte("evil"))
	err = i.Commit()
	wantInvalid(t, err, string(d.Digest))
	wantInvalid(t, err, string(digest.FromString("evil")))
	_, err = i.Write([]byte("!"))
	wantInvalid(t, err, "more than")
	if err := i.Reset(); err != nil {
		t.Fatal(err)
	}
	i.Write([]byte("good"))
	if err := i.Commit(); err != nil || !l.Has(d) {
		t.Error(err)
	}
}

// TestIngestConcurrently: many writers of one blob; one does the work at a time
// and the others find it done.
func TestIngestConcurrently(t *testing.T) {
	l := create(t)
	content := bytes.Repeat([]byte("x"), 100_000)
	d := descriptor.Of("x", content)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			i, err := l.Ingest(d)
			if err != nil {
				t.Error(err)
				return
			}
			defer i.Close()
			if i.Done() {
				return
			}
			if _, err := i.Write(content[i.Have():]); err != nil {
				t.Error(err)
			}
			if err := i.Commit(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if !l.Has(d) {
		t.Error("the blob is not there")
	}
	wantEmptyIngest(t, l)
}

func wantEmptyIngest(t *testing.T, l *Layout) {
	t.Helper()
	entries, err := fs.ReadDir(l.root.FS(), ingestDir)
	if err != nil || len(entries) != 0 {
		t.Errorf("ingest has %v, %v", entries, err)
	}
}

func TestWriterLeavesNothing(t *testing.T) {
	l := create(t)
	w, err := l.NewBlob()
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte("half"))
	w.Close()
	wantEmptyIngest(t, l)
}

func TestCollect(t *testing.T) {
	l := create(t)
	kept, dropped := image(t, l, "shared", "kept"), image(t, l, "shared", "dropped")
	if err := errors.Join(l.Tag("kept:1", kept), l.Tag("dropped:1", dropped), l.Untag("dropped:1")); err != nil {
		t.Fatal(err)
	}
	i, err := l.Ingest(descriptor.Of("x", []byte("never finished")))
	if err != nil {
		t.Fatal(err)
	}
	i.Write([]byte("never"))
	would, err := l.Collect(true)
	if err != nil || len(would.Partials) != 0 {
		t.Fatalf("%+v, %v: the partial blob is being written", would, err)
	}
	i.Close()

	release, err := l.Use()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Collect(false); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("collected while in use: %v", err)
	}
	release()

	g, err := l.Collect(false)
	if err != nil || len(g.Blobs) != 2 || len(g.Partials) != 1 || g.Bytes != int64(len("dropped")+len("never"))+dropped.Size {
		t.Errorf("%+v, %v; want the layer and manifest of the dropped image, and one partial blob", g, err)
	}
	wantEmptyIngest(t, l)
	for _, c := range []string{"shared", "kept"} {
		if !l.Has(descriptor.Of("", []byte(c))) {
			t.Errorf("layer %q is gone", c)
		}
	}
	if g, err := l.Collect(false); err != nil || len(g.Blobs)+len(g.Partials) != 0 {
		t.Errorf("a second time: %+v, %v", g, err)
	}
}

// TestCollectKeepsUnknown: a manifest that does not parse may use anything.
func TestCollectKeepsUnknown(t *testing.T) {
	l := create(t)
	layer, _ := l.WriteBlob(v1.MediaTypeImageLayer, []byte("layer"))
	bad, _ := l.WriteBlob(v1.MediaTypeImageManifest, []byte(`{"schemaVersion":2} trailing`))
	if err := l.Tag("bad:1", bad); err != nil {
		t.Fatal(err)
	}
	_, err := l.Collect(false)
	wantInvalid(t, err, "manifest is not valid")
	if !l.Has(layer) {
		t.Error("removed a blob although what is used is not known")
	}
}
