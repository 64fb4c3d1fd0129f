// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package command

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coracle-oci/coracle/internal/fail"
)

// boat is a program with one verb of each shape.
func boat() *Program {
	return &Program{
		Name: "boat", Summary: "crosses rivers", Long: "exit status:\n  0  it floats",
		Version: func() string { return "boat version 1\n" },
		Globals: append(LogFlags(), Flag{Names: []string{"root"}, Value: "DIR", Default: "/run/boat", Help: "state directory"},
			Flag{Names: []string{"rootless"}, Value: "[BOOL]", Words: []string{"true", "auto"}, Help: "without root"}),
		Verbs: makers([]Verb{
			{Name: "create", Args: "ID", Summary: "make one", Long: "example:\n  boat create c1", Min: 1, Max: 1, Flags: []Flag{
				{Names: []string{"bundle", "b"}, Value: "DIR", Default: ".", Help: "where"},
				{Names: []string{"no-pivot"}, Help: "move"},
				{Names: []string{"preserve-fds"}, Value: "N", Kind: Number, Help: "keep"},
				{Names: []string{"interval"}, Value: "TIME", Kind: Duration, Default: "5s", Help: "wait"},
				{Names: []string{"all", "a"}, Hidden: true, Help: "obsolete"},
			}},
			{Name: "exec", Args: "ID COMMAND [ARG...]", Summary: "run one more", Min: 2, Max: -1, Rest: true, Flags: []Flag{
				{Names: []string{"env", "e"}, Value: "NAME=VALUE", Repeat: true, Help: "environment"},
				{Names: []string{"tty", "t"}, Help: "terminal"},
			}},
			{Name: "kill", Args: "ID [SIGNAL]", Summary: "signal it", Min: 1, Max: 2},
			{Name: "list", Summary: "list all"},
			{Name: "net", Summary: "cast nets", Verbs: makers([]Verb{
				{Name: "net cast", Args: "DIR", Summary: "throw one", Long: "example:\n  boat net cast north", Min: 1, Max: 1, Flags: []Flag{{Names: []string{"deep"}, Help: "far down"}}},
				{Name: "net haul", Summary: "draw it in"},
				{Name: "net mend", Hidden: true},
			})},
			{Name: "init", Hidden: true},
		}),
	}
}

func makers(verbs []Verb) []Maker {
	var list []Maker
	for _, v := range verbs {
		list = append(list, Maker{v.word(), func() Verb { return v }})
	}
	return list
}

// words parses the arguments that are the words of a line.
func words(line string) (*Call, error) {
	c := &Call{Program: boat(), values: map[string][]string{}}
	return c, parse(c, strings.Fields(line))
}

func TestParse(t *testing.T) {
	type want struct {
		args    string
		bundle  string
		root    string
		noPivot bool
		fds     int
	}
	for _, c := range []struct {
		line string
		want want
	}{
		{"create c1", want{"c1", ".", "/run/boat", false, 0}},
		{"create c1 -b d", want{"c1", "d", "/run/boat", false, 0}},
		{"create -b d c1", want{"c1", "d", "/run/boat", false, 0}},
		{"create -b=d c1", want{"c1", "d", "/run/boat", false, 0}},
		{"create --bundle d c1 --no-pivot", want{"c1", "d", "/run/boat", true, 0}},
		{"create --bundle=d c1 -no-pivot", want{"c1", "d", "/run/boat", true, 0}},
		{"create -bundle d c1 --no-pivot=false", want{"c1", "d", "/run/boat", false, 0}},
		{"create --bundle a=b c1", want{"c1", "a=b", "/run/boat", false, 0}},
		{"create --bundle=a=b c1", want{"c1", "a=b", "/run/boat", false, 0}},
		{"create --bundle= c1", want{"c1", "", "/run/boat", false, 0}},
		{"create --bundle x --bundle y c1", want{"c1", "y", "/run/boat", false, 0}},
		{"create --bundle --no-pivot c1", want{"c1", "--no-pivot", "/run/boat", false, 0}},
		{"create --preserve-fds -1 c1", want{"c1", ".", "/run/boat", false, -1}},
		{"create -- --bundle", want{"--bundle", ".", "/run/boat", false, 0}},
		{"create -", want{"-", ".", "/run/boat", false, 0}},
		{"--root /r create c1", want{"c1", ".", "/r", false, 0}},
		{"-root=/r --rootless --debug create c1", want{"c1", ".", "/r", false, 0}},
	} {
		call, err := words(c.line)
		if err != nil {
			t.Errorf("%s: %v", c.line, err)
			continue
		}
		got := want{strings.Join(call.Args, " "), call.String("bundle"), call.String("root"), call.Bool("no-pivot"), call.Int("preserve-fds")}
		if got != c.want {
			t.Errorf("%s: got %+v", c.line, got)
		}
	}
}

