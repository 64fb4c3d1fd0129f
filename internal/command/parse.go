// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package command

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coracle-oci/coracle/internal/fail"
)

// A parser reads the arguments of one level: the program's, or a verb's.
type parser struct {
	call  *Call
	flags []Flag
	// -h or -v were seen; whatever else is wrong does not matter then
	help, version bool
	err           error // the first
}

// parse fills c from the arguments. Where the arguments ask for a text, it is in
// c.answer, whatever else is wrong with them.
func parse(c *Call, args []string) error {
	p := &parser{call: c, flags: c.Program.Globals}
	for len(args) > 0 && isFlag(args[0]) {
		args = p.flag(args)
	}
	switch {
	case p.version:
		c.answer = c.Program.Version()
		return nil
	case p.help || len(args) == 0 && p.err == nil:
		c.answer = c.Program.Help()
		return nil
	case p.err != nil:
		return p.err
	case len(args) == 0:
		return nil
	}
	name, rest := args[0], args[1:]
	if name == "help" || name == "h" {
		return helpVerb(c, rest)
	}
	if c.Verb = made(c.Program.Verbs, name); c.Verb == nil {
		return unknownVerb(c.Program.Name, c.Program.Verbs, name)
	}
	if c.Verb.Verbs != nil {
		return parseGroup(c, rest)
	}
	return parseVerb(c, rest)
}

// parseGroup reads which of a verb's own verbs is meant, and what stands behind it.
func parseGroup(c *Call, args []string) error {
	p := &parser{call: c}
	for len(args) > 0 && isFlag(args[0]) {
		args = p.flag(args)
	}
	switch {
	case p.help || len(args) == 0 && p.err == nil:
		c.answer = c.Program.HelpOf(c.Verb)
		return nil
	case p.err != nil:
		return p.err
	}
	group := c.Verb
	if c.Verb = made(group.Verbs, args[0]); c.Verb == nil {
		return unknownVerb(c.Program.Name+" "+group.Name, group.Verbs, args[0])
	}
	return parseVerb(c, args[1:])
}

// parseVerb reads what stands behind the verb's name.
func parseVerb(c *Call, args []string) error {
	p := &parser{call: c, flags: c.Verb.Flags}
	for len(args) > 0 {
		if args[0] == "--" {
			c.Args = append(c.Args, args[1:]...)
			break
		}
		if isFlag(args[0]) {
			args = p.flag(args)
			continue
		}
		if c.Verb.Rest {
			c.Args = append(c.Args, args...)
			break
		}
		c.Args = append(c.Args, args[0])
		args = args[1:]
	}
	if p.help {
		c.answer = c.Program.HelpOf(c.Verb)
		return nil
	}
	p.count()
	return p.err
}

// isFlag tells a flag from an operand; "-" alone is standard input.
func isFlag(arg string) bool { return len(arg) > 1 && arg[0] == '-' && arg != "--" }

// flag reads the flag at args[0] with its value, and returns what follows.
func (p *parser) flag(args []string) []string {
	typed, value, given := strings.Cut(args[0], "=")
	rest := args[1:]
	name := strings.TrimPrefix(strings.TrimPrefix(typed, "-"), "-")
	if name == "h" || name == "help" {
		p.help = true
		return rest
	}
	f := find(p.flags, name)
	if f == nil && p.call.Verb == nil && (name == "v" || name == "V" || name == "version") {
		p.version = true
		return rest
	}
	switch {
	case f == nil:
		p.unknown(typed, name)
		return rest
	case given:
	case f.optional() && len(rest) > 0 && slices.Contains(f.Words, rest[0]): // runc wants the word, crun leaves it out
		value, rest = rest[0], rest[1:]
	case f.Value == "" || f.optional():
		value = "true"
	case len(rest) == 0:
		p.bad(typed, "needs a value: "+f.Value)
		return rest
	default:
		value, rest = rest[0], rest[1:]
	}
	p.set(f, typed, value)
	return rest
}

// set notes a flag's value.
func (p *parser) set(f *Flag, typed, value string) {
	if what := f.check(value); what != "" {
		p.bad(typed, quote(value)+" is "+what)
		return
	}
	name := f.Names[0]
	if !f.Repeat {
		p.call.values[name] = nil
	}
	p.call.values[name] = append(p.call.values[name], value)
}

// check returns what is wrong with a value, "" if nothing is.
func (f *Flag) check(value string) string {
	var err error
	switch {
	case f.Value == "":
		if _, err = strconv.ParseBool(value); err != nil {
			return "neither true nor false"
		}
	case f.Kind == Number:
		if _, err = strconv.Atoi(value); err != nil {
			return "not a number"
		}
	case f.Kind == Duration:
		if _, err = time.ParseDuration(value); err != nil {
			return "not a duration such as 5s"
		}
	}
	return ""
}

func (p *parser) bad(where, what string) {
	if p.err == nil {
		p.err = fail.At(where, what)
	}
}

// unknown notes a flag that is not in the table. A flag of the other level is a
// flag in the wrong place.
func (p *parser) unknown(typed, name string) {
	if p.err != nil {
		return
	}
	e := &fail.Error{Doing: "unknown flag " + quote(typed)}
	program := p.call.Program
	switch verb := p.call.Verb; {
	case verb != nil && find(program.Globals, name) != nil:
		e.Hint = typed + " stands before the command: " + program.Name + " " + typed + " … " + verb.Name
	case verb != nil:
		e.Hint = nearestFlag(typed, p.flags, "see "+program.Name+" "+verb.Name+" --help")
	default:
		e.Hint = nearestFlag(typed, p.flags, "see "+program.Name+" --help")
	}
	p.err = e
}

// nearestFlag returns a hint with the flag that is closest to what was typed.
func nearestFlag(typed string, flags []Flag, otherwise string) string {
	var names []string
	for _, f := range flags {
		for _, n := range f.Names {
			if len(n) > 1 && !f.Hidden {
				names = append(names, "--"+n)
			}
		}
	}
	if hint := fail.Nearest("--"+strings.TrimLeft(typed, "-"), names); hint != "" {
		return hint
	}
	return otherwise
}

// count checks the number of operands, in runc's words.
func (p *parser) count() {
	v, n := p.call.Verb, len(p.call.Args)
	want := ""
	switch {
	case n == v.Min || n > v.Min && (v.Max < 0 || n <= v.Max):
		return
	case v.Min == v.Max:
		want = "exactly " + strconv.Itoa(v.Min)
	case n < v.Min:
		want = "a minimum of " + strconv.Itoa(v.Min)
	default:
		want = "a maximum of " + strconv.Itoa(v.Max)
	}
	if p.err == nil {
		p.err = &fail.Error{Doing: strconv.Quote(v.Name) + " requires " + want + " argument(s)",
			Hint: "usage: " + p.call.Program.usage(v)}
	}
}

// find returns the flag with a name, nil if there is none.
func find(flags []Flag, name string) *Flag {
	for i := range flags {
		if slices.Contains(flags[i].Names, name) {
			return &flags[i]
		}
	}
	return nil
}

// quote leaves what was typed as it is where that cannot be misread.
func quote(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' }) < 0 {
		return s
	}
	return strconv.Quote(s)
}
