// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package command

import (
	"os"
	"strconv"
	"time"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/trace"
)

// A Call is one use of a verb: what was typed, checked against the table.
type Call struct {
	Program *Program
	Verb    *Verb
	Args    []string // operands; their number fits the verb's Min and Max

	Trace *trace.Recorder // nil without --trace

	values map[string][]string // by the first name of the flag
	answer string              // help or version, if asked for
	log    log
}

// Given tells whether a flag was given.
func (c *Call) Given(flag string) bool {
	c.flag(flag)
	return len(c.values[flag]) > 0
}

// String returns a flag's last value, or its default.
func (c *Call) String(flag string) string {
	f := c.flag(flag)
	if all := c.values[flag]; len(all) > 0 {
		return all[len(all)-1]
	}
	return f.Default
}

// Strings returns all values of a flag, in the order in which they were given.
func (c *Call) Strings(flag string) []string {
	c.flag(flag)
	return c.values[flag]
}

// Bool tells whether a switch is on.
func (c *Call) Bool(flag string) bool {
	on, _ := strconv.ParseBool(c.String(flag)) // checked when it was parsed; no default is off
	return on
}

// Int returns a flag's value; 0 if it was not given and has no default.
func (c *Call) Int(flag string) int {
	n, _ := strconv.Atoi(c.String(flag)) // checked when it was parsed
	return n
}

// Duration returns a flag's value; 0 if it was not given and has no default.
func (c *Call) Duration(flag string) time.Duration {
	d, _ := time.ParseDuration(c.String(flag)) // checked when it was parsed
	return d
}

// flag returns a flag of the verb or of the program by its first name.
func (c *Call) flag(name string) *Flag {
	for _, flags := range [][]Flag{c.flags(), c.Program.Globals} {
		if f := find(flags, name); f != nil && f.Names[0] == name {
			return f
		}
	}
	panic("bug: no flag is called " + name)
}

// flags returns those of the verb, none before it is known.
func (c *Call) flags() []Flag {
	if c.Verb == nil {
		return nil
	}
	return c.Verb.Flags
}

// TraceFlag is the global flag that has phases written down.
func TraceFlag() Flag {
	return Flag{Names: []string{"trace"}, Value: "FILE", Help: "write where the time goes, for chrome://tracing or Perfetto"}
}

// run runs the verb; with --trace it notes where the time goes.
func (c *Call) run() error {
	if find(c.Program.Globals, "trace") == nil || !c.Given("trace") {
		return c.Verb.Run(c)
	}
	c.Trace = trace.New(sys.ProcessTime())
	c.Trace.Phase(c.Verb.Name)
	err := c.Verb.Run(c)
	if werr := os.WriteFile(c.String("trace"), c.Trace.JSON(os.Getpid()), 0o644); werr != nil && err == nil {
		return &fail.Error{Where: "--trace", Err: werr}
	}
	return err
}
