// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package decode

import (
	"reflect"
	"testing"
)

// lists are lists of strings, and what comes in their place.
var lists = []string{
	`[]`, `[ ]`, `["a"]`, `["a","b", "c"]`, " [\n\t\"a\" ,\r\n\"\"\n] ", `["]", "[", ","]`, `["a\nb", "c"]`, `["a", "\u0000"]`, `["a\\", "b"]`, `["a\"]", "b"]`, `["ä€"]`,
	`null`, `["a", null]`, `["a", 5]`, `[5, "a"]`, `["a", ["b"]]`, `[["a"]]`, `{"a": "b"}`, `"a"`, `["a", {}]`,
	`["a",]`, `["a" "b"]`, `["a"`, `["a", `, `["a`, `["a"}`, `[,"a"]`, `["a",,"b"]`, `[`, ``, "[\"a\", \"\x01\"]", "[\"a\", \"\xff\"]", `["a"];`,
}

// TestStrings: it is Array with Str, and only quicker.
func TestStrings(t *testing.T) {
	for _, list := range lists {
		agree(t, `{"before": ["x"], "list": `+list+`, "behind": ["y", "z"]}`)
	}
}

func FuzzStrings(f *testing.F) {
	for _, list := range lists {
		f.Add(`{"before": ["x"], "list": ` + list + `, "behind": ["y", "z"]}`)
	}
	f.Fuzz(agree)
}

func agree(t *testing.T, text string) {
	for _, open := range []func(string, []byte) *Reader{New, Collect} {
		read := func(list func(*Reader, *[]string)) (map[string][]string, *Reader) {
			r, lists := open("f", []byte(text)), map[string][]string{}
			r.Object(func(name []byte) {
				key, value := string(name), []string(nil)
				list(r, &value)
				lists[key] = append(value, "no more") // which must not get into another
			})
			r.End()
			return lists, r
		}
		want, slow := read(func(r *Reader, to *[]string) { Array(r, to, Str) })
		got, quick := read(Strings)
		if !reflect.DeepEqual(got, want) && slow.Err == nil || !reflect.DeepEqual(quick.Err, slow.Err) || !reflect.DeepEqual(quick.Found, slow.Found) {
			t.Errorf("%s:\n got %q %v %v\nwant %q %v %v", text, got, quick.Err, quick.Found, want, slow.Err, slow.Found)
		}
	}
}
