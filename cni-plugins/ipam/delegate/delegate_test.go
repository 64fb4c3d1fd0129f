// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package delegate

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/coracle-oci/coracle/cni-plugins/plugin"
)

func TestFind(t *testing.T) {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	running, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const note = "Go\x00\x00"
	write := func(data []byte) func(path string) error {
		return func(path string) error { return os.WriteFile(path, data, 0o755) }
	}
	for name, test := range map[string]struct {
		make func(path string) error
		own  bool
	}{
		"nothing":          {func(string) error { return nil }, true},
		"a directory":      {func(path string) error { return os.Mkdir(path, 0o755) }, true},
		"another name":     {func(path string) error { return os.Symlink(running, path) }, true},
		"a copy":           {write(self), true},
		"another build":    {write(changed(t, self, note, 10)), false},
		"no id of a build": {write(changed(t, self, note, 0)), false},
		"a longer file":    {write(append(self[:len(self):len(self)], 0)), false},
		"another program":  {write([]byte("#!/bin/sh\n")), false},
		"a device":         {func(path string) error { return os.Symlink("/dev/null", path) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := test.make(filepath.Join(dir, "host-local")); err != nil {
				t.Fatal(err)
			}
			i, err := Find(&plugin.Request{Path: []string{dir}}, "host-local")
			if err != nil || i.Own() != test.own {
				t.Errorf("%+v %v", i, err)
			}
		})
	}
	copied := filepath.Join(t.TempDir(), "other")
	if err := write(self)(copied); err != nil {
		t.Fatal(err)
	}
	if i, err := Find(&plugin.Request{Path: []string{filepath.Dir(copied)}}, "other"); err != nil || i.Own() {
		t.Errorf("a copy by another name: %+v %v", i, err)
	}
	// A program that was built without an id is nobody's copy.
	bare := filepath.Join(t.TempDir(), "bare")
	if err := write(changed(t, self, note, 0))(bare); err != nil {
		t.Fatal(err)
	}
	if sameBuild(bare, bare) {
		t.Error("a program without an id is the same as another")
	}
}

// changed returns data with another byte at the offset behind mark.
func changed(t *testing.T, data []byte, mark string, offset int) []byte {
	t.Helper()
	at := bytes.Index(data[:4096], []byte(mark))
	if at < 0 {
		t.Fatal("this program has no build id")
	}
	data = bytes.Clone(data)
	data[at+offset] ^= 1
	return data
}
