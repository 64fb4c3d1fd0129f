// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"github.com/coracle-oci/coracle/internal/command"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// version returns the text of --version. dockerd reads the name and the version
// from the first line and the commit from the line that begins with "commit:";
// without one of them it warns of an unknown format.
func version() string {
	return "coracle version " + command.Version + "\ncommit: " + commit() + "\nspec: " + specs.Version + "\n"
}

func commit() string {
	if c := command.Commit(); c != "" {
		return c
	}
	return "unknown"
}
