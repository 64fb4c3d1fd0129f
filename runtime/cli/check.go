// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	oci "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/container"
	"github.com/coracle-oci/coracle/runtime/plan"
)

func checkVerb() command.Verb {
	return command.Verb{
		Name: "check", Args: "[BUNDLE]", Max: 1,
		Flags: []command.Flag{
			{Names: []string{"config", "f"}, Value: "FILE", Help: "check this file, not the bundle's config.json"},
			factsFlag(),
			{Names: []string{"format"}, Value: "FORMAT", Default: "text", Words: []string{"text", "json"}, Help: "text or json"},
		},
		Summary: "report everything that is wrong with a config.json, and do nothing",
		Long: `
Every problem is named at once, with its place, the reason and what to do about
it: what create would refuse on this machine is an error; what it would leave out
or ignore, such as an unknown property, is a warning. The program and its working
directory are looked for in the root file system, unless they may lie on a mount.
Root is not needed.

With --format json the answer is a list of objects with the keys level, path, why
and fix.

examples:
  coracle check bundle
  coracle check --facts other-machine.json bundle
  coracle check --format json bundle | jq -r '.[] | select(.level == "error").path'

exit status:
  0  nothing is wrong
  1  create would refuse it, or there is nothing to check
  2  create would take it, with the warnings that are printed`,
		Run: func(c *command.Call) error {
			findings, err := check(c)
			if err != nil {
				return err
			}
			if err := printFindings(findings, c.String("format")); err != nil {
				return err
			}
			code := 0
			for _, f := range findings {
				if f.Level == "error" {
					return &command.ExitError{Code: 1}
				}
				code = 2
			}
			if code != 0 {
				return &command.ExitError{Code: code}
			}
			return nil
		},
	}
}

// A finding is one problem, as check prints it.
type finding struct {
	Level string `json:"level"`
	Path  string `json:"path"`
	Why   string `json:"why"`
	Fix   string `json:"fix"`
}

func check(c *command.Call) ([]finding, error) {
	dir := "."
	if len(c.Args) > 0 {
		dir = c.Args[0]
	}
	bundle, err := filepath.Abs(dir)
	if err != nil {
		return nil, &fail.Error{Where: "bundle", Err: err}
	}
	name := c.String("config")
	if name == "" {
		name = filepath.Join(bundle, config.Name)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, &fail.Error{Doing: "read the config", Err: err, Hint: "make one with: coracle spec --bundle " + dir}
	}
	parsed, wrong := config.Check(data)
	if parsed == nil {
		return findingsOf(wrong, nil), nil
	}
	f, err := askFacts(c, plan.HostPaths(bundle, &parsed.Spec))
	if err != nil {
		return nil, err
	}
	refused, warnings := plan.Findings(plan.Request{ID: "ID", Bundle: bundle, Config: parsed, Facts: f, Cgroups: manager(c)})
	refused = append(refused, container.LookUp(bundle, &parsed.Spec)...)
	if !c.Given("facts") {
		failing, told := deadHooks(parsed.Hooks)
		refused, warnings = append(refused, failing...), append(warnings, told...)
	}
	for _, err := range refused {
		e, ok := errors.AsType[*fail.Error](err)
		if !ok {
			e = &fail.Error{Where: config.Name, Err: err}
		}
		if !config.Covers(wrong, e.Where) {
			wrong = append(wrong, e)
		}
	}
	warnings = append(append(parsed.Warnings, warnings...), unlikeDomains(parsed.Annotations)...)
	return findingsOf(wrong, warnings), nil
}

// deadHooks looks for the programs of hooks, which create itself finds out about when
// it runs them. Those that run later do not keep it from that.
func deadHooks(h *oci.Hooks) (refused []error, warnings []string) {
	if h == nil {
		return nil, nil
	}
	for _, kind := range []struct {
		name  string
		hooks []oci.Hook
	}{{"prestart", h.Prestart}, {"createRuntime", h.CreateRuntime}, {"createContainer", h.CreateContainer}, {"poststart", h.Poststart}, {"poststop", h.Poststop}} {
		for i, hook := range kind.hooks {
			where := fmt.Sprintf("%s hooks.%s[%d].path", config.Name, kind.name, i)
			info, err := os.Stat(hook.Path)
			if err == nil && (info.IsDir() || info.Mode()&0o111 == 0) {
				err = &fs.PathError{Op: "execute", Path: hook.Path, Err: syscall.EACCES}
			}
			if err == nil || !filepath.IsAbs(hook.Path) {
				continue
			}
			e := &fail.Error{Where: where, Err: err}
			if strings.HasPrefix(kind.name, "post") {
				warnings = append(warnings, e.Error())
			} else {
				refused = append(refused, e)
			}
		}
	}
	return refused, warnings
}

// unlikeDomains warns of keys that may mean something else to others: they should be
// in reverse domain notation (config.md, "Annotations"). That is no affair of create.
func unlikeDomains(annotations map[string]string) (warnings []string) {
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		if key != "" && !strings.Contains(key, ".") {
			warnings = append(warnings, config.Name+" annotations["+strconv.Quote(key)+"]: a key should begin with a domain of yours, as in org.example."+key)
		}
	}
	return warnings
}

// findingsOf puts errors and warnings, which are texts, into one form.
func findingsOf(wrong []*fail.Error, warnings []string) []finding {
	list := []finding{}
	for _, e := range wrong {
		path := place(e.Where)
		why := strings.TrimPrefix(e.Error(), e.Where+": ")
		list = append(list, finding{"error", path, why, orFix(e.Hint, path, why)})
	}
	for _, w := range warnings {
		where, why, _ := strings.Cut(w, ": ")
		path, hint := place(where), ""
		if why == "unknown property" {
			hint = nearestProperty(path)
		}
		list = append(list, finding{"warning", path, why, orFix(hint, path, why)})
	}
	return list
}

// place is the path of "config.json PATH", or the line of "config.json:3:17".
func place(where string) string {
	return strings.TrimLeft(strings.TrimPrefix(where, config.Name), " ")
}

// orFix returns the hint, or else what can always be done.
func orFix(hint, path, why string) string {
	switch {
	case hint != "":
		return hint
	case path == "" || path[0] == ':':
		return "correct the text of config.json"
	case strings.HasPrefix(why, "is missing"):
		return "add " + path
	}
	return "change or remove " + path
}

func printFindings(findings []finding, format string) error {
	switch format {
	case "json":
		return printJSON(findings)
	case "text":
		for _, f := range findings {
			path := f.Path
			if path != "" && path[0] == ':' {
				path = config.Name + path
			}
			if path != "" {
				path += ":"
			}
			if _, err := fmt.Printf("%-7s  %s %s\n         fix: %s\n", f.Level, path, f.Why, f.Fix); err != nil {
				return err
			}
		}
		return nil
	}
	return &fail.Error{Where: "--format", Doing: "unknown format " + strconv.Quote(format), Hint: "text and json are known"}
}
