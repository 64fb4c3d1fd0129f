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
	b.WriteString(p.Name + " - " + p.Summary + "\n\nusage: " + p.Name + " [global flags] COMMAND [flags] [ARGUMENTS]\n")
	verbTable(&b, p.Verbs)
	flagTable(&b, "global flags", append(slices.Clone(p.Globals), answers...))
	paragraphs(&b, p.Long)
	b.WriteString("\nsee " + p.Name + " COMMAND --help for one command\n")
	return b.String()
}

// HelpOf returns the help of one verb.
func (p *Program) HelpOf(v *Verb) string {
	var b strings.Builder
	b.WriteString(p.Name + " " + v.Name + " - " + v.Summary + "\n\nusage: " + p.usage(v) + "\n")
	verbTable(&b, v.Verbs)
	flagTable(&b, "flags", v.Flags)
	paragraphs(&b, v.Long)
	if v.Verbs != nil {
		b.WriteString("\nsee " + p.Name + " " + v.Name + " COMMAND --help for one command\n")
	}
	return b.String()
}

// made makes the verb that is called by a word, nil if there is none.
func made(makers []Maker, word string) *Verb {
	for _, m := range makers {
		if m.Name == word {
			v := m.Make()
			return &v
		}
	}
	return nil
}

// shown makes all verbs that help lists.
func shown(makers []Maker) []Verb {
	var list []Verb
	for _, m := range makers {
		if v := m.Make(); !v.Hidden {
			list = append(list, v)
		}
	}
	return list
}

// word is what is typed for a verb where it is one of several: the last of its name.
func (v *Verb) word() string { return v.Name[strings.LastIndexByte(v.Name, ' ')+1:] }

// helpVerb answers "help" and "help VERB", and "help VERB VERB".
func helpVerb(c *Call, args []string) error {
	c.answer = c.Program.Help()
	of, makers := c.Program.Name, c.Program.Verbs
	for _, word := range args {
		if makers == nil || isFlag(word) {
			break
		}
		v := made(makers, word)
		if v == nil {
			c.answer = ""
			return unknownVerb(of, makers, word)
		}
		c.answer, of, makers = c.Program.HelpOf(v), of+" "+word, v.Verbs
	}
	return nil
}

// usage returns the synopsis of a verb.
func (p *Program) usage(v *Verb) string {
	usage := p.Name + " " + v.Name
	if v.Verbs != nil {
		return usage + " COMMAND [flags] [ARGUMENTS]"
	}
	if len(v.Flags) > 0 {
		usage += " [flags]"
	}
	if v.Args != "" {
		usage += " " + v.Args
	}
	return usage
}

// verbTable writes one line per verb.
func verbTable(b *strings.Builder, makers []Maker) {
	verbs, width := shown(makers), 0
	for _, v := range verbs {
		width = max(width, len(v.word()))
	}
	if width == 0 {
		return
	}
	b.WriteString("\ncommands:\n")
	for _, v := range verbs {
		b.WriteString("  " + pad(v.word(), width) + "  " + v.Summary + "\n")
	}
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
