// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package cli is cninet's commands.
package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/coracle-oci/coracle/cni-plugins/network"
	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/misuse"
	"github.com/coracle-oci/coracle/internal/sys"
)

// Run runs one command line (without the program's name) and returns what
// [command.Exit] turns into an exit status.
func Run(args []string) error {
	c := Root()
	c.SetArgs(args)
	return misuse.Execute(context.Background(), c)
}

// options is what all commands share.
type options struct{ network.Networks }

// Root is the table of cninet's commands.
func Root() *cobra.Command {
	o := &options{}
	c := &cobra.Command{
		Use:   "cninet",
		Short: "attach containers to CNI networks without an engine",
		Long: `cninet makes bridge networks and attaches containers to them: as createRuntime
and poststop hook of any OCI runtime, or by hand.

  cninet create web --subnet 10.99.0.0/24 --masq
  imgmgr unpack --network web IMAGE BUNDLE        # writes the hooks into the bundle
  cninet ls                                       # who has which address

Plugins are looked for in CNI_PATH, or else in the directory cni beside this
program and in /opt/cni/bin.

Exit statuses: 0 done, 1 failed, 2 wrong usage.`,
		Version:      command.Version,
		SilenceUsage: true, SilenceErrors: true,
	}
	c.SetVersionTemplate(command.VersionText("cninet"))
	c.CompletionOptions.HiddenDefaultCmd = true
	c.PersistentFlags().StringVar(&o.ConfDir, "conf-dir", network.ConfDir, "`DIR` of the networks' configuration lists")
	c.PersistentFlags().StringVar(&o.CacheDir, "cache-dir", "", "`DIR` of the attachments (default /var/lib/cni)")
	c.PersistentFlags().StringSliceVar(&o.PluginDirs, "plugin-dir", network.PluginDirs(), "`DIR`s of the plugins, with commas between (default: see above)")
	c.PersistentFlags().Lookup("plugin-dir").DefValue = "[]" // what help says is the same on all machines
	c.AddCommand(o.attach(), o.detach(), o.ls(), o.create(), o.rm(), o.check(), o.gc(), o.status())
	for _, child := range c.Commands() {
		if strings.HasSuffix(child.Use, " NAME") {
			child.ValidArgsFunction = o.names
		}
	}
	return c
}

