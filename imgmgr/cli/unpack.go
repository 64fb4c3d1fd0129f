// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/coracle-oci/coracle/imgmgr/layer"
	"github.com/coracle-oci/coracle/imgmgr/unpack"
	"github.com/coracle-oci/coracle/internal/cninet"
	"github.com/coracle-oci/coracle/internal/fail"
)

// unpackFlags is the command line of unpack.
type unpackFlags struct {
	config            unpack.Config
	memory, maxBytes  string
	seccomp           string
	rootfsOnly, plain bool
}

func newUnpackCommand(g *globals) *cobra.Command {
	var f unpackFlags
	var t *transfer
	c := &cobra.Command{
		Use:               "unpack REF BUNDLE [-- ARG...]",
		ValidArgsFunction: g.names,
		SuggestFor:        []string{"run", "create"},
		Short:             "make a runtime bundle of an image",
		Long: `unpack makes the directory BUNDLE, which must not exist, with the image's
file system in rootfs and a config.json that any OCI runtime takes. Arguments
behind -- take the place of the image's Cmd. Every digest is verified before
the directory appears; on an error nothing is left.

Without root, everything in the bundle belongs to the user who unpacks it, and
devices are left out.

With --network NAME, hooks in config.json attach the container to the CNI
network NAME by cninet; "host" shares the host's network, "none" is the default.

The default seccomp profile allows what Docker's does for the same capabilities.
--seccomp FILE takes another one, in the form of the runtime-spec or of Docker's
and podman's files; what depends on capabilities, machine and kernel is settled
now, and config.json has the result.`,
		Example: `  imgmgr unpack registry.example/busybox:1.36 bundle
  imgmgr unpack --network web --memory 64M oci:build/image web1 -- httpd -f -p 80
  imgmgr unpack --seccomp ./strict.json app:1 app
  coracle run -b web1 web1`,
		Args: func(c *cobra.Command, args []string) error {
			n := c.ArgsLenAtDash()
			if n < 0 {
				n = len(args)
			}
			if n != 2 {
				return fmt.Errorf("unpack takes REF and BUNDLE; arguments of the container stand behind --")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return runUnpack(c.Context(), t, f, args) },
	}
	t = newTransfer(g, c)
	flags := c.Flags()
	flags.StringVar(&f.config.Network, "network", "none", "CNI network `NAME` to attach to, host or none")
	flags.StringVar(&f.config.Network, "net", "none", "`NAME`: the same, as coracle spec calls it")
	flags.StringVar(&f.config.Cninet, "cninet", "", "`PATH` of cninet (default: beside imgmgr)")
	flags.StringVar(&f.config.Hostname, "hostname", "", "host `NAME` (default: the bundle's name)")
	flags.StringArrayVarP(&f.config.Env, "env", "e", nil, "`NAME=VALUE` to add to the environment")
	flags.BoolVarP(&f.config.Terminal, "tty", "t", false, "the process has a terminal")
	flags.BoolVar(&f.config.ReadOnly, "read-only", false, "the container cannot write to its rootfs")
	flags.StringVar(&f.memory, "memory", "", "memory limit of `SIZE` bytes, or with K, M, G (binary)")
	flags.Int64Var(&f.config.Pids, "pids", 0, "limit of `N` processes and threads")
	flags.StringVar(&f.seccomp, "seccomp", "default", "seccomp profile: `FILE`, default or unconfined")
	flags.StringVar(&f.maxBytes, "max-size", "", "unpack at most `SIZE` bytes of file data (default: what the file system has free)")
	flags.BoolVar(&f.rootfsOnly, "rootfs-only", false, "make BUNDLE the file system itself, without config.json")
	flags.BoolVar(&f.plain, "dry-run", false, "only print the file operations of each layer")
	return c
}

func runUnpack(ctx context.Context, t *transfer, f unpackFlags, args []string) error {
	g := t.globals
	o := unpack.Options{Config: f.config, Name: args[0], RootfsOnly: f.rootfsOnly, Warn: func(s string) { g.warn("%s", s) }}
	o.Config.Args = args[2:]
	var err error
	if o.Config.Memory, err = parseBytes("--memory", f.memory); err != nil {
		return err
	}
	if o.MaxBytes, err = parseBytes("--max-size", f.maxBytes); err != nil {
		return err
	}
	if err := f.findCninet(g, &o.Config); err != nil {
		return err
	}
	if o.Config.Seccomp, err = unpack.Profile(f.seccomp); err != nil {
		return err
	}
	from, err := t.image(ctx, args[0])
	if err != nil {
		return err
	}
	defer from.Close()
	i, err := unpack.Load(from.Layout, from.Manifest)
	if err != nil {
		return err
	}
	if f.plain {
		return printOperations(g, i)
	}
	if err := unpack.Unpack(ctx, i, args[1], o); err != nil {
		return err
	}
	fmt.Fprintln(g.stdout, i.Descriptor.Digest)
	return nil
}

// printOperations is --dry-run: what each layer asks for, lowest first.
func printOperations(g *globals, i *unpack.Image) error {
	for _, b := range i.Blobs() {
		fmt.Fprintf(g.stdout, "# %s\n", b.Name)
		if err := layer.Print(g.stdout, b); err != nil {
			return err
		}
	}
	return nil
}

// findCninet makes sure that the hooks will find what they run: a bundle that
// cannot start is found out now. The network may still be made.
func (f *unpackFlags) findCninet(g *globals, c *unpack.Config) (err error) {
	if c.Network == "" || c.Network == "none" || c.Network == "host" {
		return nil
	}
	missing, err := cninet.Missing("--network", cninet.ConfDir, c.Network)
	if err != nil {
		return usage(err)
	}
	if missing != "" {
		g.warn("%s", missing)
	}
	c.Cninet, err = cninet.Find("--network", c.Cninet)
	return err
}

// parseBytes reads a size: a number, with K, M, G or T for powers of 1024.
func parseBytes(flag, s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	digits := strings.TrimRight(s, "KMGTkmgt")
	shift := map[string]int{"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
	bits, ok := shift[strings.ToUpper(s[len(digits):])]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || !ok || n <= 0 || n > 1<<62>>bits {
		return 0, usage(fail.At(flag, fmt.Sprintf("%q is no size such as 67108864 or 64M", s)))
	}
	return n << bits, nil
}
