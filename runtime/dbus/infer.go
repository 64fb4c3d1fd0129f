// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package dbus

import (
	"errors"
	"strconv"
	"strings"
)

// infer returns the type that a value has by itself: numbers are int32, or double
// if they look so; the elements of an array have one type.
func (n node) infer() (string, error) {
	if n.signature != "" {
		return n.signature, nil
	}
	switch n.kind {
	case 'b', 's':
		return string(n.kind), nil
	case '0':
		if isDouble(n.text) {
			return "d", nil
		}
		return "i", nil
	case '<':
		return "v", nil
	case '(':
		signature := "("
		for _, c := range n.children {
			s, err := c.infer()
			if err != nil {
				return "", err
			}
			signature += s
		}
		if signature == "(" {
			return "", errors.New("D-Bus has no empty tuples")
		}
		return signature + ")", nil
	case ':':
		key, err := n.children[0].infer()
		if err != nil {
			return "", err
		}
		value, err := n.children[1].infer()
		return "{" + key + value + "}", err
	}
	return n.inferArray()
}

func isDouble(text string) bool {
	return !strings.HasPrefix(text, "0x") && strings.ContainsAny(text, ".eE")
}

// inferArray: an element with a type of its own decides, else the first one.
func (n node) inferArray() (string, error) {
	found := ""
	for _, c := range n.children {
		s, err := c.infer()
		if err != nil {
			return "", err
		}
		if found == "" || c.signature != "" || s == "d" && found == "i" {
			found = s
		}
	}
	if found == "" {
		return "", errors.New("an empty array needs its type, as in @as []")
	}
	return "a" + found, nil
}

// resolve returns the value as one of a type.
func (n node) resolve(signature string) (any, error) {
	mismatch := errors.New("it has a value that is not of the type " + strconv.Quote(signature))
	if n.signature != "" && n.signature != signature || !single(signature) && n.kind != ':' {
		return nil, mismatch
	}
	switch {
	case n.kind == 'b' && signature == "b":
		return n.text == "true", nil
	case n.kind == 's' && strings.Contains("sog", signature):
		return n.text, nil
	case n.kind == '0' && len(signature) == 1:
		return number(n.text, signature)
	case n.kind == '<' && signature == "v":
		inner, err := n.children[0].infer()
		if err != nil {
			return nil, err
		}
		value, err := n.children[0].resolve(inner)
		return Variant{inner, value}, err
	}
	kinds := make([]string, len(n.children))
	switch {
	case n.kind == '(' && signature[0] == '(' || n.kind == ':' && signature[0] == '{':
		if kinds = members(signature); len(kinds) != len(n.children) {
			return nil, mismatch
		}
	case n.kind == '[' && signature[0] == 'a' && signature[1] != '{', n.kind == '{' && strings.HasPrefix(signature, "a{"):
		for i := range kinds {
			kinds[i] = element(signature)
		}
	default:
		return nil, mismatch
	}
	list := make([]any, len(n.children))
	for i, c := range n.children {
		var err error
		if list[i], err = c.resolve(kinds[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// number reads a number of a type, in decimal, octal (0…) or hexadecimal (0x…).
func number(text, signature string) (any, error) {
	if signature == "d" {
		f, err := strconv.ParseFloat(text, 64)
		return f, outOfRange(text, signature, err)
	}
	bits := map[string]int{"y": 8, "n": 16, "q": 16, "i": 32, "u": 32, "x": 64, "t": 64}[signature]
	if bits == 0 {
		return nil, outOfRange(text, signature, errType)
	}
	if strings.Contains("nix", signature) {
		n, err := strconv.ParseInt(text, 0, bits)
		return map[string]any{"n": int16(n), "i": int32(n), "x": n}[signature], outOfRange(text, signature, err)
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(text, "+"), 0, bits)
	return map[string]any{"y": byte(n), "q": uint16(n), "u": uint32(n), "t": n}[signature], outOfRange(text, signature, err)
}

func outOfRange(text, signature string, err error) error {
	if err == nil {
		return nil
	}
	return errors.New(text + " is no number of the type " + strconv.Quote(signature))
}
