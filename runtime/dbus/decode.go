// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package dbus

import (
	"encoding/binary"
	"errors"
	"math"
)

// errMessage is the error for bytes that are no message.
var errMessage = errors.New("what came over the bus is no D-Bus message")

// A decoder reads values from a message, which begins at data[0].
type decoder struct {
	data []byte
	at   int
	bad  bool
}

// take returns the next n bytes.
func (d *decoder) take(n int) []byte {
	if d.bad || n < 0 || n > len(d.data)-d.at {
		d.bad = true
		return make([]byte, 8)
	}
	d.at += n
	return d.data[d.at-n : d.at]
}

func (d *decoder) align(to int) { d.take((to - d.at%to) % to) }

func (d *decoder) uint32() uint32 {
	d.align(4)
	return binary.LittleEndian.Uint32(d.take(4))
}

func (d *decoder) text(length int) string {
	s := string(d.take(length))
	d.take(1)
	return s
}

// value reads a value of one complete type.
func (d *decoder) value(signature string) any {
	d.align(alignment(signature[0]))
	le := binary.LittleEndian
	switch signature[0] {
	case 'y':
		return d.take(1)[0]
	case 'b':
		return d.uint32() != 0
	case 'n':
		return int16(le.Uint16(d.take(2)))
	case 'q':
		return le.Uint16(d.take(2))
	case 'i':
		return int32(d.uint32())
	case 'u':
		return d.uint32()
	case 'x':
		return int64(le.Uint64(d.take(8)))
	case 't':
		return le.Uint64(d.take(8))
	case 'd':
		return math.Float64frombits(le.Uint64(d.take(8)))
	case 's', 'o':
		return d.text(int(d.uint32()))
	case 'g':
		return d.text(int(d.take(1)[0]))
	case 'v':
		return d.variant()
	case 'a':
		return d.array(element(signature))
	}
	list := []any{}
	for _, member := range members(signature) {
		list = append(list, d.value(member))
	}
	return list
}

func (d *decoder) variant() Variant {
	signature := d.text(int(d.take(1)[0]))
	if d.bad || !single(signature) {
		d.bad = true
		return Variant{}
	}
	return Variant{signature, d.value(signature)}
}

func (d *decoder) array(element string) []any {
	length := int(d.uint32())
	d.align(alignment(element[0]))
	list := []any{}
	for end := d.at + length; d.at < end && !d.bad; {
		list = append(list, d.value(element))
	}
	return list
}
