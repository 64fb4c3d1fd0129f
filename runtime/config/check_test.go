// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"slices"
	"strings"
	"testing"
)

// TestCheckFindsAll: wrong types, wrong values, duplicates and unknown properties
// in one text, each named once.
func TestCheckFindsAll(t *testing.T) {
	c, found := Check([]byte(`{
		"ociVersion": 1, "ociVersion": "1.0.0",
		"root": {"path": true},
		"mounts": [{"destination": "/a", "type": "tmpfs", "options": [7]}, null, {"destination": "/b", "options": ["bind"], "zorce": "/x"}],
		"process": {"cwd": "tmp", "args": {}, "user": {"uid": -1, "umask": 1.5}, "terminal": "yes"},
		"linux": {"namespaces": "all", "resources": {"memory": {"limit": 1e3}}, "sysctl": {"net.a": 1}},
		"solaris": {"a": [1]}
	}`))
	want := []string{
		"ociVersion: must be a string, not a number",
		"ociVersion: is given twice in the same object",
		"root.path: must be a string, not true or false",
		"mounts[0].options[0]: must be a string, not a number",
		"mounts[1]: must not be null",
		"process.args: must be a list, not an object",
		"process.user.uid: -1 is out of range (0 to 4294967295)",
		"process.user.umask: 1.5 is not a whole number",
		"process.terminal: must be true or false, not a string",
		"linux.namespaces: must be a list, not a string",
		"linux.resources.memory.limit: 1e3 is not a whole number",
		`linux.sysctl["net.a"]: must be a string, not a number`,
		"mounts[2].source: is missing",
		`process.cwd: "tmp" is not an absolute path`,
	}
	if got := texts(found); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if want := []string{"config.json mounts[2].zorce: unknown property"}; c == nil || !slices.Equal(c.Warnings, want) {
		t.Errorf("got %+v", c)
	}
}

// TestCheckAgreesWithParse: what one refuses, the other does too.
func TestCheckAgreesWithParse(t *testing.T) {
	for _, text := range []string{"", "{", "[]", "\xef\xbb\xbf{}", `{"a":1}x`, `{"solaris":{"a":1,"a":2}}`, `{"ociVersion":"1.0.0"`, `{"a":{"b":1,"b":2}}`} {
		_, err := Parse([]byte(text))
		if _, found := Check([]byte(text)); err != nil && len(found) == 0 {
			t.Errorf("%q: %v, but %q", text, err, texts(found))
		}
	}
	c := `{"ociVersion":"1.0.0","root":{"path":"r"},"process":{"cwd":"/","args":["sh"]},"solaris":{"a":1,"a":2}}`
	if _, found := Check([]byte(c)); len(found) != 1 || !strings.Contains(found[0].Error(), `"a" is given twice`) {
		t.Errorf("got %q", texts(found))
	}
}
