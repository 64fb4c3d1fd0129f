// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package config

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/decode"
)

// MostCPUs is more than any kernel can be built for: NR_CPUS is at most 8192.
const MostCPUs = 8192

// ParseProcess decodes a process that stands alone, as "exec --process" gets it;
// errors and warnings name where instead of config.json.
func ParseProcess(data []byte, where string) (p *specs.Process, warnings []string, err error) {
	r := decode.New(where, data)
	p = new(specs.Process)
	process(r, p)
	r.End()
	if r.Err != nil {
		return nil, nil, r.Err
	}
	return p, r.Warnings, nil
}

// ValidateProcess judges the process of a config, and nothing else of it.
func ValidateProcess(c *Config) error {
	v := &validator{config: c}
	v.process()
	c.Warnings = append(c.Warnings, v.warnings...)
	if len(v.findings) > 0 {
		return v.findings[0]
	}
	return nil
}

// cpus judges a list of CPUs in the format of cpuset(7).
func (v *validator) cpus(list string, where at) {
	if _, ok := ParseList(list, MostCPUs); !ok {
		v.refuse(where, "%q is no list of CPUs such as 0-3,7", list)
	}
}
