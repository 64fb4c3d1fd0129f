// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package layer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"

	"github.com/coracle-oci/coracle/imgmgr/entry"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
)

// A writer makes files below one directory, which it made empty and which
// nobody else knows: it opens directories by the names that it gave them, one
// component at a time, following no link. The umask must be 0.
type writer struct {
	options Options
	root    *node
	uid     uint32
	gid     uint32
	written int64 // bytes of file data so far
	warned  map[string]bool

	// The open directories, the most recently used behind recent.next. They are
	// few hundred: entries of an archive come directory by directory.
	recent node
	open   int
	limit  int
}

func newWriter(rootFD int, o Options) *writer {
	w := &writer{options: o, root: newNode(nil, ""), uid: uint32(syscall.Geteuid()), gid: uint32(syscall.Getegid()), warned: map[string]bool{}, limit: openDirectories()}
	w.root.kind, w.root.dirFD = entry.Dir, rootFD
	w.recent.prev, w.recent.next = &w.recent, &w.recent
	return w
}

// openDirectories is how many directories stay open: up to 800, and at most
// half of what the process may open.
func openDirectories() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 32
	}
	return int(max(16, min(800, limit.Cur/2)))
}

// warn tells the user something once.
func (w *writer) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !w.warned[text] && w.options.Warn != nil {
		w.warned[text] = true
		w.options.Warn(text)
	}
}

// error names what was being done to which file.
func (w *writer) error(doing string, n *node, err error) error {
	e := &fail.Error{Where: w.options.Where, Doing: fmt.Sprintf("%s %s", doing, n.path()), Err: err}
	switch {
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		e.Hint = "the file system is full; nothing was left behind"
	case errors.Is(err, syscall.EINVAL) && strings.HasPrefix(doing, "set the owner"):
		e.Hint = "the user namespace that this runs in does not map the owner's id"
	}
	return e
}

// dir returns the fd of a directory. It stays open until the next call at least,
// and longer while pins is not 0.
func (w *writer) dir(n *node) (int, error) {
	if n.dirFD >= 0 {
		if n.parent != nil && w.recent.next != n {
			w.unlist(n)
			w.list(n)
		}
		return n.dirFD, nil
	}
	parent, err := w.dir(n.parent)
	if err != nil {
		return -1, err
	}
	fd, err := sys.OpenAt(parent, n.name, sys.OpenPath|syscall.O_DIRECTORY, 0)
	if err != nil {
		return -1, w.error("open directory", n, err)
	}
	n.dirFD = fd
	w.list(n)
	w.open++
	w.evict(w.limit, n)
	return fd, nil
}

func (w *writer) list(n *node) {
	n.prev, n.next = &w.recent, w.recent.next
	n.prev.next, n.next.prev = n, n
}

func (w *writer) unlist(n *node) {
	n.prev.next, n.next.prev = n.next, n.prev
	n.prev, n.next = nil, nil
}

// evict closes directories until at most keep are open, never the one just
// opened nor a pinned one.
func (w *writer) evict(keep int, except *node) {
	for n := w.recent.prev; w.open > keep && n != &w.recent; {
		before := n.prev
		if n != except && n.pins == 0 {
			w.forget(n)
		}
		n = before
	}
}

// forget closes the fd of a directory.
func (w *writer) forget(n *node) {
	if n.dirFD >= 0 && n.parent != nil {
		w.unlist(n)
		sys.CloseFD(n.dirFD)
		n.dirFD = -1
		w.open--
	}
}

func (w *writer) close() { w.evict(0, nil) }

// single tells whether owners are not applied: without root everything belongs
// to the one user there is.
func (w *writer) single() bool { return w.options.Single }

// chowns tells whether a new file, which is ours, must get this owner.
func (w *writer) chowns(uid, gid uint32) bool {
	return !w.single() && (uid != w.uid || gid != w.gid)
}

// make puts what op asks for at n, where nothing is. For a file, data gives the
// content.
func (w *writer) make(n *node, op *entry.Op, data *entry.Reader) error {
	dirFD, err := w.dir(n.parent)
	if err != nil {
		return err
	}
	switch op.Kind {
	case entry.File:
		err = w.file(dirFD, n, op, data)
	case entry.Symlink:
		if err = sys.SymlinkAt(op.Target, dirFD, n.name); err == nil {
			err = w.finish(dirFD, n, op)
		} else {
			err = w.error("make symbolic link", n, err)
		}
	case entry.Char, entry.Block, entry.Fifo:
		return w.special(dirFD, n, op)
	}
	if err == nil {
		n.kind = op.Kind
	}
	return err
}

