// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package entry

import (
	"errors"
	"strconv"
)

// maxFragments bounds the map of a sparse file: 1 MiB of memory, and more runs
// of data than GNU tar writes for a database file of many gigabytes.
const maxFragments = 1 << 16

var errSparse = errors.New("the map of a sparse file is malformed or too long")

// checkSparse tells whether the fragments are in order, apart from each other,
// inside the file, and as long together as the data in the archive.
func checkSparse(fragments []Fragment, realSize, dataSize int64) error {
	var end, sum int64
	if realSize < 0 {
		return errSparse
	}
	for _, f := range fragments {
		if f.Offset < end || f.Length < 0 || f.Offset > realSize || f.Length > realSize-f.Offset {
			return errSparse
		}
		end = f.Offset + f.Length
		sum += f.Length
	}
	if sum != dataSize {
		return errSparse
	}
	return nil
}

// sparseGNU reads the map of the old GNU format: four pairs in the header, and
// 21 in each extension block behind it.
func (r *Reader) sparseGNU(b block) error {
	h := &r.header
	realSize, err := number(b[483:495])
	if err != nil {
		return errSparse
	}
	h.Type, h.RealSize, h.Sparse = TypeFile, realSize, []Fragment{}
	pairs, more := []byte(b[386:482]), b[482] != 0
	for {
		for ; len(pairs) >= 24 && pairs[0] != 0; pairs = pairs[24:] {
			offset, err1 := number(pairs[:12])
			length, err2 := number(pairs[12:24])
			if err1 != nil || err2 != nil || len(h.Sparse) == maxFragments {
				return errSparse
			}
			h.Sparse = append(h.Sparse, Fragment{offset, length})
		}
		if !more {
			return checkSparse(h.Sparse, h.RealSize, h.Size)
		}
		extension, err := r.in.full(blockSize, &r.scratch)
		if err != nil {
			return unexpected(err)
		}
		pairs, more = extension[:504], extension[504] != 0
	}
}

// sparsePax takes over what the pax records said of a sparse file. Format 1.0
// has the map at the beginning of the data: a count and pairs of numbers, one
// to a line, filled up to a whole block.
func (r *Reader) sparsePax(s *paxSparse) error {
	h := &r.header
	if s.name != "" {
		h.Name = s.name
	}
	switch {
	case s.pending || s.fragments == nil && s.major == "":
		return errSparse
	case s.major == "1" && s.minor == "0":
		fragments, err := r.sparseMap()
		if err != nil {
			return err
		}
		s.fragments = fragments
	case s.fragments == nil:
		return errSparse
	}
	if !s.hasRealSize {
		return errSparse
	}
	h.Sparse, h.RealSize = s.fragments, s.realSize
	return checkSparse(h.Sparse, h.RealSize, h.Size)
}

func (r *Reader) sparseMap() ([]Fragment, error) {
	var line []byte
	var numbers []string
	want := 1
	for {
		if r.header.Size < blockSize {
			return nil, errSparse
		}
		b, err := r.in.full(blockSize, &r.scratch)
		if err != nil {
			return nil, unexpected(err)
		}
		r.header.Size -= blockSize
		for _, c := range b {
			if c != '\n' {
				if line = append(line, c); len(line) > 20 {
					return nil, errSparse
				}
				continue
			}
			numbers, line = append(numbers, string(line)), line[:0]
			if len(numbers) == 1 {
				n, err := strconv.ParseUint(numbers[0], 10, 31)
				if err != nil || n > maxFragments {
					return nil, errSparse
				}
				want = 1 + 2*int(n)
			}
			if len(numbers) == want {
				return parseMap(numbers[1:])
			}
		}
	}
}
