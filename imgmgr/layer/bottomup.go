// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package layer

import (
	"fmt"
	"strings"

	"github.com/coracle-oci/coracle/imgmgr/entry"
)

// A bottomUp applies entries as image-spec's layer.md tells it: lower layers
// first, each entry replacing what is there. It is the meaning of an image; the
// other order is a faster way to the same tree.
type bottomUp struct {
	*writer
	layer int32 // the one being applied
}

func (b *bottomUp) apply(op *entry.Op, at position, data *entry.Reader) error {
	b.layer = at.layer
	switch op.Kind {
	case entry.Ignore:
		return nil
	case entry.Whiteout, entry.Opaque:
		return b.hide(op, at)
	case entry.Dir:
		return b.directory(op, at)
	}
	parent, name, err := b.parent(op.Path)
	if err != nil {
		return err
	}
	var from *node
	if op.Kind == entry.Link {
		// Looked up before the name is made free: a link to itself has no target.
		if from, err = b.find(op.Target, false); err != nil {
			return err
		}
		if from == nil || from.kind == entry.Dir || from.kind == entry.Ignore {
			return fmt.Errorf("%q is a hard link to %q, which is no file of the image", op.Path, op.Target)
		}
	}
	n := parent.child(name)
	if from == n {
		return fmt.Errorf("%q is a hard link to itself", op.Path)
	}
	if err := b.remove(n); err != nil {
		return err
	}
	n.layer, n.entry = at.layer, at.entry
	if from != nil {
		if from.kind == entry.Ignore {
			return fmt.Errorf("%q is a hard link to %q, which it replaces", op.Path, op.Target)
		}
		n.layer, n.entry = from.layer, from.entry
		return b.link(from, n)
	}
	n.link = op.Target
	return b.make(n, op, data)
}

// directory makes a directory or sets the metadata of one. What is there and is
// no directory, a link to one included, is replaced.
func (b *bottomUp) directory(op *entry.Op, at position) error {
	n := b.root
	if op.Path != "" {
		parent, name, err := b.parent(op.Path)
		if err != nil {
			return err
		}
		if n = parent.child(name); n.kind != entry.Dir {
			if err := b.remove(n); err != nil {
				return err
			}
			if err := b.mkdir(n); err != nil {
				return err
			}
		}
	}
	n.setMeta(op, at)
	return nil
}

// setMeta keeps the metadata of a directory for the end.
func (n *node) setMeta(op *entry.Op, at position) {
	n.layer, n.entry = at.layer, at.entry
	n.meta = &dirMeta{mode: op.Mode, uid: op.UID, gid: op.GID, mtime: op.Mtime}
	n.meta.xattrs = append(n.meta.xattrs, op.Xattrs...)
}

// hide carries out a whiteout: it takes away what lower layers put there, and
// leaves what its own layer did, whatever the order of the entries.
func (b *bottomUp) hide(op *entry.Op, at position) error {
	dir, base := op.Path, ""
	if op.Kind == entry.Whiteout {
		dir, base = splitPath(op.Path)
	}
	n, err := b.find(dir, true)
	if err != nil || n == nil || n.kind != entry.Dir {
		return err
	}
	if op.Kind == entry.Opaque {
		return b.removeBelow(n, at.layer)
	}
	if c := n.children[base]; c != nil {
		return b.removeOlder(c, at.layer)
	}
	return nil
}

// removeOlder removes what is of layers below one. A directory that has newer
// entries in it stays, as one that nobody named.
func (b *bottomUp) removeOlder(n *node, layer int32) error {
	if n.kind == entry.Ignore || n.kind != entry.Dir && n.layer >= layer {
		return nil
	}
	if n.kind != entry.Dir {
		return b.remove(n)
	}
	if err := b.removeBelow(n, layer); err != nil {
		return err
	}
	switch {
	case n.layer >= layer:
		return nil
	case n.open >= layer:
		n.meta, n.layer = nil, 0
		return nil
	}
	return b.remove(n)
}

func (b *bottomUp) removeBelow(n *node, layer int32) error {
	for _, c := range n.children {
		if err := b.removeOlder(c, layer); err != nil {
			return err
		}
	}
	return nil
}

func splitPath(path string) (dir, base string) {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}
