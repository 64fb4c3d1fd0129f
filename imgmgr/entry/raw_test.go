// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package entry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// raw builds a header block by hand: what no tar program writes.
type raw struct {
	name, link string
	typ        byte
	size       string // field as it stands, 12 bytes; "" is zero
	uid, mode  string
	mtime      string
	magic      string
	badsum     bool
	data       string
}

func (r raw) bytes() []byte {
	b := make([]byte, 512)
	put := func(at, n int, s, zero string) {
		if s == "" {
			s = zero
		}
		copy(b[at:at+n], s)
	}
	put(0, 100, r.name, "")
	put(100, 8, r.mode, "0000644\x00")
	put(108, 8, r.uid, "0000000\x00")
	put(116, 8, "", "0000000\x00")
	put(124, 12, r.size, fmt.Sprintf("%011o\x00", len(r.data)))
	put(136, 12, r.mtime, "00000000001\x00")
	b[156] = r.typ
	put(157, 100, r.link, "")
	put(257, 8, r.magic, "ustar\x0000")
	sum := 8 * int(' ')
	for _, c := range b {
		sum += int(c)
	}
	if r.badsum {
		sum++
	}
	copy(b[148:156], fmt.Sprintf("%06o\x00 ", sum))
	b = append(b, r.data...)
	return append(b, make([]byte, -len(r.data)&511)...)
}

func pax(records ...string) raw {
	var text string
	for _, r := range records {
		n := len(r) + 3
		for len(fmt.Sprintf("%d %s\n", n, r)) != n {
			n = len(fmt.Sprintf("%d %s\n", n, r))
		}
		text += fmt.Sprintf("%d %s\n", n, r)
	}
	return raw{name: "pax", typ: 'x', data: text}
}

var end = make([]byte, 1024)

func archive(parts ...any) []byte {
	var out []byte
	for _, p := range parts {
		switch p := p.(type) {
		case raw:
			out = append(out, p.bytes()...)
		case []byte:
			out = append(out, p...)
		case string:
			out = append(out, p...)
		}
	}
	return out
}

// read returns the operations of an archive, one to a line, and the data of
// files behind a colon.
func read(archive []byte, source func([]byte) Source) (string, error) {
	r := NewReader(source(archive))
	var out []string
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return strings.Join(out, "\n"), nil
		}
		if err != nil {
			return strings.Join(out, "\n"), err
		}
		op, err := Compile(h)
		if err != nil {
			return strings.Join(out, "\n"), err
		}
		line := op.String()
		for _, x := range op.Xattrs {
			line += fmt.Sprintf(" %s=%q", x.Name, x.Value)
		}
		if op.Sparse != nil {
			line += fmt.Sprint(" ", op.Sparse)
		}
		for {
			p, err := r.Data()
			if errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return strings.Join(out, "\n"), err
			}
			if len(line) < 200 {
				line += ":" + string(p[:min(len(p), 20)])
			}
		}
		out = append(out, strings.Join(strings.Fields(line), " "))
	}
}

func whole(b []byte) Source { return ReaderSource(bytes.NewReader(b)) }

func crumbs(b []byte) Source { return ReaderSource(iotest.OneByteReader(bytes.NewReader(b))) }

