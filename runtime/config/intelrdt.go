// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// intelRdt checks linux.intelRdt: config-linux.md, "IntelRdt".
// ValidateIntelRdt judges linux.intelRdt alone, of which update changes parts.
func ValidateIntelRdt(r *specs.LinuxIntelRdt) error {
	v := &validator{}
	if v.intelRdt(r); len(v.findings) > 0 {
		return v.findings[0]
	}
	return nil
}

func (v *validator) intelRdt(r *specs.LinuxIntelRdt) {
	if r == nil {
		return
	}
	if id := r.ClosID; id == "." || id == ".." || id != "/" && strings.Contains(id, "/") {
		v.refuse(path("linux.intelRdt.closID"), "%q is no name of a directory", id)
	}
	for _, s := range []struct{ name, value, prefix string }{{"l3CacheSchema", r.L3CacheSchema, "L3:"}, {"memBwSchema", r.MemBwSchema, "MB:"}} {
		if s.value != "" && !strings.HasPrefix(s.value, s.prefix) {
			v.refuse(path("linux.intelRdt.%s", s.name), "%q does not begin with %s", s.value, s.prefix)
		}
		v.schema(s.value, path("linux.intelRdt.%s", s.name))
	}
	for i, line := range r.Schemata {
		if !strings.Contains(line, ":") {
			v.refuse(path("linux.intelRdt.schemata[%d]", i), "%q is no schema such as L3:0=f", line)
		}
		v.schema(line, path("linux.intelRdt.schemata[%d]", i))
	}
}

// schema notes a line that is more than one: the next would be another schema.
func (v *validator) schema(line string, where at) {
	if strings.Contains(line, "\n") {
		v.refuse(where, "has a line break")
	}
}
