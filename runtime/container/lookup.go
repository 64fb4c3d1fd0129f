// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/config"
)

// LookUp tells before there is a container what create will miss in its root file
// system: the program, and a working directory where it cannot make one. What may lie
// on a mount of the config is not judged; nor, for a caller who is not root, what only
// root may look into.
func LookUp(bundle string, spec *specs.Spec) (refused []error) {
	if spec.Root == nil || spec.Process == nil {
		return nil
	}
	if spec.Linux == nil {
		spec = &specs.Spec{Root: spec.Root, Process: spec.Process, Mounts: spec.Mounts, Linux: &specs.Linux{}}
	}
	dir := rootfs(bundle, spec)
	root, err := sys.Open(dir, linux.O_PATH|linux.O_DIRECTORY)
	if err != nil {
		return nil // the plan says so
	}
	defer sys.Close(root)
	i := image{dir: dir}
	for _, m := range spec.Mounts {
		at, _ := i.walk(m.Destination)
		i.mounts = append(i.mounts, at)
	}
	add := func(field string, err error, files ...string) {
		e, ok := errors.AsType[*fail.Error](err)
		if !ok || errors.Is(err, syscall.EACCES) && os.Geteuid() != 0 || slices.ContainsFunc(files, i.mounted) {
			return
		}
		e.Where = config.Name + " " + field
		if errors.Is(err, syscall.ENOENT) && e.Hint == "" {
			e.Hint = "there is no " + files[0] + " in " + dir
		}
		refused = append(refused, Advise(e))
	}
	if args := spec.Process.Args; len(args) > 0 {
		_, err := findProgram(root, spec, args[0])
		add("process.args[0]", err, candidates(spec.Process, args[0])...)
	}
	cwd := spec.Process.Cwd
	fd, err := sys.OpenIn(root, cwd, linux.O_PATH|linux.O_DIRECTORY)
	switch {
	case err == nil:
		sys.Close(fd)
	case err != syscall.ENOENT:
		add("process.cwd", &fail.Error{Doing: "find " + cwd, Err: err}, cwd)
	case spec.Root.Readonly:
		add("process.cwd", &fail.Error{Doing: "make " + cwd, Err: syscall.EROFS}, cwd)
	}
	return refused
}

// An image is a root file system of which nothing is known but its files.
type image struct {
	dir    string
	mounts []string // where a mount of the config will lie
}

// walk follows a path of the container as far as there are links, and tells whether
// it comes to a mount on its way. It only looks: what it finds may be another file a
// moment later.
func (i *image) walk(name string) (at string, mounted bool) {
	at = "/"
	rest := strings.Split(name, "/")
	for links := 0; len(rest) > 0; {
		next := path.Join(at, rest[0])
		rest = rest[1:]
		if slices.Contains(i.mounts, next) {
			return next, true
		}
		target, err := os.Readlink(filepath.Join(i.dir, next))
		if err != nil { // no link, or not there
			at = next
			continue
		}
		if links++; links > 40 {
			break
		}
		if path.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return at, false
}

func (i *image) mounted(name string) bool {
	_, mounted := i.walk(name)
	return mounted
}
