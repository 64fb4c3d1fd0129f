// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/runtime/container"
	"github.com/coracle-oci/coracle/runtime/facts"
	"github.com/coracle-oci/coracle/runtime/plan"
	"github.com/coracle-oci/coracle/runtime/probe"
)

func planVerb() command.Verb {
	return command.Verb{
		Name: "plan", Args: "[BUNDLE]", Max: 1,
		Flags: []command.Flag{
			factsFlag(),
			{Names: []string{"show-facts"}, Help: "print the facts of this machine that the plan would use"},
			{Names: []string{"format", "f"}, Value: "FORMAT", Default: "table", Words: []string{"table", "json"}, Help: "table or json"},
			{Names: []string{"id"}, Value: "ID", Default: "ID", Help: "id of the container to be"},
		},
		Summary: "print what create would do, step by step, and do nothing",
		Long: `
Each line is one step: "host" steps are taken by coracle itself, numbered ones by
the launch program, which becomes the container's init. result names the
descriptor or process that a step returns; branch is where the program goes on
after the one failure that is expected there; from is the field of config.json
that asked for the step. A terminal that is too narrow for the table gets the same
without columns. Root is not needed.

examples:
  coracle plan bundle
  coracle plan --facts other-machine.json bundle

exit status:
  0  create would execute this plan
  1  create would refuse, for the reason given`,
		Run: func(c *command.Call) error {
			o := container.Options{ID: c.String("id"), Bundle: ".", Cgroups: manager(c), Warn: c.Warn}
			if len(c.Args) > 0 {
				o.Bundle = c.Args[0]
			}
			var used facts.Facts
			ask := func(files []string) (f facts.Facts, err error) {
				used, err = askFacts(c, files)
				return used, err
			}
			_, p, config, err := container.Load(o, ask)
			if c.Bool("show-facts") && used.Kernel != "" {
				return printJSON(used)
			}
			if err != nil {
				return err
			}
			for _, list := range [][]string{config.Warnings, p.Warnings} {
				for _, w := range list {
					c.Warn("%s", w)
				}
			}
			return printPlan(p, c.String("format"))
		},
	}
}

func printPlan(p *plan.Plan, format string) error {
	switch format {
	case "table":
		_, err := fmt.Printf("%d steps in the launch program, Linux 5.14 or newer\n%s", len(p.Init.Steps), p.Fit(sys.Columns(1)))
		return err
	case "json":
		return printJSON(p.Lines())
	}
	return &fail.Error{Where: "--format", Doing: "unknown format " + strconv.Quote(format), Hint: "table and json are known"}
}

func printJSON(v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		_, err = fmt.Println(string(text))
	}
	return err
}

// factsFlag and askFacts are those of the verbs that look ahead.
func factsFlag() command.Flag {
	return command.Flag{Names: []string{"facts"}, Value: "FILE", Help: "judge for another machine: the facts that coracle plan --show-facts printed there"}
}

func askFacts(c *command.Call, files []string) (f facts.Facts, err error) {
	if name := c.String("facts"); name != "" {
		f, err = readFacts(name)
	} else {
		f, err = probe.Facts(files)
	}
	if f.UID != 0 { // the plan is that of create, which needs root
		f.Capabilities = 1<<(f.LastCap+1) - 1
	}
	return f, err
}

func readFacts(name string) (f facts.Facts, err error) {
	data, err := os.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(data, &f)
	}
	if err != nil {
		return f, &fail.Error{Where: "--facts", Doing: "read the facts", Err: err, Hint: "coracle plan --show-facts prints those of a machine"}
	}
	return f, nil
}