// special makes a device or named pipe. Without the right to make devices they
// are left out, with a warning: images have them rarely, containers get their
// own /dev.
func (w *writer) special(dirFD int, n *node, op *entry.Op) error {
	if op.Kind != entry.Fifo && w.single() {
		w.warn("%s: device left out: only root can make it", n.path())
		return nil
	}
	kind := map[entry.Kind]uint32{entry.Char: syscall.S_IFCHR, entry.Block: syscall.S_IFBLK, entry.Fifo: syscall.S_IFIFO}[op.Kind]
	err := sys.MknodAt(dirFD, n.name, kind|op.Mode&0o777, sys.Device(op.Major, op.Minor))
	if errors.Is(err, syscall.EPERM) && op.Kind != entry.Fifo {
		w.warn("%s: device left out: this process may not make devices", n.path())
		return nil
	}
	if err != nil {
		return w.error("make "+op.Kind.String(), n, err)
	}
	n.kind = op.Kind
	return w.finish(dirFD, n, op)
}

// finish sets owner, mode, attributes and times by name: of what has no fd.
func (w *writer) finish(dirFD int, n *node, op *entry.Op) error {
	chowned := w.chowns(op.UID, op.GID)
	if chowned {
		if err := sys.ChownAt(dirFD, n.name, op.UID, op.GID); err != nil {
			return w.error("set the owner of", n, err)
		}
	}
	if op.Kind != entry.Symlink && (chowned || op.Mode > 0o777) {
		if err := sys.ChmodAt(dirFD, n.name, op.Mode); err != nil {
			return w.error("set the mode of", n, err)
		}
	}
	for _, x := range op.Xattrs {
		if err := w.xattr(n, x, sys.SetXattrAt(dirFD, n.name, x.Name, []byte(x.Value))); err != nil {
			return err
		}
	}
	if err := sys.SetTimesAt(dirFD, n.name, sys.Time(op.Mtime)); err != nil {
		return w.error("set the times of", n, err)
	}
	return nil
}

// xattr judges the result of setting an attribute. A namespace that the file
// system or this user does not have is no reason to refuse an image.
func (w *writer) xattr(n *node, x entry.Xattr, err error) error {
	switch {
	case err == nil:
		n.xattrs += hashXattr(x)
	case errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.EPERM) && (w.single() || !strings.HasPrefix(x.Name, "security.capability")):
		w.warn("%s: extended attribute %s left out: %s", n.path(), x.Name, fail.Reason(err))
	default:
		return w.error("set extended attribute "+x.Name+" of", n, err)
	}
	return nil
}

// file writes a regular file in the fewest calls: open, write, utimensat,
// close. The owner comes before mode and capabilities, which chown(2) drops.
func (w *writer) file(dirFD int, n *node, op *entry.Op, data *entry.Reader) error {
	chown := w.chowns(op.UID, op.GID)
	fd, err := sys.OpenAt(dirFD, n.name, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL, op.Mode&0o777)
	if err != nil {
		return w.error("make", n, err)
	}
	err = w.content(fd, n, op, data)
	if err == nil && chown {
		if err = sys.ChownFD(fd, op.UID, op.GID); err != nil {
			err = w.error("set the owner of", n, err)
		}
	}
	if err == nil && (chown || op.Mode > 0o777) {
		if err = sys.ChmodFD(fd, op.Mode); err != nil {
			err = w.error("set the mode of", n, err)
		}
	}
	for _, x := range op.Xattrs {
		if err == nil {
			err = w.xattr(n, x, sys.SetXattrFD(fd, x.Name, []byte(x.Value)))
		}
	}
	if err == nil {
		if err = sys.SetTimesAt(dirFD, n.name, sys.Time(op.Mtime)); err != nil {
			err = w.error("set the times of", n, err)
		}
	}
	// close(2) reports what a network file system could not write.
	if e := sys.CloseFD(fd); err == nil && e != nil {
		err = w.error("write", n, e)
	}
	return err
}

// holeSize is the least run of zeros that becomes a hole.
const holeSize = 64 << 10

var zeros [holeSize]byte

// content writes the data of a file.
func (w *writer) content(fd int, n *node, op *entry.Op, data *entry.Reader) error {
	fragments := op.Sparse
	if fragments == nil {
		fragments = []entry.Fragment{{Offset: 0, Length: op.Size}}
	}
	hole := op.Sparse != nil
	var left int64 // of the current fragment
	for {
		p, err := data.Data()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		for len(p) > 0 {
			for left == 0 {
				if left = fragments[0].Length; op.Sparse != nil {
					if err := sys.SeekTo(fd, fragments[0].Offset); err != nil {
						return w.error("write", n, err)
					}
				}
				fragments = fragments[1:]
			}
			part := p[:min(int64(len(p)), left, holeSize)]
			if len(part) < holeSize {
				part = p[:min(int64(len(p)), left)]
			} else if !bytes.Equal(part, zeros[:]) {
				part = p[:dataRun(p[:min(int64(len(p)), left)])]
			} else {
				hole = true
				if err := sys.SkipAhead(fd, holeSize); err != nil {
					return w.error("write", n, err)
				}
				p, left = p[holeSize:], left-holeSize
				continue
			}
			if err := w.write(fd, n, part); err != nil {
				return err
			}
			p, left = p[len(part):], left-int64(len(part))
		}
	}
	if hole {
		if err := sys.TruncateFD(fd, op.Size); err != nil {
			return w.error(fmt.Sprintf("make a sparse file of %d bytes,", op.Size), n, err)
		}
	}
	return nil
}