// TestHostile is the part of the hostile corpus that is seen in one layer's
// bytes: each ends in an operation that is safe, or in one clear error.
func TestHostile(t *testing.T) {
	minusOne := "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
	file := raw{name: "f", typ: '0', data: "x"}
	many := make([]any, 0, 20001)
	for range 10000 {
		many = append(many, raw{name: "L", typ: 'L', data: "n\x00"})
	}
	for _, c := range []struct {
		name    string
		archive []byte
		want    string // operations; or
		err     string
	}{
		{"dotdot", archive(raw{name: "../../../tmp/x", typ: '0'}, end), `file 0644 0:0 0 "tmp/x"`, ""},
		{"double slash", archive(raw{name: "//tmp//x", typ: '0'}, raw{name: "./././y", typ: '0'}, end), "file 0644 0:0 0 \"tmp/x\"\nfile 0644 0:0 0 \"y\"", ""},
		{"prefix", archive([]byte(string(raw{name: "f", typ: '0'}.bytes())), end), `file 0644 0:0 0 "f"`, ""},
		{"empty name", archive(raw{typ: '0'}, end), "", "has no name"},
		{"NUL in a name", archive(pax("path=a\x00b"), file, end), "", "holds a NUL"},
		{"name too long", archive(pax("path="+strings.Repeat("a/", 2500)), file, end), "", "longer than 4095"},
		{"component of 256", archive(pax("path="+strings.Repeat("a", 256)), file, end), "", "more than 255"},
		{"root as file", archive(raw{name: "./", typ: '0'}, end), "", "is a directory, not a file"},
		{"root as link", archive(raw{name: "/", typ: '2', link: "/tmp"}, end), "", "is a directory, not a symlink"},
		{"root", archive(raw{name: "./", typ: '5', mode: "0000700\x00"}, end), `directory 0700 0:0 "."`, ""},
		{"old directory", archive(raw{name: "d/", typ: 0, magic: "\x00\x00\x00\x00\x00\x00\x00\x00"}, end), `directory 0644 0:0 "d"`, ""},
		{"uid -1", archive(raw{name: "f", typ: '0', uid: "\xff\xff\xff\xff\xff\xff\xff\xff"}, end), "", "out of range"},
		{"uid 2^32-1", archive(pax("uid=4294967295"), file, end), "", "out of range"},
		{"uid 2^32", archive(pax("uid=4294967296"), file, end), "", "out of range"},
		{"uid 2^32-2", archive(pax("uid=4294967294"), file, end), `file 0644 4294967294:0 1 "f":x`, ""},
		{"mode with type bits", archive(raw{name: "f", typ: '0', mode: "0177777\x00"}, end), `file 7777 0:0 0 "f"`, ""},
		{"mtime fraction", archive(pax("mtime=1.9999999999999"), file, end), `file 0644 0:0 1 "f":x`, ""},
		{"mtime huge", archive(pax("mtime=4611686018427387904"), file, end), `file 0644 0:0 1 "f":x`, ""},
		{"mtime no number", archive(pax("mtime=yesterday"), file, end), "", "a number is malformed"},
		{"size -1", archive(raw{name: "f", typ: '0', size: minusOne}, end), "", "negative"},
		{"size -1 by pax", archive(pax("size=-1"), file, end), "", "negative"},
		{"pax size wins", archive(pax("size=1"), raw{name: "f", typ: '0', size: "00004000000\x00"}, "x"+strings.Repeat("\x00", 511), end), `file 0644 0:0 1 "f":x`, ""},
		{"directory with data", archive(raw{name: "d", typ: '5', data: strings.Repeat("x", 512)}, end), "", "has data"},
		{"hard link with data", archive(file, raw{name: "h", typ: '1', link: "f", data: "x"}, end), `file 0644 0:0 1 "f":x`, "has data"},
		{"pax of 64 MB", archive(raw{name: "p", typ: 'x', size: "00400000000\x00"}, end), "", "more than 1048576"},
		{"pax lengths wrong", archive(raw{name: "p", typ: 'x', data: "99 path=x\n"}, file, end), "", "a pax record is malformed"},
		{"pax length 0", archive(raw{name: "p", typ: 'x', data: "0 path=x\n"}, file, end), "", "a pax record is malformed"},
		{"pax without key", archive(raw{name: "p", typ: 'x', data: "5 =x\n"}, file, end), "", "a pax record is malformed"},
		{"pax global", archive(raw{name: "g", typ: 'g', data: "19 path=../../evil\n"}, file, end), `file 0644 0:0 1 "f":x`, ""},
		{"pax global, as git archive", archive(raw{name: "g", typ: 'g', data: "19 comment=0123456\n"}, file, end), `file 0644 0:0 1 "f":x`, ""},
		{"long name", archive(raw{name: "L", typ: 'L', data: "../../" + strings.Repeat("n", 150) + "\x00"}, file, end), `file 0644 0:0 1 "` + strings.Repeat("n", 150) + `":x`, ""},
		{"long link", archive(raw{name: "K", typ: 'K', data: "/etc/" + strings.Repeat("n", 150) + "\x00"}, raw{name: "l", typ: '2', link: "x"}, end), `symlink "l" -> "/etc/` + strings.Repeat("n", 150) + `"`, ""},
		{"long name of 1 GB", archive(raw{name: "L", typ: 'L', size: "07777777777\x00"}, end), "", "more than 65536"},
		{"chain of long names", archive(append(many, file, end)...), "", "too many extension headers"},
		{"bad checksum", archive(raw{name: "f", typ: '0', badsum: true}, end), "", "checksum"},
		{"unknown type", archive(raw{name: "f", typ: 'Z', data: "xyz"}, file, end), "ignore \"f\":xyz\nfile 0644 0:0 1 \"f\":x", ""},
		{"no end", archive(file), `file 0644 0:0 1 "f":x`, ""},
		{"half an end", archive(file, end[:512]), `file 0644 0:0 1 "f":x`, ""},
		{"lone zeros", archive(end[:512], file, end), "", "lone block of zeros"},
		{"after the end", archive(file, end, file), `file 0644 0:0 1 "f":x`, ""},
		{"empty", nil, "", ""},
		{"garbage", archive(strings.Repeat("garbage!", 100)), "", "checksum"},
		{"half a header", archive(file)[:300], "", "unexpected EOF"},
		{"half the data", archive(raw{name: "f", typ: '0', size: "00000002000\x00"}, "x"), "", "unexpected EOF"},
		{"empty link", archive(raw{name: "l", typ: '2'}, end), "", "the target of a symbolic link"},
		{"hard link to the root", archive(raw{name: "h", typ: '1', link: "./"}, end), "", "hard link to the root"},
		{"hard link out", archive(raw{name: "h", typ: '1', link: "../../etc/shadow"}, end), `link "h" -> "etc/shadow"`, ""},
		{"whiteout as hard link", archive(raw{name: ".wh.x", typ: '1', link: "y"}, end), `whiteout "x"`, ""},
		{"overlay attribute", archive(pax("SCHILY.xattr.trusted.overlay.redirect=/etc", "SCHILY.xattr.user.a=b\x00c"), file, end), `file 0644 0:0 1 "f" user.a="b\x00c":x`, ""},
		{"attribute of 70 kB", archive(pax("SCHILY.xattr.user.a="+strings.Repeat("x", 70000)), file, end), "", "too long"},
		{"sparse 0.1", archive(pax("GNU.sparse.map=0,1,1125899906842623,0", "GNU.sparse.size=1125899906842624", "GNU.sparse.name=s"), file, end),
			`file 0644 0:0 1125899906842624 "s" [{0 1} {1125899906842623 0}]:x`, ""},
		{"sparse 0.0", archive(pax("GNU.sparse.offset=5", "GNU.sparse.numbytes=1", "GNU.sparse.size=9"), file, end), `file 0644 0:0 9 "f" [{5 1}]:x`, ""},
		{"sparse 1.0", archive(pax("GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=s", "GNU.sparse.realsize=7"),
			raw{name: "f", typ: '0', data: "1\n3\n2\n" + strings.Repeat("\x00", 506) + "ab"}, end), `file 0644 0:0 7 "s" [{3 2}]:ab`, ""},
		{"sparse, 1e9 fragments", archive(pax("GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=7"),
			raw{name: "f", typ: '0', data: "1000000000\n" + strings.Repeat("0\n", 600)}, end), "", "sparse"},
		{"sparse, backwards", archive(pax("GNU.sparse.map=4,1,0,0", "GNU.sparse.size=9"), file, end), "", "sparse"},
		{"sparse, beyond the file", archive(pax("GNU.sparse.map=9,1", "GNU.sparse.size=9"), file, end), "", "sparse"},
		{"sparse, overflow", archive(pax("GNU.sparse.map=9223372036854775807,1", "GNU.sparse.size=9223372036854775807"), file, end), "", "sparse"},
		{"sparse, other length", archive(pax("GNU.sparse.map=0,3", "GNU.sparse.size=9"), file, end), "", "sparse"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i, source := range []func([]byte) Source{whole, crumbs} {
				if i == 1 && len(c.archive) > 1<<20 {
					continue
				}
				got, err := read(c.archive, source)
				if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
					t.Fatalf("got %v, want %q", err, c.err)
				}
				if i == 0 && got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
			}
		})
	}
}

