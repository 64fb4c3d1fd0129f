// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package config turns the bytes of a bundle's config.json into typed values,
// and says which of them are wrong and where.
//
// [Parse] decodes, [Validate] judges every value that can be judged without
// looking at a machine. Nothing here touches the system; what depends on the
// host (does the source of a mount exist?) is decided by package plan. The types
// are the runtime-spec's own. Called by packages cli and container.
package config

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/decode"
)

// Name is the file that errors and warnings speak of.
const Name = "config.json"

// A Config is one decoded config.json, runtime-spec v1.3.0.
//
// The sections vm, solaris, windows, zos and freebsd stay nil: the spec says
// that a runtime of another platform ignores them (config.md, "Platform-specific
// configuration").
type Config struct {
	specs.Spec

	// Warnings are one-line texts such as "config.json linux.foo: unknown
	// property": unknown properties ("MUST otherwise ignore them", config.md,
	// Extensibility) and whatever gives the container less than asked for.
	Warnings []string
}

// Parse decodes config.json. Property names are compared exactly, a name given
// twice is an error, null means that the property is absent.
//
// Errors are [*github.com/coracle-oci/coracle/internal/fail.Error] with Where
// "config.json:LINE:COLUMN" where the text is not JSON, and
// "config.json mounts[3].options[1]" where a value has the wrong type or does
// not fit. Parse keeps no reference to data.
func Parse(data []byte) (*Config, error) {
	r := decode.New(Name, data)
	c := new(Config)
	spec(r, &c.Spec)
	r.End()
	if r.Err != nil {
		return nil, r.Err
	}
	c.Warnings = r.Warnings
	return c, nil
}
