// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package command

import (
	"slices"
	"strings"
)

// ManPages returns the manual pages of the program and its verbs, by the names of
// their files: "boat.8", "boat-create.8". They are made of what help is made of.
func (p *Program) ManPages() map[string]string {
	pages := map[string]string{p.Name + ".8": p.man()}
	for _, v := range p.all() {
		if !v.Hidden {
			pages[p.Name+"-"+v.Name+".8"] = p.manOf(&v)
		}
	}
	return pages
}

func (p *Program) man() string {
	var m manPage
	m.head(p.Name, p.Summary)
	m.section("synopsis")
	m.line(".B " + p.Name + "\n[global flags]\n.I COMMAND\n[flags] [arguments]")
	intro, sections := splitLong(p.Long)
	m.long(intro, sections[:0])
	m.section("commands")
	var also []string
	for _, v := range p.all() {
		if !v.Hidden {
			m.item(p.Name+"-"+v.Name+"(8)", v.Summary)
			also = append(also, p.Name+"-"+v.Name+"(8)")
		}
	}
	m.flags("global flags", slices.Concat(p.Globals, answers))
	m.long("", sections)
	m.section("see also")
	m.text(strings.Join(also, ", "))
	return m.String()
}

func (p *Program) manOf(v *Verb) string {
	var m manPage
	m.head(p.Name+"-"+v.Name, v.Summary)
	m.section("synopsis")
	m.text(p.usage(v))
	intro, sections := splitLong(v.Long)
	m.long(intro, nil)
	m.flags("flags", v.Flags)
	m.long("", sections)
	m.section("see also")
	m.text(p.Name + "(8)")
	return m.String()
}

// A manPage is text in the macros of man(7).
type manPage struct{ strings.Builder }

func (m *manPage) line(s string) { m.WriteString(s + "\n") }

func (m *manPage) head(name, summary string) {
	m.line(`.TH "` + strings.ToUpper(name) + `" 8 "" coracle ""`)
	m.section("name")
	m.text(name + " - " + summary)
}

func (m *manPage) section(title string) { m.line(".SH " + strings.ToUpper(title)) }

// text writes a paragraph's lines.
func (m *manPage) text(s string) {
	for l := range strings.SplitSeq(s, "\n") {
		m.line(roff(l))
	}
}

func (m *manPage) item(term, meaning string) {
	m.line(".TP\n.B " + roff(term))
	m.text(meaning)
}

func (m *manPage) flags(title string, flags []Flag) {
	shown := slices.DeleteFunc(slices.Clone(flags), func(f Flag) bool { return f.Hidden })
	if len(shown) == 0 {
		return
	}
	m.section(title)
	for _, f := range shown {
		help := f.Help
		if f.Default != "" {
			help += " (default " + f.Default + ")"
		}
		m.item(strings.TrimSpace(f.spelling()), help)
	}
}

// long writes the text of help: the description, and the titled parts behind it.
func (m *manPage) long(intro string, sections []titled) {
	if intro != "" {
		m.section("description")
		for i, paragraph := range strings.Split(intro, "\n\n") {
			if i > 0 {
				m.line(".PP")
			}
			m.block(paragraph)
		}
	}
	for _, s := range sections {
		m.section(s.title)
		m.block(s.text)
	}
}

// block keeps the lines of what is indented in help, and fills the rest.
func (m *manPage) block(text string) {
	if !strings.HasPrefix(text, " ") {
		m.text(text)
		return
	}
	m.line(".nf")
	m.text(text)
	m.line(".fi")
}

type titled struct{ title, text string }

// splitLong divides a help text into its paragraphs and its titled parts, such as
// "examples:" with indented lines below.
func splitLong(long string) (intro string, sections []titled) {
	var paragraphs []string
	for part := range strings.SplitSeq(strings.Trim(long, "\n"), "\n\n") {
		title, rest, _ := strings.Cut(part, "\n")
		if name, ok := strings.CutSuffix(title, ":"); ok && strings.HasPrefix(rest, "  ") {
			sections = append(sections, titled{strings.TrimSpace(name), rest})
		} else {
			paragraphs = append(paragraphs, part)
		}
	}
	return strings.Join(paragraphs, "\n\n"), sections
}

// roff escapes what troff would take for its own: backslashes, hyphens that must
// stay hyphens, and a dot or quote that begins a line.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
