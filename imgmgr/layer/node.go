// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package layer

import (
	"strings"

	"github.com/coracle-oci/coracle/imgmgr/entry"
)

// A node is a name in the tree that is being made. Layers are counted from 1,
// the lowest; 0 stands for none.
type node struct {
	parent   *node
	name     string
	children map[string]*node
	kind     entry.Kind // what is on disk: Ignore is nothing
	layer    int32      // whose entry it is; 0 for a directory that no entry named
	entry    int32      // which entry of that layer
	link     string     // target of a symbolic link
	xattrs   uint64     // sum of hashXattr of the attributes that were set
	meta     *dirMeta   // of a directory, once an entry named it

	// What passes that go from the last layer to the first have to remember.
	cut     int32 // layers below this one are hidden, here and under here
	opaque  int32 // layers below this one are hidden under here
	solid   int32 // the last layer seen with an entry here that is no directory
	open    int32 // the last layer seen that had or implied a directory here
	implied int32 // the last layer seen that used this as a directory without saying so

	dirFD int // open directory, -1 if none
	pins  int
	prev  *node // in the list of open directories
	next  *node
}

// dirMeta is what a directory gets when everything in it is done.
type dirMeta struct {
	mode, uid, gid uint32
	mtime          entry.Time
	xattrs         []entry.Xattr
}

func newNode(parent *node, name string) *node { return &node{parent: parent, name: name, dirFD: -1} }

// child returns the node of a name, made if need be.
func (n *node) child(name string) *node {
	c := n.children[name]
	if c == nil {
		if n.children == nil {
			n.children = map[string]*node{}
		}
		// The name is a part of an entry's path, which should not stay in memory
		// as a whole.
		name = strings.Clone(name)
		c = newNode(n, name)
		n.children[name] = c
	}
	return c
}

// path returns the name from the root, "." for the root itself: for messages.
func (n *node) path() string {
	if n.parent == nil {
		return "."
	}
	if n.parent.parent == nil {
		return n.name
	}
	return n.parent.path() + "/" + n.name
}
