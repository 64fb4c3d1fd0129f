// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Command coracle runs containers from OCI bundles.
package main

import (
	"os"

	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/runtime/cli"
)

func main() { command.Exit("coracle", cli.Main(os.Args[1:])) }
