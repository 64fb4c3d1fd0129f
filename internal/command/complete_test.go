// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package command

import (
	"strings"
	"testing"
)

func TestComplete(t *testing.T) {
	operands := func(c *Call, kind string) []string {
		if kind == "ID" {
			return []string{"c1", "c2", "in-" + c.String("root")}
		}
		return nil
	}
	for _, c := range []struct{ line, want string }{ // "|" is a line's end, "~" a space
		{"", "create\tmake one|exec\trun one more|kill\tsignal it|list\tlist all|net\tcast nets|"},
		{"cr", "create\tmake one|"},
		{"--ro", "--root\tstate directory|--rootless\twithout root|"},
		{"--log-format ", "text|json|"},
		{"--log-format=j", "--log-format=json|"},
		{"--root ", ":dirs|"},
		{"--root=/r", ":dirs|"},
		{"--log f", ":files|"},
		{"create ", "c1|c2|in-/run/boat|"},
		{"--root /x create in", "in-/x|"},
		{"--root=/x create in", "in-/x|"},
		{"create -b ", ":dirs|"},
		{"create -b x c1", "c1|"},
		{"create c1 ", ""},
		{"create --b", "--bundle\twhere|"},
		{"create --a", ""}, // hidden
		{"create --preserve-fds ", ""},
		{"create --no-pivot c2", "c2|"},
		{"create -- --b", ""},
		{"exec -t c1", "c1|"},
		{"exec c1 --e", ""}, // the other program's
		{"help cr", "create\tmake one|"},
		{"help net ", "cast\tthrow one|haul\tdraw it in|"},
		{"help net cast ", ""},
		{"ne", "net\tcast nets|"},
		{"net ", "cast\tthrow one|haul\tdraw it in|"},
		{"net ca", "cast\tthrow one|"},
		{"net --", "--help\tprint this, or a command's help|"},
		{"net cast ", ":dirs|"},
		{"net cast --d", "--deep\tfar down|"},
		{"net cast --root ", ":dirs|"}, // no flag of this level: nothing is known of its value
		{"net nosuch ", ""},
		{"nosuch ", ""},
		{"--nosuch cr", "create\tmake one|"},
	} {
		got := strings.ReplaceAll(complete(boat(), strings.Split(c.line, " "), operands), "\n", "|")
		if got != c.want {
			t.Errorf("%q: got %q, want %q", c.line, got, c.want)
		}
	}
}

// TestManPages: every verb and flag that help shows has its place, and nothing in
// the text is taken for a request of troff's.
func TestManPages(t *testing.T) {
	p := boat()
	pages := p.ManPages()
	if len(pages) != 8 || pages["boat-net-mend.8"] != "" || pages["boat-init.8"] != "" {
		t.Errorf("%d pages", len(pages))
	}
	want := `.TH "BOAT-CREATE" 8 "" coracle ""
.SH NAME
boat\-create \- make one
.SH SYNOPSIS
boat create [flags] ID
.SH FLAGS
.TP
.B \-b, \-\-bundle DIR
where (default .)
.TP
.B \-\-no\-pivot
move
.TP
.B \-\-preserve\-fds N
keep
.TP
.B \-\-interval TIME
wait (default 5s)
.SH EXAMPLE
.nf
  boat create c1
.fi
.SH SEE ALSO
boat(8)
`
	if got := pages["boat-create.8"]; got != want {
		t.Errorf("got\n%s", got)
	}
	if got := roff(`.so \x 'a`); got != `\&.so \ex 'a` {
		t.Errorf("got %q", got)
	}
	want = `.TH "BOAT-NET-CAST" 8 "" coracle ""
.SH NAME
boat\-net\-cast \- throw one
.SH SYNOPSIS
boat net cast [flags] DIR
.SH FLAGS
.TP
.B \-\-deep
far down
.SH EXAMPLE
.nf
  boat net cast north
.fi
.SH SEE ALSO
boat\-net(8)
`
	if got := pages["boat-net-cast.8"]; got != want {
		t.Errorf("got\n%s", got)
	}
	want = `.SH COMMANDS
.TP
.B boat\-net\-cast(8)
throw one
.TP
.B boat\-net\-haul(8)
draw it in
.SH SEE ALSO
boat(8), boat\-net\-cast(8), boat\-net\-haul(8)
`
	if got := pages["boat-net.8"]; !strings.HasSuffix(got, want) {
		t.Errorf("got\n%s", got)
	}
	main := pages["boat.8"]
	for _, text := range []string{".B boat\\-kill(8)\nsignal it", ".B \\-\\-rootless[=BOOL]", ".SH EXIT STATUS\n.nf\n  0  it floats"} {
		if !strings.Contains(main, text) {
			t.Errorf("%q is missing in\n%s", text, main)
		}
	}
}
