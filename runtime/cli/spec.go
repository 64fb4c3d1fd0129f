// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/specs"
)

func specVerb() command.Verb {
	return command.Verb{
		Name:    "spec",
		Summary: "write a default config.json",
		Flags: []command.Flag{
			{Names: []string{"bundle", "b"}, Value: "DIR", Default: ".", Help: "directory to write config.json to"},
			{Names: []string{"rootless"}, Help: "for a user who is not root"},
		},
		Long: `
The config starts a shell at a terminal, in namespaces of its own, with few
capabilities and a read-only root file system in the directory rootfs. Edit it
as you need; a config.json that exists is not overwritten.

With --rootless, the container's root is the user who calls, it has the host's
network, and no limits.

examples:
  mkdir -p bundle/rootfs && coracle spec --bundle bundle
  jq '.process.args = ["ls", "-l"]' bundle/config.json

exit status:
  0  config.json was written
  1  it was not`,
		Run: func(c *command.Call) error {
			text := specs.Config()
			if c.Bool("rootless") {
				text = specs.RootlessConfig(os.Geteuid(), os.Getegid())
			}
			return writeConfig(filepath.Join(c.String("bundle"), config.Name), text)
		},
	}
}

// writeConfig writes a file that must not exist yet, whole or not at all.
func writeConfig(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return &fail.Error{Where: path, Doing: "exists already", Hint: "remove it first, or give another directory with --bundle"}
	}
	if err != nil {
		return &fail.Error{Doing: "write a config", Err: err}
	}
	_, err = file.Write(text)
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		os.Remove(path)
		return &fail.Error{Doing: "write a config", Err: err}
	}
	return nil
}
