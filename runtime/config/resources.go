// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/decode"
)

// ParseResources decodes a linux.resources that stands alone, as "update" gets it;
// errors and warnings name where instead of config.json. Rules for devices are
// read past: they are not updated.
func ParseResources(data []byte, where string) (resourcesOnly *specs.LinuxResources, warnings []string, err error) {
	r := decode.New(where, data)
	s := new(specs.LinuxResources)
	resources(r, s)
	r.End()
	if r.Err != nil {
		return nil, nil, r.Err
	}
	return s, r.Warnings, nil
}
