// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Command imgmgr moves images between registries, OCI layouts and archives, and
// turns them into runtime bundles and back. It is a door: package cli is the room.
package main

import (
	"os"

	"github.com/coracle-oci/coracle/imgmgr/cli"
	"github.com/coracle-oci/coracle/internal/command"
)

func main() {
	command.Exit("imgmgr", cli.Run(os.Args[1:], os.Stdout, os.Stderr))
}
