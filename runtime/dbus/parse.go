// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package dbus

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ParseVariant reads a value in GVariant's text form: "true", "uint64 5", "'a'",
// "['a', 'b']", "@a(ss) [('/dev/null', 'rw')]". Types that D-Bus does not have
// are errors.
func ParseVariant(text string) (Variant, error) {
	p := parser{rest: text}
	n, err := p.node(0)
	if err != nil {
		return Variant{}, err
	}
	if p.space(); p.rest != "" {
		return Variant{}, errors.New("there is more behind the value: " + strconv.Quote(p.rest))
	}
	signature, err := n.infer()
	if err != nil {
		return Variant{}, err
	}
	value, err := n.resolve(signature)
	return Variant{signature, value}, err
}

// A node is a value whose type may not be known yet.
type node struct {
	kind      byte   // 'b' 's' '0' (a number) '[' '(' '{' '<' ':' (an entry)
	text      string // of a leaf
	children  []node
	signature string // "uint64", "@t"; "" without
}

type parser struct{ rest string }

func (p *parser) space() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

// skip takes a token if it is next.
func (p *parser) skip(token string) bool {
	p.space()
	rest, ok := strings.CutPrefix(p.rest, token)
	if ok {
		p.rest = rest
	}
	return ok
}

func (p *parser) node(depth int) (n node, err error) {
	const deepest = 32
	if p.space(); depth > deepest {
		return n, errors.New("it is nested too deeply")
	}
	if p.rest == "" {
		return n, errors.New("there is no value")
	}
	switch p.rest[0] {
	case '\'', '"':
		return p.str()
	case '[':
		return p.list('[', "]", depth)
	case '(':
		return p.list('(', ")", depth)
	case '{':
		return p.list('{', "}", depth)
	case '<':
		return p.list('<', ">", depth)
	case '@':
		word := p.word()
		if !single(word[1:]) {
			return n, errors.New(strconv.Quote(word[1:]) + " is no type of D-Bus")
		}
		return p.annotated(word[1:], depth)
	}
	word := p.word()
	for _, k := range keywords {
		if k.name == word {
			return p.annotated(k.signature, depth)
		}
	}
	switch {
	case word == "true" || word == "false":
		return node{kind: 'b', text: word}, nil
	case word != "" && strings.IndexByte("+-.0123456789", word[0]) >= 0:
		return node{kind: '0', text: word}, nil
	}
	return n, errors.New("no value of GVariant's text form begins with " + strconv.Quote(p.rest+word))
}

func (p *parser) annotated(signature string, depth int) (node, error) {
	n, err := p.node(depth + 1)
	if err == nil && n.signature != "" && n.signature != signature {
		err = errors.New("it has the types " + signature + " and " + n.signature)
	}
	n.signature = signature
	return n, err
}

// word takes what stands before the next space or punctuation; a type may hold
// brackets of its own.
func (p *parser) word() string {
	punctuation := " \t\r\n,:[]<>'\"(){}"
	if p.rest[0] == '@' {
		punctuation = " \t\r\n[<'\""
	}
	end := strings.IndexAny(p.rest, punctuation)
	if end < 0 {
		end = len(p.rest)
	}
	word := p.rest[:end]
	p.rest = p.rest[end:]
	return word
}

// list takes what stands between brackets, with commas.
func (p *parser) list(kind byte, closing string, depth int) (node, error) {
	n := node{kind: kind}
	p.rest = p.rest[1:]
	for !p.skip(closing) {
		if len(n.children) > 0 && !p.skip(",") {
			return n, errors.New("a comma or " + closing + " is missing before " + strconv.Quote(p.rest))
		}
		if kind == '(' && len(n.children) == 1 && p.skip(closing) { // ('a',)
			return n, nil
		}
		child, err := p.node(depth + 1)
		if err == nil && kind == '{' {
			child, err = p.entry(child, depth)
		}
		if err != nil {
			return n, err
		}
		n.children = append(n.children, child)
	}
	if kind == '<' && len(n.children) != 1 {
		return n, errors.New("< and > stand around one value")
	}
	return n, nil
}

func (p *parser) entry(key node, depth int) (node, error) {
	if !p.skip(":") {
		return key, errors.New("a colon is missing before " + strconv.Quote(p.rest))
	}
	value, err := p.node(depth + 1)
	return node{kind: ':', children: []node{key, value}}, err
}

// str takes a string in single or double quotes.
func (p *parser) str() (node, error) {
	quote := p.rest[0]
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == quote:
			p.rest = p.rest[i+1:]
			if !utf8.ValidString(b.String()) || strings.IndexByte(b.String(), 0) >= 0 {
				return node{}, errors.New("a string is not UTF-8, or has a zero byte")
			}
			return node{kind: 's', text: b.String()}, nil
		case c != '\\':
			b.WriteByte(c)
		default:
			size, err := escape(&b, p.rest[i+1:])
			if err != nil {
				return node{}, err
			}
			i += size
		}
	}
	return node{}, errors.New("a string has no end")
}

// escape writes what an escape means and returns its length behind the backslash.
func escape(b *strings.Builder, rest string) (int, error) {
	if rest == "" {
		return 0, errors.New("a string ends with a backslash")
	}
	if i := strings.IndexByte("abfnrtv", rest[0]); i >= 0 {
		b.WriteByte("\a\b\f\n\r\t\v"[i])
		return 1, nil
	}
	digits := map[byte]int{'u': 4, 'U': 8}[rest[0]]
	if digits == 0 {
		b.WriteByte(rest[0])
		return 1, nil
	}
	if len(rest) <= digits {
		return 0, errors.New("an escape of a string is cut off")
	}
	n, err := strconv.ParseUint(rest[1:1+digits], 16, 32)
	if err != nil || !utf8.ValidRune(rune(n)) {
		return 0, errors.New(strconv.Quote(rest[:1+digits]) + " is no character")
	}
	b.WriteRune(rune(n))
	return 1 + digits, nil
}
