// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package launch

import (
	"encoding/binary"
	"fmt"

	"github.com/coracle-oci/coracle/runtime/prog"
)

// A Report is one message of a program to its parent: eight bytes, either
// {address of the step, errno}, or a mark: {number of the mark, value}.
type Report struct {
	Step  int // index of the step that failed; -1 for a mark
	Errno int
	Mark  prog.Mark
	Value int
}

// DecodeReport decodes one message.
func DecodeReport(b []byte) (Report, error) {
	if len(b) != 8 {
		return Report{}, fmt.Errorf("bug: a report of %d bytes", len(b))
	}
	first, second := int(binary.LittleEndian.Uint32(b)), int(int32(binary.LittleEndian.Uint32(b[4:])))
	if first < steps {
		return Report{Step: -1, Mark: prog.Mark(first), Value: second}, nil
	}
	return Report{Step: (first - steps) / stepSize, Errno: second}, nil
}
