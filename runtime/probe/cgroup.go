// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package probe

import (
	"bytes"
	"slices"
	"strings"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/runtime/facts"
)

// Cgroup asks which cgroup hierarchies are mounted and where in them the
// runtime itself is: proc_pid_mountinfo(5), cgroups(7).
func Cgroup() (facts.Cgroup, error) {
	c, _, err := mounts()
	return c, err
}

// mounts also tells how many mounts lie on top of each other at the root: one,
// but for odd machines.
func mounts() (facts.Cgroup, int, error) {
	const mountinfo, own = "/proc/self/mountinfo", "/proc/self/cgroup"
	mounts, err := sys.ReadInto(make([]byte, 0, 16<<10), mountinfo)
	if err != nil {
		return facts.Cgroup{}, 0, &fail.Error{Doing: "read " + mountinfo, Err: err}
	}
	memberships, err := sys.ReadInto(make([]byte, 0, 2<<10), own)
	if err != nil {
		return facts.Cgroup{}, 0, &fail.Error{Doing: "read " + own, Err: err}
	}
	c := parseCgroup(mounts, memberships)
	if c.V2 != nil {
		file := c.V2.Mount + "/cgroup.controllers"
		list, err := sys.ReadInto(make([]byte, 0, 256), file)
		if err != nil {
			return facts.Cgroup{}, 0, &fail.Error{Doing: "read " + file, Err: err}
		}
		c.V2.Controllers = strings.Fields(string(list))
	}
	return c, rootMounts(mounts), nil
}

// rootMounts counts the lines of mountinfo whose mount point, the fifth field,
// is the root.
func rootMounts(mountinfo []byte) (n int) {
	for rest := mountinfo; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			end = len(rest) - 1
		}
		line := rest[:end+1]
		rest = rest[end+1:]
		for range 4 {
			line = line[bytes.IndexByte(line, ' ')+1:]
		}
		if bytes.HasPrefix(line, []byte("/ ")) {
			n++
		}
	}
	return n
}

// A membership is one line of /proc/PID/cgroup: "4:memory:/a". It says which
// words of a mount's options are controllers.
type membership struct {
	controllers []string // empty for v2
	path        string   // from the root of the cgroup namespace
	mounted     bool
}

// parseCgroup joins the two files. Where a hierarchy is mounted twice, the
// first mount counts.
func parseCgroup(mountinfo, memberships []byte) facts.Cgroup {
	var c facts.Cgroup
	of := parseMemberships(memberships)
	for rest := mountinfo; ; {
		// A space in any name is written \040, so this finds only the type.
		i := bytes.Index(rest, []byte(" - cgroup"))
		if i < 0 {
			return c
		}
		start := bytes.LastIndexByte(rest[:i], '\n') + 1
		end := len(rest)
		if n := bytes.IndexByte(rest[i:], '\n'); n >= 0 {
			end = i + n
		}
		addMount(&c, of, string(rest[start:i]), string(rest[i+len(" - "):end]))
		rest = rest[end:]
	}
}

// addMount adds the mount of one line, of which left is what precedes " - "
// and right is what follows:
//
//	35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
//	           root mount point                               type   source super options
func addMount(c *facts.Cgroup, of []membership, left, right string) {
	before, after := strings.Fields(left), strings.Fields(right)
	if len(before) < 5 || len(after) < 3 {
		return
	}
	root, mount, options := unescape(before[3]), unescape(before[4]), strings.Split(after[2], ",")
	for i := range of {
		m := &of[i]
		if m.mounted || !m.isOf(after[0], options) {
			continue
		}
		m.mounted = true
		h := facts.Hierarchy{Mount: mount, Controllers: m.controllers, Own: below(root, m.path)}
		if after[0] == "cgroup2" {
			c.V2 = &h
		} else {
			c.V1 = append(c.V1, h)
		}
		return
	}
}

// isOf reports whether a mount of the given type and options shows the
// hierarchy of the membership.
func (m membership) isOf(fstype string, options []string) bool {
	if len(m.controllers) == 0 {
		return fstype == "cgroup2"
	}
	for _, name := range m.controllers {
		if !slices.Contains(options, name) {
			return false
		}
	}
	return fstype == "cgroup"
}

// parseMemberships parses /proc/PID/cgroup.
func parseMemberships(data []byte) []membership {
	var all []membership
	for line := range strings.Lines(string(data)) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) != 3 {
			continue
		}
		m := membership{path: fields[2]}
		if fields[1] != "" {
			m.controllers = strings.Split(fields[1], ",")
		}
		all = append(all, m)
	}
	return all
}

// below returns path as seen from a mount whose root is root, or "" if it is
// not below it. Both begin with "/.." when they lie outside of the cgroup
// namespace, and nothing can be said about how they relate then.
func below(root, path string) string {
	switch {
	case strings.HasPrefix(root, "/..") || strings.HasPrefix(path, "/.."):
		return ""
	case root == "/":
		return path
	case path == root:
		return "/"
	case strings.HasPrefix(path, root+"/"):
		return path[len(root):]
	}
	return ""
}

// unescape undoes \040, \011, \012 and \134, as the kernel writes space, tab,
// line break and backslash into mountinfo.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && isOctal(s[i+1:i+4]) {
			b.WriteByte((s[i+1]-'0')<<6 | (s[i+2]-'0')<<3 | (s[i+3] - '0'))
			i += 3
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func isOctal(s string) bool { return strings.Trim(s, "01234567") == "" }