// names completes the name of a network.
func (o *options) names(_ *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
	if networks, err := o.List(); err == nil && len(args) == 0 {
		for _, n := range networks {
			names = append(names, n.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (o *options) attach() *cobra.Command {
	var container network.Container
	var asJSON bool
	c := &cobra.Command{
		Use: "attach NAME", SuggestFor: []string{"add", "connect"}, Short: "attach a container to a network", Args: cobra.ExactArgs(1),
		Long: "attach reads the container's state from standard input, as runtimes give it to\ntheir createRuntime hooks, or takes --id and --netns. It prints the result only\nat a terminal or with --json.",
		RunE: func(_ *cobra.Command, args []string) error {
			if err := fill(&container, true); err != nil {
				return err
			}
			result, err := o.Attach(args[0], container)
			if err != nil || !asJSON && !sys.IsTerminal(1) {
				return err
			}
			return result.Print()
		},
	}
	containerFlags(c, &container)
	c.Flags().StringVar(&container.Netns, "netns", "", "`PATH` of the container's network namespace (default from standard input)")
	c.Flags().BoolVar(&asJSON, "json", false, "print the result")
	return c
}

func (o *options) detach() *cobra.Command {
	var container network.Container
	c := &cobra.Command{
		Use: "detach NAME", SuggestFor: []string{"del", "disconnect"}, Short: "detach a container from a network", Args: cobra.ExactArgs(1),
		Long: "detach reads the container's state from standard input, as runtimes give it to\ntheir poststop hooks, or takes --id. The container may be gone, and it may have\nbeen detached before.",
		RunE: func(_ *cobra.Command, args []string) error {
			if err := fill(&container, false); err != nil {
				return err
			}
			return o.Detach(args[0], container)
		},
	}
	containerFlags(c, &container)
	return c
}

func containerFlags(c *cobra.Command, container *network.Container) {
	c.Flags().StringVar(&container.ID, "id", "", "the container's `ID` (default from standard input)")
	c.Flags().StringVar(&container.Ifname, "ifname", "eth0", "`NAME` of the interface in the container")
}

// fill takes from standard input what no flag says.
func fill(container *network.Container, running bool) error {
	if container.ID != "" && (container.Netns != "" || !running) {
		return nil
	}
	state, err := network.FromState(os.Stdin, running)
	if err != nil {
		return err
	}
	if container.ID == "" {
		container.ID = state.ID
	}
	if container.Netns == "" {
		container.Netns = state.Netns
	}
	return nil
}

func (o *options) ls() *cobra.Command {
	var asJSON bool
	var format string
	c := &cobra.Command{
		Use: "ls", SuggestFor: []string{"list"}, Short: "list the networks and who is attached with which address", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if format != "table" && format != "json" {
				return &command.ExitError{Code: misuse.ExitStatus, Err: fail.At("--format", fmt.Sprintf("%q is neither table nor json", format))}
			}
			networks, err := o.List()
			if err != nil {
				return err
			}
			if asJSON || format == "json" {
				text, err := json.MarshalIndent(networks, "", "  ")
				if err == nil {
					_, err = fmt.Println(string(text))
				}
				return err
			}
			return table(networks)
		},
	}
	c.Flags().StringVar(&format, "format", "table", "`FORMAT`: table or json")
	c.Flags().BoolVar(&asJSON, "json", false, "the same as --format json")
	return c
}

func table(networks []network.Network) error {
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NETWORK\tCONTAINER\tINTERFACE\tADDRESSES")
	for _, n := range networks {
		if len(n.Attachments) == 0 {
			fmt.Fprintf(w, "%s\t-\t-\t-\n", n.Name)
		}
		for _, a := range n.Attachments {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", n.Name, a.ContainerID, a.Ifname, strings.Join(a.Addresses, ", "))
		}
	}
	w.Flush()
	_, err := os.Stdout.Write(text.Bytes())
	return err
}

func (o *options) create() *cobra.Command {
	var w network.Wish
	c := &cobra.Command{
		Use: "create NAME --subnet CIDR", Short: "make a bridge network", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			w.Name = args[0]
			path, err := o.Create(w)
			if err == nil {
				_, err = fmt.Println(path)
			}
			return err
		},
	}
	c.Flags().StringSliceVar(&w.Subnets, "subnet", nil, "`CIDR` of the containers' addresses; one for IPv4, one for IPv6")
	c.Flags().StringVar(&w.Bridge, "bridge", "", "name of the `BRIDGE` (default br-NAME)")
	c.Flags().BoolVar(&w.Masq, "masq", false, "let containers reach other networks with the host's address")
	c.Flags().IntVar(&w.MTU, "mtu", 0, "largest packet in `BYTES` (default the kernel's)")
	c.Flags().StringVar(&w.DataDir, "data-dir", "", "`DIR` of the leases (default /var/lib/cni/networks)")
	return c
}

func (o *options) rm() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use: "rm NAME", SuggestFor: []string{"remove", "delete"}, Short: "remove a network, its bridge and its leases", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return o.Remove(args[0], force) },
	}
	c.Flags().BoolVar(&force, "force", false, "detach containers that run")
	return c
}

func (o *options) check() *cobra.Command {
	return &cobra.Command{
		Use: "check NAME", Short: "compare the attachments of a network with what is there", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			broken, err := o.Check(args[0])
			if err != nil {
				broken = append(broken, err)
			}
			return fail.Join(broken)
		},
	}
}

func (o *options) gc() *cobra.Command {
	return &cobra.Command{
		Use: "gc NAME", Short: "remove what containers left behind that are gone", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return o.GC(args[0]) },
	}
}

func (o *options) status() *cobra.Command {
	return &cobra.Command{
		Use: "status NAME", Short: "tell whether a container could be attached", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return o.Status(args[0]) },
	}
}
