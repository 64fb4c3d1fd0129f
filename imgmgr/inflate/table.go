// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package inflate

import "math/bits"

// An entry of a decoding table is what the next bits mean.
//
//	bits  0-7   bits of the code to consume; for a sub-table, those of the main index
//	bits  8-12  extra bits behind the code, or the width of a sub-table's index
//	bits 13-15  kind
//	bits 16-31  literal, base of a length or distance, or start of the sub-table
type tableEntry uint32

const (
	kindLiteral  tableEntry = 0 << 13
	kindBase     tableEntry = 1 << 13 // of a length or distance
	kindEnd      tableEntry = 2 << 13 // of the block
	kindSubTable tableEntry = 3 << 13
	kindInvalid  tableEntry = 4 << 13
	kindMask     tableEntry = 7 << 13
)

func (e tableEntry) consume() uint { return uint(e & 0xff) }
func (e tableEntry) extra() uint   { return uint(e>>8) & 31 }
func (e tableEntry) value() int    { return int(e >> 16) }

// Index widths of the main tables, and the sizes that hold every complete code
// with its sub-tables; zlib's "enough" computes 2,342 and 402 for 11 and 8 bits.
const (
	litlenBits   = 11
	litlenSize   = 2342
	distBits     = 8
	distSize     = 402
	precodeBits  = 7
	precodeSize  = 1 << precodeBits
	maxCode      = 15
	litlenCodes  = 288
	distCodes    = 32
	precodeCodes = 19
)

// What each symbol means: RFC 1951, 3.2.5. Symbols that must not occur are invalid.
var (
	litlenSymbols = makeLitlenSymbols()
	distSymbols   = makeDistSymbols()
	precodeOrder  = [precodeCodes]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
	precodeValues = makePrecodeSymbols()
)

func makeLitlenSymbols() (s [litlenCodes]tableEntry) {
	for i := range 256 {
		s[i] = kindLiteral | tableEntry(i)<<16
	}
	s[256] = kindEnd
	base := 3
	for i := 257; i < 285; i++ {
		extra := max(0, (i-261)/4)
		s[i] = kindBase | tableEntry(base)<<16 | tableEntry(extra)<<8
		base += 1 << extra
	}
	s[285] = kindBase | 258<<16
	s[286], s[287] = kindInvalid, kindInvalid
	return s
}

func makeDistSymbols() (s [distCodes]tableEntry) {
	base := 1
	for i := range 30 {
		extra := max(0, (i-2)/2)
		s[i] = kindBase | tableEntry(base)<<16 | tableEntry(extra)<<8
		base += 1 << extra
	}
	s[30], s[31] = kindInvalid, kindInvalid
	return s
}

func makePrecodeSymbols() (s [precodeCodes]tableEntry) {
	for i := range s {
		s[i] = tableEntry(i) << 16
	}
	return s
}

// build fills a table for the canonical Huffman code with the given lengths, the
// index being the next bits of the stream, which come lowest bit first. It
// returns false for a code that is over-subscribed or incomplete; a code of one
// symbol with one bit, and for distances of none at all, are the exceptions that
// RFC 1951 makes.
func build(table []tableEntry, mainBits uint, lengths []uint8, symbols []tableEntry) bool {
	var count [maxCode + 1]int
	for _, n := range lengths {
		count[n]++
	}
	used, left := 0, 1
	for n := 1; n <= maxCode; n++ {
		if left = left<<1 - count[n]; left < 0 {
			return false
		}
		used += count[n]
	}
	if left > 0 && (used > 1 || used == 1 && count[1] != 1) {
		return false
	}
	if left > 0 {
		for i := range table[:1<<mainBits] {
			table[i] = kindInvalid | 1
		}
	}
	var next [maxCode + 2]uint32 // next code of each length
	for n := 1; n <= maxCode; n++ {
		next[n+1] = (next[n] + uint32(count[n])) << 1
	}
	var sorted [litlenCodes]uint16 // symbols by length, then value
	var at [maxCode + 2]int
	for n := 1; n <= maxCode; n++ {
		at[n+1] = at[n] + count[n]
	}
	for symbol, n := range lengths {
		if n > 0 {
			sorted[at[n]] = uint16(symbol)
			at[n]++
		}
	}
	// In this order codes only grow, so that those longer than the main index
	// which share their first bits, and with them a sub-table, come together.
	end, prefix, sub := uint(1)<<mainBits, uint(1)<<mainBits, tableEntry(0)
	for _, symbol := range sorted[:used] {
		n := uint(lengths[symbol])
		code := uint(bits.Reverse16(uint16(next[n])) >> (16 - n))
		next[n]++
		e := symbols[symbol]
		if n <= mainBits {
			for i := code; i < 1<<mainBits; i += 1 << n {
				table[i] = e | tableEntry(n)
			}
			count[n]--
			continue
		}
		if p := code & (1<<mainBits - 1); p != prefix {
			prefix, sub = p, newSubTable(mainBits, n, &count, end)
			table[prefix] = sub
			if end += 1 << sub.extra(); end > uint(len(table)) {
				return false
			}
		}
		for i := code >> mainBits; i < 1<<sub.extra(); i += 1 << (n - mainBits) {
			table[sub.value()+int(i)] = e | tableEntry(n-mainBits)
		}
		count[n]--
	}
	return true
}

// newSubTable returns the entry for a sub-table at end that begins with codes of
// n bits: as wide as it takes until the codes of its prefix fill it.
func newSubTable(mainBits, n uint, count *[maxCode + 1]int, end uint) tableEntry {
	width := n - mainBits
	for space := 1<<width - count[n]; space > 0 && mainBits+width < maxCode; {
		width++
		space = space<<1 - count[mainBits+width]
	}
	return kindSubTable | tableEntry(end)<<16 | tableEntry(width)<<8 | tableEntry(mainBits)
}
