// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package lxc turns the config of an LXC container, lxc.container.conf(5), into a
// config.json and the networks that it needs.
//
// It touches nothing: whoever calls it says how files are read. What has no
// counterpart is listed in [Result.Left], never dropped silently. Package cli
// calls it for "coracle spec --from-lxc".
package lxc

import (
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/config"
)

// A Request is what is to be converted.
type Request struct {
	File   string                             // the config, for messages and hooks
	Name   string                             // of the container
	Root   string                             // its root file system; "": what the config says
	Cninet string                             // path of the program that attaches to networks
	Arch   string                             // amd64 or arm64: whose sections of a seccomp policy count
	V1     bool                               // the machine has controllers of cgroup v1
	NetDir string                             // where the networks' configuration will be
	Read   func(file string) (string, error)  // a config, an fstab
	List   func(dir string) ([]string, error) // the .conf files of a directory that is included
	Exists func(path string) bool             // on the host, for mounts that are optional
	Env    func(name string) (string, bool)
}

// A Result is what the container becomes.
type Result struct {
	Spec     *specs.Spec
	Networks []Network
	Left     []Left
}

// Left is a line of the config that has no counterpart, or not a whole one.
type Left struct {
	Where string // FILE:LINE
	Key   string
	Value string
	Why   string
}

// String is one line for people.
func (l Left) String() string { return l.Where + ": " + l.Key + " = " + l.Value + ": " + l.Why }

// Convert reads the config and all that it includes.
func Convert(r Request) (*Result, error) {
	lines, err := r.lines(r.File, 0)
	if err != nil {
		return nil, err
	}
	c := &converter{Request: r, spec: start(r.Name)}
	c.spec.Root.Path = r.Root
	for _, l := range lines {
		c.line = l
		c.key(l.key, l.value)
	}
	c.finish()
	if c.err != nil {
		return nil, c.err
	}
	return &Result{c.spec, c.networks, c.left}, nil
}

// start is what an LXC container is that nothing is said about.
func start(name string) *specs.Spec {
	s := &specs.Spec{
		Version:  "1.3.0",
		Hostname: name,
		Root:     &specs.Root{},
		Process: &specs.Process{Args: []string{"/sbin/init"}, Cwd: "/",
			Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "container=lxc"}},
		Linux: &specs.Linux{Resources: &specs.LinuxResources{}},
	}
	for _, kind := range []specs.LinuxNamespaceType{"pid", "ipc", "uts", "mount", "network", "cgroup"} {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: kind})
	}
	return s
}

// A line is one setting.
type line struct{ where, key, value string }

// lines reads a file and, in their places, those that it includes.
func (r Request) lines(file string, depth int) ([]line, error) {
	if depth > 16 {
		return nil, &fail.Error{Where: file, Doing: "includes itself"}
	}
	text, err := r.Read(file)
	if err != nil {
		return nil, &fail.Error{Where: file, Doing: "read the LXC config", Err: err}
	}
	var all []line
	number := 0
	for raw := range strings.Lines(text) {
		number++
		l := line{where: file + ":" + strconv.Itoa(number)}
		content := strings.TrimSpace(raw)
		if content == "" || content[0] == '#' {
			continue
		}
		var ok bool
		l.key, l.value, ok = strings.Cut(content, "=")
		if l.key = strings.TrimSpace(l.key); !ok || l.key == "" {
			return nil, &fail.Error{Where: l.where, Doing: "is not KEY = VALUE: " + content}
		}
		l.value = unquote(strings.TrimSpace(l.value))
		if l.key != "lxc.include" {
			all = append(all, l)
			continue
		}
		more, err := r.include(l, depth)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

// include reads a file, or the .conf files of a directory.
func (r Request) include(l line, depth int) ([]line, error) {
	files, err := r.List(l.value)
	if err != nil {
		return nil, &fail.Error{Where: l.where, Doing: "include " + l.value, Err: err}
	}
	var all []line
	for _, f := range files {
		more, err := r.lines(f, depth+1)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

// unquote takes off the quotes around a value, as LXC does.
func unquote(s string) string {
	if len(s) > 1 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}

// A converter is one run of Convert.
type converter struct {
	Request
	spec     *specs.Spec
	line     line // that is being read
	networks []Network
	left     []Left
	err      error

	net       []*iface
	netKeys   map[string]*iface // by N of lxc.net.N
	lxcRoot   string            // as the config has it
	noDev     bool
	autoMount []string
	mounts    []specs.Mount
	keep      []string // capabilities
	keeps     bool
	drop      []string
	devices   [2][]specs.LinuxDeviceCgroup // of lxc.cgroup, of lxc.cgroup2
	devpts    []string                     // more options of /dev/pts
}

// without notes that the setting has no counterpart.
func (c *converter) without(why string) {
	c.left = append(c.left, Left{c.line.where, c.line.key, c.line.value, why})
}

// bad notes a value that cannot be read: LXC would not start either.
func (c *converter) bad(what string) {
	if c.err == nil {
		c.err = &fail.Error{Where: c.line.where, Doing: c.line.key + " = " + c.line.value + ": " + what}
	}
}

// finish makes what depends on more than one setting.
func (c *converter) finish() {
	if c.spec.Root.Path == "" && c.err == nil {
		c.err = &fail.Error{Where: c.File, Doing: "has no lxc.rootfs.path", Hint: "give the root file system with --rootfs"}
	}
	c.fileSystems()
	c.capabilities()
	c.deviceRules()
	c.interfaces()
	for _, kind := range []string{"user", "time"} {
		if c.needs(kind) && c.namespace(kind) == nil {
			c.spec.Linux.Namespaces = append(c.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.LinuxNamespaceType(kind)})
		}
	}
	if c.namespace("uts") == nil {
		c.spec.Hostname = ""
	}
}

func (c *converter) needs(kind string) bool {
	if kind == "user" {
		return len(c.spec.Linux.UIDMappings) > 0
	}
	return len(c.spec.Linux.TimeOffsets) > 0
}

func (c *converter) namespace(kind string) *specs.LinuxNamespace {
	for i := range c.spec.Linux.Namespaces {
		if string(c.spec.Linux.Namespaces[i].Type) == kind {
			return &c.spec.Linux.Namespaces[i]
		}
	}
	return nil
}

// removeNamespaces keeps those that keep answers for.
func (c *converter) removeNamespaces(keep func(kind string) bool) {
	var rest []specs.LinuxNamespace
	for _, ns := range c.spec.Linux.Namespaces {
		if keep(string(ns.Type)) {
			rest = append(rest, ns)
		}
	}
	c.spec.Linux.Namespaces = rest
}

// capabilities are all but those dropped, or those kept.
func (c *converter) capabilities() {
	granted := []string{}
	for _, name := range config.Capabilities() {
		short := strings.ToLower(strings.TrimPrefix(name, "CAP_"))
		if c.keeps && !contains(c.keep, short) || contains(c.drop, short) {
			continue
		}
		granted = append(granted, name)
	}
	c.spec.Process.Capabilities = &specs.LinuxCapabilities{Bounding: granted, Effective: granted, Permitted: granted}
}

func contains(list []string, word string) bool {
	for _, w := range list {
		if w == word {
			return true
		}
	}
	return false
}
