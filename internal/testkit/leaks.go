// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package testkit

import (
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// settle is how long a difference may last before it is a leak: the kernel
// takes network devices and cgroups down after the last process is gone, and
// tests of other packages may run on the same machine.
const settle = time.Minute

// NoLeaks fails the test if, at its end, there is something that was not there
// before: a mount of this mount namespace, a cgroup, a named network namespace,
// a network link, an nftables rule, a process that is or was started by a
// program under test, an open file descriptor of the test itself, or a file
// below one of dirs (which need not exist).
//
// Call it first, before [testing.T.TempDir] and other cleanups, as cleanups run
// in the reverse order. The machine has only one list of mounts: tests that
// call it must not run in parallel with each other.
func NoLeaks(t testing.TB, dirs ...string) {
	t.Helper()
	bin := BinDir(t)
	known := namespaces()
	before := takeSnapshot(bin, dirs, known)
	t.Cleanup(func() {
		t.Helper()
		// There is nothing to wait on for "the kernel has tidied up": look again
		// until it has, or until settle has passed.
		var leaks []string
		for until := time.Now().Add(settle); ; time.Sleep(20 * time.Millisecond) {
			leaks = takeSnapshot(bin, dirs, known).added(before)
			if len(leaks) == 0 {
				return
			}
			if time.Now().After(until) {
				break
			}
		}
		t.Errorf("left behind:\n\t%s", strings.Join(leaks, "\n\t"))
	})
}

// A snapshot is what there is, by kind: each thing as a line for people.
type snapshot map[string][]string

// takeSnapshot looks at everything. Processes in namespaces other than known are
// taken for a container's.
func takeSnapshot(bin string, dirs, known []string) snapshot {
	return snapshot{
		"mount":    mounts(),
		"cgroup":   cgroups(),
		"netns":    netnsNames(),
		"link":     links(),
		"nftables": nftRules(),
		"process":  processes(bin, known),
		"fd":       openFDs(),
		"file":     filesBelow(dirs),
	}
}

// added returns what s has more of than before, as "kind: line", sorted.
func (s snapshot) added(before snapshot) []string {
	var more []string
	for _, kind := range slices.Sorted(maps.Keys(s)) {
		had := map[string]int{}
		for _, line := range before[kind] {
			had[line]++
		}
		for _, line := range slices.SortedFunc(slices.Values(s[kind]), cmp.Compare) {
			if had[line]--; had[line] < 0 {
				more = append(more, kind+": "+line)
			}
		}
	}
	return more
}

// mounts returns the mounts of this namespace without their numbers, which are
// new each time (proc_pid_mountinfo(5)).
func mounts() []string {
	table, _ := os.ReadFile("/proc/self/mountinfo")
	var lines []string
	for line := range strings.Lines(string(table)) {
		mount, super, _ := strings.Cut(line, " - ")
		m, s := strings.Fields(mount), strings.Fields(super)
		if len(m) < 5 || len(s) < 2 {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s %s (root %s) on %s", s[0], s[1], m[3], m[4]))
	}
	return lines
}

// cgroups returns the directories of all mounted hierarchies.
func cgroups() []string {
	var dirs []string
	for _, m := range mounts() {
		if !strings.HasPrefix(m, "cgroup") {
			continue
		}
		_, at, _ := strings.Cut(m, " on ")
		_ = filepath.WalkDir(at, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil // a cgroup that goes away meanwhile is no matter
		})
	}
	return dirs
}

func netnsNames() []string {
	names, _ := filepath.Glob("/run/netns/*")
	return names
}

func links() []string {
	interfaces, _ := net.Interfaces()
	var names []string
	for _, i := range interfaces {
		names = append(names, i.Name)
	}
	return names
}

// nftRules returns the tables, chains, elements and rules of this network
// namespace, without counters.
func nftRules() []string {
	nft := lookTool("nft")
	if nft == "" || os.Geteuid() != 0 {
		return nil
	}
	rules, _ := exec.Command(nft, "--stateless", "list", "ruleset").Output()
	return strings.FieldsFunc(string(rules), func(r rune) bool { return r == '\n' })
}

// processes returns those that a program under test is or has started: their
// executable is a built program or a file without a name (the init of a
// container before execve), or their mount or network namespace is not one of
// known. Zombies count: somebody forgot to wait.
func processes(bin string, known []string) []string {
	var found []string
	for _, p := range allProcesses() {
		exe, err := os.Readlink(p + "/exe")
		started := strings.HasPrefix(exe, bin+"/") || strings.HasPrefix(exe, "/memfd:")
		for _, ns := range namespacesOf(p) {
			started = started || !slices.Contains(known, ns)
		}
		if err == nil && started {
			arguments, _ := os.ReadFile(p + "/cmdline")
			found = append(found, fmt.Sprintf("%s %s: %s", filepath.Base(p), exe,
				bytes.ReplaceAll(arguments, []byte{0}, []byte{' '})))
		}
	}
	return found
}

// namespaces returns the mount and network namespaces that processes are in.
func namespaces() []string {
	var all []string
	for _, p := range allProcesses() {
		all = append(all, namespacesOf(p)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func namespacesOf(process string) []string {
	var all []string
	for _, kind := range []string{"mnt", "net"} {
		if ns, err := os.Readlink(process + "/ns/" + kind); err == nil {
			all = append(all, ns)
		}
	}
	return all
}

func allProcesses() []string {
	paths, _ := filepath.Glob("/proc/[0-9]*")
	return paths
}

// openFDs returns what the test process has open, by name. Go's own poller and
// the pipes of the test runner are opened once and stay.
func openFDs() []string {
	entries, _ := os.ReadDir("/proc/self/fd")
	var open []string
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		switch {
		case err != nil: // the directory's own descriptor
		case strings.HasPrefix(target, "anon_inode:[event"), strings.HasPrefix(target, "anon_inode:inotify"):
		default:
			open = append(open, target)
		}
	}
	return open
}

func filesBelow(dirs []string) []string {
	var found []string
	for _, dir := range dirs {
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && path != dir {
				found = append(found, path)
			}
			return nil
		})
	}
	return found
}