func TestPaxTime(t *testing.T) {
	for _, c := range []struct {
		have string
		want Time
	}{
		{"0", Time{}}, {"1.5", Time{1, 5e8}}, {"-1", Time{-1, 0}}, {"-0.25", Time{-1, 75e7}}, {"-1.000000001", Time{-2, 999999999}},
		{"1.9999999999999", Time{1, 999999999}}, {"7.", Time{7, 0}},
	} {
		if got, err := paxTime(c.have); err != nil || got != c.want {
			t.Errorf("%s: got %v %v, want %v", c.have, got, err, c.want)
		}
	}
	for _, bad := range []string{"", ".", "x", "1.x", "1.-5", "99999999999999999999", "-9223372036854775808.5"} {
		if got, err := paxTime(bad); err == nil {
			t.Errorf("%q: got %v", bad, got)
		}
	}
}

func TestNumber(t *testing.T) {
	for _, c := range []struct {
		have string
		want int64
	}{
		{"0000644\x00", 0o644}, {" 644 \x00\x00\x00", 0o644}, {"\x00\x00\x00\x00\x00\x00\x00\x00", 0}, {"77777777", 0o77777777},
		{"\x80\x00\x00\x00\x00\x00\x01\x00", 256}, {"\xff\xff\xff\xff\xff\xff\xff\xfe", -2},
	} {
		if got, err := number([]byte(c.have)); err != nil || got != c.want {
			t.Errorf("%q: got %d %v, want %d", c.have, got, err, c.want)
		}
	}
	for _, bad := range []string{"9", "0x12", "-1", "\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"} {
		if got, err := number([]byte(bad)); err == nil {
			t.Errorf("%q: got %d", bad, got)
		}
	}
}
