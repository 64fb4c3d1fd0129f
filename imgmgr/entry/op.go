// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package entry

import (
	"fmt"
	"path"
	"strings"
)

// A Kind is what an operation does.
type Kind byte

// The kinds of operations.
const (
	Ignore   Kind = iota // nothing; Warning may say why
	Dir                  // make a directory, or set the metadata of one
	File                 // write a file
	Link                 // give the file Target the further name Path
	Symlink              // make a symbolic link with the text Target
	Char                 // make a character device
	Block                // make a block device
	Fifo                 // make a named pipe
	Whiteout             // hide Path of the layers below
	Opaque               // hide what layers below have in the directory Path
)

var kindNames = [...]string{"ignore", "directory", "file", "link", "symlink", "char", "block", "fifo", "whiteout", "opaque"}

// String returns the kind's name.
func (k Kind) String() string { return kindNames[k] }

// An Op is what one entry of a layer asks for. Path is clean and relative to
// the root of the file system, "" being the root itself; it has no "." or "..",
// but its parents may turn out to be symbolic links.
type Op struct {
	Kind         Kind
	Path, Target string
	Mode         uint32 // permissions, the low twelve bits
	UID, GID     uint32
	Mtime        Time
	Major, Minor uint32
	Size         int64 // of the file, holes included
	Sparse       []Fragment
	Xattrs       []Xattr
	Warning      string // something was left out
}

// Limits of the kernel: path_resolution(7), symlink(2), xattr(7), makedev(3).
const (
	maxPath      = 4095
	maxComponent = 255
	maxXattr     = 64 << 10
	maxMajor     = 1<<12 - 1
	maxMinor     = 1<<20 - 1
	maxID        = 1<<32 - 2 // (uid_t)-1 means "leave it" to chown(2)
)

// Whiteouts, OCI image-spec layer.md: a file ".wh.NAME" hides NAME of the
// layers below, and ".wh..wh..opq" all that they have in the directory.
const (
	whiteoutPrefix = ".wh."
	opaqueName     = ".wh..wh..opq"
	aufsPrefix     = ".wh..wh."
)

// Compile judges a header and returns the operation that it asks for. The
// operation shares memory with the header.
func Compile(h *Header) (Op, error) {
	op := Op{Mode: uint32(h.Mode & 0o7777), Mtime: h.Mtime, Size: h.Size, Sparse: h.Sparse}
	if h.Sparse != nil {
		op.Size = h.RealSize
	}
	if h.Name == "" {
		return op, fmt.Errorf("an entry has no name")
	}
	var err error
	if op.Path, err = cleanPath(h.Name); err != nil {
		return op, fmt.Errorf("name %.80q: %w", h.Name, err)
	}
	if done, err := op.whiteout(h.Name); done || err != nil {
		return op, err
	}
	if h.UID < 0 || h.UID > maxID || h.GID < 0 || h.GID > maxID {
		return op, fmt.Errorf("%q: owner %d:%d is out of range", h.Name, h.UID, h.GID)
	}
	op.UID, op.GID = uint32(h.UID), uint32(h.GID)
	if err := op.kind(h); err != nil {
		return op, fmt.Errorf("%q: %w", h.Name, err)
	}
	if op.Path == "" && op.Kind != Dir && op.Kind != Ignore {
		return op, fmt.Errorf("%q: the root of the file system is a directory, not a %s", h.Name, op.Kind)
	}
	return op, op.xattrs(h)
}

// kind fills in what is particular to the entry's type.
func (op *Op) kind(h *Header) error {
	switch h.Type {
	case TypeFile:
		op.Kind = File
	case TypeDir:
		op.Kind = Dir
	case TypeFifo:
		op.Kind = Fifo
	case TypeLink:
		op.Kind = Link
		target, err := cleanPath(h.Link)
		if err == nil && target == "" {
			err = fmt.Errorf("is a hard link to the root directory")
		}
		op.Target = target
		return err
	case TypeSymlink:
		op.Kind, op.Target = Symlink, h.Link
		if h.Link == "" || len(h.Link) > maxPath || strings.IndexByte(h.Link, 0) >= 0 {
			return fmt.Errorf("the target of a symbolic link is empty, too long or holds NUL")
		}
	case TypeChar, TypeBlock:
		op.Kind = Char
		if h.Type == TypeBlock {
			op.Kind = Block
		}
		if h.Major < 0 || h.Major > maxMajor || h.Minor < 0 || h.Minor > maxMinor {
			return fmt.Errorf("device %d:%d is out of range", h.Major, h.Minor)
		}
		op.Major, op.Minor = uint32(h.Major), uint32(h.Minor)
	default:
		op.Kind = Ignore
		op.Warning = fmt.Sprintf("%q: skipped: entries of type %q are not known", h.Name, h.Type)
	}
	return nil
}

