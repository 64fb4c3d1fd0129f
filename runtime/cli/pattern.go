// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"errors"
	"strconv"
	"strings"
)

// A pattern is a compiled regular expression: it matches at an offset of s if
// then, which is the rest of the expression, matches where it ends.
//
// It is what POSIX calls extended, less {n,m} and classes by name, which no id
// needs. Package regexp is left out because its tables are made at every start of
// the program.
type pattern func(s string, at int, then func(int) bool) bool

// matches tells whether the pattern fits somewhere in s.
func (p pattern) matches(s string) bool {
	for at := range len(s) + 1 {
		if p(s, at, func(int) bool { return true }) {
			return true
		}
	}
	return false
}

func compilePattern(text string) (pattern, error) {
	p := &patternParser{rest: text}
	whole := p.alternatives()
	if p.err == nil && p.rest != "" {
		p.err = errors.New("a ) has no (")
	}
	return whole, p.err
}

type patternParser struct {
	rest string
	err  error
}

func (p *patternParser) take(c byte) bool {
	if p.rest != "" && p.rest[0] == c {
		p.rest = p.rest[1:]
		return true
	}
	return false
}

func (p *patternParser) fail(what string) pattern {
	if p.err == nil {
		p.err = errors.New(what)
	}
	p.rest = ""
	return literal(0)
}

func (p *patternParser) alternatives() pattern {
	first := p.sequence()
	if !p.take('|') {
		return first
	}
	others := p.alternatives()
	return func(s string, at int, then func(int) bool) bool { return first(s, at, then) || others(s, at, then) }
}

func (p *patternParser) sequence() pattern {
	if p.rest == "" || p.rest[0] == '|' || p.rest[0] == ')' {
		return func(_ string, at int, then func(int) bool) bool { return then(at) }
	}
	one := p.atom()
	switch {
	case p.take('*'):
		one = repeat(one, 0, -1)
	case p.take('+'):
		one = repeat(one, 1, -1)
	case p.take('?'):
		one = repeat(one, 0, 1)
	}
	rest := p.sequence()
	return func(s string, at int, then func(int) bool) bool {
		return one(s, at, func(to int) bool { return rest(s, to, then) })
	}
}

func (p *patternParser) atom() pattern {
	c := p.rest[0]
	p.rest = p.rest[1:]
	switch c {
	case '(':
		inner := p.alternatives()
		if !p.take(')') {
			return p.fail("a ( is open")
		}
		return inner
	case '[':
		return p.class()
	case '^':
		return func(_ string, at int, then func(int) bool) bool { return at == 0 && then(at) }
	case '$':
		return func(s string, at int, then func(int) bool) bool { return at == len(s) && then(at) }
	case '.':
		return letter(func(byte) bool { return true })
	case '*', '+', '?', '{', '}':
		return p.fail(strconv.Quote(string(c)) + " cannot stand here")
	case '\\':
		if p.rest == "" {
			return p.fail(`a \ ends it`)
		}
		c, p.rest = p.rest[0], p.rest[1:]
	}
	return literal(c)
}

// class reads "[^a-z_]" from behind its bracket.
func (p *patternParser) class() pattern {
	not := p.take('^')
	end := strings.IndexByte(p.rest, ']')
	if end < 1 {
		return p.fail("a [ is open or empty")
	}
	set := p.rest[:end]
	p.rest = p.rest[end+1:]
	return letter(func(c byte) bool { return inClass(set, c) != not })
}

func inClass(set string, c byte) bool {
	for i := 0; i < len(set); i++ {
		if i+2 < len(set) && set[i+1] == '-' {
			if set[i] <= c && c <= set[i+2] {
				return true
			}
			i += 2
		} else if set[i] == c {
			return true
		}
	}
	return false
}

func literal(c byte) pattern { return letter(func(d byte) bool { return c == d }) }

func letter(is func(byte) bool) pattern {
	return func(s string, at int, then func(int) bool) bool { return at < len(s) && is(s[at]) && then(at+1) }
}

// repeat matches as often as it can; most is -1 for any number of times.
func repeat(one pattern, least, most int) pattern {
	var again func(s string, at, count int, then func(int) bool) bool
	again = func(s string, at, count int, then func(int) bool) bool {
		more := func(to int) bool { return to > at && again(s, to, count+1, then) }
		return count != most && one(s, at, more) || count >= least && then(at)
	}
	return func(s string, at int, then func(int) bool) bool { return again(s, at, 0, then) }
}
