// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package ledger

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/coracle-oci/coracle/cni-plugins/plugin"
	"github.com/coracle-oci/coracle/internal/sys"
)

// The files of a ledger are named relative to its directory and hold one short
// text. An os.File would spend five more system calls on each of them, and an
// epoll instance on the first.

// read returns a file's text.
func (l *Ledger) read(name string) (string, error) {
	fd, err := l.open(name, syscall.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer sys.Close(fd)
	text, err := sys.ReadRest(make([]byte, 0, 512), fd)
	return string(text), err
}

// put writes a file that is there complete or not at all, in place of what has
// its name. The lock is ours, so one name is enough for the draft; a draft that
// a killed call left may be a lease's second name and is not written over.
func (l *Ledger) put(name, text string) error {
	fd, err := l.open(draft, newFile)
	if errors.Is(err, fs.ErrExist) {
		if err := l.remove(draft); err != nil {
			return err
		}
		fd, err = l.open(draft, newFile)
	}
	if err != nil {
		return l.failure("make", draft, err)
	}
	err = sys.WriteAll(fd, []byte(text))
	sys.Close(fd)
	if err == nil {
		err = sys.ReplaceAt(l.fd, draft, name)
	}
	return l.failure("write", name, err)
}

const newFile = syscall.O_WRONLY | syscall.O_CREAT | syscall.O_EXCL

// overwrite replaces the text of a file without emptying it first: ext4 takes
// a file that was emptied to the disk when it is closed (auto_da_alloc), which
// costs more than all the rest of a lease. A text that is half old and half
// new does no harm here.
func (l *Ledger) overwrite(name, text string) {
	fd, err := l.open(name, syscall.O_WRONLY|syscall.O_CREAT)
	if err != nil {
		return
	}
	defer sys.Close(fd)
	if sys.WriteAll(fd, []byte(text)) != nil {
		return
	}
	if stat, err := sys.StatAt(fd, ""); err == nil && stat.Size > int64(len(text)) {
		sys.TruncateFD(fd, int64(len(text)))
	}
}

// remove removes a file, if it is there.
func (l *Ledger) remove(name string) error {
	err := sys.RemoveAt(l.fd, name, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return l.failure("remove", name, err)
}

func (l *Ledger) open(name string, flags int) (int, error) {
	if l.fd < 0 {
		return -1, syscall.ENOENT
	}
	return sys.OpenAt(l.fd, name, flags, 0o600)
}

// failure gives an error of a file its path and its code.
func (l *Ledger) failure(doing, name string, err error) error {
	if err == nil {
		return nil
	}
	return ioFailure(&fs.PathError{Op: doing, Path: l.dir + "/" + name, Err: err})
}

// ioFailure gives errors of files their code.
func ioFailure(err error) error { return plugin.Fail(plugin.CodeIO, err) }
