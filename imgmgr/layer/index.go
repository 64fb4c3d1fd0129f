// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package layer

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"hash/fnv"
	"time"

	"github.com/coracle-oci/coracle/imgmgr/entry"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
)

// An Index is what every file of a tree looked like when the tree was made, so
// that a later look finds what changed without reading a byte of content.
//
// A file whose inode number and ctime are still the same has not changed: the
// kernel sets the ctime at every change and nobody else can. The one gap is a
// change in the same tick of the clock as the making, which git calls racy; it
// is closed by waiting for the next tick before the index is finished.
//
//	"imgmgrIX" version:1 device count of directories
//	for each directory:  len path, count, records
//	record:              len name, kind, mode uid gid size mtime.sec mtime.nsec
//	                     ctime.sec ctime.nsec ino rdev content xattrs layer entry
//	crc32c of all before, 4 bytes, little endian
//
// Numbers are varints of encoding/binary. The directory "/" has one record with
// an empty name, the root's own; the directory "" has what lies in the root.
type Index struct {
	encoded []byte
}

const indexMagic = "imgmgrIX\x01"

// A record is one file of an index.
type record struct {
	kind      entry.Kind
	stat      sys.FileStat
	content   uint64 // hash of a symbolic link's target
	xattrs    uint64 // hash of the attributes, 0 if none
	at        position
	nameBytes string
}

// indexer collects records while the directories are finished.
type indexer struct {
	blocks []byte
	dirs   uint64
	latest sys.Time // newest ctime
	coarse bool     // the file system keeps whole seconds only
}

// index finishes the directories and returns the index of the tree.
func (w *writer) index() (*Index, error) {
	x := &indexer{coarse: true}
	if err := w.finishDirs(w.root, x.block(w)); err != nil {
		return nil, err
	}
	root, err := sys.StatAt(w.root.dirFD, "")
	if err != nil {
		return nil, w.error("look at", w.root, err)
	}
	x.dirs++
	x.blocks = appendText(x.blocks, "/")
	x.blocks = binary.AppendUvarint(x.blocks, 1)
	x.record(w.root, "", root)
	if err := x.settle(); err != nil {
		return nil, &fail.Error{Where: w.options.Where, Doing: "read the clock", Err: err}
	}
	out := append([]byte(indexMagic), 0)[:len(indexMagic)]
	out = binary.AppendUvarint(out, root.Dev)
	out = binary.AppendUvarint(out, x.dirs)
	out = append(out, x.blocks...)
	return &Index{binary.LittleEndian.AppendUint32(out, crc32.Checksum(out, castagnoli))}, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// block returns what finishDirs calls for one directory: it adds the block.
func (x *indexer) block(w *writer) func(n *node, dirFD int, names []string) error {
	return func(n *node, dirFD int, names []string) error {
		path := ""
		if n.parent != nil {
			path = n.path()
		}
		x.dirs++
		x.blocks = appendText(x.blocks, path)
		x.blocks = binary.AppendUvarint(x.blocks, uint64(len(names)))
		for _, name := range names {
			stat, err := sys.StatAt(dirFD, name)
			if err != nil {
				return w.error("look at", n.children[name], err)
			}
			x.record(n.children[name], name, stat)
		}
		return nil
	}
}

func (x *indexer) record(n *node, name string, s sys.FileStat) {
	b := appendText(x.blocks, name)
	b = append(b, byte(n.kind))
	for _, v := range []uint64{uint64(s.Mode), uint64(s.UID), uint64(s.GID), uint64(s.Size)} {
		b = binary.AppendUvarint(b, v)
	}
	for _, v := range []int64{s.Mtime.Sec, s.Mtime.Nsec, s.Ctime.Sec, s.Ctime.Nsec} {
		b = binary.AppendVarint(b, v)
	}
	content := uint64(0)
	if n.kind == entry.Symlink {
		content = hashText(n.link)
	}
	for _, v := range []uint64{s.Ino, s.Rdev, content, n.xattrs, uint64(n.layer), uint64(n.entry)} {
		b = binary.AppendUvarint(b, v)
	}
	x.blocks = b
	if later(s.Ctime, x.latest) {
		x.latest = s.Ctime
	}
	x.coarse = x.coarse && s.Ctime.Nsec == 0
}

// settle waits until the clock that stamps files has moved past the newest
// change, so that no later change can have a ctime that is in the index.
func (x *indexer) settle() error {
	for {
		now, err := sys.CoarseNow()
		if err != nil {
			return err
		}
		if x.coarse {
			now.Nsec = 0
		}
		if later(now, x.latest) {
			return nil
		}
		if now.Sec < x.latest.Sec-2 {
			return nil // the clock was set back meanwhile: no waiting helps
		}
		time.Sleep(time.Millisecond)
	}
}

func later(a, b sys.Time) bool { return a.Sec > b.Sec || a.Sec == b.Sec && a.Nsec > b.Nsec }

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func hashText(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}

// hashXattr is what an attribute adds to the hash of a set: the sum does not
// depend on the order, and is 0 for no attributes.
func hashXattr(x entry.Xattr) uint64 { return hashText(string(appendText(nil, x.Name)) + x.Value) }

// Bytes returns the index as it is written to a file.
func (x *Index) Bytes() []byte { return x.encoded }

var errIndex = errors.New("the change index is damaged or of another version")

// ParseIndex returns the index that Bytes gave.
func ParseIndex(data []byte) (*Index, error) {
	body := len(data) - 4
	if body < len(indexMagic) || string(data[:len(indexMagic)]) != indexMagic ||
		crc32.Checksum(data[:body], castagnoli) != binary.LittleEndian.Uint32(data[body:]) {
		return nil, errIndex
	}
	return &Index{data}, nil
}

// indexReader cuts an index into values; bad stays true after the first that
// does not fit.
type indexReader struct {
	data []byte
	bad  bool
}

func (r *indexReader) uint() uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 {
		r.bad, r.data = true, nil
		return 0
	}
	r.data = r.data[n:]
	return v
}

