// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package inflate

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// Window is the most that a match can reach back, and the room in front of the
// output that Decode needs.
const Window = 32 << 10

// margin is the room that the fast loop needs behind its position: two literals,
// the longest match, and the seven bytes that a copy by words may write too far.
const margin = 2 + 258 + 8

// MinBuffer is the least length of a buffer for Decode.
const MinBuffer = Window + margin + 1

// ErrFormat says that the input is not gzip, or is damaged.
var ErrFormat = errors.New("gzip data is malformed")

// ErrChecksum says that the content is not that which was packed.
var ErrChecksum = errors.New("gzip checksum or length is wrong")

// A Source gives the input in pieces. A piece is valid until the next call;
// io.EOF comes alone, after the last piece.
type Source interface {
	Piece() ([]byte, error)
}

// A Reader decodes gzip: one member or several, one behind the other. Whatever
// else follows is an error.
type Reader struct {
	source Source
	in     []byte // the rest of the current piece
	// The next bits of the input, lowest first. Bits of buf above count may be
	// set: they are those of the bytes that come next, and are read again.
	buf   uint64
	count uint

	state  state
	final  bool // the current block is the last of its member
	stored int  // bytes left of a stored block
	fixed  bool // the tables are those of a block with fixed codes
	err    error

	window    [Window]byte // the last output
	reach     int          // how much of it there is of this member
	crc       uint32
	size      uint32
	headerCRC uint32

	litlen [litlenSize]tableEntry
	dist   [distSize]tableEntry
}

type state int

const (
	beforeMember state = iota
	beforeBlock
	inStored
	inCodes
	behindMember
)

// NewReader returns a Reader of the gzip data in s.
func NewReader(s Source) *Reader { return &Reader{source: s} }

// Decode writes the next output to buf[Window:] and returns how many bytes; the
// room in front is overwritten. It returns io.EOF alone at the end, and with an
// error no output that is to be believed. The checksums of a member have been
// verified when the first byte behind it is returned.
func (r *Reader) Decode(buf []byte) (int, error) {
	if len(buf) < MinBuffer {
		panic("bug: the buffer for Decode is too short")
	}
	copy(buf[Window-r.reach:Window], r.window[Window-r.reach:])
	at := Window
	for r.err == nil && at == Window {
		at, r.err = r.step(buf, at)
	}
	if r.err != nil {
		return 0, r.err
	}
	return at - Window, nil
}

// step goes one state further. What was decoded is accounted for before the
// member can end.
func (r *Reader) step(buf []byte, at int) (int, error) {
	switch r.state {
	case beforeMember:
		return at, r.member()
	case beforeBlock:
		return at, r.block()
	case behindMember:
		return at, r.trailer()
	}
	begin := at
	var err error
	if r.state == inStored {
		at, err = r.copyStored(buf, at)
	} else {
		at, err = r.codes(buf, at)
	}
	if err != nil {
		return at, err
	}
	r.crc = crc32.Update(r.crc, crc32.IEEETable, buf[begin:at])
	r.size += uint32(at - begin)
	r.reach = min(Window, r.reach+at-begin)
	copy(r.window[Window-r.reach:], buf[at-r.reach:at])
	return at, nil
}

// need makes n bits available, n up to 32.
func (r *Reader) need(n uint) error {
	for r.count < n {
		for len(r.in) == 0 {
			var err error
			if r.in, err = r.source.Piece(); err != nil {
				if errors.Is(err, io.EOF) {
					err = io.ErrUnexpectedEOF
				}
				return err
			}
			// What is above count came from bytes that the piece before had; it
			// had none left.
			r.buf &= 1<<r.count - 1
		}
		r.buf |= uint64(r.in[0]) << r.count
		r.in = r.in[1:]
		r.count += 8
	}
	return nil
}

func (r *Reader) drop(n uint) {
	r.buf >>= n
	r.count -= n
}

// take returns the next n bits.
func (r *Reader) take(n uint) (int, error) {
	if err := r.need(n); err != nil {
		return 0, err
	}
	v := int(r.buf & (1<<n - 1))
	r.drop(n)
	return v, nil
}

