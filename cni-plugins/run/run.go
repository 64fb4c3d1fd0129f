// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package run is the rim of the plugins: it reads the environment and standard
// input, opens the container's network namespace, calls the plugin, and writes
// the answer. One program is all plugins; its name says which.
package run

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/coracle-oci/coracle/cni-plugins/netns"
	"github.com/coracle-oci/coracle/cni-plugins/plan"
	"github.com/coracle-oci/coracle/cni-plugins/plugin"
	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
)

// A Plugin is the commands of one plugin. The namespace is nil when a command
// has none, when DEL finds none, and for a plugin that is [Plugin.Apart].
type Plugin struct {
	Name  string
	About string // one sentence for people
	// Example is a configuration to try.
	Example string
	// Apart says that the plugin does not look into the container.
	Apart  bool
	Add    func(*plugin.Request, *netns.Namespace) (*plugin.Result, error)
	Del    func(*plugin.Request, *netns.Namespace) error
	Check  func(*plugin.Request, *netns.Namespace) error
	GC     func(*plugin.Request) error
	Status func(*plugin.Request) error
	// Plan is what ADD or DEL would do.
	Plan func(*plugin.Request, *netns.Namespace) (plan.Plan, error)
}

// Main is the program.
func Main(plugins ...Plugin) {
	name := filepath.Base(os.Args[0])
	for _, p := range plugins {
		if p.Name == name {
			command.Exit(name, p.main(os.Args[1:]))
		}
	}
	var names []string
	for _, p := range plugins {
		names = append(names, p.Name)
	}
	command.Exit(name, &command.ExitError{Code: 2, Err: &fail.Error{
		Doing: "no plugin has this program's name",
		Hint:  "link it as " + strings.Join(names, ", ") + "; the name says which plugin it is"}})
}

func (p Plugin) main(args []string) error {
	if len(args) > 0 || os.Getenv("CNI_COMMAND") == "" && sys.IsTerminal(0) {
		return p.explain(args)
	}
	answer, err := p.serve()
	if err == nil {
		return write(answer)
	}
	write(answer)
	return &command.ExitError{Code: 1} // the answer says it all, and stderr may be somebody's log
}

// explain is for a person who runs the plugin by hand.
func (p Plugin) explain(args []string) error {
	if len(args) > 0 && args[0] == "--version" {
		return write([]byte(command.VersionText(p.Name)))
	}
	if len(args) > 0 && args[0] != "-h" && args[0] != "--help" && args[0] != "help" {
		return &command.ExitError{Code: 2, Err: &fail.Error{Doing: "a CNI plugin takes no arguments", Hint: "run it without any to see how it is called"}}
	}
	_, err := fmt.Printf(`%[1]s: %[2]s

This is a CNI plugin, versions %[3]s. Container engines run it with CNI_COMMAND, CNI_CONTAINERID,
CNI_NETNS and CNI_IFNAME in the environment and the network's configuration on standard input; the
answer is JSON on standard output. To see what it would do, without doing it:

  ip netns add demo
  echo '%[4]s' |
    CNI_PLAN=1 CNI_COMMAND=ADD CNI_CONTAINERID=demo CNI_NETNS=/run/netns/demo CNI_IFNAME=eth0 %[5]s

Without CNI_PLAN it does it, with CNI_COMMAND=DEL it takes it back. CNI_PLAN=2 shows the bytes too.
The cninet program makes networks and attaches containers by hand.
`, p.Name, p.About, strings.Join(plugin.Versions, ", "), p.Example, os.Args[0])
	return err
}

// maxStdin bounds what is read: a configuration is a few kilobytes.
const maxStdin = 16 << 20

// serve answers one call. With an error the answer is the error's JSON.
func (p Plugin) serve() ([]byte, error) {
	stdin, err := io.ReadAll(io.LimitReader(os.Stdin, maxStdin))
	if err != nil {
		err = plugin.Fail(plugin.CodeIO, &fail.Error{Where: "standard input", Doing: "read the configuration", Err: err})
		return plugin.EncodeError("", err), err
	}
	r, err := plugin.Parse(os.Getenv, stdin)
	if err != nil {
		return plugin.EncodeError(r.Conf.CNIVersion, err), err
	}
	answer, err := p.call(r)
	if err != nil {
		return plugin.EncodeError(r.Conf.CNIVersion, err), err
	}
	return answer, nil
}

func (p Plugin) call(r *plugin.Request) ([]byte, error) {
	planned := os.Getenv("CNI_PLAN") != ""
	switch r.Command {
	case plugin.Version:
		return plugin.EncodeVersions(r.Conf.CNIVersion), nil
	case plugin.GC:
		if planned { // doing it all the same would be the worst answer
			return nil, plugin.Environment("CNI_PLAN", "GC cannot be planned, only ADD and DEL", nil)
		}
		return nil, p.GC(r)
	case plugin.Status:
		return nil, p.Status(r)
	}
	ns, err := p.namespace(r)
	if err != nil {
		return nil, err
	}
	switch {
	case r.Command == plugin.Check:
		return nil, p.Check(r, ns)
	case planned:
		return p.plan(r, ns)
	case r.Command == plugin.Del:
		return nil, p.Del(r, ns)
	}
	result, err := p.Add(r, ns)
	if err != nil {
		return nil, err
	}
	return result.Encode(r.Conf.CNIVersion), nil
}

func (p Plugin) plan(r *plugin.Request, ns *netns.Namespace) ([]byte, error) {
	steps, err := p.Plan(r, ns)
	if err != nil {
		return nil, err
	}
	if os.Getenv("CNI_PLAN") == "2" {
		return []byte(steps.Dump()), nil
	}
	return []byte(steps.String()), nil
}

// namespace opens CNI_NETNS before anything happens. ADD and CHECK refuse what
// is no network namespace, and our own: the container would be the host. DEL
// goes on without one.
func (p Plugin) namespace(r *plugin.Request) (*netns.Namespace, error) {
	if p.Apart || r.Netns == "" {
		return nil, nil
	}
	ns, err := netns.Open(r.Netns)
	if err != nil {
		if r.Command == plugin.Del && netns.Gone(err) {
			return nil, nil
		}
		return nil, plugin.Environment("CNI_NETNS", "enter the container", err)
	}
	same, err := ns.IsOwn()
	switch {
	case err != nil:
		return nil, plugin.Environment("CNI_NETNS", "compare it with the plugin's own", err)
	case same && r.Command == plugin.Del:
		return nil, nil // the host's interfaces are not the container's
	case same:
		return nil, plugin.Environment("CNI_NETNS", r.Netns+" is the network namespace of the host (of this plugin), not of a container", nil)
	}
	return ns, nil
}

// write gives the answer. A reader that went away is an error of the call.
func write(answer []byte) error {
	_, err := os.Stdout.Write(answer)
	return err
}