func (r *indexReader) int() int64 {
	v, n := binary.Varint(r.data)
	if n <= 0 {
		r.bad, r.data = true, nil
		return 0
	}
	r.data = r.data[n:]
	return v
}

func (r *indexReader) text() string {
	n := r.uint()
	if n > uint64(len(r.data)) {
		r.bad, r.data = true, nil
		return ""
	}
	s := string(r.data[:n])
	r.data = r.data[n:]
	return s
}

func (r *indexReader) record() record {
	var x record
	x.nameBytes = r.text()
	if len(r.data) == 0 {
		r.bad = true
		return x
	}
	x.kind, r.data = entry.Kind(r.data[0]), r.data[1:]
	x.stat.Mode, x.stat.UID, x.stat.GID, x.stat.Size = uint32(r.uint()), uint32(r.uint()), uint32(r.uint()), int64(r.uint())
	x.stat.Mtime = sys.Time{Sec: r.int(), Nsec: r.int()}
	x.stat.Ctime = sys.Time{Sec: r.int(), Nsec: r.int()}
	x.stat.Ino, x.stat.Rdev, x.content, x.xattrs = r.uint(), r.uint(), r.uint(), r.uint()
	x.at = position{int32(r.uint()), int32(r.uint())}
	return x
}

// directories returns the records of each directory, by its path.
func (x *Index) directories() (map[string][]record, error) {
	r := &indexReader{data: x.encoded[len(indexMagic) : len(x.encoded)-4]}
	r.uint() // the device
	dirs := map[string][]record{}
	for range r.uint() {
		path := r.text()
		count := r.uint()
		if r.bad || count > uint64(len(r.data)) {
			return nil, errIndex
		}
		records := make([]record, 0, count)
		for range count {
			records = append(records, r.record())
		}
		dirs[path] = records
	}
	if r.bad || len(r.data) != 0 {
		return nil, errIndex
	}
	return dirs, nil
}
