// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package entry

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"path"
	"strings"
	"testing"
)

// FuzzReader feeds the reader anything. It must not panic; paths that it gives
// never leave the root; and where archive/tar reads the same bytes without an
// error, too, both have read the same entries.
func FuzzReader(f *testing.F) {
	file := raw{name: "f", typ: '0', data: "x"}
	for _, seed := range [][]byte{
		archive(file, raw{name: "d/", typ: '5'}, raw{name: "l", typ: '2', link: "f"}, raw{name: "h", typ: '1', link: "f"}, end),
		archive(pax("path=../a", "size=1", "mtime=1.5", "SCHILY.xattr.user.a=b"), file, end),
		archive(raw{name: "L", typ: 'L', data: strings.Repeat("n", 200) + "\x00"}, file, end),
		archive(pax("GNU.sparse.map=0,1,5,0", "GNU.sparse.size=9", "GNU.sparse.name=s"), file, end),
		archive(raw{name: "g", typ: 'g', data: "16 comment=01234\n"}, file),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		ours, err := entries(t, data)
		if err != nil {
			return
		}
		theirs, err := oracle(data)
		if err != nil {
			return // archive/tar has other limits
		}
		for i := range ours {
			if i < len(theirs) && (ours[i].holes || theirs[i].holes) {
				// Whose unknown GNU.sparse records make a file sparse is no matter.
				ours[i].data, ours[i].holes = theirs[i].data, theirs[i].holes
			}
			if i >= len(theirs) || ours[i] != theirs[i] {
				t.Fatalf("entry %d: ours %+v, archive/tar %+v", i, ours[i], theirs[min(i, len(theirs)):])
			}
		}
		if len(theirs) > len(ours) {
			t.Fatalf("archive/tar has more: %+v", theirs[len(ours):])
		}
	})
}

// seen is what both readers must agree on.
type seen struct {
	name, link string
	typ        byte
	size       int64
	uid        int64
	data       string
	holes      bool // data was not read
}

func entries(t *testing.T, data []byte) ([]seen, error) {
	r := NewReader(whole(data))
	var out []seen
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		if op, err := Compile(h); err == nil {
			if clean := path.Clean("/" + op.Path)[1:]; clean != op.Path || op.Path == ".." || strings.HasPrefix(op.Path, "../") || strings.IndexByte(op.Path, 0) >= 0 {
				t.Fatalf("%q becomes the path %q", h.Name, op.Path)
			}
		}
		s := seen{name: h.Name, link: h.Link, typ: h.Type, size: h.Size, uid: h.UID}
		if h.Sparse != nil {
			s.size, s.holes = h.RealSize, true
		}
		var data []byte
		for h.Sparse == nil {
			p, err := r.Data()
			if errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, err
			}
			data = append(data, p...)
		}
		s.data = string(data)
		out = append(out, s)
	}
}

func oracle(data []byte) ([]seen, error) {
	r := tar.NewReader(bytes.NewReader(data))
	var out []seen
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		s := seen{name: h.Name, link: h.Linkname, typ: h.Typeflag, size: h.Size, uid: int64(h.Uid)}
		sparse := h.Typeflag == tar.TypeGNUSparse
		for k := range h.PAXRecords {
			sparse = sparse || strings.HasPrefix(k, "GNU.sparse.")
		}
		if s.typ == tar.TypeGNUSparse || s.typ == tar.TypeCont {
			s.typ = TypeFile
		}
		if s.holes = sparse; !sparse {
			content, err := io.ReadAll(r)
			if err != nil {
				return nil, err
			}
			s.data = string(content)
		}
		out = append(out, s)
	}
}
