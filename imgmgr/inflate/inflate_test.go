// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package inflate

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// pieces gives data in pieces of a size.
type pieces struct {
	data []byte
	size int
}

func (p *pieces) Piece() ([]byte, error) {
	if len(p.data) == 0 {
		return nil, io.EOF
	}
	n := min(p.size, len(p.data))
	out := bytes.Clone(p.data[:n]) // a piece is not to be read past its end
	p.data = p.data[n:]
	return out, nil
}

func decode(packed []byte, piece, buffer int) ([]byte, error) {
	r := NewReader(&pieces{packed, piece})
	buf := make([]byte, Window+buffer)
	var out []byte
	for {
		n, err := r.Decode(buf)
		out = append(out, buf[Window:Window+n]...)
		if errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return out, err
		}
	}
}

func pack(t testing.TB, level int, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// contents are kinds of data that make every kind of block, match and code.
func contents(seed uint64) map[string][]byte {
	r := rand.New(rand.NewPCG(seed, 1))
	noise := make([]byte, 200<<10)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	skewed := make([]byte, 300<<10) // long codes, with sub-tables
	for i := range skewed {
		skewed[i] = byte(r.ExpFloat64() * r.ExpFloat64() * 9)
	}
	mixed := make([]byte, 0, 400<<10)
	for len(mixed) < 400<<10 {
		if len(mixed) > 100 && r.IntN(3) > 0 {
			distance := 1 + r.IntN(min(len(mixed), 1+r.IntN(Window)))
			for range 3 + r.IntN(300) {
				mixed = append(mixed, mixed[len(mixed)-distance])
			}
		} else {
			mixed = append(mixed, skewed[r.IntN(len(skewed)-50):][:1+r.IntN(50)]...)
		}
	}
	return map[string][]byte{
		"empty": nil, "one": {7}, "text": []byte(strings.Repeat("the quick brown fox; ", 20000)),
		"zeros": make([]byte, 500<<10), "noise": noise, "skewed": skewed, "mixed": mixed,
	}
}

func TestDecode(t *testing.T) {
	seed := rand.Uint64()
	for name, data := range contents(seed) {
		for _, level := range []int{gzip.NoCompression, gzip.HuffmanOnly, 1, 6, 9} {
			packed := pack(t, level, data)
			for _, size := range []struct{ piece, buffer int }{{1 << 20, 256 << 10}, {1000, 256 << 10}, {7, MinBuffer - Window}, {1, 5000}} {
				if size.piece < 10 && len(packed) > 100<<10 {
					continue // the fast loop never runs; short data shows that as well
				}
				got, err := decode(packed, size.piece, size.buffer)
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("seed %d %s level %d pieces of %d into %d: %v, %d bytes of %d", seed, name, level, size.piece, size.buffer, err, len(got), len(data))
				}
			}
		}
	}
}

func TestMembers(t *testing.T) {
	a, b := pack(t, 6, []byte("one")), pack(t, 6, []byte("two"))
	header := func(flags byte, rest string) []byte {
		return append(append([]byte{0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255}, rest...), a[10:]...)
	}
	for _, c := range []struct {
		name   string
		packed []byte
		want   string
		err    error
	}{
		{"two", append(bytes.Clone(a), b...), "onetwo", nil},
		{"garbage behind", append(bytes.Clone(a), "garbage!!!"...), "one", ErrFormat},
		{"short garbage behind", append(bytes.Clone(a), 0), "one", io.ErrUnexpectedEOF},
		{"nothing", nil, "", io.ErrUnexpectedEOF},
		{"not gzip", []byte("this is not gzip"), "", ErrFormat},
		{"name, comment, extra", header(flagName|flagComment|flagExtra, "\x03\x00abcname\x00comment\x00"), "one", nil},
		{"reserved flag", header(1<<6, ""), "", ErrFormat},
		{"header checksum wrong", header(flagCRC, "xx"), "", ErrChecksum},
		{"name without end", header(flagName, "")[:12], "", io.ErrUnexpectedEOF},
	} {
		got, err := decode(c.packed, 100, 5000)
		if string(got) != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: got %q %v, want %q %v", c.name, got, err, c.want, c.err)
		}
	}
}