// byte returns the next byte of a header.
func (r *Reader) byte() (byte, error) {
	v, err := r.take(8)
	r.headerCRC = crc32.Update(r.headerCRC, crc32.IEEETable, []byte{byte(v)})
	return byte(v), err
}

// Flags of a member's header, RFC 1952, 2.3.1.
const (
	flagCRC     = 1 << 1
	flagExtra   = 1 << 2
	flagName    = 1 << 3
	flagComment = 1 << 4
	flagsKnown  = 1<<5 - 1
)

// member reads the header of a member.
func (r *Reader) member() error {
	r.headerCRC, r.crc, r.size, r.reach = 0, 0, 0, 0
	var fixed [10]byte
	for i := range fixed {
		var err error
		if fixed[i], err = r.byte(); err != nil {
			return err
		}
	}
	if fixed[0] != 0x1f || fixed[1] != 0x8b || fixed[2] != 8 || fixed[3]&^flagsKnown != 0 {
		return ErrFormat
	}
	if err := r.optional(fixed[3]); err != nil {
		return err
	}
	r.state = beforeBlock
	return nil
}

// optional skips the fields of a header that its flags announce.
func (r *Reader) optional(flags byte) error {
	if flags&flagExtra != 0 {
		low, err1 := r.byte()
		high, err2 := r.byte()
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		for range int(low) | int(high)<<8 {
			if _, err := r.byte(); err != nil {
				return err
			}
		}
	}
	for _, f := range []byte{flagName, flagComment} {
		for flags&f != 0 {
			c, err := r.byte()
			if err != nil {
				return err
			}
			if c == 0 {
				break
			}
		}
	}
	if flags&flagCRC != 0 {
		want := uint16(r.headerCRC)
		got, err := r.take(16)
		if err != nil {
			return err
		}
		if uint16(got) != want {
			return ErrChecksum
		}
	}
	return nil
}

// trailer verifies a member, and finds out whether another follows.
func (r *Reader) trailer() error {
	r.drop(r.count & 7)
	crc, err := r.take(32)
	if err != nil {
		return err
	}
	size, err := r.take(32)
	if err != nil {
		return err
	}
	if uint32(crc) != r.crc || uint32(size) != r.size {
		return ErrChecksum
	}
	r.state = beforeMember
	if err := r.need(8); errors.Is(err, io.ErrUnexpectedEOF) && r.count == 0 {
		return io.EOF
	} else if err != nil {
		return err
	}
	return nil
}

// block reads the header of a block, RFC 1951, 3.2.3.
func (r *Reader) block() error {
	if r.final {
		r.final, r.state = false, behindMember
		return nil
	}
	head, err := r.take(3)
	if err != nil {
		return err
	}
	r.final = head&1 != 0
	r.state = inCodes
	switch head >> 1 {
	case 0:
		return r.storedHeader()
	case 1:
		r.fixedTables()
		return nil
	case 2:
		return r.dynamicTables()
	}
	return ErrFormat
}

func (r *Reader) storedHeader() error {
	r.drop(r.count & 7)
	n, err := r.take(32)
	if err != nil {
		return err
	}
	if n&0xffff != ^(n>>16)&0xffff {
		return ErrFormat
	}
	r.state, r.stored = inStored, n&0xffff
	return nil
}

// copyStored copies of a stored block: first the bytes in the bit buffer.
func (r *Reader) copyStored(buf []byte, at int) (int, error) {
	for r.stored > 0 && at < len(buf) {
		if r.count > 0 || len(r.in) == 0 {
			c, err := r.take(8)
			if err != nil {
				return at, err
			}
			buf[at] = byte(c)
			at++
			r.stored--
			continue
		}
		r.buf = 0
		n := copy(buf[at:], r.in[:min(r.stored, len(r.in))])
		r.in = r.in[n:]
		at += n
		r.stored -= n
	}
	if r.stored == 0 {
		r.state = beforeBlock
	}
	return at, nil
}

