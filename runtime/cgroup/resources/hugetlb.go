// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package resources

import (
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
)

// hugepageLimits compiles linux.resources.hugepageLimits: the limit of faults,
// and that of reservations where the kernel has it.
func (c *compiler) hugepageLimits() {
	for i, l := range c.r.HugepageLimits {
		c.note(c.hugepageLimit("linux.resources.hugepageLimits["+strconv.Itoa(i)+"]", l))
	}
}

func (c *compiler) hugepageLimit(from string, l specs.LinuxHugepageLimit) error {
	if !isPageSize(l.Pagesize) {
		return &fail.Error{Where: configFile + from + ".pageSize", Doing: "is " + strconv.Quote(l.Pagesize) + ", which is no page size",
			Hint: `write it as the files in /sys/fs/cgroup do, "2MB" or "1GB"`}
	}
	if l.Limit > maxBytes {
		return invalid(from+".limit", "is "+strconv.FormatUint(l.Limit, 10)+", more than the kernel can count")
	}
	h, err := c.on("hugetlb", from)
	if err != nil {
		return err
	}
	text, file := strconv.FormatUint(l.Limit, 10), h.dir+"/hugetlb."+l.Pagesize
	last := ".limit_in_bytes"
	if h.v2 {
		last = ".max"
	}
	c.write(from+".limit", file+last, text)
	c.writePresent(from+".limit", file+".rsvd"+last, text)
	return nil
}

// isPageSize reports whether s is a number and KB, MB or GB. It becomes a part
// of a file's name.
func isPageSize(s string) bool {
	number, unit := s[:max(len(s)-2, 0)], s[max(len(s)-2, 0):]
	return (unit == "KB" || unit == "MB" || unit == "GB") &&
		number != "" && number[0] != '0' && strings.Trim(number, "0123456789") == ""
}
