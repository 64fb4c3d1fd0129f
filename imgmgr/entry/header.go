// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package entry

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A Time is a time of a file: seconds since 1970, which may be negative, and
// 0 to 999,999,999 nanoseconds.
type Time struct {
	Sec  int64
	Nsec int64
}

// A Fragment is a run of data in a sparse file; all else is a hole.
type Fragment struct{ Offset, Length int64 }

// An Xattr is an extended attribute; its value may hold any byte.
type Xattr struct{ Name, Value string }

// A Header is what an archive says of one file, not yet judged: see [Compile].
type Header struct {
	Name, Link   string
	Type         byte
	Mode         int64
	UID, GID     int64
	Size         int64 // of the data in the archive
	Mtime        Time
	Major, Minor int64
	Xattrs       []Xattr
	Sparse       []Fragment // nil: the data is the file
	RealSize     int64      // of the file when it is sparse
}

// Types of entries, POSIX ustar and GNU tar.
const (
	TypeFile       = '0'
	TypeFileV7     = 0
	TypeLink       = '1'
	TypeSymlink    = '2'
	TypeChar       = '3'
	TypeBlock      = '4'
	TypeDir        = '5'
	TypeFifo       = '6'
	TypeContiguous = '7'
	typePax        = 'x'
	typePaxGlobal  = 'g'
	typeLongName   = 'L'
	typeLongLink   = 'K'
	typeSparse     = 'S'
)

const blockSize = 512

// The layout of a header block, in bytes. What GNU tar puts where ustar has the
// prefix is used for sparse files only.
//
//	0 name 100 mode 108 uid 116 gid 124 size 136 mtime 148 chksum 156 type
//	157 link 257 magic 265 uname 297 gname 329 major 337 minor 345 prefix 500
//	GNU: 386 sparse (4 × offset 12, length 12) 482 isextended 483 realsize 495
type block []byte

func (b block) text(from, to int) string {
	s := b[from:to]
	for i, c := range s {
		if c == 0 {
			return string(s[:i])
		}
	}
	return string(s)
}

func (b block) isZero() bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// checksum tells whether the block's checksum is right. Some old writers summed
// signed bytes, so both are taken.
func (b block) checksum() bool {
	want, err := number(b[148:156])
	if err != nil {
		return false
	}
	var unsigned, signed int64
	for i, c := range b {
		if i >= 148 && i < 156 {
			c = ' '
		}
		unsigned += int64(c)
		signed += int64(int8(c))
	}
	return want == unsigned || want == signed
}

var errNumber = errors.New("a number is malformed")

// number reads a numeric field: octal digits between blanks and NULs, or
// base-256 in two's complement where the first bit is set.
func number(field []byte) (int64, error) {
	if field[0]&0x80 != 0 {
		return base256(field)
	}
	s := strings.Trim(string(field), " \x00")
	if i := strings.IndexByte(s, 0); i >= 0 {
		s = s[:i]
	}
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 8, 63)
	if err != nil {
		return 0, errNumber
	}
	return int64(n), nil
}

func base256(field []byte) (int64, error) {
	var invert byte
	if field[0]&0x40 != 0 {
		invert = 0xff // negative: count in the complement
	}
	var n uint64
	for i, c := range field {
		c ^= invert
		if i == 0 {
			c &= 0x7f
		}
		if n>>55 != 0 {
			return 0, errNumber
		}
		n = n<<8 | uint64(c)
	}
	if invert != 0 {
		return ^int64(n), nil
	}
	return int64(n), nil
}

// parse reads a header block without its extensions.
func (b block) parse(h *Header) error {
	*h = Header{Name: b.text(0, 100), Link: b.text(157, 257), Type: b[156], Xattrs: h.Xattrs[:0]}
	magic := string(b[257:263])
	fields := []struct {
		from, to int
		to64     *int64
	}{{100, 108, &h.Mode}, {108, 116, &h.UID}, {116, 124, &h.GID}, {124, 136, &h.Size}, {136, 148, &h.Mtime.Sec}}
	if magic == "ustar\x00" || magic == "ustar " {
		fields = append(fields, struct {
			from, to int
			to64     *int64
		}{329, 337, &h.Major}, struct {
			from, to int
			to64     *int64
		}{337, 345, &h.Minor})
	}
	for _, f := range fields {
		n, err := number(b[f.from:f.to])
		if err != nil {
			return fmt.Errorf("header of %q: %w", h.Name, err)
		}
		*f.to64 = n
	}
	if magic == "ustar\x00" {
		if prefix := b.text(345, 500); prefix != "" {
			h.Name = prefix + "/" + h.Name
		}
	}
	return nil
}
