// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package layer turns layers into a directory tree, and changes of a directory
// tree into a layer.
//
// Applying is a pipeline for each layer: read and hash the blob, inflate, hash
// the tar, and, in the one goroutine that touches the file system, parse and
// write. Layers are applied last one first, so that each name is written at most
// once; what upper layers replace or delete is never written. An image that
// cannot be done so (a path through a symbolic link of a layer below, a hard
// link to a file that an upper layer replaced) is done again first layer first.
// Both orders make the same tree, which a fuzz test checks.
//
// Paths of an image are resolved in memory, in the tree of names that we made
// ourselves; the kernel gets a directory's fd and a last component, and follows
// no link. The package knows nothing of image layouts and bundles: package
// unpack calls it.
package layer
