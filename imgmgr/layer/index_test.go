// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package layer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coracle-oci/coracle/internal/sys"
)

// TestIndexSettled: when an index is finished, the clock that stamps files has
// moved on, so that no later change can look like an old one.
func TestIndexSettled(t *testing.T) {
	layers := layerOf(t, "d/", "d/f=x", "l->d")
	for range 20 {
		_, x, err := applyTo(t, Options{}, layers)
		now, clockErr := sys.CoarseNow()
		if err != nil || clockErr != nil {
			t.Fatal(err, clockErr)
		}
		dirs, err := x.directories()
		if err != nil {
			t.Fatal(err)
		}
		for dir, records := range dirs {
			for _, r := range records {
				if !later(now, r.stat.Ctime) {
					t.Fatalf("%s/%s has ctime %v, and now it is %v", dir, r.nameBytes, r.stat.Ctime, now)
				}
			}
		}
	}
}

// TestIndexRecords: an index says what stat says, and survives being written.
func TestIndexRecords(t *testing.T) {
	dir, x, err := applyTo(t, Options{}, layerOf(t, "d/ 0710", "d/f=content 0640", "l->d/f"), layerOf(t, "d/g=2"))
	if err != nil {
		t.Fatal(err)
	}
	if x, err = ParseIndex(x.Bytes()); err != nil {
		t.Fatal(err)
	}
	dirs, err := x.directories()
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for path, records := range dirs {
		for _, r := range records {
			name := filepath.Join(dir, strings.TrimPrefix(path, "/"), r.nameBytes)
			info, err := os.Lstat(name)
			if err != nil {
				t.Fatal(err)
			}
			if r.stat.Mtime.Sec != info.ModTime().Unix() || r.stat.Size != info.Size() && !info.IsDir() {
				t.Errorf("%s: %+v, want %v %d", name, r.stat, info.ModTime(), info.Size())
			}
			seen = append(seen, name)
			if r.nameBytes == "g" && r.at != (position{2, 0}) || r.nameBytes == "f" && r.at != (position{1, 1}) {
				t.Errorf("%s is of %v", name, r.at)
			}
		}
	}
	if len(seen) != 5 {
		t.Errorf("records of %v", seen)
	}
}

// FuzzParseIndex: what a damaged file says is an error, never a panic.
func FuzzParseIndex(f *testing.F) {
	_, x, err := applyTo(f, Options{}, layerOf(f, "d/", "d/f=x"))
	if err != nil {
		f.Fatal(err)
	}
	body := x.Bytes()[:len(x.Bytes())-4]
	f.Add(body)
	f.Add(body[:len(body)-7])
	f.Add([]byte(indexMagic + "\x00\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) < len(indexMagic) {
			return
		}
		// The checksum is right: it keeps accidents out, not people.
		_, _ = (&Index{append(body[:len(body):len(body)], 0, 0, 0, 0)}).directories()
	})
}
