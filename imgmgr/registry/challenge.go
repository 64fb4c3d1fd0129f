// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package registry

import "strings"

// A challenge is one way in which a registry wants us to identify ourselves.
type challenge struct {
	scheme     string // lower case
	parameters map[string]string
}

// parseChallenges reads WWW-Authenticate headers (RFC 9110, 11.6.1): several
// headers, or several challenges in one, separated by the same comma that
// separates their parameters. A word that no "=" follows begins a challenge.
func parseChallenges(headers []string) []challenge {
	var found []challenge
	for _, s := range headers {
		for s = skip(s); s != ""; s = skip(s) {
			var word string
			if word, s = token(s); word == "" {
				break // not a header that we understand
			}
			rest := strings.TrimLeft(s, " \t")
			if !strings.HasPrefix(rest, "=") {
				found = append(found, challenge{strings.ToLower(word), map[string]string{}})
				continue
			}
			var value string
			value, s = parameterValue(rest[1:])
			if n := len(found); n > 0 {
				found[n-1].parameters[strings.ToLower(word)] = value
			}
		}
	}
	return found
}

// choose returns the challenge to answer: a token if the registry knows them,
// else basic.
func choose(all []challenge) *challenge {
	var best *challenge
	for i, c := range all {
		switch {
		case c.scheme == "bearer" && c.parameters["realm"] != "":
			return &all[i]
		case c.scheme == "basic" && best == nil:
			best = &all[i]
		}
	}
	return best
}

func skip(s string) string { return strings.TrimLeft(s, " \t,") }

func token(s string) (word, rest string) {
	i := strings.IndexFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	})
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i:]
}

// parameterValue reads a token or a quoted string.
func parameterValue(s string) (value, rest string) {
	s = strings.TrimLeft(s, " \t")
	if !strings.HasPrefix(s, `"`) {
		if i := strings.IndexAny(s, ", \t"); i >= 0 {
			return s[:i], s[i:]
		}
		return s, ""
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:]
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "" // not closed
}
