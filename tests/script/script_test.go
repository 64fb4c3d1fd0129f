// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package script

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// Test runs the scripts that need nothing.
func Test(t *testing.T) { run(t, "testdata", nil) }

// TestRoot runs those that make containers, which they have to remove: NoLeaks
// looks.
func TestRoot(t *testing.T) {
	testkit.Need(t, testkit.Root)
	testkit.NoLeaks(t)
	run(t, "testdata/root", map[string]string{"ROOTFS": testkit.Rootfs(t)})
}

// run runs the scripts of a directory with more variables.
func run(t *testing.T, dir string, more map[string]string) {
	bin := testkit.Bin(t, "coracle")
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(bin)+":/usr/sbin:/usr/bin:/sbin:/bin")
			env.Setenv("STATE", filepath.Join(env.WorkDir, "state"))
			// Names of cgroups, which all scripts share.
			env.Setenv("ID", fmt.Sprintf("coracle-test-%d-%s", os.Getpid(), strings.TrimPrefix(filepath.Base(env.WorkDir), "script-")))
			env.Setenv("LONG", strings.Repeat("x", 5000))
			env.Setenv("NL", "\n")
			for name, value := range more {
				env.Setenv(name, value)
			}
			env.Defer(func() { tidy(bin, env.Getenv("STATE")) })
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"bundle": bundle,
			"edit":   edit,
			"quiet":  quiet,
			"status": status,
			"lines":  lines,
		},
	})
}

// tidy removes the containers that a script has left because it failed half-way.
func tidy(bin, state string) {
	ids, _ := exec.Command(bin, "--root", state, "list", "--quiet").Output()
	for _, id := range strings.Fields(string(ids)) {
		_ = exec.Command(bin, "--root", state, "delete", "--force", id).Run()
	}
}

// TestEdit: a broken edit would let "bad input" scripts pass for another reason.
func TestEdit(t *testing.T) {
	for _, c := range []struct{ have, path, value, want string }{
		{`{"a":{"b":1}}`, "a.b", "2", `{"a":{"b":2}}`},
		{`{"a":{"b":1}}`, "a.c[0].d", `"x"`, `{"a":{"b":1,"c":[{"d":"x"}]}}`},
		{`{"a":[1,2]}`, "a[1]", "[]", `{"a":[1,[]]}`},
		{`{"a":[1,2]}`, "a[2]", "3", `{"a":[1,2,3]}`},
		{`{"a":[1,2]}`, "a[0]", "-", `{"a":[2]}`},
		{`{"a":1,"b":2}`, "a", "-", `{"b":2}`},
		{`{"a":{}}`, `a["x.y"]`, "1", `{"a":{"x.y":1}}`},
	} {
		var tree any
		if err := json.Unmarshal([]byte(c.have), &tree); err != nil {
			t.Fatal(err)
		}
		steps, err := parsePath(c.path)
		if err != nil {
			t.Fatal(err)
		}
		tree, err = change(tree, steps, c.value)
		got, _ := json.Marshal(tree)
		if err != nil || string(got) != c.want {
			t.Errorf("%s %s %s: got %s, %v", c.have, c.path, c.value, got, err)
		}
	}
	for _, path := range []string{"a[", "a[x]", "", "a..b"} {
		if _, err := parsePath(path); err == nil {
			t.Errorf("%q is no path", path)
		}
	}
	if _, err := change([]any{}, []any{5}, "1"); err == nil {
		t.Error("an index far behind the end was set")
	}
}

func bundle(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: bundle DIR")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Join(dir, "rootfs"), 0o755))
	for _, name := range []string{"proc", "dev", "sys", "etc", "bin"} {
		ts.Check(os.MkdirAll(filepath.Join(dir, "rootfs", name), 0o755))
	}
	ts.Check(os.WriteFile(filepath.Join(dir, "rootfs/bin/true"), nil, 0o755))
	ts.Check(ts.Exec("coracle", "spec", "--bundle", dir))
	// Of the tests' own: without a terminal, and with a program that is there.
	for path, value := range map[string]string{"process.terminal": "false", "process.args": `["/bin/true"]`} {
		change1(ts, filepath.Join(dir, "config.json"), path, value)
	}
}

