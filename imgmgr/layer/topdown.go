// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package layer

import (
	"strings"

	"github.com/coracle-oci/coracle/imgmgr/entry"
)

// A topDowner applies the last layer first. What a layer does to those below it
// (whiteouts, files in the place of directories) is kept in the nodes as the
// number of the layer below which all is hidden, and an entry is written if
// nothing hides its layer at its place and nothing is there yet.
//
// It judges names as the layer's author saw them only as far as that needs no
// knowledge of the layers below. For the rest it returns errOrder:
//   - a path through something that the same layer says is no directory, or
//     that a lower layer then turns out to have as a symbolic link;
//   - a name that one layer has twice (a directory twice is fine);
//   - a hard link to a file that this layer does not have, or has hidden.
//
// Layers that tools make as the difference of two trees have none of these but
// the last, rarely.
type topDowner struct{ *writer }

func (t *topDowner) apply(op *entry.Op, at position, data *entry.Reader) error {
	switch op.Kind {
	case entry.Ignore:
		return nil
	case entry.Opaque:
		n, _, err := t.enter(op.Path, at.layer, false)
		if err == nil {
			n.opaque = max(n.opaque, at.layer)
		}
		return err
	case entry.Whiteout:
		dir, base := splitPath(op.Path)
		parent, _, err := t.enter(dir, at.layer, false)
		if err == nil {
			n := parent.child(base)
			n.cut = max(n.cut, at.layer)
		}
		return err
	case entry.Dir:
		return t.directory(op, at)
	}
	dir, base := splitPath(op.Path)
	parent, hide, err := t.enter(dir, at.layer, true)
	if err != nil {
		return err
	}
	return t.leaf(parent.child(base), hide, op, at, data)
}

// enter walks to a directory as an entry of a layer uses it, and returns it and
// the layer below which everything in it is hidden. Where the directory is
// visible and make is true, it is made.
func (t *topDowner) enter(dir string, layer int32, make bool) (*node, int32, error) {
	n, hide := t.root, t.root.opaque
	for rest := dir; rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		n = n.child(name)
		if n.solid == layer {
			return nil, 0, errOrder
		}
		hide = max(hide, n.cut)
		if n.open != layer {
			n.open = layer
			// Behind a whiteout of its own layer, no lower link can be meant.
			if hide != layer {
				n.implied = layer
			}
		}
		if make && hide <= layer && n.kind == entry.Ignore {
			if err := t.mkdir(n); err != nil {
				return nil, 0, err
			}
		}
		hide = max(hide, n.opaque)
	}
	return n, hide, nil
}

func (t *topDowner) directory(op *entry.Op, at position) error {
	n := t.root
	if op.Path != "" {
		dir, base := splitPath(op.Path)
		parent, hide, err := t.enter(dir, at.layer, true)
		if err != nil {
			return err
		}
		n = parent.child(base)
		if n.solid == at.layer {
			return errOrder
		}
		n.open = at.layer
		if n.implied > at.layer {
			n.implied = 0 // upper layers used this directory, whatever is below
		}
		if max(hide, n.cut) > at.layer {
			return nil
		}
		if n.kind == entry.Ignore {
			if err := t.mkdir(n); err != nil {
				return err
			}
		}
	}
	// The topmost layer with an entry says it, and its last entry counts.
	if n.meta == nil || n.layer == at.layer {
		n.setMeta(op, at)
	}
	return nil
}

// leaf places what is no directory.
func (t *topDowner) leaf(n *node, hide int32, op *entry.Op, at position, data *entry.Reader) error {
	if n.solid == at.layer || n.open == at.layer {
		return errOrder
	}
	hide = max(hide, n.cut)
	if op.Kind == entry.Symlink && n.implied != 0 && (hide <= at.layer || n.implied <= hide) {
		return errOrder // an upper layer went through this link
	}
	n.solid = at.layer
	n.cut = max(n.cut, at.layer)
	hidden := hide > at.layer || n.kind != entry.Ignore
	if op.Kind == entry.Link {
		return t.hardLink(n, hidden, op, at)
	}
	if hidden {
		return nil
	}
	n.layer, n.entry, n.link = at.layer, at.entry, op.Target
	return t.make(n, op, data)
}

func (t *topDowner) hardLink(n *node, hidden bool, op *entry.Op, at position) error {
	from := t.root
	for rest := op.Target; rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		if from = from.children[name]; from == nil || rest != "" && from.solid == at.layer {
			return errOrder
		}
	}
	if from == n || from.solid != at.layer {
		return errOrder
	}
	if hidden {
		return nil
	}
	if from.kind == entry.Ignore || from.kind == entry.Dir || from.layer != at.layer {
		return errOrder // an upper layer replaced it, and its data is gone by
	}
	n.layer, n.entry = from.layer, from.entry
	return t.link(from, n)
}