func TestParseValues(t *testing.T) {
	call, err := words("--rootless=auto create --interval 2m c1")
	if err != nil {
		t.Fatal(err)
	}
	if call.String("rootless") != "auto" || call.Duration("interval") != 2*time.Minute || call.Given("bundle") || !call.Given("interval") {
		t.Errorf("got %+v", call.values)
	}
	if call, _ = words("--rootless auto create c1"); call.String("rootless") != "auto" || !slices.Equal(call.Args, []string{"c1"}) {
		t.Errorf("got %+v", call.values)
	}
	if call, _ = words("--rootless create c1"); call.String("rootless") != "true" || call.Duration("interval") != 5*time.Second {
		t.Errorf("got %+v", call.values)
	}
}

func TestParseRest(t *testing.T) {
	call, err := words("exec -e A=1 --env=B=2 c1 ls -t --help")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(call.Args, []string{"c1", "ls", "-t", "--help"}) || !slices.Equal(call.Strings("env"), []string{"A=1", "B=2"}) || call.Bool("tty") {
		t.Errorf("got %q, %+v", call.Args, call.values)
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ line, want, hint string }{
		{"create", `"create" requires exactly 1 argument(s)`, "usage: boat create [flags] ID"},
		{"create a b", `"create" requires exactly 1 argument(s)`, "usage: boat create [flags] ID"},
		{"exec c1", `"exec" requires a minimum of 2 argument(s)`, "usage: boat exec [flags] ID COMMAND [ARG...]"},
		{"kill a b c", `"kill" requires a maximum of 2 argument(s)`, "usage: boat kill ID [SIGNAL]"},
		{"list a", `"list" requires exactly 0 argument(s)`, "usage: boat list"},
		{"create c1 --bunble x", "unknown flag --bunble", "did you mean --bundle?"},
		{"create c1 --zzz", "unknown flag --zzz", "see boat create --help"},
		{"create c1 -9", "unknown flag -9", "see boat create --help"},
		{"create --root /r c1", "unknown flag --root", "--root stands before the command: boat --root … create"},
		{"--bundle x create c1", "unknown flag --bundle", "see boat --help"},
		{"--log-levle debug list", "unknown flag --log-levle", "did you mean --log-level?"},
		{"--root", "--root: needs a value: DIR", ""},
		{"create c1 --bundle", "--bundle: needs a value: DIR", ""},
		{"create c1 -b", "-b: needs a value: DIR", ""},
		{"create --preserve-fds x c1", "--preserve-fds: x is not a number", ""},
		{"create --preserve-fds= c1", `--preserve-fds: "" is not a number`, ""},
		{"create --interval 5 c1", "--interval: 5 is not a duration such as 5s", ""},
		{"create --no-pivot=maybe c1", "--no-pivot: maybe is neither true nor false", ""},
		{"crate c1", "unknown command crate", "did you mean create?"},
		{"swim", "unknown command swim", "see boat --help"},
		{"help crate", "unknown command crate", "did you mean create?"},
		{"ini", "unknown command ini", "see boat --help"}, // not the hidden one
		{"net cest", "unknown command cest", "did you mean cast?"},
		{"net swim", "unknown command swim", "see boat net --help"},
		{"net create", "unknown command create", "see boat net --help"},
		{"cast", "unknown command cast", "see boat --help"},
		{"help net swim", "unknown command swim", "see boat net --help"},
		{"net cast", `"net cast" requires exactly 1 argument(s)`, "usage: boat net cast [flags] DIR"},
		{"net haul x", `"net haul" requires exactly 0 argument(s)`, "usage: boat net haul"},
		{"net cast --depe x", "unknown flag --depe", "did you mean --deep?"},
		{"net --deep cast x", "unknown flag --deep", "see boat net --help"},
		{"net --root /r cast x", "unknown flag --root", "--root stands before the command: boat --root … net"},
	} {
		call, err := words(c.line)
		if err == nil || call.answer != "" {
			t.Errorf("%s: no error", c.line)
			continue
		}
		if err.Error() != c.want || fail.HintOf(err) != c.hint {
			t.Errorf("%s: got %q, hint %q", c.line, err, fail.HintOf(err))
		}
		exit, is3 := errors.AsType[*ExitError](err)
		if unknown := strings.HasPrefix(c.want, "unknown command"); unknown != is3 || is3 && exit.Code != 3 {
			t.Errorf("%s: got %#v", c.line, err)
		}
	}
}

