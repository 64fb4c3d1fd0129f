// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package dbus

import "encoding/binary"

// The types of messages: D-Bus Specification, "Message Format".
const (
	Call   = 1
	Return = 2
	Error  = 3
	Signal = 4
)

// A Message is one message, without descriptors.
//
//	 0       1       2       3       4        8        12      16
//	+-------+-------+-------+-------+--------+--------+--------+---------
//	| 'l'   | type  | flags | 1     | length | serial | length | fields…   padded to 8, then
//	|       |       |       |       | of body|        | of …   | a(yv)     the body
//	+-------+-------+-------+-------+--------+--------+--------+---------
type Message struct {
	Type        byte
	Serial      uint32
	ReplySerial uint32 // Return, Error: of the call
	Path        string
	Interface   string
	Member      string
	ErrorName   string // Error: "org.freedesktop.systemd1.UnitExists"
	Destination string
	Sender      string
	Signature   string // of the body: the types of its values, one after the other
	Body        []any
}

// Codes of header fields.
const (
	fieldPath        = 1
	fieldInterface   = 2
	fieldMember      = 3
	fieldErrorName   = 4
	fieldReplySerial = 5
	fieldDestination = 6
	fieldSender      = 7
	fieldSignature   = 8
)

const (
	littleEndian = 'l'
	version      = 1
	prefixSize   = 16
	longest      = 1 << 27 // of a whole message
)

// text is the fields that are strings, by their codes, with their types.
func (m *Message) text() []struct {
	code  byte
	kind  string
	value *string
} {
	return []struct {
		code  byte
		kind  string
		value *string
	}{
		{fieldPath, "o", &m.Path}, {fieldInterface, "s", &m.Interface}, {fieldMember, "s", &m.Member},
		{fieldErrorName, "s", &m.ErrorName}, {fieldDestination, "s", &m.Destination},
		{fieldSender, "s", &m.Sender}, {fieldSignature, "g", &m.Signature},
	}
}

// Encode returns the bytes of a message.
func (m Message) Encode() ([]byte, error) {
	b := []byte{littleEndian, m.Type, 0, version, 0, 0, 0, 0}
	b = binary.LittleEndian.AppendUint32(b, m.Serial)
	fields := []any{}
	for _, f := range m.text() {
		if *f.value != "" {
			fields = append(fields, []any{f.code, Variant{f.kind, *f.value}})
		}
	}
	if m.ReplySerial != 0 {
		fields = append(fields, []any{byte(fieldReplySerial), Variant{"u", m.ReplySerial}})
	}
	b, err := appendValue(b, "a(yv)", fields)
	if err != nil {
		return nil, err
	}
	b = pad(b, 8)
	body := len(b)
	rest := m.Signature
	for _, v := range m.Body {
		var kind string
		if kind, rest = next(rest); kind == "" {
			return nil, errType
		}
		if b, err = appendValue(b, kind, v); err != nil { // the body begins at a multiple of 8
			return nil, err
		}
	}
	if rest != "" {
		return nil, errType
	}
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-body))
	return b, nil
}

// Size returns how long the message is that begins with data; 0 if data does
// not tell yet.
func Size(data []byte) (int, error) {
	if len(data) < prefixSize {
		return 0, nil
	}
	fields := int64(binary.LittleEndian.Uint32(data[12:]))
	size := prefixSize + (fields+7)/8*8 + int64(binary.LittleEndian.Uint32(data[4:]))
	if data[0] != littleEndian || data[3] != version || size > longest {
		return 0, errMessage
	}
	return int(size), nil
}

// Decode reads one whole message.
func Decode(data []byte) (Message, error) {
	if size, err := Size(data); err != nil || size == 0 || size != len(data) {
		return Message{}, errMessage
	}
	m := Message{Type: data[1], Serial: binary.LittleEndian.Uint32(data[8:])}
	d := decoder{data: data, at: prefixSize - 4}
	fields, _ := d.value("a(yv)").([]any)
	for _, f := range fields {
		field, _ := f.([]any)
		if d.bad || len(field) != 2 {
			return Message{}, errMessage
		}
		code, _ := field[0].(byte)
		v, _ := field[1].(Variant)
		if n, ok := v.Value.(uint32); ok && code == fieldReplySerial {
			m.ReplySerial = n
		}
		for _, known := range m.text() {
			if s, ok := v.Value.(string); ok && known.code == code {
				*known.value = s
			}
		}
	}
	d.align(8)
	for rest := m.Signature; rest != "" && !d.bad; {
		var kind string
		if kind, rest = next(rest); kind == "" || !single(kind) {
			return Message{}, errMessage
		}
		m.Body = append(m.Body, d.value(kind))
	}
	if d.bad {
		return Message{}, errMessage
	}
	return m, nil
}
