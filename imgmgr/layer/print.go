// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package layer

import (
	"bufio"
	"errors"
	"io"

	"github.com/coracle-oci/coracle/imgmgr/entry"
)

// Each verifies a layer and calls f for the operation of each entry, which is
// valid until the next; its data may be read. Nothing is written.
func Each(b Blob, f func(*entry.Op, *entry.Reader) error) error {
	s := startStream(b)
	defer s.abandon()
	return s.finish(eachOp(s, f))
}

func eachOp(s entry.Source, f func(*entry.Op, *entry.Reader) error) error {
	r := entry.NewReader(s)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		var op entry.Op
		if err == nil {
			op, err = entry.Compile(h)
		}
		if err == nil {
			err = f(&op, r)
		}
		if err != nil {
			return tarError(s, err)
		}
	}
}

// Print writes the operations that a layer asks for, one to a line.
func Print(w io.Writer, b Blob) error {
	out := bufio.NewWriter(w)
	if err := Each(b, func(op *entry.Op, _ *entry.Reader) error {
		_, err := out.WriteString(op.String() + "\n")
		return err
	}); err != nil {
		return err
	}
	return out.Flush()
}
