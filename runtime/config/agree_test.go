// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// oracle decodes with encoding/json and forgets what the spec lets us ignore.
func oracle(data []byte) (specs.Spec, error) {
	var s specs.Spec
	err := json.Unmarshal(data, &s)
	s.VM, s.Solaris, s.Windows, s.ZOS, s.FreeBSD = nil, nil, nil, nil, nil
	if s.Process != nil {
		s.Process.CommandLine, s.Process.User.Username = "", ""
	}
	return s, err
}

// configs are the configs of engines: package plan compiles the same files.
func configs(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("../plan/testdata/configs/*.json")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	return append(files, more...)
}

// TestParseAgreesWithEncodingJSON decodes real configs, and one made from the
// spec's Go types in which every field of every struct is set: a property that
// is forgotten here shows up as a warning and as a difference.
func TestParseAgreesWithEncodingJSON(t *testing.T) {
	for _, file := range configs(t) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(file), func(t *testing.T) { agree(t, data) })
	}
	t.Run("every field", func(t *testing.T) { agree(t, everyField(t)) })
}

func agree(t *testing.T, data []byte) {
	t.Helper()
	want, err := oracle(data)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Warnings) > 0 {
		t.Errorf("warnings: %q", got.Warnings)
	}
	if !reflect.DeepEqual(got.Spec, want) {
		g, _ := json.MarshalIndent(got.Spec, "", " ")
		w, _ := json.MarshalIndent(want, "", " ")
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
}

// everyField returns a config with every property that the spec's types know.
func everyField(t testing.TB) []byte {
	t.Helper()
	var s specs.Spec
	n := 0
	fill(reflect.ValueOf(&s).Elem(), &n)
	s.VM, s.Solaris, s.Windows, s.ZOS, s.FreeBSD = nil, nil, nil, nil, nil
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"checkBeforeUpdate", "consoleSize", "nodes", "valueTwo", "hcaObjects", "leafWeight"} {
		if !bytes.Contains(data, []byte(`"`+name+`"`)) {
			t.Fatalf("%s is not set: the test has lost its teeth", name)
		}
	}
	return data
}

// fill sets v and all within it to values that differ from each other where they can.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, n)
		fill(value, n)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("\té\u2028\"" + string(rune('a'+*n%26)))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Interface: // windows.credentialSpec, which is dropped again
	default:
		if v.CanInt() {
			v.SetInt(-int64(*n))
		} else {
			v.SetUint(uint64(*n))
		}
	}
}

// FuzzParse: whatever Parse takes, encoding/json takes too and reads the same;
// nothing makes it panic. (encoding/json takes more: names in another case.)
func FuzzParse(f *testing.F) {
	for _, file := range configs(f) {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add(everyField(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Parse(data)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without a text")
			}
			return
		}
		if len(got.Warnings) > 0 {
			return // encoding/json may have found the property in another case
		}
		if err := Validate(got); err != nil && err.Error() == "" {
			t.Error("an error without a text")
		}
		want, err := oracle(data)
		if err != nil {
			return // in a section that is ignored here
		}
		if !reflect.DeepEqual(got.Spec, want) {
			t.Errorf("got %+v\nwant %+v", got.Spec, want)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for _, file := range configs(b) {
		data, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(filepath.Base(file), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
