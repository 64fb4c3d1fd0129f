// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"fmt"
	"os"
	"strconv"

	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/selftest"
)

func selftestVerb() command.Verb {
	return command.Verb{
		Name:    "selftest",
		Summary: "find out what containers can have on this machine",
		Flags: []command.Flag{
			{Names: []string{"format", "f"}, Value: "FORMAT", Default: "text", Words: []string{"text", "json"}, Help: "text or json"},
		},
		Long: `
Some forty containers are made and removed, each of which asks for one thing. A
line begins with ok, with no where it does not work, or with - where the machine
lacks what it is about; the reason follows. Nothing but coracle itself is needed.

exit status:
  0  everything that each container needs works
  1  something of that does not: the lines with NO`,
		Run: func(c *command.Call) error {
			self, err := os.Executable()
			if err != nil {
				return &fail.Error{Doing: "find coracle itself", Err: err}
			}
			format := c.String("format")
			if format != "text" && format != "json" {
				return &fail.Error{Where: "--format", Doing: "unknown format " + strconv.Quote(format), Hint: "text and json are known"}
			}
			var all []selftest.Result
			bad := false
			err = selftest.Run(self, func(r selftest.Result) error {
				bad = bad || r.Basic && r.Result != "ok"
				all = append(all, r)
				if format == "json" {
					return nil
				}
				_, err := fmt.Print(resultLine(r))
				return err
			})
			if err == nil && format == "json" {
				err = printJSON(all)
			}
			if err == nil && bad {
				err = &command.ExitError{Code: 1}
			}
			return err
		},
	}
}

func resultLine(r selftest.Result) string {
	word := map[string]string{"ok": "ok", "no": "no", "untried": "-"}[r.Result]
	if r.Basic && r.Result == "no" {
		word = "NO"
	}
	line := fmt.Sprintf("%-3s %s", word, r.Name)
	if r.Why != "" {
		line += ": " + r.Why
	}
	return line + "\n"
}
