// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package dbus

import (
	"bytes"
	"encoding/binary"
	"math"
	"reflect"
	"strings"
	"testing"

	oracle "github.com/godbus/dbus/v5"
)

// TestAgree: another implementation reads from our bytes what we wrote, and we
// read what it writes.
func TestAgree(t *testing.T) {
	type property struct {
		Name  string
		Value oracle.Variant
	}
	rules := []struct{ Path, Access string }{{"/dev/null", "rw"}, {"", "m"}}
	theirs := []any{"c1.scope", []property{{"Slice", oracle.MakeVariant("a.slice")}, {"PIDs", oracle.MakeVariant([]uint32{1, 70000})},
		{"MemoryMax", oracle.MakeVariant(uint64(math.MaxUint64))}, {"DeviceAllow", oracle.MakeVariant(rules)}, {"AllowedCPUs", oracle.MakeVariant([]byte{3, 0, 1})}},
		byte(255), true, int16(-2), uint16(65535), int32(-3), uint32(4), int64(-5), uint64(6), 0.5,
		map[string]oracle.Variant{"k": oracle.MakeVariant(oracle.MakeVariant(oracle.ParseSignatureMust("as")))}, property{"x", oracle.MakeVariant(false)}}
	ours := Message{Type: Call, Serial: 7, Path: "/org/freedesktop/systemd1", Interface: "org.freedesktop.systemd1.Manager",
		Member: "StartTransientUnit", Destination: "org.freedesktop.systemd1", Signature: "sa(sv)ybnqiuxtda{sv}(sv)",
		Body: []any{"c1.scope", []any{[]any{"Slice", String("a.slice")}, []any{"PIDs", PIDs(1, 70000)}, []any{"MemoryMax", Uint64(math.MaxUint64)},
			[]any{"DeviceAllow", Variant{"a(ss)", []any{[]any{"/dev/null", "rw"}, []any{"", "m"}}}}, []any{"AllowedCPUs", Bytes([]byte{3, 0, 1})}},
			byte(255), true, int16(-2), uint16(65535), int32(-3), uint32(4), int64(-5), uint64(6), 0.5,
			[]any{[]any{"k", Variant{"v", Variant{"g", "as"}}}}, []any{"x", Bool(false)}}}
	data, err := ours.Encode()
	if err != nil {
		t.Fatal(err)
	}
	read, err := oracle.DecodeMessage(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var written bytes.Buffer
	if err := (&oracle.Message{Type: oracle.TypeMethodCall, Headers: read.Headers, Body: theirs}).EncodeTo(&written, binary.LittleEndian); err != nil {
		t.Fatal(err)
	}
	binary.LittleEndian.PutUint32(written.Bytes()[8:], ours.Serial) // which the other one sets when it sends
	back, err := Decode(written.Bytes())
	if err != nil || !reflect.DeepEqual(back, ours) {
		t.Errorf("read back: %v\n got %+v\nwant %+v", err, back, ours)
	}
	if size, err := Size(data); err != nil || size != len(data) {
		t.Errorf("Size: %d, %v; want %d", size, err, len(data))
	}
}

// TestEncodeRefuses: a value that is not of its type is no message.
func TestEncodeRefuses(t *testing.T) {
	for _, m := range []Message{
		{Signature: "s", Body: []any{uint32(1)}}, {Signature: "u", Body: []any{"a"}}, {Signature: "as", Body: []any{"a"}},
		{Signature: "ss", Body: []any{"a"}}, {Signature: "s", Body: []any{"a", "b"}}, {Signature: "(su)", Body: []any{[]any{"a"}}},
		{Signature: "v", Body: []any{Variant{"ss", "a"}}}, {Signature: "v", Body: []any{Variant{"", "a"}}}, {Signature: "z", Body: []any{"a"}},
		{Signature: "y", Body: []any{nil}}, {Signature: "v", Body: []any{"a"}}, {Signature: "s", Body: []any{Variant{"s", "a"}}},
	} {
		if data, err := m.Encode(); err == nil {
			t.Errorf("%+v: % x", m, data)
		}
	}
}

// TestText: values as annotations give them, with what they become when they are
// printed, and errors.
func TestText(t *testing.T) {
	for _, c := range []struct{ text, signature, printed string }{
		{"true", "b", "true"}, {" false ", "b", "false"}, {"5", "i", "5"}, {"-5", "i", "-5"}, {"0x10", "i", "16"},
		{"uint64 5", "t", "uint64 5"}, {"@t 5", "t", "uint64 5"}, {"byte 0x2a", "y", "byte 0x2a"}, {"1.5", "d", "1.5"}, {"1e3", "d", "1000.0"},
		{"@d 2", "d", "2.0"}, {"int64 -1", "x", "int64 -1"}, {"'it\\'s'", "s", `'it\'s'`}, {`"a b"`, "s", "'a b'"}, {`'\u00e9\n'`, "s", `'é\u000a'`},
		{"['a', 'b']", "as", "@as ['a', 'b']"}, {"@as []", "as", "@as []"}, {"[1, 2.5]", "ad", "@ad [1.0, 2.5]"}, {"[uint32 1, 2]", "au", "@au [1, 2]"},
		{"[('/dev/null', 'rw'), ('/dev/fuse', 'm')]", "a(ss)", "@a(ss) [('/dev/null', 'rw'), ('/dev/fuse', 'm')]"},
		{"@a(ss) []", "a(ss)", "@a(ss) []"}, {"('a',)", "(s)", "@(s) ('a',)"}, {"<'a'>", "v", "<'a'>"}, {"{'k': <uint32 1>}", "a{sv}", "@a{sv} {'k': <uint32 1>}"},
		{"objectpath '/a'", "o", "objectpath '/a'"}, {"signature 'as'", "g", "signature 'as'"}, {"[[1], [2]]", "aai", "@aai [[1], [2]]"},
		{"uint16 65535", "q", "uint16 65535"}, {"int16 -1", "n", "int16 -1"}, {"string 'a'", "s", "'a'"}, {"boolean true", "b", "true"},
	} {
		v, err := ParseVariant(c.text)
		if err != nil || v.Signature != c.signature || v.String() != c.printed {
			t.Errorf("%s: got %q %s, %v; want %q %s", c.text, v.Signature, v, err, c.signature, c.printed)
			continue
		}
		if again, err := ParseVariant(v.String()); err != nil || !reflect.DeepEqual(again, v) {
			t.Errorf("%s: read again: %v, %v", c.text, again, err)
		}
	}
	for _, text := range []string{"", " ", "yes", "'", "'a", `"a\`, `'\u12'`, `'\ud800'`, "[", "[]", "()", "(", "[1 2]", "[1,", "5 5", "uint64", "uint64 -1", "uint64 'a'", "byte 256",
		"3000000000", "@z 1", "@ 1", "@ss 'a'", "@as 'a'", "@(s) ('a','b')", "[1, 'a']", "{'a' 1}", "{'a': }", "<1, 2>", "<>", "@mi 1", "nothing", "just 5", "0x", "--1", "uint32 int32 1",
		"{[1]: 2}", "@a{vs} {}", strings.Repeat("[", 100), "'\x00'", "'\xff'", "b'abc'"} {
		if v, err := ParseVariant(text); err == nil {
			t.Errorf("%q: got %s", text, v)
		}
	}
}

// FuzzDecode: nothing that comes over the bus is worse than an error.
func FuzzDecode(f *testing.F) {
	data, err := Message{Type: Signal, Path: "/a", Member: "B", Signature: "uosa{sv}", Body: []any{uint32(1), "/b", "done", []any{[]any{"k", Bool(true)}}}}.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		if size, err := Size(data); err == nil && size < 0 {
			t.Error(size)
		}
		if m, err := Decode(data); err == nil {
			if _, err := m.Encode(); err != nil {
				t.Errorf("%+v: %v", m, err)
			}
		}
	})
}

// FuzzText: what is read can be printed, and reads as the same again.
func FuzzText(f *testing.F) {
	for _, text := range []string{"true", "uint64 5", "[('a', <@as []>)]", "{'k': 1.5}", `'\u00e9'`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := ParseVariant(text)
		if err != nil {
			return
		}
		again, err := ParseVariant(v.String())
		if err != nil || again.String() != v.String() {
			t.Errorf("%q: %s, then %s, %v", text, v, again, err)
		}
		if _, err := (Message{Signature: "v", Body: []any{v}}).Encode(); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	})
}
