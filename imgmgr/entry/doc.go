// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package entry reads the entries of a layer's tar stream and compiles each to
// a file operation.
//
// It reads ustar, pax and GNU tar (long names, sparse files) within limits: a
// layer comes from somebody else, and a header of some bytes may announce
// gigabytes. Where archive/tar hides sizes and duplicates and has no limits,
// this reader refuses; what both accept they read alike, which a fuzz test
// checks. It touches nothing: package layer carries the operations out.
package entry
