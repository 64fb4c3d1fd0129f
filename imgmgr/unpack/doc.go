// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package unpack turns an image into a runtime bundle, and a bundle back into an
// image.
//
// A bundle is made in a directory of its own beside the target and renamed into
// place when everything in it is verified: it is there whole or not at all.
// Beside rootfs and config.json it has what a commit needs:
//
//	imgmgr.json    which image this is, and where its blobs are
//	imgmgr.index   what every file looked like, see layer.Index
//
// It reads and writes images by package layout and moves none; package cli calls
// it.
package unpack
