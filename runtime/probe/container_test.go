// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package probe

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coracle-oci/coracle/runtime/facts"
)

// TestJoinCgroups: a process goes where the container is or, where the kernel lets
// nobody be or nothing is any more, to the container's init.
func TestJoinCgroups(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"pids/c/tasks": "", "v2/c/cgroup.subtree_control": "\n", "v2/passed/cgroup.subtree_control": "memory pids\n", "v2/passed/cgroup.type": "domain\n",
		"v2/threads/cgroup.subtree_control": "pids\n", "v2/threads/cgroup.type": "domain threaded\n", "v2/root/cgroup.subtree_control": "pids\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ name, v1, v2, own, join, into string }{
		{"its own", "c", "c", "/elsewhere", "pids/c/tasks", "v2/c"},
		{"v1 alone", "c", "", "/elsewhere", "pids/c/tasks", ""},
		{"v2 alone", "", "c", "/elsewhere", "", "v2/c"},
		{"passed on", "c", "passed", "/passed/init", "pids/c/tasks", "v2/passed/init"},
		{"passed on, and left", "c", "passed", "/elsewhere", "pids/c/tasks", "v2/elsewhere"},
		{"passed on, and nobody knows where it is", "", "passed", "", "", "v2/passed"},
		{"of threads", "", "threads", "/threads/a", "", "v2/threads"},
		{"without a type", "", "root", "/root/a", "", "v2/root/a"},
		{"all gone", "gone", "gone", "/elsewhere", "pids/elsewhere/tasks", "v2/elsewhere"},
		{"v2 gone", "c", "gone", "/", "pids/c/tasks", "v2"},
		{"v1 gone", "gone", "", "/elsewhere", "pids/elsewhere/tasks", ""},
		{"gone, and nobody knows where it is", "gone", "", "", "pids/gone/tasks", ""},
	} {
		own := facts.Cgroup{V1: []facts.Hierarchy{{Mount: root, Own: "/wrong"}, {Mount: root + "/pids", Own: c.own}}, V2: &facts.Hierarchy{Mount: root + "/v2", Own: c.own}}
		in := container{own: &own}
		for hierarchy, name := range map[string]string{"/pids/": c.v1, "/v2/": c.v2} {
			if name != "" {
				in.Cgroups = append(in.Cgroups, root+hierarchy+name)
			}
		}
		slices.Sort(in.Cgroups)
		if err := in.joinCgroups(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		join := ""
		for _, file := range in.Join {
			join += strings.TrimPrefix(file, root+"/")
		}
		if into := strings.TrimPrefix(in.Into, root+"/"); join != c.join || into != c.into {
			t.Errorf("%s: %q and %q, want %q and %q", c.name, join, into, c.join, c.into)
		}
	}
}
