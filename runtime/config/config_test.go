// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/coracle-oci/coracle/internal/fail"
)

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ name, have, want string }{
		{"empty", "", "config.json: is empty"},
		{"blank", " \n\t", "config.json: is empty"},
		{"byte order mark", "\xef\xbb\xbf{}", "config.json: begins with a byte order mark"},
		{"utf-16", "\xff\xfe{\x00}\x00", "config.json: is UTF-16"},
		{"yaml", "ociVersion: 1", "config.json: is not JSON: it begins with 'o'"},
		{"binary", "\x7fELF", `config.json: is not JSON: it begins with '\x7f'`},
		{"not UTF-8 at all", "\xc3\x28", `config.json: is not JSON: it begins with '\ufffd'`},
		{"list", "[]", "config.json: must be an object, not a list"},
		{"null", "null", "config.json: must be an object, not null"},
		{"string", `"x"`, "config.json: must be an object, not a string"},
		{"cut", "{\n  \"root\": {", "config.json:2:12: the text ends too early"},
		{"cut in a string", `{"hostname": "ab`, "config.json:1:17: the text ends too early"},
		{"missing comma", "{\n\"root\": {}\n\"mounts\": []}", "config.json:3:1: invalid character '\"' after object value (expecting ',' or '}')"},
		{"trailing comma", `{"mounts": [],}`, "config.json:1:14: invalid character ',' at start of value"},
		{"more behind it", "{} \n {}", "config.json:2:2: something follows the end of the JSON text"},
		{"not UTF-8", "{\"hostname\": \"a\xffb\"}", "config.json:1:16: invalid UTF-8"},
		{"given twice", "{\"linux\": {\n \"cgroupsPath\": \"/a\",\n \"cgroupsPath\": \"/b\"}}", `config.json:3:2: "cgroupsPath" is given twice in the same object`},
		{"given twice, escaped", `{"root": {}, "r\u006fot": {}}`, `config.json:1:14: "r\u006fot" is given twice in the same object`},
		{"given twice in what is ignored", `{"windows": {"a": 1, "a": 2}}`, `config.json:1:22: "a" is given twice in the same object`},
		{"wrong type at the top", `{"mounts": {}}`, "config.json mounts: must be a list, not an object"},
		{"wrong type of a member", `{"mounts": [{"options": ["ro", 7]}]}`, "config.json mounts[0].options[1]: must be a string, not a number"},
		{"wrong type of an object", `{"root": "rootfs"}`, "config.json root: must be an object, not a string"},
		{"wrong type of a bool", `{"root": {"readonly": "true"}}`, "config.json root.readonly: must be true or false, not a string"},
		{"wrong type of a number", `{"process": {"user": {"uid": "0"}}}`, "config.json process.user.uid: must be a number, not a string"},
		{"null member", `{"process": {"args": ["a", null]}}`, "config.json process.args[1]: must not be null"},
		{"null entry", `{"annotations": {"a": null}}`, "config.json annotations.a: must not be null"},
		{"negative uid", `{"process": {"user": {"uid": -1}}}`, "config.json process.user.uid: -1 is out of range (0 to 4294967295)"},
		{"uid of 33 bits", `{"process": {"user": {"uid": 4294967296}}}`, "config.json process.user.uid: 4294967296 is out of range (0 to 4294967295)"},
		{"nice of 33 bits", `{"process": {"scheduler": {"nice": -2147483649}}}`, "config.json process.scheduler.nice: -2147483649 is out of range (-2147483648 to 2147483647)"},
		{"limit of 65 bits", `{"linux": {"resources": {"memory": {"limit": 9223372036854775808}}}}`, "config.json linux.resources.memory.limit: 9223372036854775808 is out of range (-9223372036854775808 to 9223372036854775807)"},
		{"fraction", `{"linux": {"resources": {"pids": {"limit": 1.5}}}}`, "config.json linux.resources.pids.limit: 1.5 is not a whole number"},
		{"exponent", `{"linux": {"resources": {"pids": {"limit": 1e3}}}}`, "config.json linux.resources.pids.limit: 1e3 is not a whole number"},
		{"sysctl value", `{"linux": {"sysctl": {"net.ipv4.ip_forward": 1}}}`, `config.json linux.sysctl["net.ipv4.ip_forward"]: must be a string, not a number`},
		{"NUL in a value", `{"process": {"args": ["a\u0000b"]}}`, "config.json process.args[0]: contains a NUL byte"},
		{"NUL in a name", `{"annotations": {"a\u0000": "b"}}`, `config.json annotations.a\x00: the name contains a NUL byte`},
		{"index as a name", `{"annotations": {"0": 1}}`, "config.json annotations.0: must be a string, not a number"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse([]byte(c.have))
			if err == nil {
				t.Fatalf("no error, but %+v", got)
			}
			if err.Error() != c.want {
				t.Errorf("\ngot  %s\nwant %s", err, c.want)
			}
			if _, ok := errors.AsType[*fail.Error](err); !ok {
				t.Errorf("%T is no fail.Error", err)
			}
		})
	}
}

func TestParseWarnsOfUnknownProperties(t *testing.T) {
	c, err := Parse([]byte(`{"$schema": "x", "root": {"path": "r", "readOnly": true}, "annotations": {"any": "thing"},
		"mounts": [{}, {"flags": {"deep": [{}]}}], "linux": {"resources": {"rdma": {"mlx5_1": {"hca": 1}}}}, "windows": {"any": "thing"}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"$schema", "root.readOnly", "mounts[1].flags", "linux.resources.rdma.mlx5_1.hca"}
	for i := range want {
		want[i] = "config.json " + want[i] + ": unknown property"
	}
	if !slices.Equal(c.Warnings, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(c.Warnings, "\n"), strings.Join(want, "\n"))
	}
	if c.Root.Path != "r" || c.Root.Readonly || c.Windows != nil {
		t.Errorf("got %+v", c)
	}
}

// TestNullIsAbsent: engines written in Go emit null for a nil slice without
// omitempty.
func TestNullIsAbsent(t *testing.T) {
	c, err := Parse([]byte(`{"ociVersion": null, "root": null, "mounts": null, "hostname": null, "annotations": null,
		"process": {"terminal": null, "args": null, "user": {"uid": null}, "oomScoreAdj": null}}`))
	if err != nil {
		t.Fatal(err)
	}
	if c.Root != nil || c.Mounts != nil || c.Annotations != nil || c.Process.Args != nil || c.Process.OOMScoreAdj != nil {
		t.Errorf("got %+v", c.Spec)
	}
}

// TestParseKeepsNothing: the caller may reuse its buffer.
func TestParseKeepsNothing(t *testing.T) {
	data := []byte(`{"hostname": "before"}`)
	c, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		data[i] = 'x'
	}
	if c.Hostname != "before" {
		t.Errorf("got %q", c.Hostname)
	}
}
