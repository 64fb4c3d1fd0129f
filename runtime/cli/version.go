// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"github.com/coracle-oci/coracle/internal/command"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// version returns the text of --version.
func version() string { return command.VersionText("coracle") + "spec: " + specs.Version + "\n" }
