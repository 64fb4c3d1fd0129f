// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package command

import (
	"slices"
	"strings"
)

// answers are the flags that every program has.
var answers = []Flag{
	{Names: []string{"help", "h"}, Help: "print this, or a command's help"},
	{Names: []string{"version", "v"}, Help: "print the version"},
}

// Help returns the program's help: the verbs and the global flags.
func (p *Program) Help() string {
	var b strings.Builder
	b.WriteString(p.Name + " - " + p.Summary + "\n\nusage: " + p.Name + " [global flags] COMMAND [flags] [ARGUMENTS]\n\ncommands:\n")
	width := 0
	for _, v := range p.all() {
		if !v.Hidden {
			width = max(width, len(v.Name))
		}
	}
	for _, v := range p.all() {
		if !v.Hidden {
			b.WriteString("  " + pad(v.Name, width) + "  " + v.Summary + "\n")
		}
	}
	flagTable(&b, "global flags", append(slices.Clone(p.Globals), answers...))
	paragraphs(&b, p.Long)
	b.WriteString("\nsee " + p.Name + " COMMAND --help for one command\n")
	return b.String()
}

// HelpOf returns the help of one verb.
func (p *Program) HelpOf(v *Verb) string {
	var b strings.Builder
	b.WriteString(p.Name + " " + v.Name + " - " + v.Summary + "\n\nusage: " + p.usage(v) + "\n")
	flagTable(&b, "flags", v.Flags)
	paragraphs(&b, v.Long)
	return b.String()
}

// Verb returns the verb with a name, nil if there is none.
func (p *Program) Verb(name string) *Verb {
	for _, m := range p.Verbs {
		if m.Name == name {
			v := m.Make()
			return &v
		}
	}
	return nil
}

// all returns every verb.
func (p *Program) all() []Verb {
	list := make([]Verb, len(p.Verbs))
	for i, m := range p.Verbs {
		list[i] = m.Make()
	}
	return list
}

// helpVerb answers "help" and "help VERB".
func helpVerb(c *Call, args []string) error {
	if len(args) == 0 || isFlag(args[0]) {
		c.answer = c.Program.Help()
		return nil
	}
	v := c.Program.Verb(args[0])
	if v == nil {
		return unknownVerb(c.Program, args[0])
	}
	c.answer = c.Program.HelpOf(v)
	return nil
}

// usage returns the synopsis of a verb.
func (p *Program) usage(v *Verb) string {
	usage := p.Name + " " + v.Name
	if len(v.Flags) > 0 {
		usage += " [flags]"
	}
	if v.Args != "" {
		usage += " " + v.Args
	}
	return usage
}

// flagTable writes one line per flag, all help texts in one column:
//
//	-b, --bundle DIR     directory of config.json (default ".")
func flagTable(b *strings.Builder, title string, flags []Flag) {
	width := 0
	for _, f := range flags {
		if !f.Hidden {
			width = max(width, len(f.spelling()))
		}
	}
	if width == 0 {
		return
	}
	b.WriteString("\n" + title + ":\n")
	for _, f := range flags {
		if f.Hidden {
			continue
		}
		b.WriteString("  " + pad(f.spelling(), width) + "  " + f.Help)
		if f.Default != "" {
			b.WriteString(" (default " + f.Default + ")")
		}
		b.WriteByte('\n')
	}
}

// spelling returns a flag as help shows it: short names first.
func (f *Flag) spelling() string {
	var short, long []string
	for _, n := range f.Names {
		if len(n) == 1 {
			short = append(short, "-"+n)
		} else {
			long = append(long, "--"+n)
		}
	}
	text := strings.Join(append(short, long...), ", ")
	if short == nil {
		text = "    " + text
	}
	if name, optional := strings.CutPrefix(f.Value, "["); optional {
		return text + "[=" + name
	} else if name != "" {
		return text + " " + name
	}
	return text
}

func paragraphs(b *strings.Builder, text string) {
	if text != "" {
		b.WriteString("\n" + strings.Trim(text, "\n") + "\n")
	}
}

func pad(s string, width int) string { return s + strings.Repeat(" ", width-len(s)) }
