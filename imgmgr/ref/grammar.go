// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package ref

import (
	"strconv"
	"strings"
)

// checkName checks a name without tag and digest against the grammar of
// distribution references:
//
//	name           [domain "/"] path-component ("/" path-component)*
//	path-component [a-z0-9]+ (separator [a-z0-9]+)*
//	separator      "." | "_" | "__" | "-"+
func checkName(name string) error {
	if len(name) > maxName {
		return reason("name is longer than " + strconv.Itoa(maxName) + " bytes")
	}
	parts := strings.Split(name, "/")
	if len(parts) > 1 && isHost(parts[0]) {
		if !validHost(parts[0]) {
			return reason("registry " + quote(parts[0]) + " is not a host name or address")
		}
		parts = parts[1:]
	}
	for _, p := range parts {
		if !validComponent(p) {
			return reason("name component " + quote(p) + " is not lower-case letters and digits, separated by one of . _ __ -")
		}
	}
	return nil
}

func isHost(first string) bool {
	return strings.ContainsAny(first, ".:") || first == "localhost" || strings.ToLower(first) != first
}

func validHost(host string) bool {
	if strings.HasPrefix(host, "[") { // an IPv6 address
		address, port, ok := strings.Cut(host[1:], "]")
		return ok && address != "" && only(address, isHexColon) && (port == "" || port[0] == ':' && validPort(port[1:]))
	}
	name, port, hasPort := strings.Cut(host, ":")
	if hasPort && !validPort(port) {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || !only(label, isHostByte) {
			return false
		}
	}
	return true
}

func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && s[0] != '+'
}

func validComponent(s string) bool {
	for s != "" {
		n := span(s, isLowerAlnum)
		if n == 0 {
			return false
		}
		if s = s[n:]; s == "" {
			return true
		}
		switch dashes := span(s, func(c byte) bool { return c == '-' }); {
		case dashes > 0:
			s = s[dashes:]
		case strings.HasPrefix(s, "__"):
			s = s[2:]
		case s[0] == '_' || s[0] == '.':
			s = s[1:]
		default:
			return false
		}
	}
	return false
}

// ValidTag tells whether s is a tag: a letter, digit or "_", then up to 127 of
// those, "." and "-".
func ValidTag(s string) bool {
	return s != "" && len(s) <= maxTag && s[0] != '.' && s[0] != '-' && only(s, func(c byte) bool { return isAlnum(c) || c == '_' || c == '.' || c == '-' })
}

// ValidLabel tells whether s may be the org.opencontainers.image.ref.name of an
// image (image-spec, annotations.md): components joined by "/" that begin with
// a letter or digit and go on with those and - . _ : @ +. That is wider than the
// specification at one point: every reference is valid, also one whose tag ends
// in a dot or whose registry is an IPv6 address.
func ValidLabel(s string) bool {
	if s == "" || len(s) > maxLabel {
		return false
	}
	if host, rest, ok := strings.Cut(s, "/"); ok && host[0:min(1, len(host))] == "[" && validHost(host) {
		s = rest
	}
	for c := range strings.SplitSeq(s, "/") {
		if c == "" || !isAlnum(c[0]) || !only(c, isLabelByte) {
			return false
		}
	}
	return true
}

// ValidDigest tells whether s is the digest of an algorithm that we know,
// spelled in the one way that image-spec allows (lower-case hex).
func ValidDigest(s string) bool {
	algorithm, hex, ok := strings.Cut(s, ":")
	if !ok || !only(hex, func(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' }) {
		return false
	}
	return algorithm == "sha256" && len(hex) == 64 || algorithm == "sha512" && len(hex) == 128
}

func isLowerAlnum(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
func isAlnum(c byte) bool      { return isLowerAlnum(c) || c >= 'A' && c <= 'Z' }
func isLabelByte(c byte) bool  { return isAlnum(c) || strings.IndexByte("-._:@+", c) >= 0 }
func isHostByte(c byte) bool   { return isAlnum(c) || c == '-' }
func isHexColon(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' || c == ':'
}

// span returns how many bytes at the start of s are of the class.
func span(s string, class func(byte) bool) int {
	for i := range len(s) {
		if !class(s[i]) {
			return i
		}
	}
	return len(s)
}

func only(s string, class func(byte) bool) bool { return span(s, class) == len(s) }
