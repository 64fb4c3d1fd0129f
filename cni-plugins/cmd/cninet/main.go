// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Command cninet attaches containers to CNI networks without an engine: as the hook
// of any OCI runtime, or by hand. It is a door: package cli is the room.
package main

import (
	"os"

	"github.com/coracle-oci/coracle/cni-plugins/cli"
	"github.com/coracle-oci/coracle/internal/command"
)

func main() { command.Exit("cninet", cli.Run(os.Args[1:])) }
