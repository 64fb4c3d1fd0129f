// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package layer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"github.com/coracle-oci/coracle/imgmgr/entry"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/inroot"
	"github.com/coracle-oci/coracle/internal/sys"
)

// A Change is one name that a layer has to have.
type Change struct {
	Path    string // clean, relative to the root; "" is the root
	Deleted bool
	stat    sys.FileStat
	maybe   position // if set, it is no change if the content is still that of this entry
}

// A walker compares a tree with what it was. It opens directories one by one,
// through no link and into no other mount: the tree may be in use.
type walker struct {
	old     map[string][]record // nil: everything is new
	changes []Change
	where   string
	warn    func(string)
}

// Diff lists what changed in a tree since its index was made, in the order of a
// depth-first walk with sorted names. With a nil index, everything is new. It
// costs a stat for each file and reads no content, but where a file's ctime
// changed and nothing else did: then the layers say what its content was.
func Diff(root *inroot.Dir, x *Index, layers []Blob, where string, warn func(string)) ([]Change, error) {
	w := &walker{where: where, warn: warn}
	if x != nil {
		var err error
		if w.old, err = x.directories(); err != nil {
			return nil, &fail.Error{Where: where, Doing: "read the change index", Err: err}
		}
	}
	stat, err := sys.StatAt(root.FD(), "")
	if err != nil {
		return nil, &fail.Error{Where: where, Doing: "look at the tree", Err: err}
	}
	if old := w.old["/"]; len(old) != 1 || differs(root.FD(), "", &old[0], stat) != same {
		w.changes = append(w.changes, Change{Path: "", stat: stat})
	}
	if err := w.directory(root, ""); err != nil {
		return nil, err
	}
	return w.clear(root, layers), nil
}

