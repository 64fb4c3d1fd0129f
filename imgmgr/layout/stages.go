// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package layout

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/coracle-oci/coracle/internal/inroot"
	"github.com/coracle-oci/coracle/internal/sys"
)

// StagePrefix begins the names of directories in the making, which unpack renames
// when they are whole. One that nobody locks was left by a process that was
// killed.
const StagePrefix = ".imgmgr-unpack-"

// stageDir has a file for each directory in the making: its content is the path.
const stageDir = privateDir + "/stages"

// NoteStage notes down where a directory is being made of an image of this
// layout, so that gc finds it if nobody else can. A layout that cannot be written
// to has no gc either.
func (l *Layout) NoteStage(path string) (forget func()) {
	name := stageDir + "/" + rand.Text()
	if l.makeDirs(privateDir, stageDir) != nil || l.root.WriteFile(name, []byte(path), 0o600) != nil {
		return func() {}
	}
	return func() { _ = l.root.Remove(name) }
}

// sweepStages removes the directories that killed processes left. The caller has
// the layout to itself, so no living process is among those that noted them.
func (l *Layout) sweepStages(g *Garbage, dryRun bool) error {
	notes, err := fs.ReadDir(l.root.FS(), stageDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return l.error("read "+stageDir, err)
	}
	for _, note := range notes {
		name := stageDir + "/" + note.Name()
		path, err := l.root.ReadFile(name)
		if err != nil {
			return l.error("read "+name, err)
		}
		removed, err := removeStage(string(path), dryRun)
		if err != nil {
			return l.error("remove "+string(path), err)
		}
		if removed {
			g.Stages = append(g.Stages, string(path))
		}
		if !dryRun {
			if err := l.root.Remove(name); err != nil {
				return l.error("remove "+name, err)
			}
		}
	}
	return nil
}

// removeStage removes a directory that is a stage by its name and that nobody
// has locked. It tells whether there was one.
func removeStage(path string, dryRun bool) (bool, error) {
	base := filepath.Base(path)
	if !filepath.IsAbs(path) || !strings.HasPrefix(base, StagePrefix) {
		return false, nil
	}
	parent, err := inroot.Open(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	defer parent.Close()
	stage, err := parent.OpenDir(base)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	defer stage.Close()
	if sys.LockFD(stage.FD(), false) != nil {
		return false, nil
	}
	if dryRun {
		return true, nil
	}
	return true, parent.RemoveAll(base)
}