func (r *Reader) fixedTables() {
	if r.fixed {
		return
	}
	var lengths [litlenCodes]uint8
	for i := range lengths {
		switch {
		case i < 144, i >= 280:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		default:
			lengths[i] = 7
		}
	}
	var dist [distCodes]uint8
	for i := range dist {
		dist[i] = 5
	}
	if !build(r.litlen[:], litlenBits, lengths[:], litlenSymbols[:]) || !build(r.dist[:], distBits, dist[:], distSymbols[:]) {
		panic("bug: the fixed codes are not complete")
	}
	r.fixed = true
}

// dynamicTables reads the codes of a block, RFC 1951, 3.2.7.
func (r *Reader) dynamicTables() error {
	r.fixed = false
	head, err := r.take(14)
	if err != nil {
		return err
	}
	literals, distances, codes := 257+head&31, 1+head>>5&31, 4+head>>10
	if literals > 286 || distances > 30 {
		return ErrFormat
	}
	var pre [precodeCodes]uint8
	for _, i := range precodeOrder[:codes] {
		n, err := r.take(3)
		if err != nil {
			return err
		}
		pre[i] = uint8(n)
	}
	var table [precodeSize]tableEntry
	if !build(table[:], precodeBits, pre[:], precodeValues[:]) {
		return ErrFormat
	}
	var lengths [litlenCodes + distCodes]uint8
	if err := r.codeLengths(&table, lengths[:literals+distances]); err != nil {
		return err
	}
	if lengths[256] == 0 || // a block without an end
		!build(r.litlen[:], litlenBits, lengths[:literals], litlenSymbols[:]) ||
		!build(r.dist[:], distBits, lengths[literals:literals+distances], distSymbols[:]) {
		return ErrFormat
	}
	return nil
}

// codeLengths reads the lengths of codes, which are packed themselves.
func (r *Reader) codeLengths(table *[precodeSize]tableEntry, lengths []uint8) error {
	for i := 0; i < len(lengths); {
		if err := r.need(precodeBits); err != nil {
			return err
		}
		e := table[r.buf&(precodeSize-1)]
		if e&kindMask == kindInvalid {
			return ErrFormat
		}
		r.drop(e.consume())
		if e.value() < 16 {
			lengths[i] = uint8(e.value())
			i++
			continue
		}
		var value uint8
		bits, least := uint(2), 3
		switch e.value() {
		case 16:
			if i == 0 {
				return ErrFormat
			}
			value = lengths[i-1]
		case 17:
			bits = 3
		default:
			bits, least = 7, 11
		}
		n, err := r.take(bits)
		if err != nil {
			return err
		}
		if n += least; i+n > len(lengths) {
			return ErrFormat
		}
		for range n {
			lengths[i] = value
			i++
		}
	}
	return nil
}

// codes decodes symbols until the block ends or the output is nearly full.
func (r *Reader) codes(buf []byte, at int) (int, error) {
	for at+margin <= len(buf) {
		var end bool
		var err error
		if len(r.in) >= 24 {
			at, end, err = r.fast(buf, at)
		} else {
			at, end, err = r.slow(buf, at)
		}
		if err != nil {
			return at, err
		}
		if end {
			r.state = beforeBlock
			return at, nil
		}
	}
	return at, nil
}

// slow decodes one symbol, wherever the input may end: at least the trailer, 64
// bits, must follow the last.
func (r *Reader) slow(buf []byte, at int) (int, bool, error) {
	e, err := r.symbol(r.litlen[:], litlenBits)
	if err != nil {
		return at, false, err
	}
	switch e & kindMask {
	case kindLiteral:
		buf[at] = byte(e.value())
		return at + 1, false, nil
	case kindEnd:
		return at, true, nil
	case kindInvalid:
		return at, false, ErrFormat
	}
	length, err := r.take(e.extra())
	if err != nil {
		return at, false, err
	}
	length += e.value()
	if e, err = r.symbol(r.dist[:], distBits); err != nil {
		return at, false, err
	}
	if e&kindMask != kindBase {
		return at, false, ErrFormat
	}
	distance, err := r.take(e.extra())
	if err != nil {
		return at, false, err
	}
	distance += e.value()
	if distance > at-Window+r.reach {
		return at, false, ErrFormat
	}
	for i := at; i < at+length; i++ {
		buf[i] = buf[i-distance]
	}
	return at + length, false, nil
}

