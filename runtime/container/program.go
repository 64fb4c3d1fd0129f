// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
)

// findProgram looks up args[0] below the root of the container.
func (c *child) findProgram(name string) (string, error) {
	root, err := c.openRoot()
	if err != nil {
		return "", err
	}
	defer sys.Close(root)
	return findProgram(root, c.spec, name)
}

// findProgram looks up a program as execvp(3) would inside. The texts are those that
// engines turn into exit codes 126 and 127: they begin as Go's exec errors do.
func findProgram(root int, spec *specs.Spec, name string) (string, error) {
	who := newExecutor(spec)
	quoted := `exec: "` + name + `"`
	files := candidates(spec.Process, name)
	if strings.Contains(name, "/") {
		switch err := executable(root, files[0], who); {
		case err == nil:
			return name, nil
		case errors.Is(err, syscall.EACCES):
			return "", &fail.Error{Doing: quoted, Err: err}
		case errors.Is(err, syscall.EISDIR):
			return "", &fail.Error{Doing: quoted + ": is a directory", Err: syscall.EACCES}
		default:
			return "", &fail.Error{Doing: quoted + ": stat " + name, Err: err}
		}
	}
	var denied error
	for _, file := range files {
		err := executable(root, file, who)
		if err == nil {
			return file, nil
		}
		if errors.Is(err, syscall.EACCES) {
			denied = err
		}
	}
	if denied != nil {
		return "", &fail.Error{Doing: quoted, Err: denied}
	}
	return "", &fail.Error{Doing: quoted + ": executable file not found in $PATH", Hint: "PATH of process.env is " + searchPath(spec.Process.Env)}
}

// candidates are the files that a program's name may mean, in this order.
func candidates(p *specs.Process, name string) []string {
	dirs := []string{""}
	if !strings.Contains(name, "/") {
		dirs = filepath.SplitList(searchPath(p.Env))
	}
	files := make([]string, len(dirs))
	for i, dir := range dirs {
		if files[i] = path.Join(dir, name); !path.IsAbs(files[i]) {
			files[i] = path.Join(p.Cwd, files[i])
		}
	}
	return files
}

// searchPath is PATH of the environment; execvp(3) has a default for none.
func searchPath(env []string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if value, ok := strings.CutPrefix(env[i], "PATH="); ok {
			return value
		}
	}
	return "/bin:/usr/bin"
}

// executable tells whether somebody can execute a file below root.
func executable(root int, name string, who executor) error {
	fd, err := sys.OpenIn(root, name, linux.O_PATH)
	if err != nil {
		return err
	}
	defer sys.Close(fd)
	mode, _, err := sys.Fstat(fd)
	switch {
	case err != nil:
		return err
	case mode&linux.S_IFMT == linux.S_IFDIR:
		return syscall.EISDIR
	case mode&linux.S_IFMT != linux.S_IFREG || mode&0o111 == 0:
		return syscall.EACCES
	}
	uid, gid, err := sys.Owner(fd)
	if err == nil && !who.mayExecute(mode, uid, gid) && !sys.HasACL(fd) {
		return syscall.EACCES
	}
	return err
}

// writePIDFile writes the digits alone: go-runc reads them with strconv.Atoi. It
// is never seen half-written.
func writePIDFile(name string, pid int) error {
	temporary := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".new")
	err := os.WriteFile(temporary, []byte(itoa(pid)), 0o644)
	if err == nil {
		err = os.Rename(temporary, name)
	}
	if err != nil {
		os.Remove(temporary)
		return &fail.Error{Where: "--pid-file", Doing: "write the pid", Err: err}
	}
	return nil
}

// sendPIDFD sends the pidfd of an init to a socket, with the container's id.
func sendPIDFD(socket, id string, pidFD int) error {
	fd, err := sys.StreamConnectWithin(socket, agentPatience)
	if err != nil {
		return err
	}
	defer sys.Close(fd)
	return sys.Send(fd, []byte(id), pidFD)
}
