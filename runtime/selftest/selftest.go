// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package selftest finds out what containers can have on this machine, by making
// some. It needs nothing but coracle's own binary: the program in the containers
// is a launch program.
//
// Each check is one config, run by "coracle run", so that what it says is what a
// user would be told. Package cli calls it.
package selftest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	defaults "github.com/coracle-oci/coracle/specs"
)

// A Result is what came of one check.
type Result struct {
	Name   string `json:"name"`
	Result string `json:"result"` // "ok", "no", or "untried" where the machine lacks what it is about
	Basic  bool   `json:"basic"`
	Why    string `json:"why,omitempty"`
}

// Run makes the checks with the given coracle, and tells of each result. It leaves
// nothing behind.
func Run(coracle string, report func(Result) error) error {
	w, err := newWorld(coracle)
	if err != nil {
		return err
	}
	defer w.remove()
	for i, c := range checks() {
		r := Result{Name: c.name, Result: "ok", Basic: c.basic}
		if why := c.missing(); why != "" {
			r.Result, r.Why = "untried", why
		} else if c.change != nil || c.steps != nil || c.judge != nil || c.readonly != nil {
			if err := w.try(&c, "selftest-"+strconv.Itoa(os.Getpid())+"-"+strconv.Itoa(i)); err != nil {
				r.Result, r.Why = "no", err.Error()
			}
		}
		if err := report(r); err != nil {
			return err
		}
	}
	return nil
}

func (c *check) missing() string {
	if c.lacks == nil {
		return ""
	}
	return c.lacks()
}

// A world is the directory in which a selftest works.
type world struct {
	coracle      string
	path         string
	shared, hook string
}

func newWorld(coracle string) (*world, error) {
	path, err := os.MkdirTemp("", "coracle-selftest-")
	if err != nil {
		return nil, &fail.Error{Doing: "make a directory for the selftest", Err: err}
	}
	w := &world{coracle: coracle, path: path, hook: filepath.Join(path, "hook")}
	image, err := payload(&check{})
	if err == nil {
		// A hook that succeeds: a shell is on every machine that has hooks.
		err = os.WriteFile(w.hook, []byte("#!/bin/sh\nexec cat >/dev/null\n"), 0o755)
	}
	if err == nil {
		err = os.Chmod(path, 0o755) // for the ids of user namespaces
	}
	w.shared = w.dir("shared")
	if err == nil {
		err = os.WriteFile(filepath.Join(w.shared, "file"), []byte("shared\n"), 0o644)
	}
	if err != nil || len(image) == 0 {
		w.remove()
		return nil, &fail.Error{Doing: "prepare the selftest", Err: err}
	}
	return w, nil
}

func (w *world) remove() { os.RemoveAll(w.path) }

// dir makes a directory of the world.
func (w *world) dir(name string) string {
	path := filepath.Join(w.path, name)
	os.MkdirAll(path, 0o755)
	return path
}

// try makes a bundle for a check and runs it.
func (w *world) try(c *check, id string) error {
	bundle := w.dir(id)
	if err := w.write(c, bundle); err != nil {
		return err
	}
	if c.steps != nil {
		return c.steps(w, bundle, id)
	}
	output, err := w.run(append(c.globals, "run", "--bundle", bundle, id)...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == started {
		if c.judge == nil {
			return nil
		}
		return c.judge(printed(output))
	}
	if err == nil {
		err = errors.New("the program ended with another status than its own")
	}
	return w.told(err)
}

// told is what coracle said, without its name; or how it ended.
func (w *world) told(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if said := strings.TrimSpace(strings.TrimPrefix(string(exit.Stderr), "coracle: ")); said != "" {
			return errors.New(said)
		}
		return fmt.Errorf("the program in the container ended with status %d", exit.ExitCode())
	}
	return err
}

// run runs coracle and returns what it printed; a failure's Stderr says why. A
// container that stays has the descriptors, so they are no pipes.
func (w *world) run(args ...string) (string, error) {
	out, err := os.CreateTemp(w.path, "out")
	if err != nil {
		return "", err
	}
	defer out.Close()
	said, err := os.CreateTemp(w.path, "err")
	if err != nil {
		return "", err
	}
	defer said.Close()
	cmd := exec.Command(w.coracle, append([]string{"--root", filepath.Join(w.path, "state"), "--log-level", "error"}, args...)...)
	cmd.Stdout, cmd.Stderr = out, said
	err = cmd.Run()
	text, _ := os.ReadFile(out.Name())
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		exit.Stderr, _ = os.ReadFile(said.Name())
	}
	return string(text), err
}

