// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package layer

import (
	"context"
	"errors"
	"io"
	"runtime"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/imgmgr/entry"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/inroot"
	"github.com/coracle-oci/coracle/internal/sys"
)

// Options say how to apply layers.
type Options struct {
	Where    string       // the directory, for errors
	Single   bool         // everything belongs to the user who runs this; no devices
	MaxBytes int64        // of file data; 0: what the file system has free
	Warn     func(string) // told what was left out
	// Interrupted is asked now and then; an error of it ends the work.
	Interrupted func() error

	bottomUp bool // do not try the fast order: for tests
}

// Apply makes the tree of an image's layers, lowest first, in the empty
// directory root, and returns its index. Every digest has been verified when it
// returns without an error; with one, the directory holds half of an image. The
// umask must be 0.
func Apply(root *inroot.Dir, layers []Blob, o Options) (*Index, error) {
	if o.MaxBytes == 0 {
		var err error
		if o.MaxBytes, err = sys.FreeBytes(root.FD()); err != nil {
			return nil, &fail.Error{Where: o.Where, Doing: "ask for free space", Err: err}
		}
	}
	// An inherited setgid bit would give every file the parent's group.
	if err := sys.ChmodFD(root.FD(), 0o700); err != nil {
		return nil, &fail.Error{Where: o.Where, Doing: "set the mode", Err: err}
	}
	if !o.bottomUp {
		index, err := apply(root, layers, o, true)
		if !errors.Is(err, errOrder) {
			return index, err
		}
		if err := root.RemoveContent(); err != nil {
			return nil, &fail.Error{Where: o.Where, Doing: "begin again", Err: err}
		}
	}
	return apply(root, layers, o, false)
}

// errOrder says that the fast order cannot do this image.
var errOrder = errors.New("layers have to be applied in order")

// An applier takes the operations of layers one by one.
type applier interface {
	// apply carries out the operation of an entry of a layer.
	apply(op *entry.Op, at position, data *entry.Reader) error
}

// A position is the place of an entry in an image. Layers count from 1.
type position struct{ layer, entry int32 }

func apply(root *inroot.Dir, layers []Blob, o Options, topDown bool) (*Index, error) {
	w := newWriter(root.FD(), o)
	defer w.close()
	order := make([]int, len(layers))
	for i := range order {
		if order[i] = i; topDown {
			order[i] = len(layers) - 1 - i
		}
	}
	var a applier = &bottomUp{writer: w}
	if topDown {
		a = &topDowner{w}
	}
	if err := run(a, layers, order, w); err != nil {
		return nil, err
	}
	return w.index()
}

// run feeds the layers to a in an order, with the next ones being read and
// inflated meanwhile.
func run(a applier, layers []Blob, order []int, w *writer) (err error) {
	var streams []*stream
	next := 0
	defer func() {
		for _, s := range streams {
			s.abandon()
		}
	}()
	ahead := min(max(2, runtime.GOMAXPROCS(0)), 4)
	for done := 0; done < len(order); done++ {
		for ; next < len(order) && next < done+ahead; next++ {
			streams = append(streams, startStream(layers[order[next]]))
		}
		s := streams[0]
		err := readLayer(a, s, int32(order[done]+1), w)
		if _, invalid := errors.AsType[*descriptor.InvalidError](err); err != nil && !invalid {
			// A full disk or an interruption says nothing about the layer, and for
			// errOrder it is read again and verified then.
			return err
		}
		if err = s.finish(err); err != nil {
			return err
		}
		streams = streams[1:]
	}
	return nil
}

// readLayer applies the entries of one layer.
func readLayer(a applier, s entry.Source, number int32, w *writer) error {
	r := entry.NewReader(s)
	for at := (position{number, 0}); ; at.entry++ {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		var op entry.Op
		if err == nil {
			op, err = entry.Compile(h)
		}
		if err != nil {
			return tarError(s, err)
		}
		if err == nil && w.options.Interrupted != nil {
			err = w.options.Interrupted()
		}
		if err != nil {
			return err
		}
		if op.Warning != "" {
			w.warn("%s", op.Warning)
		}
		if err := a.apply(&op, at, r); err != nil {
			return tarError(s, err)
		}
	}
}

// tarError makes what is wrong with an archive an error that names the layer.
func tarError(s entry.Source, err error) error {
	if _, ok := errors.AsType[*fail.Error](err); ok || errors.Is(err, errOrder) || errors.Is(err, context.Canceled) {
		return err
	}
	name := ""
	if s, ok := s.(*stream); ok {
		name = s.blob.Name
	}
	return descriptor.Invalid(name, "%v", err)
}