func TestAnswers(t *testing.T) {
	of := func(v *Verb) string { return boat().HelpOf(v) }
	net := made(boat().Verbs, "net")
	top, create, cast := boat().Help(), of(made(boat().Verbs, "create")), of(made(net.Verbs, "cast"))
	for line, want := range map[string]string{
		"":                               top,
		"-h":                             top,
		"--help":                         top,
		"help":                           top,
		"h":                              top,
		"--nonsense --help":              top,
		"--root":                         "", // the error of a missing value
		"help create":                    create,
		"create --help":                  create,
		"create -h a b c":                create,
		"create --nonsense --bundle":     "",
		"create --nonsense -h --bundle":  create,
		"net":                            of(net),
		"net --help":                     of(net),
		"net -h cast":                    of(net),
		"net --nonsense -h":              of(net),
		"help net":                       of(net),
		"net cast -h":                    cast,
		"help net cast":                  cast,
		"help net cast x":                cast,
		"--version":                      "boat version 1\n",
		"-v":                             "boat version 1\n",
		"--nonsense --version create c1": "boat version 1\n",
		"exec c1 ls -h":                  "",
		"create -- -h":                   "",
	} {
		if call, _ := words(line); call.answer != want {
			t.Errorf("%q: got %q", line, call.answer)
		}
	}
}

func TestHelp(t *testing.T) {
	want := `boat - crosses rivers

usage: boat [global flags] COMMAND [flags] [ARGUMENTS]

commands:
  create  make one
  exec    run one more
  kill    signal it
  list    list all
  net     cast nets

global flags:
      --log FILE           append errors and warnings to FILE, journald:NAME or syslog:NAME
      --log-format FORMAT  of the log: text or json (default text)
      --log-level LEVEL    of the log: error, warning or debug (default warning)
      --debug              the same as --log-level debug
      --root DIR           state directory (default /run/boat)
      --rootless[=BOOL]    without root
  -h, --help               print this, or a command's help
  -v, --version            print the version

exit status:
  0  it floats

see boat COMMAND --help for one command
`
	if got := boat().Help(); got != want {
		t.Errorf("got\n%s", got)
	}
	want = `boat create - make one

usage: boat create [flags] ID

flags:
  -b, --bundle DIR      where (default .)
      --no-pivot        move
      --preserve-fds N  keep
      --interval TIME   wait (default 5s)

example:
  boat create c1
`
	if got := boat().HelpOf(made(boat().Verbs, "create")); got != want {
		t.Errorf("got\n%s", got)
	}
	want = `boat net - cast nets

usage: boat net COMMAND [flags] [ARGUMENTS]

commands:
  cast  throw one
  haul  draw it in

see boat net COMMAND --help for one command
`
	if got := boat().HelpOf(made(boat().Verbs, "net")); got != want {
		t.Errorf("got\n%s", got)
	}
}

// TestParseGroup: a verb of another is called by both words, and has flags of its own.
func TestParseGroup(t *testing.T) {
	call, err := words("--root /r net cast --deep north")
	if err != nil {
		t.Fatal(err)
	}
	if call.Verb.Name != "net cast" || !call.Bool("deep") || !slices.Equal(call.Args, []string{"north"}) || call.String("root") != "/r" {
		t.Errorf("got %s of %q, %+v", call.Verb.Name, call.Args, call.values)
	}
}

// TestUndeclaredFlag: a verb that asks for a flag which its table lacks is a bug of ours.
func TestUndeclaredFlag(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	call, _ := words("list")
	call.String("bundle")
}
