// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package command

import (
	"os"
	"slices"

	"github.com/coracle-oci/coracle/internal/fail"
)

// A Program is a command line as one table: what can be typed, and what it is
// for. Help is made from it, and so are man pages and completions.
type Program struct {
	Name    string
	Summary string            // what it is, in one line
	Long    string            // more, for people: paragraphs, examples, exit status
	Version func() string     // the text of --version
	Globals []Flag            // stand before the verb; see also [LogFlags]
	Advise  func(error) error // gives a verb's failure a hint, where it has none; may be nil
	Verbs   []Maker           // in the order in which help lists them
}

// A Maker makes a verb. Of all verbs one is used, and what the others consist of
// takes longer to make than the system calls of some of them.
type Maker struct {
	Name string // the verb's
	Make func() Verb
}

// A Verb is one command, such as "create".
//
// Its flags may stand before and behind its operands, as in runc. Rest ends
// that at the first operand: what follows belongs to another program ("exec ID ls -l").
//
// A verb with verbs of its own has a name, a summary and a long text, and no more.
type Verb struct {
	Name    string   // of one within another, both: "seccomp explain"
	Verbs   []Maker  // of its own, by the second word
	Args    string   // operands as help shows them: "ID [SIGNAL]"
	Summary string   // one line, without a full stop
	Long    string   // help's text, written by hand: paragraphs, examples
	Others  []string // what other programs call it, for a hint
	Hidden  bool     // works, but help does not list it
	Flags   []Flag
	Min     int // number of operands
	Max     int // -1: any number
	Rest    bool
	Run     func(*Call) error
}

// A Flag is one option. Names are long words and single letters; all of them work
// with one dash and with two, and "--flag value" is "--flag=value".
type Flag struct {
	Names   []string // the first is the one that [Call] knows
	Words   []string // the values, where there are no others
	Value   string   // placeholder: "DIR". Empty: a switch. "[X]": "=X", or one of Words behind it, may be missing and then is "true"
	Kind    Kind
	Help    string // one line
	Default string // the value if it is not given; help shows it
	Repeat  bool   // may be given several times; else the last one counts
	Hidden  bool
}

// optional tells whether the flag may stand without its value.
func (f *Flag) optional() bool { return f.Value != "" && f.Value[0] == '[' }

// A Kind is what the value of a flag has to be.
type Kind int

// The kinds of values.
const (
	Text     Kind = iota
	Number        // a whole number
	Duration      // time.ParseDuration's form, "5s"
)

// Main parses the arguments (without the program's own name) and runs the verb.
// Help and version are answers on standard output; they come before any
// validation of the other arguments. What it returns is for [Exit].
//
// If the program has [LogFlags], the log is opened before the verb runs and gets
// its records when the verb is done.
func Main(p Program, args []string) error {
	c := &Call{Program: &p, values: map[string][]string{}}
	err := parse(c, args)
	if c.answer != "" {
		_, err := os.Stdout.WriteString(c.answer)
		return err
	}
	if logErr := c.log.open(c); logErr != nil {
		return logErr
	}
	if err == nil {
		if err = c.run(); p.Advise != nil {
			err = p.Advise(err)
		}
	}
	return c.log.close(p.Name, err)
}

// unknownVerb is the error for a verb that does not exist: status 3, as runc. of is
// what the verbs are those of: "coracle", or "coracle seccomp".
func unknownVerb(of string, makers []Maker, name string) error {
	var names []string
	hint := ""
	for _, v := range shown(makers) {
		names = append(names, v.word())
		if slices.Contains(v.Others, name) {
			hint = "did you mean " + v.word() + "?"
		}
	}
	if hint == "" {
		hint = fail.Nearest(name, names)
	}
	if hint == "" {
		hint = "see " + of + " --help"
	}
	return &ExitError{Code: 3, Err: &fail.Error{Doing: "unknown command " + quote(name), Hint: hint}}
}
