// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"

	"github.com/spf13/cobra"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/imgmgr/layout"
	"github.com/coracle-oci/coracle/imgmgr/serve"
	"github.com/coracle-oci/coracle/internal/fail"
)

func newServeCommand(g *globals) *cobra.Command {
	var listen string
	var readOnly, create bool
	c := &cobra.Command{
		Use:   "serve [DIR]",
		Short: "be a small registry over the store, or over the OCI layout in DIR",
		Long: `serve is a registry over a local OCI layout, until it gets SIGINT or SIGTERM. It
prints the address that it listens on. DIR has to exist; --create makes it.

There is no TLS and no authentication:
clients need --insecure, and the address should be one that only friends reach.`,
		Args:    cobra.MaximumNArgs(1),
		Example: "  imgmgr serve &\n  imgmgr push --insecure app:1 docker://127.0.0.1:5000/app:1",
		RunE: func(c *cobra.Command, args []string) error {
			dir, err := g.storePath()
			if len(args) > 0 {
				dir, err = args[0], nil
			}
			if err != nil {
				return err
			}
			open := layout.Create
			if readOnly {
				open = layout.Open
			} else if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) && len(args) > 0 && !create {
				return &fail.Error{Err: descriptor.NotFound(dir, "no such OCI layout"), Hint: "--create makes it"}
			}
			l, err := open(dir)
			if err != nil {
				return err
			}
			defer l.Close()
			listener, err := net.Listen("tcp", listen)
			if err != nil {
				return &fail.Error{Where: "--listen " + listen, Err: err}
			}
			fmt.Fprintln(g.stdout, listener.Addr())
			if a, ok := listener.Addr().(*net.TCPAddr); ok && !a.IP.IsLoopback() {
				g.warn("%s can be reached from other machines, and whoever reaches it may push and delete", a)
			}
			return serve.Run(c.Context(), listener, l, serve.Options{ReadOnly: readOnly})
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:5000", "`ADDRESS:PORT`; port 0 takes a free one")
	c.Flags().BoolVar(&create, "create", false, "make DIR if it does not exist")
	c.Flags().BoolVar(&readOnly, "read-only", false, "refuse pushes and deletions")
	return c
}
