// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	oci "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/specs"
)

func specVerb() command.Verb {
	return command.Verb{
		Name:    "spec",
		Summary: "write a config.json",
		Flags: []command.Flag{
			{Names: []string{"bundle", "b"}, Value: "DIR", Default: ".", Help: "directory to write config.json to"},
			{Names: []string{"file", "f"}, Value: "FILE", Help: "file to write, instead of the bundle's config.json"},
			{Names: []string{"rootless"}, Help: "for a user who is not root"},
			{Names: []string{"from-lxc"}, Value: "FILE", Help: "convert the config of an LXC container"},
			{Names: []string{"rootfs"}, Value: "DIR", Help: "root file system (default rootfs, in the bundle)"},
			{Names: []string{"arg"}, Value: "WORD", Repeat: true, Help: "a word of the command to run, without a terminal; may be repeated"},
			{Names: []string{"env"}, Value: "NAME[=VALUE]", Repeat: true, Help: "environment; without a value it is the caller's; may be repeated"},
			{Names: []string{"mount"}, Value: "SOURCE:TARGET[:OPTIONS]", Repeat: true, Help: "bind mount, or type=TYPE,source=S,target=T[,OPTION...]; may be repeated"},
			{Names: []string{"hostname"}, Value: "NAME", Help: "host name"},
			{Names: []string{"memory"}, Value: "SIZE", Help: "limit of memory in bytes, or with K, M or G"},
			{Names: []string{"cpus"}, Value: "N", Help: "share of the CPUs: 0.5 is half of one"},
			{Names: []string{"net", "network"}, Value: "NETWORK", Help: "none, host, or a network that cninet attaches to (default none)"},
			{Names: []string{"cninet"}, Value: "FILE", Help: "the program that attaches to networks (default: beside coracle)"},
		},
		Long: `
The config starts a shell at a terminal, in namespaces of its own, with few
capabilities and a read-only root file system in the directory rootfs. Edit it
as you need; a config.json that exists is not overwritten.

With --rootless, the container's root is the user who calls, it has the host's
network, and no limits.

With --from-lxc, the config is that of an LXC container: what LXC gives it, it
has here. An interface on a bridge becomes a network in the bundle's directory
cni, which hooks attach to. Settings that have no counterpart are listed on
standard error. The other flags change what was converted.

examples:
  mkdir -p bundle/rootfs && coracle spec --bundle bundle
  jq '.process.args = ["ls", "-l"]' bundle/config.json
  coracle spec --arg httpd --arg -f --mount /srv/www:/www:ro --memory 64M --net web
  coracle spec --from-lxc /var/lib/lxc/web/config

exit status:
  0  config.json was written
  1  it was not`,
		Run: func(c *command.Call) error {
			text, networks, err := specText(c)
			if err != nil {
				return err
			}
			path := c.String("file")
			if path == "" {
				path = filepath.Join(c.String("bundle"), config.Name)
			}
			if err := writeConfig(path, text); err != nil {
				return err
			}
			return writeNetworks(networks)
		},
	}
}

// specText returns the config that the flags ask for, and the files of networks
// by their paths.
func specText(c *command.Call) ([]byte, map[string][]byte, error) {
	if c.Given("from-lxc") {
		return lxcSpec(c)
	}
	text := specs.Config()
	if c.Bool("rootless") {
		text = specs.RootlessConfig(os.Geteuid(), os.Getegid())
	}
	if !c.Given("rootfs") && !wishes(c) {
		return text, nil, nil
	}
	var s oci.Spec
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, nil, err
	}
	if err := grant(&s, c); err != nil {
		return nil, nil, err
	}
	text, err := encodeSpec(&s)
	return text, nil, err
}

func encodeSpec(s any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "\t")
	err := e.Encode(s)
	return b.Bytes(), err
}

// writeConfig writes a file that must not exist yet, whole or not at all.
func writeConfig(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return &fail.Error{Where: path, Doing: "exists already", Hint: "remove it first, or give another directory with --bundle"}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return &fail.Error{Doing: "write a config", Err: err, Hint: "make the bundle first: mkdir -p " + filepath.Join(filepath.Dir(path), "rootfs")}
	}
	if err != nil {
		return &fail.Error{Doing: "write a config", Err: err}
	}
	_, err = file.Write(text)
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		os.Remove(path)
		return &fail.Error{Doing: "write a config", Err: err}
	}
	return nil
}
