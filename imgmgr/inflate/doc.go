// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package inflate reads gzip (RFC 1952, 1951) about twice as fast as
// compress/gzip, which is most of what unpacking an image costs.
//
// The ideas are libdeflate's: a 64-bit bit buffer that one unaligned load fills,
// tables whose entries hold a whole decoded symbol, up to two literals for one
// fill, matches copied in words, and a fast loop that runs while neither the
// input nor the output can end. Every table is checked to be a complete code and
// every distance to lie in what was written: the input is hostile. There is no
// unsafe code.
//
// It decodes only, and only whole streams. Package layer calls it; a fuzz test
// holds it to compress/gzip.
package inflate
