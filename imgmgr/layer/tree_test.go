// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package layer

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/internal/inroot"
	"github.com/coracle-oci/coracle/internal/sys"
)

func TestMain(m *testing.M) {
	sys.SetUmask(0)
	os.Exit(m.Run())
}

// file returns the header of a thing in a layer, from one line:
//
//	dir/            directory        dir/ 0700     with a mode
//	name=text       file             name=text 04755
//	name->target    symbolic link
//	name=>target    hard link
//	name|           fifo
func header(t testing.TB, line string) (*tar.Header, string) {
	h := &tar.Header{Uid: os.Getuid(), Gid: os.Getgid(), ModTime: time.Unix(1e9, 5e8), Format: tar.FormatPAX, Mode: 0o644}
	if name, mode, ok := strings.Cut(line, " "); ok {
		line = name
		if _, err := fmt.Sscanf(mode, "%o", &h.Mode); err != nil {
			t.Fatal(err)
		}
	}
	if name, target, ok := strings.Cut(line, "->"); ok {
		h.Name, h.Linkname, h.Typeflag, h.Mode = name, target, tar.TypeSymlink, 0o777
	} else if name, target, ok := strings.Cut(line, "=>"); ok {
		h.Name, h.Linkname, h.Typeflag = name, target, tar.TypeLink
	} else if name, text, ok := strings.Cut(line, "="); ok {
		h.Name, h.Typeflag, h.Size = name, tar.TypeReg, int64(len(text))
		return h, text
	} else if name, ok := strings.CutSuffix(line, "|"); ok {
		h.Name, h.Typeflag = name, tar.TypeFifo
	} else if strings.HasSuffix(line, "/") {
		h.Name, h.Typeflag = line, tar.TypeDir
		if h.Mode == 0o644 {
			h.Mode = 0o750
		}
	} else {
		h.Name, h.Typeflag = line, tar.TypeReg
	}
	return h, ""
}

// layerOf returns the tar of a layer described line by line.
func layerOf(t testing.TB, lines ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, line := range lines {
		h, text := header(t, line)
		if err := w.WriteHeader(h); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// blob returns a plain layer of a tar.
func blob(name string, data []byte) Blob {
	return Blob{Name: name, Compression: descriptor.Plain, DiffID: digest.FromBytes(data),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
}

// applyTo applies layers in a new directory.
func applyTo(t testing.TB, o Options, layers ...[]byte) (string, *Index, error) {
	t.Helper()
	dir := t.TempDir()
	blobs := make([]Blob, len(layers))
	for i, l := range layers {
		blobs[i] = blob(fmt.Sprintf("layers[%d]", i), l)
	}
	root, err := inroot.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	o.Where, o.Single = dir, os.Getuid() != 0
	index, err := Apply(root, blobs, o)
	return dir, index, err
}

// snapshot describes a tree, one line for each file, hard links named by the
// first name of the file.
func snapshot(t testing.TB, dir string) string {
	t.Helper()
	var lines []string
	first := map[uint64]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		line := fmt.Sprintf("%s %o %d:%d %d.%d", name, st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec)
		switch {
		case d.IsDir():
		case first[st.Ino] != "":
			line = name + " is " + first[st.Ino]
		case info.Mode().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %d %q", st.Size, data)
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += " -> " + target
		}
		if first[st.Ino] == "" {
			first[st.Ino] = name
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

// names is the tree in short: names, with "/" behind directories, the content of
// files and the targets of links.
func names(t testing.TB, dir string) string {
	t.Helper()
	var out []string
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			t.Fatal(err)
		}
		name, _ := filepath.Rel(dir, path)
		switch {
		case name == ".":
		case d.IsDir():
			out = append(out, name+"/")
		case d.Type().IsRegular():
			data, _ := os.ReadFile(path)
			out = append(out, name+"="+string(data))
		case d.Type()&fs.ModeSymlink != 0:
			target, _ := os.Readlink(path)
			out = append(out, name+"->"+target)
		default:
			out = append(out, name+"|")
		}
		return nil
	})
	return strings.Join(out, " ")
}
