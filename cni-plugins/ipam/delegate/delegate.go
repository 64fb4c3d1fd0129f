// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package delegate calls the IPAM plugin that a configuration names: our own
// host-local as a function of this program, any other one as a program.
package delegate

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/coracle-oci/coracle/cni-plugins/hostlocal"
	"github.com/coracle-oci/coracle/cni-plugins/plugin"
	"github.com/coracle-oci/coracle/internal/fail"
)

// An IPAM is a plugin that gives addresses.
type IPAM struct {
	Name    string
	request *plugin.Request
	program string // "": our own
}

// Find looks for the plugin in CNI_PATH. It is ours if the file is the one that
// runs now, which saves starting it: half of what a small ADD costs. Where
// CNI_PATH has no host-local, ours serves.
func Find(r *plugin.Request, name string) (*IPAM, error) {
	const own = "host-local"
	for _, dir := range r.Path {
		path := filepath.Join(dir, name)
		file, err := os.Stat(path)
		if err != nil || file.IsDir() {
			continue
		}
		if self, err := os.Stat("/proc/self/exe"); name == own && err == nil && os.SameFile(self, file) {
			return &IPAM{name, r, ""}, nil
		}
		return &IPAM{name, r, path}, nil
	}
	if name == own {
		return &IPAM{name, r, ""}, nil
	}
	return nil, plugin.Fail(plugin.CodeInvalid, &fail.Error{Where: "ipam.type", Doing: "find plugin " + name + " in CNI_PATH " + strings.Join(r.Path, ":"), Err: fs.ErrNotExist})
}

// Own tells whether the plugin is our own host-local.
func (i *IPAM) Own() bool { return i.program == "" }

// Add gets addresses. If another program fails, it is told to clean up, as the
// specification wants (section 4, "Delegated plugin execution procedure").
func (i *IPAM) Add() (*plugin.Result, error) {
	if i.Own() {
		return hostlocal.Add(i.request)
	}
	out, err := i.run(plugin.Add)
	if err != nil {
		i.run(plugin.Del)
		return nil, err
	}
	result, err := plugin.ParseResult("the result of "+i.Name, out)
	if err != nil {
		i.run(plugin.Del)
	}
	return result, err
}

// Del frees the addresses.
func (i *IPAM) Del() error { return i.call(plugin.Del, hostlocal.Del) }

// Check makes sure that they are held.
func (i *IPAM) Check() error { return i.call(plugin.Check, hostlocal.Check) }

// GC frees those of nobody.
func (i *IPAM) GC() error { return i.call(plugin.GC, hostlocal.GC) }

// Status tells whether there are any.
func (i *IPAM) Status() error { return i.call(plugin.Status, hostlocal.Status) }

func (i *IPAM) call(command string, own func(*plugin.Request) error) error {
	if i.Own() {
		return own(i.request)
	}
	_, err := i.run(command)
	return err
}

// run starts the program with our own environment and the whole configuration.
func (i *IPAM) run(command string) ([]byte, error) {
	var stdout bytes.Buffer
	cmd := exec.Command(i.program)
	cmd.Env = append(os.Environ(), "CNI_COMMAND="+command)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(i.request.Stdin), &stdout, os.Stderr
	err := cmd.Run()
	if err == nil {
		return stdout.Bytes(), nil
	}
	if told, ok := plugin.ParseError(stdout.Bytes()); ok {
		return nil, told
	}
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		err = errors.New(err.Error() + " and no error on its standard output")
	}
	return nil, plugin.Fail(plugin.CodeIO, &fail.Error{Where: "ipam.type", Doing: "run " + i.program + " " + command, Err: err})
}