// TestDamage changes and cuts good data: never a panic, and never wrong data
// without an error.
func TestDamage(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 2))
	data := contents(seed)["mixed"][:20<<10]
	for _, level := range []int{0, 1, 9} {
		packed := pack(t, level, data)
		for range 300 {
			bad := bytes.Clone(packed)
			at := 10 + r.IntN(len(bad)-10)
			if r.IntN(4) == 0 {
				bad = bad[:at]
			} else {
				bad[at] ^= byte(1 + r.IntN(255))
			}
			// Between a block's header and stored data are bits that mean nothing.
			if got, err := decode(bad, 4096, 64<<10); err == nil && !bytes.Equal(got, data) {
				t.Fatalf("seed %d: damage at %d is not noticed", seed, at)
			}
		}
	}
}

// TestBlocks has blocks that no packer writes.
func TestBlocks(t *testing.T) {
	for _, c := range []struct {
		name   string
		blocks string // bits in the order of the stream
	}{
		{"reserved type", "1 11"},
		{"stored, lengths disagree", "1 00 00000 1000000000000000 1000000000000000"},
		{"distance before the beginning", "1 10 0000001 00000 0000000"},
		{"distance before the beginning, after a literal", "1 10 00110000 0000001 00001 0000000"},
		{"288 literals", "1 01 11111 00000 0000"},
		{"32 distances", "1 01 00000 11111 0000"},
		{"code lengths over-subscribed", "1 01 00000 00000 0000 100 100 100 000"},
		{"code lengths of nothing", "1 01 00000 00000 0000 000 000 000 000 000"},
		{"repeat of nothing", "1 01 00000 00000 0000 100 000 000 100 0"},
		{"invalid length symbol", "1 10 11000110"},
		{"invalid distance symbol", "1 10 00110001 0000001 11110"},
	} {
		packed := []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}
		bit := 0
		for _, b := range strings.ReplaceAll(c.blocks, " ", "") {
			if bit%8 == 0 {
				packed = append(packed, 0)
			}
			packed[len(packed)-1] |= byte(b-'0') << (bit % 8)
			bit++
		}
		packed = append(packed, make([]byte, 64)...)
		if _, err := decode(packed, 1000, 5000); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %v, want %v", c.name, err, ErrFormat)
		}
		if _, err := decode(packed, 3, 5000); !errors.Is(err, ErrFormat) {
			t.Errorf("%s, in crumbs: got %v, want %v", c.name, err, ErrFormat)
		}
	}
}

// FuzzDecode: compress/gzip is the oracle, for the verdict and the content, but
// for what it lets pass and RFC 1951 and 1952 do not.
func FuzzDecode(f *testing.F) {
	for _, data := range contents(1) {
		for _, level := range []int{0, 1, 9} {
			f.Add(pack(f, level, data[:min(len(data), 3000)]), uint16(300))
		}
	}
	f.Fuzz(func(t *testing.T, packed []byte, piece uint16) {
		ours, err := decode(packed, 1+int(piece), 5000)
		var theirs []byte
		z, theirErr := gzip.NewReader(bytes.NewReader(packed))
		if theirErr == nil {
			theirs, theirErr = io.ReadAll(z)
		}
		if err == nil && (theirErr != nil || !bytes.Equal(ours, theirs)) {
			t.Fatalf("ours: %d bytes; compress/gzip: %d bytes, %v", len(ours), len(theirs), theirErr)
		}
		if err != nil && theirErr == nil && !errors.Is(err, ErrFormat) {
			t.Fatalf("ours: %v; compress/gzip: %d bytes", err, len(theirs))
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	for _, name := range []string{"text", "mixed", "skewed"} {
		data := contents(1)[name]
		packed := pack(b, 6, data)
		buf := make([]byte, Window+256<<10)
		b.Run(fmt.Sprintf("%s/ours", name), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for range b.N {
				r := NewReader(&pieces{packed, len(packed)})
				for {
					if _, err := r.Decode(buf); err != nil {
						break
					}
				}
			}
		})
		b.Run(fmt.Sprintf("%s/stdlib", name), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for range b.N {
				z, _ := gzip.NewReader(bytes.NewReader(packed))
				_, _ = io.Copy(io.Discard, z)
			}
		})
	}
}
