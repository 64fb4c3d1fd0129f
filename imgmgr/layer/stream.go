// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package layer

import (
	"errors"
	"io"
	"sync/atomic"

	"github.com/opencontainers/go-digest"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/imgmgr/inflate"
)

// A Blob is a layer as it is stored.
type Blob struct {
	Name        string                        // for errors: "layers[2] sha256:…"
	Open        func() (io.ReadCloser, error) // a reader that verifies itself, see layout.OpenBlob
	Compression descriptor.Compression
	DiffID      digest.Digest // valid; of the tar
}

// Sizes of the pipeline. A stream owns streamDepth chunks and no more: that is
// the memory that reading ahead may take.
const (
	chunkSize   = 256 << 10
	historySize = inflate.Window // in front of each chunk, for the inflater
	streamDepth = 32
)

// A chunk is a piece of a layer's tar. The hasher and the parser share it.
type chunk struct {
	buf  []byte // historySize bytes, then the data
	n    int
	refs atomic.Int32
}

func (c *chunk) data() []byte { return c.buf[historySize : historySize+c.n] }

// A stream is a layer being read, inflated and hashed by goroutines of its own.
// It is an entry.Source for one goroutine.
type stream struct {
	blob   Blob
	pieces chan *chunk // closed at the end; then err is set
	hash   chan *chunk
	free   chan *chunk
	made   int // chunks so far, at most streamDepth
	stop   chan struct{}
	hashed chan digest.Digest
	now    *chunk
	err    error
}

// startStream begins to read b. Somebody must call finish or abandon.
func startStream(b Blob) *stream {
	s := &stream{
		blob: b, pieces: make(chan *chunk, streamDepth), hash: make(chan *chunk, streamDepth),
		free: make(chan *chunk, streamDepth), stop: make(chan struct{}), hashed: make(chan digest.Digest, 1),
	}
	go s.inflate()
	go s.sum()
	return s
}

// Piece returns the next bytes of the tar.
func (s *stream) Piece() ([]byte, error) {
	if s.now != nil {
		s.release(s.now)
		s.now = nil
	}
	c, ok := <-s.pieces
	if !ok {
		if s.err != nil {
			return nil, s.err
		}
		return nil, io.EOF
	}
	s.now = c
	return c.data(), nil
}

// release gives a chunk back when both who read it are done.
func (s *stream) release(c *chunk) {
	if c.refs.Add(-1) == 0 {
		s.free <- c // never blocks: it has room for all
	}
}

// chunk waits for a free chunk; nil says that nobody wants more.
func (s *stream) chunk() *chunk {
	select {
	case <-s.stop:
		return nil
	case c := <-s.free:
		return c
	default:
	}
	if s.made < streamDepth {
		s.made++
		return &chunk{buf: make([]byte, historySize+chunkSize)}
	}
	select {
	case <-s.stop:
		return nil
	case c := <-s.free:
		return c
	}
}

// inflate is the goroutine that reads the blob.
func (s *stream) inflate() {
	s.err = s.produce()
	close(s.pieces)
	close(s.hash)
}

func (s *stream) produce() error {
	r, err := s.blob.Open()
	if err != nil {
		return err
	}
	in := readAhead(r)
	defer in.close()
	d, err := newDecoder(s.blob, in)
	for err == nil {
		c := s.chunk()
		if c == nil {
			return errAbandoned
		}
		if c.n, err = d.decode(c.buf); c.n == 0 {
			continue // the end, or an error
		}
		c.refs.Store(2)
		s.pieces <- c
		s.hash <- c
	}
	if d != nil {
		d.close()
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	// A blob that is not what its digest says is the first thing to know: what
	// the decoder makes of it does not matter.
	if verify := in.drain(); verify != nil {
		return verify
	}
	if err != nil {
		return descriptor.Invalid(s.blob.Name, "%s: %v", s.blob.Compression, err)
	}
	return nil
}

var errAbandoned = errors.New("abandoned")

// sum is the goroutine that hashes the tar.
func (s *stream) sum() {
	h := s.blob.DiffID.Algorithm().Hash()
	for c := range s.hash {
		h.Write(c.data())
		s.release(c)
	}
	s.hashed <- digest.NewDigest(s.blob.DiffID.Algorithm(), h)
}

// finish reads what is left and tells whether the layer was what its digests
// say. Call it whatever the parser said: err is its error, which counts less.
func (s *stream) finish(err error) error {
	for {
		if _, e := s.Piece(); errors.Is(e, io.EOF) {
			break
		} else if e != nil {
			return e
		}
	}
	if got := <-s.hashed; got != s.blob.DiffID {
		return descriptor.Invalid(s.blob.Name, "its content has diff ID %s, the image's config says %s", got, s.blob.DiffID)
	}
	return err
}

// abandon ends the goroutines of a stream that nobody reads to its end.
func (s *stream) abandon() {
	close(s.stop)
	for range s.pieces {
		// until inflate has closed it: then the blob is closed, too
	}
}
