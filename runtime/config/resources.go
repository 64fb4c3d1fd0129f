// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"errors"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
)

// ParseResources decodes a linux.resources that stands alone, as "update" gets it;
// errors and warnings name where instead of config.json. Rules for devices are
// read past: they are not updated.
func ParseResources(data []byte, where string) (resourcesOnly *specs.LinuxResources, warnings []string, err error) {
	if err := looksLikeJSON(data); err != nil {
		return nil, nil, renamed(err, where)
	}
	r := newReader(data)
	s := new(specs.LinuxResources)
	resources(r, s)
	r.end()
	if r.err != nil {
		return nil, nil, renamed(r.err, where)
	}
	for _, w := range r.warnings {
		warnings = append(warnings, where+strings.TrimPrefix(w, Name))
	}
	return s, warnings, nil
}

// renamed lets an error speak of another text than config.json.
func renamed(err error, where string) error {
	if e, ok := errors.AsType[*fail.Error](err); ok {
		e.Where = where + strings.TrimPrefix(e.Where, Name)
	}
	return err
}
