// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package prog

import "encoding/binary"

// A Mark is a message of a program to its parent that is not a failure: it has
// come to a gate, made a process, or is about to execve. Marks are small
// numbers, which the address of a step never is.
type Mark uint32

// NoMark is a mark that no program sends.
const NoMark Mark = 0

// MarkBytes encodes a message: {u32 mark, u32 value}, little-endian.
func MarkBytes(m Mark, value uint32) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, uint32(m)), value)
}
