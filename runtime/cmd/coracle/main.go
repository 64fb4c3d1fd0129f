// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Nothing is gained from a GOMAXPROCS that follows the cgroup: all that this program
// does in parallel is to wait, and to list many containers.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command coracle runs containers from OCI bundles.
package main

import (
	"os"

	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/runtime/cli"
)

func main() { command.Exit("coracle", cli.Main(os.Args[1:])) }
