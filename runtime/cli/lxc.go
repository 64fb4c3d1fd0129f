// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/coracle-oci/coracle/internal/cninet"
	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/lxc"
	"github.com/coracle-oci/coracle/runtime/probe"
)

// lxcSpec converts the config of an LXC container.
func lxcSpec(c *command.Call) ([]byte, map[string][]byte, error) {
	file, err := filepath.Abs(c.String("from-lxc"))
	if err != nil {
		return nil, nil, &fail.Error{Where: "--from-lxc", Err: err}
	}
	bundle, err := filepath.Abs(c.String("bundle"))
	if err != nil {
		return nil, nil, &fail.Error{Where: "--bundle", Err: err}
	}
	program, missing := cninet.Find("--net", c.String("cninet"))
	cgroups, err := probe.Cgroup()
	if err != nil {
		return nil, nil, err
	}
	r := lxc.Request{
		File: file, Name: filepath.Base(filepath.Dir(file)), Root: c.String("rootfs"),
		Arch: runtime.GOARCH, V1: len(cgroups.V1) > 0, Cninet: program, NetDir: filepath.Join(bundle, "cni"),
		Read:   func(name string) (string, error) { data, err := os.ReadFile(name); return string(data), err },
		List:   confFiles,
		Exists: func(name string) bool { _, err := os.Stat(name); return err == nil },
		Env:    os.LookupEnv,
	}
	result, err := lxc.Convert(r)
	if err == nil && len(result.Networks) > 0 {
		err = missing
	}
	if err == nil {
		err = grant(result.Spec, c)
	}
	if err != nil {
		return nil, nil, err
	}
	for _, l := range result.Left {
		c.Warn("%s", l)
	}
	text, err := encodeSpec(result.Spec)
	if err != nil {
		return nil, nil, err
	}
	networks := map[string][]byte{}
	for _, n := range result.Networks {
		config, err := encodeSpec(n.Config)
		if err != nil {
			return nil, nil, err
		}
		networks[filepath.Join(r.NetDir, n.Name+".conflist")] = config
	}
	return text, networks, nil
}

// confFiles is what "lxc.include" of a file or a directory reads.
func confFiles(name string) ([]string, error) {
	info, err := os.Stat(name)
	if err != nil || !info.IsDir() {
		return []string{name}, err
	}
	return filepath.Glob(filepath.Join(name, "*.conf"))
}

func writeNetworks(files map[string][]byte) error {
	for path, text := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return &fail.Error{Doing: "make the directory of networks", Err: err}
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return &fail.Error{Doing: "write a network", Err: err}
		}
	}
	return nil
}
