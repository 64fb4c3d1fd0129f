// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package unpack

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/coracle-oci/coracle/imgmgr/layout"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/inroot"
	"github.com/coracle-oci/coracle/internal/sys"
)

// A stage is a directory beside the target that will be renamed to it, so that
// the target is there whole or not at all.
type stage struct {
	target string
	parent *inroot.Dir
	base   string // name of the target in parent
	name   string // name of the stage in parent
	dir    *inroot.Dir
	forget func() // removes the note of the stage
}

// newStage makes a stage for a target that does not exist. A stage that is not
// locked was left by a process that was killed; the next unpack beside it removes
// it, or gc of the layout that note belongs to.
func newStage(target string, note func(path string) (forget func())) (*stage, error) {
	path, err := filepath.Abs(target)
	if err != nil {
		return nil, &fail.Error{Where: target, Doing: "find the directory", Err: err}
	}
	s := &stage{target: target, base: filepath.Base(path)}
	if _, err := os.Lstat(path); err == nil {
		return nil, &fail.Error{Where: target, Err: syscall.EEXIST, Hint: "unpack makes a new directory; remove this one or name another"}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, s.error("make the directory", err)
	}
	if s.parent, err = inroot.Open(filepath.Dir(path)); err != nil {
		return nil, s.error("make the directory", err)
	}
	if err = s.sweep(); err == nil {
		err = s.make(filepath.Dir(path), note)
	}
	if err != nil || s.dir == nil {
		s.parent.Close()
		return nil, s.error("make a directory beside it", err)
	}
	return s, nil
}

func (s *stage) error(doing string, err error) error {
	if _, ok := errors.AsType[*fail.Error](err); ok {
		return err
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return &fail.Error{Where: s.target, Doing: doing, Err: err}
}

// make makes and locks the stage. Between the two, another process may take it
// for a left-over: then the lock is not to be had, or the name is gone.
func (s *stage) make(parent string, note func(string) func()) error {
	for {
		name := layout.StagePrefix + rand.Text()
		if s.forget != nil {
			s.forget()
		}
		s.forget = note(filepath.Join(parent, name))
		if err := s.parent.Mkdir(name, 0o700); err != nil {
			return err
		}
		dir, err := s.parent.OpenDir(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		if err := sys.LockFD(dir.FD(), false); err == nil {
			if stat, err := sys.StatAt(dir.FD(), ""); err == nil && stat.Nlink > 0 {
				s.name, s.dir = name, dir
				// A setgid parent would give every file its group.
				return sys.ChmodFD(dir.FD(), 0o700)
			}
		}
		dir.Close()
	}
}

// sweep removes what killed processes left beside the target. What cannot be
// removed is somebody else's, or busy: it is in nobody's way.
func (s *stage) sweep() error {
	names, err := s.parent.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if !strings.HasPrefix(name, layout.StagePrefix) {
			continue
		}
		if dir, err := s.parent.OpenDir(name); err == nil {
			if sys.LockFD(dir.FD(), false) == nil {
				_ = s.parent.RemoveAll(name)
			}
			dir.Close()
		}
	}
	return nil
}

// publish renames the stage, or only the directory inner of it, to the target.
func (s *stage) publish(inner string) error {
	var err error
	if inner == "" {
		err = s.parent.Rename(s.name, s.base)
		if err == nil {
			s.name = ""
		}
	} else {
		err = sys.RenameAt(s.dir.FD(), inner, s.parent.FD(), s.base)
	}
	if err != nil {
		return s.error("rename the directory into place", err)
	}
	return nil
}

// close removes what was not published.
func (s *stage) close() error {
	var err error
	if s.name != "" {
		if err = s.parent.RemoveAll(s.name); err != nil {
			err = s.error("remove "+s.name, err)
		}
	}
	if err == nil {
		s.forget()
	}
	s.dir.Close()
	s.parent.Close()
	return err
}
