// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package layer

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/imgmgr/inflate"
)

// maxWindow is what a zstd frame may ask for; "zstd --ultra --long" goes to
// 128 MiB, and the format to terabytes.
const maxWindow = 128 << 20

// A decoder fills buf[historySize:] and returns how many bytes of it; with
// io.EOF at the end. The bytes before are the decoder's to use.
type decoder interface {
	decode(buf []byte) (int, error)
	close()
}

// newDecoder looks at the first bytes: a layer whose content is not packed as
// its media type says is refused, not guessed at, since others would not guess.
func newDecoder(b Blob, in *ahead) (decoder, error) {
	magic, err := in.peek()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if is := sniff(magic); is != b.Compression {
		return nil, fmt.Errorf("the content is %s", is)
	}
	switch b.Compression {
	case descriptor.Gzip:
		return gzipDecoder{inflate.NewReader(in)}, nil
	case descriptor.Zstd:
		z, err := zstd.NewReader(in, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(2))
		if err != nil {
			return nil, err
		}
		return readerDecoder{z, z.Close}, nil
	default:
		return readerDecoder{in, func() {}}, nil
	}
}

// sniff tells by the first bytes how a layer is packed.
func sniff(magic []byte) descriptor.Compression {
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b, 8}):
		return descriptor.Gzip
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}),
		len(magic) > 3 && magic[0]&0xf0 == 0x50 && bytes.HasPrefix(magic[1:], []byte{0x2a, 0x4d, 0x18}):
		return descriptor.Zstd // the latter is a skippable frame in front
	}
	return descriptor.Plain
}

// A gzipDecoder decodes into the buffers as they are.
type gzipDecoder struct{ r *inflate.Reader }

func (d gzipDecoder) decode(buf []byte) (int, error) { return d.r.Decode(buf) }
func (gzipDecoder) close()                           {}

// A readerDecoder decodes by an io.Reader.
type readerDecoder struct {
	r    io.Reader
	done func()
}

func (d readerDecoder) close() { d.done() }

func (d readerDecoder) decode(buf []byte) (int, error) {
	n, err := io.ReadFull(d.r, buf[historySize:])
	if errors.Is(err, io.ErrUnexpectedEOF) && n > 0 {
		// Full pieces were asked for; the next call tells which EOF it was.
		return n, nil
	}
	return n, err
}

// ahead reads and verifies a blob on a goroutine of its own.
type ahead struct {
	full, empty chan []byte
	stop        chan struct{}
	now, rest   []byte
	err         error // set when full is closed
}

const aheadBuffers = 4

func readAhead(r io.ReadCloser) *ahead {
	a := &ahead{full: make(chan []byte, aheadBuffers), empty: make(chan []byte, aheadBuffers), stop: make(chan struct{})}
	for range aheadBuffers {
		a.empty <- make([]byte, chunkSize)
	}
	go a.read(r)
	return a
}

func (a *ahead) read(r io.ReadCloser) {
	defer close(a.full)
	defer r.Close()
	for {
		var buf []byte
		select {
		case <-a.stop:
			return
		case buf = <-a.empty:
		}
		n, err := r.Read(buf[:cap(buf)])
		if n > 0 {
			a.full <- buf[:n]
		} else if err == nil {
			a.empty <- buf
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				a.err = err
			}
			return
		}
	}
}

// Piece returns the next bytes, valid until the next call, or io.EOF.
func (a *ahead) Piece() ([]byte, error) {
	if len(a.rest) == 0 {
		if a.now != nil {
			a.empty <- a.now
			a.now = nil
		}
		buf, ok := <-a.full
		if !ok {
			if a.err != nil {
				return nil, a.err
			}
			return nil, io.EOF
		}
		a.now, a.rest = buf, buf
	}
	p := a.rest
	a.rest = nil
	return p, nil
}

// Read is for decoders that want an io.Reader.
func (a *ahead) Read(p []byte) (int, error) {
	piece, err := a.Piece()
	if err != nil {
		return 0, err
	}
	n := copy(p, piece)
	a.rest = piece[n:]
	return n, nil
}

// peek returns the first bytes without taking them.
func (a *ahead) peek() ([]byte, error) {
	piece, err := a.Piece()
	a.rest = piece
	return piece, err
}

// drain reads to the end, which is where the blob is verified.
func (a *ahead) drain() error {
	for {
		if _, err := a.Piece(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func (a *ahead) close() {
	close(a.stop)
	for range a.full {
		// until read has ended and closed the blob
	}
}
