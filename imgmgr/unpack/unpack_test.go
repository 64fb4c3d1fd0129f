// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package unpack

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/imgmgr/layout"
)

// A part is a layer of a test image, with what is to be wrong with it.
type part struct {
	tar       []byte
	packed    []byte // instead of the tar as it is
	mediaType string // instead of the plain tar's
	diffID    string // instead of the right one
	edit      func(*v1.Descriptor)
}

// tarOf returns a tar of files NAME=TEXT, links NAME->TARGET and directories NAME/.
func tarOf(t testing.TB, lines ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, line := range lines {
		h := &tar.Header{Uid: os.Getuid(), Gid: os.Getgid(), Mode: 0o755, ModTime: time.Unix(1e9, 0), Typeflag: tar.TypeDir, Name: line}
		text := ""
		if name, target, ok := strings.Cut(line, "->"); ok {
			h.Typeflag, h.Name, h.Linkname = tar.TypeSymlink, name, target
		} else if name, content, ok := strings.Cut(line, "="); ok {
			h.Typeflag, h.Name, h.Size, text = tar.TypeReg, name, int64(len(content)), content
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstandard(t testing.TB, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(data, nil)
}

// makeImage stores an image in a new layout.
func makeImage(t testing.TB, config v1.ImageConfig, parts ...part) (*layout.Layout, v1.Descriptor) {
	t.Helper()
	l, err := layout.Create(filepath.Join(t.TempDir(), "layout"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	blob := func(mediaType string, data []byte) v1.Descriptor {
		d, err := l.WriteBlob(mediaType, data)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	m := v1.Manifest{MediaType: v1.MediaTypeImageManifest}
	m.SchemaVersion = 2
	image := v1.Image{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}, Config: config, RootFS: v1.RootFS{Type: "layers"}}
	for _, p := range parts {
		if p.packed == nil {
			p.packed = p.tar
		}
		if p.mediaType == "" {
			p.mediaType = v1.MediaTypeImageLayer
		}
		d := blob(p.mediaType, p.packed)
		if p.edit != nil {
			p.edit(&d)
		}
		diffID := digest.FromBytes(p.tar)
		if p.diffID != "" {
			diffID = digest.Digest(p.diffID)
		}
		m.Layers = append(m.Layers, d)
		image.RootFS.DiffIDs = append(image.RootFS.DiffIDs, diffID)
	}
	data, err := json.Marshal(image)
	if err != nil {
		t.Fatal(err)
	}
	m.Config = blob(v1.MediaTypeImageConfig, data)
	if data, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	return l, blob(v1.MediaTypeImageManifest, data)
}

// unpackTo unpacks into dir/bundle.
func unpackTo(dir string, l *layout.Layout, d v1.Descriptor) error {
	i, err := Load(l, d)
	if err != nil {
		return err
	}
	return Unpack(context.Background(), i, filepath.Join(dir, "bundle"), Options{Warn: func(string) {}, MaxBytes: 1 << 20})
}

// TestUnpackRefuses: what is wrong with an image ends in one error that says it,
// and in an empty directory.
func TestUnpackRefuses(t *testing.T) {
	good := tarOf(t, "d/", "d/f=content")
	z := gzipped(t, good)
	badCRC := bytes.Clone(z)
	badCRC[len(badCRC)-8] ^= 1
	gz := v1.MediaTypeImageLayerGzip
	// A zstd frame whose header asks for a window of 2 GiB: RFC 8878, 3.1.1.1.2.
	window := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, (31 - 10) << 3, 0x01, 0x00, 0x00}
	var invalid *descriptor.InvalidError
	for _, c := range []struct {
		name    string
		config  v1.ImageConfig
		part    part
		say     string
		invalid bool
	}{
		{"layer digest", v1.ImageConfig{}, part{tar: good, edit: func(d *v1.Descriptor) { d.Digest = digest.FromString("x") }}, "has no blob", false},
		{"layer size", v1.ImageConfig{}, part{tar: good, edit: func(d *v1.Descriptor) { d.Size-- }}, "its descriptor says", true},
		{"negative size", v1.ImageConfig{}, part{tar: good, edit: func(d *v1.Descriptor) { d.Size = -1 }}, "size", true},
		{"diff ID", v1.ImageConfig{}, part{tar: good, diffID: string(digest.FromString("x"))}, "its content has diff ID", true},
		{"truncated gzip", v1.ImageConfig{}, part{tar: good, packed: z[:len(z)-9], mediaType: gz}, "unexpected EOF", true},
		{"gzip checksum", v1.ImageConfig{}, part{tar: good, packed: badCRC, mediaType: gz}, "checksum", true},
		{"garbage behind gzip", v1.ImageConfig{}, part{tar: good, packed: append(bytes.Clone(z), "garbage, garbage"...), mediaType: gz}, "malformed", true},
		{"gzip is tar", v1.ImageConfig{}, part{tar: good, mediaType: gz}, "the content is none", true},
		{"tar is gzip", v1.ImageConfig{}, part{tar: good, packed: z}, "the content is gzip", true},
		{"zstd says gzip", v1.ImageConfig{}, part{tar: good, packed: zstandard(t, good), mediaType: gz}, "the content is zstd", true},
		{"zstd window", v1.ImageConfig{}, part{tar: good, packed: window, mediaType: v1.MediaTypeImageLayerZstd}, "window", true},
		{"layer media type", v1.ImageConfig{}, part{tar: good, mediaType: "application/x-evil"}, "is not that of a layer", true},
		{"truncated tar", v1.ImageConfig{}, part{tar: good[:1200]}, "unexpected EOF", true},
		{"bad tar", v1.ImageConfig{}, part{tar: bytes.Repeat([]byte("garbage!"), 300)}, "checksum is wrong", true},
		{"too big", v1.ImageConfig{}, part{tar: tarOf(t, "f="+strings.Repeat("x", 2<<20))}, "that there is room for", false},
		{"unknown user", v1.ImageConfig{User: "nosuch"}, part{tar: good}, "not in the image's /etc/passwd", false},
		{"env", v1.ImageConfig{Env: []string{"broken"}}, part{tar: good}, "is not NAME=VALUE", false},
		{"passwd is a directory", v1.ImageConfig{}, part{tar: tarOf(t, "etc/", "etc/passwd/")}, "look up the image's user", false},
		{"hard failure of a name", v1.ImageConfig{}, part{tar: tarOf(t, "d->/tmp", "d/.wh.=x")}, "a whiteout of nothing", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, d := makeImage(t, c.config, c.part)
			dir := t.TempDir()
			err := unpackTo(dir, l, d)
			if err == nil || !strings.Contains(err.Error(), c.say) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, c.say)
			}
			if errors.As(err, &invalid) != c.invalid {
				t.Errorf("%v: is a failed verification: %v, want %v", err, !c.invalid, c.invalid)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// TestUnpackBundle: what is in a bundle, in all compressions and with Docker's
// media types.
func TestUnpackBundle(t *testing.T) {
	passwd := "root:x:0:0::/root:/bin/sh\napp:x:12:34::/home/app:/bin/sh\n"
	base := tarOf(t, "etc/", "etc/passwd->../data/passwd", "data/", "data/passwd="+passwd, "gone=1")
	top := tarOf(t, ".wh.gone=", "new=2")
	l, d := makeImage(t, v1.ImageConfig{User: "app", Cmd: []string{"run"}},
		part{tar: base, packed: gzipped(t, base), mediaType: descriptor.DockerLayerGzip},
		part{tar: top, packed: zstandard(t, top), mediaType: v1.MediaTypeImageLayerZstd},
		part{tar: top})
	dir := t.TempDir()
	if err := unpackTo(dir, l, d); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "bundle", "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s specs.Spec
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 && (s.Process.User.UID != 12 || s.Process.User.GID != 34) || s.Hostname != "bundle" || s.Process.Args[0] != "run" {
		t.Errorf("got %s", data)
	}
	if _, err := os.Stat(filepath.Join(dir, "bundle/rootfs/gone")); err == nil {
		t.Error("the whiteout did nothing")
	}
	err = unpackTo(dir, l, d)
	if err == nil || !strings.Contains(err.Error(), "(EEXIST)") {
		t.Errorf("a second unpack to the same place: %v", err)
	}
	// A link of the image that points out stays in the rootfs.
	out := tarOf(t, "etc/", "etc/passwd->/etc/passwd", "etc/group->../../../../etc/group")
	l, d = makeImage(t, v1.ImageConfig{User: "root"}, part{tar: out})
	if err := unpackTo(t.TempDir(), l, d); err == nil {
		t.Error("/etc/passwd of the host, or a link in a circle, was read")
	}
}

func TestUnpackNames(t *testing.T) {
	l, d := makeImage(t, v1.ImageConfig{}, part{tar: tarOf(t, "f=1")})
	i, err := Load(l, d)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"with space", "new\nline", "ünïcode", "-dash"} {
		o := Options{Warn: func(string) {}}
		if err := Unpack(context.Background(), i, filepath.Join(dir, name), o); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	o := Options{Warn: func(string) {}, RootfsOnly: true}
	if err := Unpack(context.Background(), i, filepath.Join(dir, "tree"), o); err != nil {
		t.Error(err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "tree", "f")); err != nil || string(data) != "1" {
		t.Errorf("rootfs only: %q %v", data, err)
	}
	for _, name := range []string{"missing/bundle", "tree/f/bundle", "tree", "."} {
		if err := Unpack(context.Background(), i, filepath.Join(dir, name), o); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 5 {
		t.Errorf("there is %v", entries)
	}
}

// TestUnpackInterrupted: an interrupted unpack leaves nothing, and says so.
func TestUnpackInterrupted(t *testing.T) {
	l, d := makeImage(t, v1.ImageConfig{}, part{tar: tarOf(t, "f=1", "g=2")})
	i, err := Load(l, d)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dir := t.TempDir()
	if err := Unpack(ctx, i, filepath.Join(dir, "b"), Options{Warn: func(string) {}}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestSweep: what a killed process left goes with the next unpack, what a living
// one holds stays.
func TestSweep(t *testing.T) {
	l, d := makeImage(t, v1.ImageConfig{}, part{tar: tarOf(t, "f=1")})
	dir := t.TempDir()
	dead := filepath.Join(dir, layout.StagePrefix+"dead")
	if err := os.MkdirAll(filepath.Join(dead, strings.Repeat("deep/", 300)), 0o755); err != nil {
		t.Fatal(err)
	}
	living, err := newStage(filepath.Join(dir, "living"), l.NoteStage)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dead); err == nil {
		t.Error("the dead stage is still there")
	}
	if err := unpackTo(dir, l, d); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, living.name)); err != nil {
		t.Errorf("the living stage is gone: %v", err)
	}
	if err := living.close(); err != nil {
		t.Error(err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("there is %v", entries)
	}
}

// TestSweepByGC: gc of the layout finds what a killed process left anywhere, by
// its note, and nothing that has not the name of a stage.
func TestSweepByGC(t *testing.T) {
	l, _ := makeImage(t, v1.ImageConfig{}, part{tar: tarOf(t, "f=1")})
	dir := t.TempDir()
	killed, err := newStage(filepath.Join(dir, "bundle"), l.NoteStage)
	if err != nil {
		t.Fatal(err)
	}
	killed.dir.Close() // as the end of the process would, with its lock
	innocent := filepath.Join(dir, "innocent")
	if err := os.Mkdir(innocent, 0o755); err != nil {
		t.Fatal(err)
	}
	l.NoteStage(innocent)
	for _, dryRun := range []bool{true, false} {
		garbage, err := l.Collect(dryRun)
		if want := []string{filepath.Join(dir, killed.name)}; err != nil || !slices.Equal(garbage.Stages, want) {
			t.Errorf("got %v, %v, want %v", garbage.Stages, err, want)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 || entries[0].Name() != "innocent" {
		t.Errorf("there is %v", entries)
	}
	if garbage, err := l.Collect(false); err != nil || len(garbage.Stages) != 0 {
		t.Errorf("a second gc: %v, %v", garbage.Stages, err)
	}
}
