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
	p.addPages(pages, p.Verbs, p.Name)
	return pages
}

// addPages adds those of some verbs; above is the page that they are listed on.
func (p *Program) addPages(pages map[string]string, verbs []Maker, above string) {
	for _, v := range shown(verbs) {
		name := p.page(&v)
		pages[name+".8"] = p.manOf(&v, above)
		p.addPages(pages, v.Verbs, name)
	}
}

// page is the name of a verb's page: "boat-net-join".
func (p *Program) page(v *Verb) string {
	return p.Name + "-" + strings.ReplaceAll(v.Name, " ", "-")
}

func (p *Program) man() string {
	var m manPage
	m.head(p.Name, p.Summary)
	m.section("synopsis")
	m.line(".B " + p.Name + "\n[global flags]\n.I COMMAND\n[flags] [arguments]")
	intro, sections := splitLong(p.Long)
	m.long(intro, sections[:0])
	also := p.commands(&m, p.Verbs)
	m.flags("global flags", slices.Concat(p.Globals, answers))
	m.long("", sections)
	m.section("see also")
	m.text(strings.Join(also, ", "))
	return m.String()
}

func (p *Program) manOf(v *Verb, above string) string {
	var m manPage
	m.head(p.page(v), v.Summary)
	m.section("synopsis")
	m.text(p.usage(v))
	intro, sections := splitLong(v.Long)
	m.long(intro, nil)
	also := p.commands(&m, v.Verbs)
	m.flags("flags", v.Flags)
	m.long("", sections)
	m.section("see also")
	m.text(strings.Join(append([]string{above + "(8)"}, also...), ", "))
	return m.String()
}

// commands lists verbs, and returns the names of their pages.
func (p *Program) commands(m *manPage, verbs []Maker) (pages []string) {
	if verbs == nil {
		return nil
	}
	m.section("commands")
	for _, v := range shown(verbs) {
		name := p.page(&v) + "(8)"
		m.item(name, v.Summary)
		pages = append(pages, name)
	}
	return pages
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
