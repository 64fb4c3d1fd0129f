// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/specs"
	oci "github.com/opencontainers/runtime-spec/specs-go"
)

// TestDefaultConfigsAreValid: what spec writes, create takes without a word.
func TestDefaultConfigsAreValid(t *testing.T) {
	for name, text := range map[string][]byte{"root": specs.Config(), "rootless": specs.RootlessConfig(1000, 1000)} {
		c, err := config.Parse(text)
		if err == nil {
			err = config.Validate(c)
		}
		if err != nil || len(c.Warnings) > 0 {
			t.Errorf("%s: %v, %q", name, err, c.Warnings)
		}
	}
}

func TestVersion(t *testing.T) {
	lines := strings.Split(version(), "\n")
	if len(lines) != 4 || lines[3] != "" {
		t.Fatalf("got %q", lines)
	}
	// dockerd: moby daemon/info_unix.go, parseRuntimeVersion
	if !strings.HasPrefix(lines[0], "coracle version ") || !strings.HasPrefix(lines[1], "commit: ") || lines[2] != "spec: "+oci.Version {
		t.Errorf("got %q", lines)
	}
}

func TestWriteConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	if err := writeConfig(path, []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := writeConfig(path, []byte("second")); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("got %v", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "first" {
		t.Errorf("got %q, %v", data, err)
	}
	if err := writeConfig(filepath.Join(path, "x"), nil); err == nil || !strings.HasSuffix(err.Error(), "not a directory (ENOTDIR)") {
		t.Errorf("got %v", err)
	}
}
