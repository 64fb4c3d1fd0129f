// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package dbus

import (
	"encoding/binary"
	"errors"
	"math"
)

// errType is the error for a value that is not of its type.
var errType = errors.New("a value is not of the type that its signature says")

// alignment is where a value of a type may begin: Marshaling, "Summary of D-Bus
// marshaling".
func alignment(kind byte) int {
	switch kind {
	case 'y', 'g', 'v':
		return 1
	case 'n', 'q':
		return 2
	case 'x', 't', 'd', '(', '{':
		return 8
	}
	return 4
}

// pad appends zeros up to an alignment; the message begins at b[0].
func pad(b []byte, to int) []byte {
	for len(b)%to != 0 {
		b = append(b, 0)
	}
	return b
}

// appendValue appends a value of one complete type.
func appendValue(b []byte, signature string, value any) ([]byte, error) {
	b = pad(b, alignment(signature[0]))
	le := binary.LittleEndian
	switch signature[0] {
	case 'a':
		return appendArray(b, element(signature), value)
	case '(', '{':
		return appendStruct(b, members(signature), value)
	}
	switch v := value.(type) {
	case byte:
		return typed(append(b, v), signature == "y")
	case bool:
		n := uint32(0)
		if v {
			n = 1
		}
		return typed(le.AppendUint32(b, n), signature == "b")
	case int16:
		return typed(le.AppendUint16(b, uint16(v)), signature == "n")
	case uint16:
		return typed(le.AppendUint16(b, v), signature == "q")
	case int32:
		return typed(le.AppendUint32(b, uint32(v)), signature == "i")
	case uint32:
		return typed(le.AppendUint32(b, v), signature == "u")
	case int64:
		return typed(le.AppendUint64(b, uint64(v)), signature == "x")
	case uint64:
		return typed(le.AppendUint64(b, v), signature == "t")
	case float64:
		return typed(le.AppendUint64(b, math.Float64bits(v)), signature == "d")
	case string:
		return typed(appendString(b, signature[0], v), signature == "s" || signature == "o" || signature == "g")
	case Variant:
		if !single(v.Signature) {
			return b, errType
		}
		b, err := typed(appendString(b, 'g', v.Signature), signature == "v")
		if err != nil {
			return b, err
		}
		return appendValue(b, v.Signature, v.Value)
	}
	return b, errType
}

func typed(b []byte, ok bool) ([]byte, error) {
	if !ok {
		return b, errType
	}
	return b, nil
}

// appendString: a length of 32 bits, or of 8 for a signature, and a zero byte.
func appendString(b []byte, kind byte, s string) []byte {
	if kind == 'g' {
		b = append(b, byte(len(s)))
	} else {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(s)))
	}
	return append(append(b, s...), 0)
}

// appendArray: the length counts the elements, not the padding before the first.
func appendArray(b []byte, element string, value any) ([]byte, error) {
	list, ok := value.([]any)
	if !ok {
		return b, errType
	}
	length := len(b)
	b = pad(append(b, 0, 0, 0, 0), alignment(element[0]))
	first := len(b)
	for _, v := range list {
		var err error
		if b, err = appendValue(b, element, v); err != nil {
			return b, err
		}
	}
	binary.LittleEndian.PutUint32(b[length:], uint32(len(b)-first))
	return b, nil
}

func appendStruct(b []byte, members []string, value any) ([]byte, error) {
	list, ok := value.([]any)
	if !ok || len(list) != len(members) {
		return b, errType
	}
	for i, v := range list {
		var err error
		if b, err = appendValue(b, members[i], v); err != nil {
			return b, err
		}
	}
	return b, nil
}
