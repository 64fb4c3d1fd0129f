// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// refused is what config finds in testdata: configs as engines write them, with
// the fields that have been taken out of ../plan/testdata/configs.
var refused = map[string][]string{
	"docker-apparmor": nil,
	"podman-selinux":  nil,
}

// TestEngineConfigs: the configs of engines are valid, but for what is not
// supported yet, and that is refused by name.
func TestEngineConfigs(t *testing.T) {
	seen := 0
	for _, file := range configs(t) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		var want []string
		if strings.HasPrefix(file, "testdata") {
			seen++
			for _, field := range refused[name] {
				want = append(want, field+": is not supported yet")
			}
		}
		c, err := Parse(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		found := Findings(c)
		for _, e := range found {
			e.Hint = ""
		}
		if got := texts(found); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", file, got, want)
		}
		if len(c.Warnings) > 0 {
			t.Errorf("%s: %q", file, c.Warnings)
		}
	}
	if seen != len(refused) {
		t.Errorf("%d of %d files were there", seen, len(refused))
	}
}

func BenchmarkValidate(b *testing.B) {
	data, err := os.ReadFile("testdata/podman-selinux.json")
	if err != nil {
		b.Fatal(err)
	}
	c, err := Parse(data)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := Validate(c); err != nil {
			b.Fatal(err)
		}
	}
}