// write makes the bundle: the default config, less what a tiny root file system
// has no place for, and the change of the check.
func (w *world) write(c *check, bundle string) error {
	var s specs.Spec
	text := defaults.Config()
	if os.Geteuid() != 0 {
		text = defaults.RootlessConfig(os.Geteuid(), os.Getegid())
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	s.Process.Terminal, s.Process.Args, s.Process.Rlimits = false, []string{"/payload"}, nil
	s.Root.Path = w.dir(filepath.Base(bundle) + "/rootfs")
	s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool {
		return !slices.Contains([]string{"/proc", "/dev", "/dev/pts"}, m.Destination)
	})
	s.Linux.MaskedPaths = []string{"/secret"}
	if s.Linux.Resources == nil {
		s.Linux.Resources = &specs.LinuxResources{}
	}
	if c.change != nil {
		c.change(&s, w)
	}
	image, err := payload(c)
	if err != nil {
		return err
	}
	for _, name := range []string{"proc", "dev", "mnt"} {
		w.dir(filepath.Base(bundle) + "/rootfs/" + name)
	}
	config, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(s.Root.Path, "payload"), image, 0o755),
		os.WriteFile(filepath.Join(s.Root.Path, "secret"), []byte("secret\n"), 0o644),
		os.WriteFile(filepath.Join(bundle, "config.json"), config, 0o644))
}

// lifecycle goes through all states of a container.
func lifecycle(w *world, bundle, id string) error {
	if _, err := w.run("create", "--bundle", bundle, id); err != nil {
		return w.told(err)
	}
	defer w.run("delete", "--force", id)
	if err := w.is(id, "created"); err != nil {
		return err
	}
	for _, verb := range []string{"start", "delete"} {
		if verb == "delete" {
			if err := w.stops(id); err != nil {
				return err
			}
		}
		if _, err := w.run(verb, id); err != nil {
			return w.told(err)
		}
	}
	if _, err := w.run("state", id); err == nil {
		return errors.New("it is still there after delete")
	}
	return nil
}

// freeze pauses a container that has been created.
func freeze(w *world, bundle, id string) error {
	if _, err := w.run("create", "--bundle", bundle, id); err != nil {
		return w.told(err)
	}
	defer w.run("delete", "--force", id)
	for _, step := range []struct{ verb, status string }{{"pause", "paused"}, {"resume", "created"}} {
		if _, err := w.run(step.verb, id); err != nil {
			return w.told(err)
		}
		if err := w.is(id, step.status); err != nil {
			return err
		}
	}
	return nil
}

// is compares the status that state prints.
func (w *world) is(id, status string) error {
	text, err := w.run("state", id)
	if err != nil {
		return w.told(err)
	}
	if !strings.Contains(text, `"status": "`+status+`"`) {
		return fmt.Errorf("its status is not %s: %s", status, text)
	}
	return nil
}

// stops waits for the end of a container's program. Whoever reaps it first learns
// its exit status, which need not be us.
func (w *world) stops(id string) error {
	_, _ = w.run("wait", id)
	return w.is(id, "stopped")
}

func unlessRoot() string {
	if os.Geteuid() != 0 {
		return "root is needed"
	}
	return ""
}

func unlessFile(name, why string) func() string {
	return func() string {
		if _, err := os.Stat(name); err != nil {
			return why
		}
		return ""
	}
}

func unlessGlob(pattern, why string) func() string {
	return func() string {
		if found, _ := filepath.Glob(pattern); len(found) == 0 {
			return why
		}
		return ""
	}
}

// subIDs is what users need who want more than one id in a container: subuid(5).
func subIDs() string {
	for _, name := range []string{"newuidmap", "newgidmap"} {
		if _, err := exec.LookPath(name); err != nil {
			return name + " is not installed: it is in the package uidmap"
		}
	}
	who, err := user.Current()
	if err != nil || who.Uid == "0" {
		return ""
	}
	for _, file := range []string{"/etc/subuid", "/etc/subgid"} {
		text, _ := os.ReadFile(file)
		if !bytes.Contains(append([]byte("\n"), text...), []byte("\n"+who.Username+":")) {
			return who.Username + " has no range in " + file
		}
	}
	return ""
}

// hugePage is a size that this machine has: "2MB".
func hugePage() string {
	found, _ := filepath.Glob("/sys/kernel/mm/hugepages/hugepages-*kB")
	if len(found) == 0 {
		return "2MB"
	}
	kb, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(found[0]), "hugepages-"), "kB"))
	switch {
	case kb >= 1<<20:
		return strconv.Itoa(kb>>20) + "GB"
	case kb >= 1<<10:
		return strconv.Itoa(kb>>10) + "MB"
	}
	return strconv.Itoa(kb) + "KB"
}

func tmp() string { return filepath.Clean(os.TempDir()) }
