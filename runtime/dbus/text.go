// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package dbus

import (
	"strconv"
	"strings"
)

// String returns the variant in GVariant's text form, with its type where that
// could be taken for another one: "uint64 5", "'a'", "@ay [0x03]".
func (v Variant) String() string {
	text := formatValue(v.Signature, v.Value)
	if name := keywordOf(v.Signature); name != "" {
		return name + " " + text
	}
	switch v.Signature {
	case "s", "b", "i", "d", "v":
		return text
	}
	return "@" + v.Signature + " " + text
}

// keywords are the names of types: GVariant text format, "Type Annotations".
var keywords = [...]struct{ name, signature string }{
	{"boolean", "b"}, {"byte", "y"}, {"int16", "n"}, {"uint16", "q"}, {"int32", "i"}, {"uint32", "u"},
	{"int64", "x"}, {"uint64", "t"}, {"double", "d"}, {"string", "s"}, {"objectpath", "o"}, {"signature", "g"},
}

// keywordOf is the name of a type that is not what its value looks like.
func keywordOf(signature string) string {
	if len(signature) == 1 && strings.Contains("ynquxtog", signature) {
		for _, k := range keywords {
			if k.signature == signature {
				return k.name
			}
		}
	}
	return ""
}

func formatValue(signature string, value any) string {
	switch v := value.(type) {
	case byte:
		return "0x" + strconv.FormatUint(uint64(v)|0x100, 16)[1:]
	case bool:
		return strconv.FormatBool(v)
	case int16:
		return strconv.FormatInt(int64(v), 10)
	case uint16:
		return strconv.FormatUint(uint64(v), 10)
	case int32:
		return strconv.FormatInt(int64(v), 10)
	case uint32:
		return strconv.FormatUint(uint64(v), 10)
	case int64:
		return strconv.FormatInt(v, 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	case float64:
		text := strconv.FormatFloat(v, 'g', -1, 64)
		if strings.Trim(text, "-0123456789") == "" {
			text += ".0"
		}
		return text
	case string:
		return quote(v)
	case Variant:
		return "<" + v.String() + ">"
	case []any:
		return formatList(signature, v)
	}
	return "?"
}

func formatList(signature string, list []any) string {
	words := make([]string, len(list))
	if signature[0] == '(' {
		for i, kind := range members(signature) {
			words[i] = formatValue(kind, list[i])
		}
		if len(words) == 1 {
			return "(" + words[0] + ",)"
		}
		return "(" + strings.Join(words, ", ") + ")"
	}
	kind := element(signature)
	if kind[0] != '{' {
		for i, v := range list {
			words[i] = formatValue(kind, v)
		}
		return "[" + strings.Join(words, ", ") + "]"
	}
	types := members(kind)
	for i, v := range list {
		pair, _ := v.([]any)
		words[i] = formatValue(types[0], pair[0]) + ": " + formatValue(types[1], pair[1])
	}
	return "{" + strings.Join(words, ", ") + "}"
}

// quote returns a string as GVariant reads it.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for _, r := range s {
		switch {
		case r == '\'' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			b.WriteString(`\u00` + strconv.FormatInt(int64(r)|0x100, 16)[1:])
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('\'')
	return b.String()
}
