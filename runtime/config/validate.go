// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"fmt"
	"strings"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// Validate judges every value that can be judged without a machine, and returns
// the first of [Findings]. It adds warnings to c.Warnings.
//
// linux.resources is not looked at: package cgroup/resources does the arithmetic.
func Validate(c *Config) error {
	if all := Findings(c); len(all) > 0 {
		return all[0]
	}
	return nil
}

// Findings returns everything that is wrong with c, in the order of the spec,
// and adds warnings to c.Warnings. What coracle does not support yet is a finding too: the
// spec has no room for a property that is silently not applied.
func Findings(c *Config) []*fail.Error {
	v := &validator{config: c}
	v.general()
	v.root()
	v.mounts()
	v.process()
	v.hooks()
	v.linux()
	c.Warnings = append(c.Warnings, v.warnings...)
	return v.findings
}

// A validator collects what is wrong with one config.
type validator struct {
	config   *Config
	findings []*fail.Error
	warnings []string
}

// at is where in config.json something stands: a format for its path, and its
// indices. The text is only made when there is something to say about it.
type at struct {
	format string
	index  []any
}

func path(format string, index ...any) at { return at{format, index} }

func (a at) String() string { return Name + " " + fmt.Sprintf(a.format, a.index...) }

// refuse notes that the value at a path is wrong, and why.
func (v *validator) refuse(where at, what string, args ...any) *fail.Error {
	e := fail.At(where.String(), fmt.Sprintf(what, args...))
	v.findings = append(v.findings, e)
	return e
}

// warn notes that the value at a path will not do what it seems to.
func (v *validator) warn(where at, what string, args ...any) {
	v.warnings = append(v.warnings, where.String()+": "+fmt.Sprintf(what, args...))
}

// absolute notes a path that does not begin at the root.
func (v *validator) absolute(name string, where at) {
	switch {
	case name == "":
		v.refuse(where, "is missing")
	case name[0] != '/':
		v.refuse(where, "%q is not an absolute path", name)
	}
}

// oneOf notes a word that is not in a list, and the nearest that is.
func (v *validator) oneOf(word string, words []string, where at, kind string) {
	for _, w := range words {
		if w == word {
			return
		}
	}
	if word == "" {
		v.refuse(where, "is missing")
		return
	}
	v.refuse(where, "unknown %s %q", kind, word).Hint = nearest(word, words)
}

// environment notes what execve(2) would take but no program could read.
func (v *validator) environment(env []string, field string, index ...any) {
	for i, entry := range env {
		switch strings.IndexByte(entry, '=') {
		case -1:
			v.refuse(path(field+"[%d]", append(index, i)...), "%q has no =", entry)
		case 0:
			v.refuse(path(field+"[%d]", append(index, i)...), "%q has no name before the =", entry)
		}
	}
}

// general checks ociVersion, hostname, domainname and annotations: config.md.
func (v *validator) general() {
	c := v.config
	if c.Version == "" {
		v.refuse(path("ociVersion"), "is missing")
	} else if major, ok := majorVersion(c.Version); !ok {
		v.refuse(path("ociVersion"), "%q is not a version such as 1.3.0", c.Version)
	} else if major != "1" {
		v.refuse(path("ociVersion"), "version %s is not supported; coracle knows all of 1.x", c.Version)
	}
	v.name(c.Hostname, "hostname")
	v.name(c.Domainname, "domainname")
	if _, ok := c.Annotations[""]; ok {
		v.refuse(path("annotations"), "a key is empty")
	}
	if handler := c.Annotations["run.oci.handler"]; handler != "" { // of crun: a virtual machine, or WebAssembly
		v.warn(path(`annotations["run.oci.handler"]`), "there is no handler %q here: the container is one like all others", handler)
	}
}

// name checks a host or domain name. Without a UTS namespace it would be the
// host's own that changes.
func (v *validator) name(name, field string) {
	const longest = 64 // __NEW_UTS_LEN, sethostname(2)
	if name == "" {
		return
	}
	if len(name) > longest {
		v.refuse(path(field), "is longer than %d bytes", longest)
	}
	if v.namespace("uts") == nil {
		v.refuse(path(field), "needs a uts namespace").Hint = `add {"type": "uts"} to linux.namespaces, or remove ` + field
	}
}

// majorVersion returns the first number of a version as SemVer 2.0.0 defines it.
func majorVersion(version string) (string, bool) {
	core, _, built := strings.Cut(version, "+")
	core, pre, released := strings.Cut(core, "-")
	numbers := strings.Split(core, ".")
	if len(numbers) != 3 || released && pre == "" || built && strings.HasSuffix(version, "+") {
		return "", false
	}
	for _, n := range numbers {
		if n == "" || strings.Trim(n, "0123456789") != "" || len(n) > 1 && n[0] == '0' {
			return "", false
		}
	}
	return numbers[0], true
}

// root checks root: config.md, "Root".
func (v *validator) root() {
	if v.config.Root == nil {
		v.refuse(path("root"), "is missing")
	} else if v.config.Root.Path == "" {
		v.refuse(path("root.path"), "is missing")
	}
}

// hooks checks hooks: config.md, "POSIX-platform Hooks".
func (v *validator) hooks() {
	h := v.config.Hooks
	if h == nil {
		return
	}
	for _, kind := range []struct {
		name string
		list []specs.Hook
	}{
		{"prestart", h.Prestart}, {"createRuntime", h.CreateRuntime},
		{"createContainer", h.CreateContainer}, {"startContainer", h.StartContainer},
		{"poststart", h.Poststart}, {"poststop", h.Poststop},
	} {
		for i, hook := range kind.list {
			v.absolute(hook.Path, path("hooks.%s[%d].path", kind.name, i))
			if hook.Timeout != nil && *hook.Timeout <= 0 {
				v.refuse(path("hooks.%s[%d].timeout", kind.name, i), "%d is not greater than zero seconds", *hook.Timeout)
			}
			v.environment(hook.Env, "hooks.%s[%d].env", kind.name, i)
		}
	}
}
