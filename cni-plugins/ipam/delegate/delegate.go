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
	"syscall"

	"github.com/coracle-oci/coracle/cni-plugins/hostlocal"
	"github.com/coracle-oci/coracle/cni-plugins/plugin"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
)

// An IPAM is a plugin that gives addresses.
type IPAM struct {
	Name    string
	request *plugin.Request
	program string // "": our own
}

// Find looks for the plugin in CNI_PATH. It is ours if the file is the program that
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
		if name == own && isSelf(path, file) {
			return &IPAM{name, r, ""}, nil
		}
		return &IPAM{name, r, path}, nil
	}
	if name == own {
		return &IPAM{name, r, ""}, nil
	}
	return nil, plugin.Fail(plugin.CodeInvalid, &fail.Error{Where: "ipam.type", Doing: "find plugin " + name + " in CNI_PATH " + strings.Join(r.Path, ":"), Err: fs.ErrNotExist})
}

// isSelf tells whether the file at path is the program that runs now: another name
// of it or a copy, as cp(1) makes of hard links.
func isSelf(path string, file fs.FileInfo) bool {
	const running = "/proc/self/exe"
	self, err := os.Stat(running)
	if err != nil || os.SameFile(self, file) {
		return err == nil
	}
	return file.Mode().IsRegular() && file.Size() == self.Size() && sameBuild(running, path)
}

// sameBuild tells whether two files begin alike, with the id that Go gives to what it
// builds. A hash of the whole program is part of that.
func sameBuild(a, b string) bool {
	const noteOfGo = "\x04\x00\x00\x00Go\x00\x00" // type and owner of an ELF note
	x := beginning(a)
	return bytes.Contains(x, []byte(noteOfGo)) && bytes.Equal(x, beginning(b))
}

// beginning returns a file's first page, nothing if it cannot be read.
func beginning(path string) []byte {
	fd, err := sys.Open(path, syscall.O_RDONLY)
	if err != nil {
		return nil
	}
	defer sys.Close(fd)
	page, _ := sys.ReadAt(fd, 4096)
	return page
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