func edit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: edit FILE PATH JSON|-")
	}
	change1(ts, ts.MkAbs(args[0]), args[1], args[2])
}

// change1 sets or removes what stands at a path in a JSON file.
func change1(ts *testscript.TestScript, file, path, value string) {
	data, err := os.ReadFile(file)
	ts.Check(err)
	var tree any
	ts.Check(json.Unmarshal(data, &tree))
	steps, err := parsePath(path)
	ts.Check(err)
	tree, err = change(tree, steps, value)
	ts.Check(err)
	data, err = json.MarshalIndent(tree, "", "\t")
	ts.Check(err)
	ts.Check(os.WriteFile(file, data, 0o644))
}

// parsePath splits `mounts[0].options` into names and indices.
func parsePath(path string) (steps []any, err error) {
	for rest := path; rest != ""; {
		switch {
		case strings.HasPrefix(rest, `["`):
			name, tail, ok := strings.Cut(rest[2:], `"]`)
			if !ok {
				return nil, fmt.Errorf("path %q: a quote is open", path)
			}
			steps, rest = append(steps, name), tail
		case rest[0] == '[':
			index, tail, _ := strings.Cut(rest[1:], "]")
			n, err := strconv.Atoi(index)
			if err != nil {
				return nil, fmt.Errorf("path %q: %w", path, err)
			}
			steps, rest = append(steps, n), tail
		default:
			rest = strings.TrimPrefix(rest, ".")
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			if end == 0 {
				return nil, fmt.Errorf("path %q: a name is empty", path)
			}
			steps, rest = append(steps, rest[:end]), rest[end:]
		}
	}
	if steps == nil {
		return nil, errors.New("the path is empty")
	}
	return steps, nil
}

// change returns tree with the value at steps replaced. Objects and lists on the
// way are made; a list grows by one at most.
func change(tree any, steps []any, value string) (any, error) {
	if len(steps) == 0 {
		var v any
		err := json.Unmarshal([]byte(value), &v)
		return v, err
	}
	remove := value == "-" && len(steps) == 1
	switch step := steps[0].(type) {
	case string:
		object, ok := tree.(map[string]any)
		if !ok && tree != nil {
			return nil, fmt.Errorf("%q: not an object", step)
		}
		if object == nil {
			object = map[string]any{}
		}
		if remove {
			delete(object, step)
			return object, nil
		}
		below, err := change(object[step], steps[1:], value)
		object[step] = below
		return object, err
	case int:
		list, ok := tree.([]any)
		if !ok && tree != nil || step > len(list) || remove && step == len(list) {
			return nil, fmt.Errorf("[%d]: not in the list", step)
		}
		if remove {
			return append(list[:step], list[step+1:]...), nil
		}
		if step == len(list) {
			list = append(list, nil)
		}
		below, err := change(list[step], steps[1:], value)
		list[step] = below
		return list, err
	}
	panic("bug: a step is neither a name nor an index")
}

func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, not %d", got, want)
	}
}

// quiet gives the command files for its output: the container that it leaves behind
// keeps them, and exec would wait for the end of a pipe until the container ends.
func quiet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: quiet COMMAND...")
	}
	output, err := os.CreateTemp(ts.Getenv("WORK"), "output")
	ts.Check(err)
	defer output.Close()
	bin, err := exec.LookPath(filepath.Join(strings.Split(ts.Getenv("PATH"), ":")[0], args[0]))
	ts.Check(err)
	cmd := exec.Command(bin, args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), output, output
	err = cmd.Run()
	text, _ := os.ReadFile(output.Name())
	if err != nil || len(text) > 0 {
		ts.Fatalf("%v\n%s", err, text)
	}
}

func lines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: lines N FILE")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := strings.Count(ts.ReadFile(args[1]), "\n"); got != want {
		ts.Fatalf("%s has %d lines, not %d:\n%s", args[1], got, want, ts.ReadFile(args[1]))
	}
}
