// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package command

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/coracle-oci/coracle/internal/fail"
)

// LogFlags returns the global flags of the log, with runc's names. Engines read
// errors from the file, people from standard error; an error goes to both.
func LogFlags() []Flag {
	return []Flag{
		{Names: []string{"log"}, Value: "FILE", Help: "append errors and warnings to FILE, journald:NAME or syslog:NAME"},
		{Names: []string{"log-format"}, Value: "FORMAT", Default: "text", Words: []string{"text", "json"}, Help: "of the log: text or json"},
		{Names: []string{"log-level"}, Value: "LEVEL", Default: "warning", Words: []string{"error", "warning", "debug"}, Help: "of the log: error, warning or debug"},
		{Names: []string{"debug"}, Help: "the same as --log-level debug"},
	}
}

// A log is the file of --log, which engines read by machine.
//
// Many processes append to one file. containerd decodes it as a stream and
// shows its user the last record of level error; podman decodes the whole file
// as one object. So a command that fails writes exactly one record, in one
// write(2), as the last thing it does. What it has to warn of is held back until then: after
// success it becomes records of its own, after failure part of the one.
type log struct {
	sink  sink // nil without --log
	level int
	held  []record
}

type record struct {
	level int
	text  string
}

const (
	levelError = iota
	levelWarning
	levelDebug
)

var levelNames = [...]string{"error", "warning", "debug"}

// Warn tells the user something that does not end the command, when it is done.
func (c *Call) Warn(format string, args ...any) { c.hold(levelWarning, format, args) }

// Debug notes something for --debug.
func (c *Call) Debug(format string, args ...any) { c.hold(levelDebug, format, args) }

func (c *Call) hold(level int, format string, args []any) {
	if level <= c.log.level {
		c.log.held = append(c.log.held, record{level, fmt.Sprintf(format, args...)})
	}
}

// Flush writes what is held back. For commands that stay: after it, the
// command counts as successful.
func (c *Call) Flush() error { return c.log.flush(c.Program.Name) }

// open reads the flags and opens the file. A program without LogFlags has no log.
func (l *log) open(c *Call) error {
	l.level = levelWarning
	if find(c.Program.Globals, "log") == nil {
		return nil
	}
	json := false
	switch format := c.String("log-format"); format {
	case "text":
	case "json":
		json = true
	default:
		return fail.At("--log-format", quote(format)+" is neither text nor json")
	}
	switch level := c.String("log-level"); level {
	case "error":
		l.level = levelError
	case "warning", "warn":
	case "debug":
		l.level = levelDebug
	default:
		return fail.At("--log-level", quote(level)+" is none of error, warning and debug")
	}
	if c.Bool("debug") {
		l.level = levelDebug
	}
	name := c.String("log")
	if name == "" {
		return nil
	}
	var err error
	if l.sink, err = openSink(c.Program.Name, name, json); err != nil {
		return &fail.Error{Where: "--log", Err: err}
	}
	return nil
}

// close writes the last records, and returns what Exit is to tell the user.
func (l *log) close(program string, err error) error {
	failure := err
	if exit, ok := errors.AsType[*ExitError](err); ok {
		failure = exit.Err // without one, the status is a container's: a success
	}
	if failure == nil {
		if ferr := l.flush(program); ferr != nil && err == nil {
			return ferr
		}
		return err
	}
	if l.sink == nil {
		l.flush(program) // to standard error, where nobody parses
		return err
	}
	text := fail.Reason(failure)
	for _, r := range l.held {
		if r.level == levelWarning {
			text += "; warning: " + r.text
		}
	}
	if hint := fail.HintOf(failure); hint != "" {
		text += "; hint: " + hint
	}
	l.sink.write([]record{{levelError, text}}) // standard error says the same: nothing is lost
	return err
}

// flush writes one record for each text held back: to the log, or for people.
func (l *log) flush(program string) error {
	held := l.held
	l.held = nil
	if l.sink == nil {
		for _, r := range held {
			os.Stderr.WriteString(program + ": " + levelNames[r.level] + ": " + r.text + "\n")
		}
		return nil
	}
	if len(held) == 0 {
		return nil
	}
	if err := l.sink.write(held); err != nil {
		return &fail.Error{Where: "--log", Err: err}
	}
	return nil
}

// A sink is where --log leads.
type sink interface{ write([]record) error }

func openSink(program, name string, json bool) (sink, error) {
	kind, rest, _ := strings.Cut(name, ":")
	switch kind {
	case "journald":
		return dial(journalSocket, identity(program, rest), journalRecord)
	case "syslog":
		return dial(syslogSocket, identity(program, rest), syslogRecord)
	case "file":
		name = rest
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	return logFile{file, json}, err
}

// A logFile gets all records in one write(2).
type logFile struct {
	file *os.File
	json bool
}

func (f logFile) write(records []record) error {
	var lines []byte
	for _, r := range records {
		lines = append(lines, f.line(r)...)
	}
	_, err := f.file.Write(lines)
	return err
}

// line returns a record in the form of runc's log, which is logrus'.
func (f logFile) line(r record) []byte {
	now := time.Now().UTC().Format(time.RFC3339)
	if f.json {
		return []byte(`{"level":"` + levelNames[r.level] + `","msg":` + quoteJSON(r.text) + `,"time":"` + now + "\"}\n")
	}
	return []byte(`time="` + now + `" level=` + levelNames[r.level] + " msg=" + strconv.Quote(r.text) + "\n")
}

// quoteJSON returns s as a JSON string, RFC 8259 section 7. encoding/json is
// left out for its size and start-up time.
func quoteJSON(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s { // invalid UTF-8 comes as U+FFFD
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