func (w *walker) error(doing, path string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	e := &fail.Error{Where: w.where, Doing: doing + " " + path, Err: err}
	if errors.Is(err, syscall.EACCES) {
		e.Hint = "without root, directories of the image that their owner cannot read have to be opened first: chmod u+rx"
	}
	return e
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

// directory compares what lies directly in a directory, and goes down.
func (w *walker) directory(d *inroot.Dir, path string) error {
	names, err := d.Names()
	if err != nil {
		return w.error("read directory", path, err)
	}
	slices.Sort(names)
	old := map[string]*record{}
	records := w.old[path]
	for i := range records {
		old[records[i].nameBytes] = &records[i]
	}
	// Deletions come first: a reader of the layer that makes a name and then
	// meets its whiteout must not be made to think.
	for _, r := range records {
		if _, found := slices.BinarySearch(names, r.nameBytes); !found {
			w.changes = append(w.changes, Change{Path: join(path, r.nameBytes), Deleted: true})
		}
	}
	for _, name := range names {
		if err := w.name(d, path, name, old[name]); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) name(d *inroot.Dir, dir, name string, old *record) error {
	path := join(dir, name)
	if strings.HasPrefix(name, whiteoutPrefix) {
		return &fail.Error{Where: w.where, Doing: fmt.Sprintf("put %q into a layer", path), Hint: "names that begin with .wh. mean deletions in a layer; rename the file"}
	}
	stat, err := sys.StatAt(d.FD(), name)
	if errors.Is(err, syscall.ENOENT) {
		// It went away since the directory was read.
		if old != nil {
			w.changes = append(w.changes, Change{Path: path, Deleted: true})
		}
		return nil
	} else if err != nil {
		return w.error("look at", path, err)
	}
	if stat.MountRoot { // not st_dev, which an overlay gives its files another of
		// What is mounted is not of the image; what it covers cannot be seen and
		// counts as unchanged.
		w.warn(fmt.Sprintf("%s: not looked into: something is mounted there", path))
		return nil
	}
	kind := stat.Mode & syscall.S_IFMT
	if kind == syscall.S_IFSOCK {
		w.warn(fmt.Sprintf("%s: socket left out: a layer cannot have it", path))
		if old != nil {
			w.changes = append(w.changes, Change{Path: path, Deleted: true})
		}
		return nil
	}
	verdict := changed
	if old != nil {
		verdict = differs(d.FD(), name, old, stat)
	}
	if verdict != same {
		c := Change{Path: path, stat: stat}
		if verdict == unsure {
			c.maybe = old.at
		}
		w.changes = append(w.changes, c)
	}
	if kind != syscall.S_IFDIR {
		return nil
	}
	sub, err := d.OpenDir(name)
	if err != nil {
		return w.error("open directory", path, err)
	}
	defer sub.Close()
	return w.directory(sub, path)
}

const whiteoutPrefix = ".wh."

// What a look at a file's metadata says.
type verdict int

const (
	same verdict = iota
	changed
	unsure // the content has to be read
)

// differs compares a file with its record. The same inode with the same ctime is
// the same in all, see Index; what was only touched or copied is known by the
// rest.
func differs(dirFD int, name string, old *record, now sys.FileStat) verdict {
	was, kind := &old.stat, now.Mode&syscall.S_IFMT
	if was.Mode != now.Mode || was.UID != now.UID || was.GID != now.GID || was.Rdev != now.Rdev || was.Mtime != now.Mtime {
		return changed
	}
	if kind != syscall.S_IFDIR && was.Size != now.Size { // a directory's size is the file system's
		return changed
	}
	if was.Ino == now.Ino && was.Ctime == now.Ctime {
		return same
	}
	at := name
	if name == "" {
		at = "."
	}
	if set, err := readXattrs(dirFD, at); err != nil || sumXattrs(set) != old.xattrs {
		return changed
	}
	switch kind {
	case syscall.S_IFLNK:
		if target, err := sys.ReadlinkAt(dirFD, name); err != nil || hashText(target) != old.content {
			return changed
		}
	case syscall.S_IFREG:
		switch {
		case now.Nlink > 1:
			// A further name changes a file's ctime; a layer that has one of its
			// names must have all.
			return changed
		case now.Size > 0:
			return unsure
		}
	}
	return same
}

// clear drops the changes that are none: files whose content is that of their
// layer. It reads the layers that such files are of, each once.
func (w *walker) clear(root *inroot.Dir, layers []Blob) []Change {
	wanted := map[int32]map[int32][]int{}
	for i, c := range w.changes {
		if m := c.maybe; m.layer > 0 && int(m.layer) <= len(layers) {
			if wanted[m.layer] == nil {
				wanted[m.layer] = map[int32][]int{}
			}
			wanted[m.layer][m.entry] = append(wanted[m.layer][m.entry], i)
		}
	}
	none := map[int]bool{}
	for number, entries := range wanted {
		var at int32
		err := Each(layers[number-1], func(op *entry.Op, data *entry.Reader) error {
			at++
			for _, i := range entries[at-1] {
				if op.Sparse == nil && sameContent(root, w.changes[i].Path, data) {
					none[i] = true
				}
				break // the data can be read once; a second name is taken as changed
			}
			return nil
		})
		if err != nil {
			w.warn(fmt.Sprintf("%s cannot be read again, so that files that were only touched count as changed: %v", layers[number-1].Name, err))
		}
	}
	kept := w.changes[:0]
	for i, c := range w.changes {
		if !none[i] {
			kept = append(kept, c)
		}
	}
	return kept
}

// sameContent compares a file with an entry's data.
func sameContent(root *inroot.Dir, path string, data *entry.Reader) bool {
	f, err := root.OpenFile(path)
	if err != nil {
		return false
	}
	defer f.Close()
	buf := make([]byte, chunkSize)
	for {
		p, err := data.Data()
		if errors.Is(err, io.EOF) {
			n, err := f.Read(buf[:1])
			return n == 0 && errors.Is(err, io.EOF)
		} else if err != nil {
			return false
		}
		for len(p) > 0 {
			n, err := io.ReadFull(f, buf[:min(len(p), len(buf))])
			if err != nil || !bytes.Equal(buf[:n], p[:n]) {
				return false
			}
			p = p[n:]
		}
	}
}

func sumXattrs(set []entry.Xattr) (sum uint64) {
	for _, x := range set {
		sum += hashXattr(x)
	}
	return sum
}

// hostXattrs are attributes that belong to the machine and not to the image.
var hostXattrs = []string{"security.selinux", "security.ima", "security.evm", "security.apparmor", "system.nfs4_acl", "trusted.overlay.", "user.overlay."}

// readXattrs returns the attributes of a file that a layer keeps, sorted.
func readXattrs(dirFD int, name string) ([]entry.Xattr, error) {
	list, err := sys.ListXattrAt(dirFD, name)
	if errors.Is(err, syscall.EOPNOTSUPP) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	slices.Sort(list)
	var set []entry.Xattr
	for _, attr := range list {
		if slices.ContainsFunc(hostXattrs, func(h string) bool { return strings.HasPrefix(attr, h) }) {
			continue
		}
		value, err := sys.GetXattrAt(dirFD, name, attr)
		if errors.Is(err, syscall.ENODATA) {
			continue
		} else if err != nil {
			return nil, err
		}
		set = append(set, entry.Xattr{Name: attr, Value: string(value)})
	}
	return set, nil
}
