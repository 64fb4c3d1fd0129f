// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package resources

import (
	"maps"
	"slices"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// rdma compiles linux.resources.rdma, one line per device. The files have the
// same names in v1 and v2.
func (c *compiler) rdma() {
	for _, name := range slices.Sorted(maps.Keys(c.r.Rdma)) {
		c.note(c.rdmaDevice("linux.resources.rdma["+strconv.Quote(name)+"]", name, c.r.Rdma[name]))
	}
}

func (c *compiler) rdmaDevice(from, name string, limit specs.LinuxRdma) error {
	if !isWord(name) {
		return invalid(from, "is no device's name")
	}
	if limit.HcaHandles == nil && limit.HcaObjects == nil {
		return invalid(from, "has neither hcaHandles nor hcaObjects")
	}
	h, err := c.on("rdma", from)
	if err != nil {
		return err
	}
	line := name
	if limit.HcaHandles != nil {
		line += " hca_handle=" + strconv.FormatUint(uint64(*limit.HcaHandles), 10)
	}
	if limit.HcaObjects != nil {
		line += " hca_object=" + strconv.FormatUint(uint64(*limit.HcaObjects), 10)
	}
	c.write(from, h.dir+"/rdma.max", line)
	return nil
}
