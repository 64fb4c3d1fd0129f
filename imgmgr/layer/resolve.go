// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package layer

import (
	"fmt"
	"strings"

	"github.com/coracle-oci/coracle/imgmgr/entry"
)

// maxLinks is how many symbolic links one path may go through, as in the
// kernel, path_resolution(7).
const maxLinks = 40

// parent returns the directory that an entry's path lies in, and the last
// component. Links on the way are followed as if the tree were the root of the
// file system. What is missing is made, and what is no directory gives way to
// one: a layer that has a file below a name says that the name is a directory.
func (b *bottomUp) parent(path string) (*node, string, error) {
	dir, base := splitPath(path)
	n, err := b.walk(dir, true, true)
	return n, base, err
}

// find returns the node of a path, or nil. follow says whether a link in the
// last component is followed, too.
func (b *bottomUp) find(path string, follow bool) (*node, error) {
	return b.walk(path, follow, false)
}

func (b *bottomUp) walk(path string, follow, make bool) (*node, error) {
	n, links := b.root, 0
	for rest := path; rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		switch name {
		case "", ".":
			continue
		case "..":
			if n.parent != nil {
				n = n.parent
			}
			continue
		}
		c := n.children[name]
		if c != nil && c.kind == entry.Symlink && (follow || rest != "") {
			if links++; links > maxLinks {
				return nil, fmt.Errorf("%q: too many levels of symbolic links", path)
			}
			rest = c.link + "/" + rest
			if strings.HasPrefix(c.link, "/") {
				n = b.root
			}
			continue
		}
		missing := c == nil || c.kind == entry.Ignore
		if !make && (missing || rest != "" && c.kind != entry.Dir) {
			return nil, nil
		}
		if make && (missing || c.kind != entry.Dir) {
			c = n.child(name)
			if err := b.remove(c); err != nil {
				return nil, err
			}
			c.layer = 0
			if err := b.mkdir(c); err != nil {
				return nil, err
			}
		}
		if n = c; make {
			n.open = b.layer
		}
	}
	return n, nil
}
