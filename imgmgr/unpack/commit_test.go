// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package unpack

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/imgmgr/entry"
	"github.com/coracle-oci/coracle/imgmgr/layer"
	"github.com/coracle-oci/coracle/imgmgr/layout"
)

// committed commits a bundle and returns the operations of the new layer in
// short: kind, path and target.
func committed(t *testing.T, l *layout.Layout, bundle string) []string {
	t.Helper()
	c, err := Commit(context.Background(), bundle, l, CommitOptions{Compression: descriptor.Gzip, Warn: func(s string) { t.Log(s) }})
	if err != nil {
		t.Fatal(err)
	}
	if c.Changes == 0 {
		return nil
	}
	i, err := Load(l, c.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	blobs := i.Blobs()
	var ops []string
	if err := layer.Each(blobs[len(blobs)-1], func(op *entry.Op, _ *entry.Reader) error {
		line := op.Kind.String() + " " + op.Path
		if op.Target != "" {
			line += " " + op.Target
		}
		ops = append(ops, line)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return ops
}

// TestCommit makes one change at a time to a fresh bundle, by a function that
// gets the rootfs.
func TestCommit(t *testing.T) {
	image := tarOf(t, "./", "d/", "d/a=one", "d/b=two", "e/", "e/f=x", "l->d/a")
	l, d := makeImage(t, v1.ImageConfig{}, part{tar: image})
	join := filepath.Join
	keepTime := func(path string, change func()) {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		change()
		if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		change func(root string)
		want   string
	}{
		{"nothing", func(string) {}, ""},
		{"content", func(r string) { must(os.WriteFile(join(r, "d/a"), []byte("new"), 0o755)) }, "file d/a"},
		{"content, same size and time", func(r string) {
			keepTime(join(r, "d/a"), func() { must(os.WriteFile(join(r, "d/a"), []byte("eno"), 0o755)) })
		}, "file d/a"},
		{"touched only", func(r string) {
			keepTime(join(r, "d/a"), func() { must(os.Chtimes(join(r, "d/a"), time.Now(), time.Now())) })
		}, ""},
		{"mode there and back", func(r string) {
			must(os.Chmod(join(r, "d"), 0o700))
			must(os.Chmod(join(r, "d"), 0o755))
		}, ""},
		{"mode", func(r string) { must(os.Chmod(join(r, "d/a"), 0o600)) }, "file d/a"},
		{"time", func(r string) { must(os.Chtimes(join(r, "d/a"), time.Unix(5, 5), time.Unix(5, 5))) }, "file d/a"},
		{"new", func(r string) { must(os.WriteFile(join(r, "d/c"), nil, 0o600)) }, "directory d, file d/c"},
		{"deleted", func(r string) { must(os.Remove(join(r, "d/a"))) }, "directory d, whiteout d/a"},
		{"directory deleted", func(r string) { must(os.RemoveAll(join(r, "d"))) }, "directory , whiteout d"},
		{"directory renamed", func(r string) { must(os.Rename(join(r, "e"), join(r, "z"))) }, "directory , whiteout e, directory z, file z/f"},
		{"directory made again", func(r string) {
			must(os.RemoveAll(join(r, "e")))
			must(os.Mkdir(join(r, "e"), 0o755))
			must(os.WriteFile(join(r, "e/g"), []byte("y"), 0o600))
		}, "directory , directory e, whiteout e/f, file e/g"},
		{"file to directory", func(r string) {
			must(os.Remove(join(r, "d/a")))
			must(os.Mkdir(join(r, "d/a"), 0o755))
		}, "directory d, directory d/a"},
		{"directory to link", func(r string) {
			must(os.RemoveAll(join(r, "e")))
			must(os.Symlink("d", join(r, "e")))
		}, "directory , symlink e d"},
		{"link's target", func(r string) {
			must(os.Remove(join(r, "l")))
			must(os.Symlink("d/b", join(r, "l")))
		}, "directory , symlink l d/b"},
		{"hard link", func(r string) { must(os.Link(join(r, "d/a"), join(r, "e/h"))) }, "file d/a, directory e, link e/h d/a"},
		{"fifo", func(r string) { must(syscall.Mkfifo(join(r, "p"), 0o600)) }, "directory , fifo p"},
		{"socket", func(r string) { must(syscall.Mknod(join(r, "s"), syscall.S_IFSOCK|0o600, 0)) }, "directory "},
		{"odd name", func(r string) { must(os.WriteFile(join(r, "d/\xff\n"), nil, 0o600)) }, "directory d, file d/\xff\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			must(unpackTo(dir, l, d))
			bundle := join(dir, "bundle")
			c.change(join(bundle, "rootfs"))
			if got := strings.Join(committed(t, l, bundle), ", "); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// TestCommitKeeps: what the new image takes over of the old.
func TestCommitKeeps(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1000000000")
	l, d := makeImage(t, v1.ImageConfig{Cmd: []string{"run"}}, part{tar: tarOf(t, "f=1")})
	i, err := Load(l, d)
	if err != nil {
		t.Fatal(err)
	}
	// Something that image-spec does not know.
	raw := bytes.Replace(i.rawConfig, []byte(`"config":{`), []byte(`"x-unknown":[1,2],"config":{"Healthcheck":{"Test":["NONE"]},`), 1)
	m := i.Manifest
	m.MediaType, m.Config.MediaType = descriptor.DockerManifest, descriptor.DockerConfig
	m.Layers[0].MediaType = descriptor.DockerLayer
	if m.Config, err = l.WriteBlob(descriptor.DockerConfig, raw); err != nil {
		t.Fatal(err)
	}
	if d, err = writeManifest(l, m); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := unpackTo(dir, l, d); err != nil {
		t.Fatal(err)
	}
	bundle := filepath.Join(dir, "bundle")
	if err := os.WriteFile(filepath.Join(bundle, "rootfs/g"), []byte("2"), 0o600); err != nil {
		t.Fatal(err)
	}
	to, err := layout.Create(filepath.Join(dir, "other"))
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	o := CommitOptions{Compression: descriptor.Zstd, Author: "me", Comment: "why", Warn: func(string) {}}
	c, err := Commit(context.Background(), bundle, to, o)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Commit(context.Background(), bundle, to, o)
	if err != nil || again.Manifest.Digest != c.Manifest.Digest {
		t.Errorf("a second commit gives %v %v, not %v", again, err, c)
	}
	made, err := Load(to, c.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	if c.Manifest.MediaType != descriptor.DockerManifest || c.Layer.MediaType != descriptor.DockerLayerZstd {
		t.Errorf("a Docker image became %s with %s", c.Manifest.MediaType, c.Layer.MediaType)
	}
	if !bytes.Contains(made.rawConfig, []byte("x-unknown")) || !bytes.Contains(made.rawConfig, []byte("Healthcheck")) {
		t.Errorf("what was not understood is lost: %s", made.rawConfig)
	}
	h := made.Config.History
	if len(h) != 1 || h[0].Author != "me" || h[0].Comment != "why" || made.Config.Created.Unix() != 1e9 {
		t.Errorf("history %v", h)
	}
	if err := Unpack(context.Background(), made, filepath.Join(dir, "b2"), Options{Warn: func(string) {}}); err != nil {
		t.Error(err)
	}
}

func TestCommitRefuses(t *testing.T) {
	l, d := makeImage(t, v1.ImageConfig{}, part{tar: tarOf(t, "f=1")})
	for _, c := range []struct {
		name, say string
		damage    func(bundle string) error
	}{
		{"no bundle", "(ENOENT)", func(b string) error { return os.RemoveAll(b) }},
		{"no origin", "imgmgr.json", func(b string) error { return os.Remove(b + "/" + originName) }},
		{"origin is not JSON", "is not a version 1", func(b string) error { return os.WriteFile(b+"/"+originName, []byte("{"), 0o600) }},
		{"origin of tomorrow", "is not a version 1", func(b string) error { return os.WriteFile(b+"/"+originName, []byte(`{"version":2}`), 0o600) }},
		{"no index", "imgmgr.index", func(b string) error { return os.Remove(b + "/" + indexName) }},
		{"index damaged", "damaged", func(b string) error {
			data, err := os.ReadFile(b + "/" + indexName)
			data[len(data)/2] ^= 1
			return os.WriteFile(b+"/"+indexName, data, err2mode(err))
		}},
		{"no rootfs", "rootfs", func(b string) error { return os.RemoveAll(b + "/rootfs") }},
		{"rootfs is a link", "rootfs", func(b string) error {
			if err := os.RemoveAll(b + "/rootfs"); err != nil {
				return err
			}
			return os.Symlink("/", b+"/rootfs")
		}},
		{"whiteout's name", ".wh.x", func(b string) error { return os.WriteFile(b+"/rootfs/.wh.x", nil, 0o600) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := unpackTo(dir, l, d); err != nil {
				t.Fatal(err)
			}
			bundle := filepath.Join(dir, "bundle")
			if err := c.damage(bundle); err != nil {
				t.Fatal(err)
			}
			_, err := Commit(context.Background(), bundle, l, CommitOptions{Compression: descriptor.Gzip, Warn: func(string) {}})
			if err == nil || !strings.Contains(err.Error(), c.say) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, c.say)
			}
		})
	}
	ingest, _ := os.ReadDir(filepath.Join(l.Path(), ".imgmgr/ingest"))
	if len(ingest) > 0 {
		t.Errorf("left behind: %v", ingest)
	}
}

func err2mode(err error) os.FileMode {
	if err != nil {
		panic(err)
	}
	return 0o600
}

// TestImport: a directory and its tar, packed in every way, make the same tree.
func TestImport(t *testing.T) {
	l, err := layout.Create(filepath.Join(t.TempDir(), "layout"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	data := tarOf(t, "./", "d/", "d/f=x", "l->d")
	o := ImportOptions{Compression: descriptor.Plain, Config: v1.ImageConfig{Env: []string{"A=b"}}, Warn: func(string) {}}
	var digests []string
	for name, r := range map[string]io.Reader{
		"plain": bytes.NewReader(data), "gzip": bytes.NewReader(gzipped(t, data)), "zstd": bytes.NewReader(zstandard(t, data)),
	} {
		d, err := ImportTar(context.Background(), r, name, l, o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		digests = append(digests, string(d.Digest))
		i, err := Load(l, d)
		if err != nil || i.Config.Config.Env[0] != "A=b" || i.Config.OS != "linux" || i.Config.Created != nil {
			t.Errorf("%s: %v %+v", name, err, i.Config)
		}
	}
	if digests[0] != digests[1] || digests[1] != digests[2] {
		t.Errorf("one tar gives %v", digests)
	}
	for name, bad := range map[string][]byte{
		"empty": nil, "zeros": make([]byte, 10240), "garbage": bytes.Repeat([]byte("garbage."), 200), "truncated": data[:1600],
		"gzip garbage": {0x1f, 0x8b, 1, 2, 3, 4}, "hostile": tarOf(t, "d/", ".wh.="), "json": mustJSON(t),
	} {
		if _, err := ImportTar(context.Background(), bytes.NewReader(bad), name, l, o); err == nil || !strings.HasPrefix(err.Error(), name+": ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func mustJSON(t *testing.T) []byte {
	t.Helper()
	data, err := json.Marshal(map[string]string{"a": strings.Repeat("b", 1000)})
	if err != nil {
		t.Fatal(err)
	}
	return data
}
