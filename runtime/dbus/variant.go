// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package dbus is the part of the D-Bus protocol that a client of systemd needs:
// values with their types, as bytes and as text, and messages.
//
// It is an encoding and no connection: package systemd has that. The text form is
// GVariant's, in which annotations give properties of units.
package dbus

import "strings"

// A Variant is a value with its type.
//
// Value is, by the first letter of the signature: y byte, b bool, n int16,
// q uint16, i int32, u uint32, x int64, t uint64, d float64, s o g string,
// v Variant, "a" and "(" []any; an entry of a dictionary is a []any of two.
type Variant struct {
	Signature string
	Value     any
}

// String is the variant of a string.
func String(s string) Variant { return Variant{"s", s} }

// Bool is the variant of a truth value.
func Bool(b bool) Variant { return Variant{"b", b} }

// Uint64 is the variant of a number.
func Uint64(n uint64) Variant { return Variant{"t", n} }

// Bytes is the variant of a byte array.
func Bytes(b []byte) Variant {
	list := make([]any, len(b))
	for i := range b {
		list[i] = b[i]
	}
	return Variant{"ay", list}
}

// PIDs is the variant of process ids.
func PIDs(pids ...int) Variant {
	list := make([]any, len(pids))
	for i, pid := range pids {
		list[i] = uint32(pid)
	}
	return Variant{"au", list}
}

// basic are the signatures of one letter that do not contain others.
const basic = "ybnqiuxtdsog"

// next returns the first complete type of a signature, and the rest; "" if there
// is none: D-Bus Specification, "Valid Signatures".
func next(signature string) (first, rest string) {
	if signature == "" {
		return "", ""
	}
	switch c := signature[0]; {
	case strings.IndexByte(basic, c) >= 0 || c == 'v':
		return signature[:1], signature[1:]
	case c == 'a':
		if len(signature) > 1 && signature[1] == '{' {
			return entry(signature)
		}
		element, rest := next(signature[1:])
		if element == "" {
			return "", ""
		}
		return signature[:1+len(element)], rest
	case c == '(':
		rest := signature[1:]
		for rest != "" && rest[0] != ')' {
			var member string
			if member, rest = next(rest); member == "" {
				return "", ""
			}
		}
		if rest == "" || len(signature)-len(rest) == 1 {
			return "", "" // not closed, or empty
		}
		return signature[:len(signature)-len(rest)+1], rest[1:]
	}
	return "", ""
}

// entry is next for a dictionary: "a{" key value "}".
func entry(signature string) (first, rest string) {
	key, rest := next(signature[2:])
	if len(key) != 1 || key == "v" {
		return "", ""
	}
	value, rest := next(rest)
	if value == "" || rest == "" || rest[0] != '}' {
		return "", ""
	}
	return signature[:len(signature)-len(rest)+1], rest[1:]
}

// single tells whether a signature is one complete type, and not too deep for
// those who go into it by recursion.
func single(signature string) bool {
	const deepest, longest = 32, 255 // of the specification
	if len(signature) > longest || strings.Count(signature, "a") > deepest || strings.Count(signature, "(") > deepest {
		return false
	}
	first, rest := next(signature)
	return first != "" && rest == ""
}

// members returns the types of a structure's or an entry's members.
func members(signature string) []string {
	var list []string
	for rest := signature[1 : len(signature)-1]; rest != ""; {
		var first string
		first, rest = next(rest)
		list = append(list, first)
	}
	return list
}

// element returns the type of an array's elements; an entry of a dictionary is
// "{kv}".
func element(signature string) string { return signature[1:] }