// whiteout recognises the special names; done says that the name was one.
func (op *Op) whiteout(name string) (done bool, err error) {
	if !strings.Contains(op.Path, whiteoutPrefix) {
		return false, nil
	}
	dir, base := path.Split(op.Path)
	dir = strings.TrimSuffix(dir, "/")
	for parent := range strings.SplitSeq(dir, "/") {
		if strings.HasPrefix(parent, aufsPrefix) {
			return true, nil // bookkeeping of AUFS, Kind stays Ignore
		}
		if strings.HasPrefix(parent, whiteoutPrefix) {
			return true, fmt.Errorf("name %.80q: a whiteout has something below it", name)
		}
	}
	if !strings.HasPrefix(base, whiteoutPrefix) {
		return false, nil
	}
	switch hidden := base[len(whiteoutPrefix):]; {
	case base == opaqueName:
		op.Kind, op.Path = Opaque, dir
	case strings.HasPrefix(base, aufsPrefix):
	case hidden == "" || hidden == "." || hidden == "..":
		return true, fmt.Errorf("name %.80q: a whiteout of nothing, of the directory or of its parent", name)
	default:
		op.Kind, op.Path = Whiteout, path.Join(dir, hidden)
	}
	return true, nil
}

// xattrs drops what must not come from an image. An overlay mount reads
// trusted.overlay.* and user.overlay.* as its own: redirects to elsewhere.
func (op *Op) xattrs(h *Header) error {
	kept := h.Xattrs[:0]
	for _, x := range h.Xattrs {
		if strings.HasPrefix(x.Name, "trusted.overlay.") || strings.HasPrefix(x.Name, "user.overlay.") {
			op.Warning = fmt.Sprintf("%q: extended attribute %s left out: it would steer an overlay mount", h.Name, x.Name)
			continue
		}
		if x.Name == "" || len(x.Name) > maxComponent || strings.IndexByte(x.Name, 0) >= 0 || len(x.Value) > maxXattr {
			return fmt.Errorf("%q: extended attribute %.40q: name or value is too long", h.Name, x.Name)
		}
		kept = append(kept, x)
	}
	op.Xattrs = kept
	return nil
}

// cleanPath returns name relative to the root. ".." goes up in the name and
// stops at the root, as it does in a chroot.
func cleanPath(name string) (string, error) {
	if strings.IndexByte(name, 0) >= 0 {
		return "", fmt.Errorf("holds a NUL")
	}
	if len(name) > maxPath {
		return "", fmt.Errorf("is longer than %d bytes", maxPath)
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "./"), "/")
	if !isClean(name) {
		name = path.Clean("/" + name)[1:]
	}
	for rest := name; rest != ""; {
		var component string
		component, rest, _ = strings.Cut(rest, "/")
		if len(component) > maxComponent {
			return "", fmt.Errorf("has a component of more than %d bytes", maxComponent)
		}
	}
	return name, nil
}

// isClean spares path.Clean's copy for names as archives usually have them.
func isClean(name string) bool {
	if name == "" {
		return true
	}
	for rest, more := name, true; more; {
		var component string
		component, rest, more = strings.Cut(rest, "/")
		if component == "" || component == "." || component == ".." {
			return false
		}
	}
	return true
}

// String returns the operation as one line for people: "imgmgr unpack --dry-run".
func (op *Op) String() string {
	name := op.Path
	if name == "" {
		name = "."
	}
	switch op.Kind {
	case Ignore, Whiteout, Opaque:
		return fmt.Sprintf("%-9s %q", op.Kind, name)
	case Link, Symlink:
		return fmt.Sprintf("%-9s %q -> %q", op.Kind, name, op.Target)
	case Char, Block:
		return fmt.Sprintf("%-9s %04o %d:%d %d,%d %q", op.Kind, op.Mode, op.UID, op.GID, op.Major, op.Minor, name)
	case File:
		return fmt.Sprintf("%-9s %04o %d:%d %d %q", op.Kind, op.Mode, op.UID, op.GID, op.Size, name)
	default:
		return fmt.Sprintf("%-9s %04o %d:%d %q", op.Kind, op.Mode, op.UID, op.GID, name)
	}
}
