// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package entry

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A pax header is a sequence of records "LENGTH KEY=VALUE\n", the length being
// that of the whole record in decimal; see pax(1) of POSIX.

// paxRecords is what a pax header says about the next entry. A field with its
// has-flag unset was not given.
type paxRecords struct {
	path, link              string
	size, uid, gid          int64
	hasSize, hasUID, hasGID bool
	mtime                   Time
	hasMtime                bool
	xattrs                  []Xattr
	sparse                  paxSparse
}

// paxSparse collects GNU.sparse.* of the three pax formats, 0.0, 0.1 and 1.0.
type paxSparse struct {
	major, minor string
	name         string
	realSize     int64
	hasRealSize  bool
	fragments    []Fragment // 0.0 and 0.1
	pending      bool       // an offset without its numbytes (0.0)
}

var errPax = errors.New("a pax record is malformed")

// parsePax calls each for every record of a pax header.
func parsePax(text []byte, each func(key, value string) error) error {
	for len(text) > 0 {
		digits, _, ok := bytes.Cut(text[:min(len(text), 20)], []byte(" "))
		length, err := strconv.ParseUint(string(digits), 10, 31)
		if !ok || err != nil || int(length) > len(text) || int(length) < len(digits)+4 || text[length-1] != '\n' {
			return errPax
		}
		key, value, ok := strings.Cut(string(text[len(digits)+1:length-1]), "=")
		if !ok || key == "" {
			return errPax
		}
		if err := each(key, value); err != nil {
			return err
		}
		text = text[length:]
	}
	return nil
}

// set takes in one record. Unknown keys are ignored, as POSIX wants.
func (p *paxRecords) set(key, value string) (err error) {
	switch key {
	case "path":
		p.path = value
	case "linkpath":
		p.link = value
	case "size":
		p.size, p.hasSize, err = decimal(value)
	case "uid":
		p.uid, p.hasUID, err = decimal(value)
	case "gid":
		p.gid, p.hasGID, err = decimal(value)
	case "mtime":
		p.hasMtime = value != ""
		if p.hasMtime {
			p.mtime, err = paxTime(value)
		}
	default:
		if name, ok := strings.CutPrefix(key, "SCHILY.xattr."); ok {
			p.setXattr(name, value)
		} else if name, ok := strings.CutPrefix(key, "GNU.sparse."); ok {
			err = p.sparse.set(name, value)
		}
	}
	if err != nil {
		return fmt.Errorf("pax record %s=%.40q: %w", key, value, err)
	}
	return nil
}

// setXattr adds an attribute; the last of a name counts.
func (p *paxRecords) setXattr(name, value string) {
	for i := range p.xattrs {
		if p.xattrs[i].Name == name {
			p.xattrs[i].Value = value
			return
		}
	}
	p.xattrs = append(p.xattrs, Xattr{name, value})
}

// decimal reads a number; an empty value takes back an earlier record.
func decimal(s string) (n int64, has bool, err error) {
	if s == "" {
		return 0, false, nil
	}
	n, err = strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, false, errNumber
	}
	return n, true, nil
}

// paxTime reads seconds with an optional fraction, of which nine digits count;
// times before 1970 have the fraction added downwards: -0.25 is -1 s + 0.75 s.
func paxTime(s string) (Time, error) {
	whole, fraction, _ := strings.Cut(s, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return Time{}, errNumber
	}
	if strings.ContainsFunc(fraction, func(r rune) bool { return r < '0' || r > '9' }) {
		return Time{}, errNumber
	}
	nsec, _ := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	if strings.HasPrefix(whole, "-") && nsec > 0 {
		if sec == -1<<63 {
			return Time{}, errNumber
		}
		return Time{sec - 1, 1e9 - nsec}, nil
	}
	return Time{sec, nsec}, nil
}

func (s *paxSparse) set(name, value string) (err error) {
	switch name {
	case "major":
		s.major = value
	case "minor":
		s.minor = value
	case "name":
		s.name = value
	case "size", "realsize":
		s.realSize, s.hasRealSize, err = decimal(value)
	case "offset":
		if s.pending {
			return errPax
		}
		var n int64
		n, s.pending, err = decimal(value)
		s.fragments = append(s.fragments, Fragment{Offset: n})
	case "numbytes":
		if !s.pending {
			return errPax
		}
		s.pending = false
		s.fragments[len(s.fragments)-1].Length, _, err = decimal(value)
	case "map":
		s.fragments, err = parseMap(strings.Split(value, ","))
	}
	if len(s.fragments) > maxFragments {
		return errSparse
	}
	return err
}

// parseMap reads offsets and lengths in turn.
func parseMap(numbers []string) ([]Fragment, error) {
	if len(numbers)%2 != 0 || len(numbers)/2 > maxFragments {
		return nil, errSparse
	}
	fragments := make([]Fragment, 0, len(numbers)/2)
	for i := 0; i < len(numbers); i += 2 {
		offset, has1, err1 := decimal(numbers[i])
		length, has2, err2 := decimal(numbers[i+1])
		if err1 != nil || err2 != nil || !has1 || !has2 {
			return nil, errSparse
		}
		fragments = append(fragments, Fragment{offset, length})
	}
	return fragments, nil
}