// dataRun returns how many bytes of p come before a block of zeros, which is
// looked for at multiples of holeSize. The first block is known to have data.
func dataRun(p []byte) int {
	for at := holeSize; at+holeSize <= len(p); at += holeSize {
		if p[at] == 0 && bytes.Equal(p[at:at+holeSize], zeros[:]) {
			return at
		}
	}
	return len(p)
}

// write writes within the limit of what an image may unpack to: a few
// megabytes of gzip can be ten gigabytes of anything.
func (w *writer) write(fd int, n *node, p []byte) error {
	w.written += int64(len(p))
	if w.written > w.options.MaxBytes {
		return w.error("write", n, fmt.Errorf("the image has more than the %d bytes that there is room for", w.options.MaxBytes))
	}
	if w.options.Interrupted != nil {
		if err := w.options.Interrupted(); err != nil {
			return err
		}
	}
	if err := sys.WriteAll(fd, p); err != nil {
		return w.error("write", n, err)
	}
	return nil
}

// mkdir makes a directory that is ours to write to; its metadata come last.
func (w *writer) mkdir(n *node) error {
	dirFD, err := w.dir(n.parent)
	if err == nil {
		if err = sys.MkdirAt(dirFD, n.name, 0o755); err != nil {
			err = w.error("make directory", n, err)
		}
	}
	if err == nil {
		n.kind = entry.Dir
	}
	return err
}

// link gives the file at from the further name n.
func (w *writer) link(from, n *node) error {
	fromFD, err := w.dir(from.parent)
	if err != nil {
		return err
	}
	from.parent.pins++
	toFD, err := w.dir(n.parent)
	from.parent.pins--
	if err != nil {
		return err
	}
	if err := sys.LinkAt(fromFD, from.name, toFD, n.name); err != nil {
		return w.error("link "+from.path()+" as", n, err)
	}
	n.kind, n.link, n.xattrs = from.kind, from.link, from.xattrs
	return nil
}

// remove takes away what is at n, with everything below.
func (w *writer) remove(n *node) error {
	for _, c := range n.children {
		if err := w.remove(c); err != nil {
			return err
		}
	}
	if n.kind == entry.Ignore {
		return nil
	}
	dirFD, err := w.dir(n.parent)
	if err != nil {
		return err
	}
	w.forget(n)
	if err := sys.RemoveAt(dirFD, n.name, n.kind == entry.Dir); err != nil {
		return w.error("remove", n, err)
	}
	n.kind, n.meta, n.link, n.xattrs, n.children = entry.Ignore, nil, "", 0, nil
	return nil
}

// finishDirs gives the directories their metadata, children first: a change in
// a directory sets its times, and a mode may forbid to enter it. block is called
// for each directory with the sorted names in it, when they are done.
func (w *writer) finishDirs(n *node, block func(n *node, dirFD int, names []string) error) error {
	names := make([]string, 0, len(n.children))
	for name, c := range n.children {
		if c.kind != entry.Ignore {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if c := n.children[name]; c.kind == entry.Dir {
			if err := w.finishDirs(c, block); err != nil {
				return err
			}
		}
	}
	fd, err := w.dir(n)
	if err != nil {
		return err
	}
	if err := block(n, fd, names); err != nil {
		return err
	}
	if n.parent == nil {
		return w.dirMeta(fd, ".", n)
	}
	parentFD, err := w.dir(n.parent)
	if err != nil {
		return err
	}
	w.forget(n)
	return w.dirMeta(parentFD, n.name, n)
}

// defaultMeta is for directories that an image implies and never names. Their
// time is the beginning of time: the same image makes the same tree.
var defaultMeta = dirMeta{mode: 0o755}

func (w *writer) dirMeta(dirFD int, name string, n *node) error {
	m := n.meta
	if m == nil {
		m = &defaultMeta
	}
	chown := w.chowns(m.uid, m.gid)
	if chown {
		if err := sys.ChownAt(dirFD, name, m.uid, m.gid); err != nil {
			return w.error("set the owner of", n, err)
		}
	}
	for _, x := range m.xattrs {
		if err := w.xattr(n, x, sys.SetXattrAt(dirFD, name, x.Name, []byte(x.Value))); err != nil {
			return err
		}
	}
	if m.mode != 0o755 || n.parent == nil {
		if err := sys.ChmodAt(dirFD, name, m.mode); err != nil {
			return w.error("set the mode of", n, err)
		}
	}
	if err := sys.SetTimesAt(dirFD, name, sys.Time(m.mtime)); err != nil {
		return w.error("set the times of", n, err)
	}
	return nil
}
