// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package probe

import (
	"bytes"
	"slices"
	"strings"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
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
	c, roots, err := hierarchies("/proc/self")
	if err == nil && c.V2 != nil {
		file := c.V2.Mount + "/cgroup.controllers"
		list, err := sys.ReadInto(make([]byte, 0, 256), file)
		if err != nil {
			return facts.Cgroup{}, 0, &fail.Error{Doing: "read " + file, Err: err}
		}
		c.V2.Controllers = strings.Fields(string(list))
	}
	return c, roots, err
}

// hierarchies is mounts for a process, without the controllers of v2.
func hierarchies(proc string) (facts.Cgroup, int, error) {
	const mountinfo = "/proc/self/mountinfo"
	memberships, err := sys.ReadInto(make([]byte, 0, 2<<10), proc+"/cgroup")
	if err != nil {
		return facts.Cgroup{}, 0, &fail.Error{Doing: "read " + proc + "/cgroup", Err: err}
	}
	of := parseMemberships(memberships)
	if c, ok := conventional(of); ok {
		return c, 1, nil
	}
	mounts, err := sys.ReadInto(make([]byte, 0, 16<<10), mountinfo)
	if err != nil {
		return facts.Cgroup{}, 0, &fail.Error{Doing: "read " + mountinfo, Err: err}
	}
	return parseCgroup(mounts, of), rootMounts(mounts), nil
}

// conventional finds the hierarchies where they ordinarily are, without mountinfo,
// which has a line for each mount of the machine, and there may be thousands. It
// answers only if mountinfo says the same:
//
//   - The process is in the first cgroup namespace: a path from the root of it is
//     one from the root of the hierarchy.
//   - One mount is at the root: ".." there leads to what lies on top.
//   - At the place of each hierarchy is the root of one: its inode has number 1
//     (cgroup_setup_root of the kernel sees to it), and those of cgroups, of which a
//     part of a hierarchy may be mounted, have others. No link leads there, so it is
//     mounted right there. Of v2 there is one hierarchy; which one of v1 it is, only
//     the options of the mount tell.
//
// If a hierarchy is mounted elsewhere, too, mountinfo may say that instead.
func conventional(of []membership) (c facts.Cgroup, ok bool) {
	const first = "cgroup:[4026531835]" // PROC_CGROUP_INIT_INO
	if ns, err := sys.ReadlinkAt(linux.AT_FDCWD, "/proc/self/ns/cgroup"); err != nil || ns != first || !oneRoot() {
		return c, false
	}
	dir, err := sys.OpenWithin(linux.AT_FDCWD, cgroupDir, linux.O_PATH|linux.O_DIRECTORY, 0, linux.RESOLVE_NO_SYMLINKS)
	if err != nil {
		return c, false
	}
	defer sys.Close(dir)
	if len(of) > 1 {
		c.V1 = make([]facts.Hierarchy, 0, len(of))
	}
	for i := range of {
		m := &of[i]
		name, ok := m.place(len(of) == 1)
		if !ok || !m.isAt(dir, name) {
			return facts.Cgroup{}, false
		}
		m.add(&c, strings.TrimSuffix(cgroupDir+"/"+name, "/"), "/")
	}
	slices.Reverse(c.V1) // the kernel names the youngest first
	return c, true
}

// cgroupDir is where the hierarchies are mounted, by convention: file-hierarchy(7).
const cgroupDir = "/sys/fs/cgroup"

// oneRoot tells whether one mount is at the root of this process.
func oneRoot() bool {
	root, err := sys.StatAt(linux.AT_FDCWD, "/")
	if err != nil || !root.MountRoot || root.MountID == 0 {
		return false
	}
	top, err := sys.StatAt(linux.AT_FDCWD, "/..")
	return err == nil && top.MountID == root.MountID
}

// place is where in cgroupDir the hierarchy is mounted, by convention.
func (m *membership) place(alone bool) (name string, ok bool) {
	switch {
	case m.list != "":
		name = strings.TrimPrefix(m.list, "name=")
		return name, !strings.HasPrefix(name, ".") // "name=.." is allowed
	case alone:
		return "", true
	}
	return "unified", true
}

// isAt tells whether the root of the hierarchy is what is mounted on name in dir,
// which is cgroupDir.
func (m *membership) isAt(dir int, name string) bool {
	s, err := sys.StatAt(dir, name)
	if err != nil || s.Ino != 1 || !s.MountRoot {
		return false
	}
	if m.list == "" {
		magic, err := sys.FileSystem(cgroupDir + "/" + name)
		return err == nil && magic == linux.CGROUP2_SUPER_MAGIC
	}
	magic, options, err := sys.StatMount(s.MountID)
	return err == nil && magic == linux.CGROUP_SUPER_MAGIC && m.isOf("cgroup", strings.Split(options, ","))
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
	list    string // of controllers: "cpu,cpuacct", or "name=systemd"; empty for v2
	path    string // from the root of the cgroup namespace
	mounted bool
}

// parseCgroup finds the hierarchies in mountinfo. Where a hierarchy is mounted twice, the
// first mount counts.
func parseCgroup(mountinfo []byte, of []membership) facts.Cgroup {
	var c facts.Cgroup
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
		m.add(c, mount, root)
		return
	}
}

// add adds the hierarchy as a mount shows it, whose root is root.
func (m *membership) add(c *facts.Cgroup, mount, root string) {
	h := facts.Hierarchy{Mount: mount, Own: below(root, m.path)}
	if m.list == "" {
		c.V2 = &h
	} else {
		h.Controllers = strings.Split(m.list, ",")
		c.V1 = append(c.V1, h)
	}
}

// isOf reports whether a mount of the given type and options shows the
// hierarchy of the membership.
func (m *membership) isOf(fstype string, options []string) bool {
	if m.list == "" {
		return fstype == "cgroup2"
	}
	for name := range strings.SplitSeq(m.list, ",") {
		if !slices.Contains(options, name) {
			return false
		}
	}
	return fstype == "cgroup"
}

// parseMemberships parses /proc/PID/cgroup.
func parseMemberships(data []byte) []membership {
	all := make([]membership, 0, bytes.Count(data, []byte("\n")))
	for line := range strings.Lines(string(data)) {
		_, line, _ = strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		if list, path, ok := strings.Cut(line, ":"); ok {
			all = append(all, membership{list: list, path: path})
		}
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
