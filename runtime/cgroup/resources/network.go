// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package resources

import (
	"strconv"
	"strings"
)

const fromNetwork = "linux.resources.network."

// network compiles linux.resources.network, which only v1 has.
func (c *compiler) network() {
	n := c.r.Network
	if n == nil {
		return
	}
	if id := value(n.ClassID); id != 0 {
		h, err := c.on("net_cls", fromNetwork+"classID")
		if c.note(err); err == nil {
			c.write(fromNetwork+"classID", h.dir+"/net_cls.classid", strconv.FormatUint(uint64(id), 10))
		}
	}
	for i, p := range n.Priorities {
		from := fromNetwork + "priorities[" + strconv.Itoa(i) + "]"
		if !isWord(p.Name) {
			c.note(invalid(from+".name", "is "+strconv.Quote(p.Name)+", which is no interface's name"))
			continue
		}
		h, err := c.on("net_prio", from)
		if c.note(err); err == nil {
			c.write(from, h.dir+"/net_prio.ifpriomap", p.Name+" "+strconv.FormatUint(uint64(p.Priority), 10))
		}
	}
}

// isWord reports whether s can stand alone in a line of words.
func isWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f })
}