func (r *Reader) symbol(table []tableEntry, mainBits uint) (tableEntry, error) {
	if err := r.need(maxCode); err != nil {
		return 0, err
	}
	e := table[r.buf&(1<<mainBits-1)]
	if e&kindMask == kindSubTable {
		r.drop(mainBits)
		e = table[uint64(e.value())+r.buf&(1<<e.extra()-1)]
	}
	r.drop(e.consume())
	return e, nil
}

// fast decodes symbols while 24 bytes of input and margin bytes of room are
// left, which is more than one round takes: two literals and a match need at
// most 2×15 + 15+5 + 15+13 bits, and each refill gives 56.
func (r *Reader) fast(buf []byte, at int) (int, bool, error) {
	in, pos, bitbuf, count := r.in, 0, r.buf, r.count
	litlen, dist := &r.litlen, &r.dist
	lowest := Window - r.reach
	end, bad := false, false
	for pos+24 <= len(in) && at+margin <= len(buf) {
		bitbuf |= binary.LittleEndian.Uint64(in[pos:]) << (count & 63)
		pos += int((63 - count) >> 3)
		count |= 56
		e := litlen[bitbuf&(1<<litlenBits-1)]
		if e&kindMask == kindLiteral {
			bitbuf >>= e & 63
			count -= uint(e & 63)
			buf[at] = byte(e >> 16)
			at++
			e = litlen[bitbuf&(1<<litlenBits-1)]
			if e&kindMask == kindLiteral {
				bitbuf >>= e & 63
				count -= uint(e & 63)
				buf[at] = byte(e >> 16)
				at++
				e = litlen[bitbuf&(1<<litlenBits-1)]
				if e&kindMask == kindLiteral {
					bitbuf >>= e & 63
					count -= uint(e & 63)
					buf[at] = byte(e >> 16)
					at++
					continue
				}
			}
		}
		if e&kindMask == kindSubTable {
			bitbuf >>= litlenBits
			count -= litlenBits
			index := uint64(e>>16) + bitbuf&(1<<(e>>8&31)-1)
			if index >= litlenSize {
				bad = true
				break
			}
			e = litlen[index]
			if e&kindMask == kindLiteral {
				bitbuf >>= e & 63
				count -= uint(e & 63)
				buf[at] = byte(e >> 16)
				at++
				continue
			}
		}
		bitbuf >>= e & 63
		count -= uint(e & 63)
		if e&kindMask != kindBase {
			end, bad = e&kindMask == kindEnd, e&kindMask != kindEnd
			break
		}
		extra := uint(e>>8) & 31
		length := int(e>>16) + int(bitbuf&(1<<extra-1))
		bitbuf >>= extra
		count -= extra

		bitbuf |= binary.LittleEndian.Uint64(in[pos:]) << (count & 63)
		pos += int((63 - count) >> 3)
		count |= 56
		e = dist[bitbuf&(1<<distBits-1)]
		if e&kindMask == kindSubTable {
			bitbuf >>= distBits
			count -= distBits
			index := uint64(e>>16) + bitbuf&(1<<(e>>8&31)-1)
			if index >= distSize {
				bad = true
				break
			}
			e = dist[index]
		}
		bitbuf >>= e & 63
		count -= uint(e & 63)
		extra = uint(e>>8) & 31
		distance := int(e>>16) + int(bitbuf&(1<<extra-1))
		bitbuf >>= extra
		count -= extra
		from := at - distance
		if e&kindMask != kindBase || from < lowest {
			bad = true
			break
		}
		to := at + length
		if distance >= 8 {
			for at < to {
				binary.LittleEndian.PutUint64(buf[at:], binary.LittleEndian.Uint64(buf[from:]))
				at += 8
				from += 8
			}
		} else {
			for at < to {
				buf[at] = buf[from]
				at++
				from++
			}
		}
		at = to
	}
	r.in, r.buf, r.count = in[pos:], bitbuf, count
	if bad {
		return at, false, ErrFormat
	}
	return at, end, nil
}
