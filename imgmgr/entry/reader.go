// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package entry

import (
	"errors"
	"fmt"
	"io"
)

// Limits of what one entry may carry beside its data.
const (
	maxPax      = 1 << 20  // bytes of one pax header
	maxLongName = 64 << 10 // bytes of a GNU long name or link
	maxChain    = 16       // headers about one entry; real ones have up to four
)

// A Source gives the stream in pieces. A piece is valid until the next call;
// io.EOF comes alone, after the last piece.
type Source interface {
	Piece() ([]byte, error)
}

// ReaderSource reads r in pieces of 64 KiB.
func ReaderSource(r io.Reader) Source { return &readerSource{r: r, buf: make([]byte, 64<<10)} }

type readerSource struct {
	r   io.Reader
	buf []byte
}

func (s *readerSource) Piece() ([]byte, error) {
	for {
		n, err := s.r.Read(s.buf)
		if n > 0 {
			return s.buf[:n], nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// input cuts pieces to measure.
type input struct {
	source Source
	piece  []byte
}

// upTo returns between 1 and n bytes of the stream; n must not be 0.
func (in *input) upTo(n int64) ([]byte, error) {
	for len(in.piece) == 0 {
		var err error
		if in.piece, err = in.source.Piece(); err != nil {
			return nil, err
		}
	}
	p := in.piece[:min(n, int64(len(in.piece)))]
	in.piece = in.piece[len(p):]
	return p, nil
}

// full returns exactly n bytes, in *scratch where they span pieces. The error
// is io.EOF if there was not one byte.
func (in *input) full(n int, scratch *[]byte) ([]byte, error) {
	if len(in.piece) >= n {
		p := in.piece[:n]
		in.piece = in.piece[n:]
		return p, nil
	}
	*scratch = (*scratch)[:0]
	for len(*scratch) < n {
		p, err := in.upTo(int64(n - len(*scratch)))
		if err != nil {
			if len(*scratch) > 0 {
				err = unexpected(err)
			}
			return nil, err
		}
		*scratch = append(*scratch, p...)
	}
	return *scratch, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// A Reader reads entries. Make one with [NewReader].
type Reader struct {
	in      input
	header  Header
	left    int64 // bytes of the current entry's data that are unread
	padding int64 // bytes from there to the next block
	scratch []byte
	text    []byte
}

// NewReader returns a Reader of the archive in s.
func NewReader(s Source) *Reader { return &Reader{in: input{source: s}} }

// Next returns the next entry's header, which is valid until the next call, and
// io.EOF at the archive's end: two blocks of zeros, or the stream's end where a
// header could begin (Docker wrote such layers). What follows is not read.
func (r *Reader) Next() (*Header, error) {
	var pax paxRecords
	var longName, longLink string
	for range maxChain {
		b, err := r.nextBlock()
		if err != nil {
			return nil, err
		}
		if err := b.parse(&r.header); err != nil {
			return nil, err
		}
		h := &r.header
		if h.Size < 0 {
			return nil, fmt.Errorf("header of %q: the size is negative", h.Name)
		}
		switch h.Type {
		case typePax, typePaxGlobal:
			each := pax.set
			if h.Type == typePaxGlobal {
				// Global records are read and ignored: "git archive" writes a
				// comment; a path or an owner for every entry makes no sense.
				each = func(string, string) error { return nil }
			} else {
				pax = paxRecords{}
			}
			text, err := r.metadata(maxPax)
			if err == nil {
				err = parsePax(text, each)
			}
			if err != nil {
				return nil, err
			}
		case typeLongName, typeLongLink:
			text, err := r.metadata(maxLongName)
			if err != nil {
				return nil, err
			}
			if h.Type == typeLongName {
				longName = block(text).text(0, len(text))
			} else {
				longLink = block(text).text(0, len(text))
			}
		default:
			return h, r.finish(b, &pax, longName, longLink)
		}
	}
	return nil, errors.New("too many extension headers before one entry")
}

// nextBlock skips what is left of the entry and returns the next header block.
func (r *Reader) nextBlock() (block, error) {
	for skip := r.left + r.padding; skip > 0; {
		p, err := r.in.upTo(skip)
		if err != nil {
			return nil, unexpected(err)
		}
		skip -= int64(len(p))
	}
	r.left, r.padding = 0, 0
	p, err := r.in.full(blockSize, &r.scratch)
	if err != nil {
		return nil, err
	}
	b := block(p)
	if !b.isZero() {
		if !b.checksum() {
			return nil, errors.New("a header's checksum is wrong")
		}
		return b, nil
	}
	p, err = r.in.full(blockSize, &r.scratch)
	if err == nil && !block(p).isZero() {
		err = errors.New("a lone block of zeros stands where a header should")
	} else if err == nil {
		err = io.EOF
	}
	return nil, err
}

// metadata reads the data of an extension header.
func (r *Reader) metadata(limit int64) ([]byte, error) {
	size := r.header.Size
	if size > limit {
		return nil, fmt.Errorf("an extension header has %d bytes, more than %d", size, limit)
	}
	text, err := r.in.full(int(size), &r.text)
	if err != nil {
		return nil, unexpected(err)
	}
	r.padding = -size & (blockSize - 1)
	return text, nil
}

// finish applies the extensions to the entry's own header.
func (r *Reader) finish(b block, pax *paxRecords, longName, longLink string) error {
	h := &r.header
	if longName != "" {
		h.Name = longName
	}
	if longLink != "" {
		h.Link = longLink
	}
	if pax.path != "" {
		h.Name = pax.path
	}
	if pax.link != "" {
		h.Link = pax.link
	}
	if h.Type == TypeFileV7 || h.Type == TypeContiguous {
		if h.Type == TypeFileV7 && len(h.Name) > 0 && h.Name[len(h.Name)-1] == '/' {
			h.Type = TypeDir
		} else {
			h.Type = TypeFile
		}
	}
	if pax.hasSize {
		h.Size = pax.size
	}
	if pax.hasUID {
		h.UID = pax.uid
	}
	if pax.hasGID {
		h.GID = pax.gid
	}
	if pax.hasMtime {
		h.Mtime = pax.mtime
	}
	h.Xattrs = append(h.Xattrs, pax.xattrs...)
	return r.frame(b, pax)
}

// frame finds out where the entry's data ends.
func (r *Reader) frame(b block, pax *paxRecords) error {
	h := &r.header
	if h.Size < 0 {
		return fmt.Errorf("%q: the size is negative", h.Name)
	}
	// Tools differ in whether data follows a directory or link that has a size;
	// reading a header out of somebody's data is how two tools see two archives.
	if h.Size > 0 && h.Type >= TypeLink && h.Type <= TypeFifo {
		return fmt.Errorf("%q: an entry of type %q has data", h.Name, h.Type)
	}
	r.padding = -h.Size & (blockSize - 1)
	var err error
	if h.Type == typeSparse {
		err = r.sparseGNU(b)
	} else if s := &pax.sparse; h.Type == TypeFile && (s.major != "" || s.fragments != nil) {
		err = r.sparsePax(s)
	}
	r.left = h.Size
	if err != nil {
		return fmt.Errorf("%q: %w", h.Name, err)
	}
	return nil
}

// Data returns the next piece of the entry's data, valid until the next call of
// a method, and io.EOF after the last.
func (r *Reader) Data() ([]byte, error) {
	if r.left == 0 {
		return nil, io.EOF
	}
	p, err := r.in.upTo(r.left)
	if err != nil {
		return nil, unexpected(err)
	}
	r.left -= int64(len(p))
	return p, nil
}
