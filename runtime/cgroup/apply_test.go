// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/cgroup/resources"
)

// The files of these tests are plain ones: what counts here is which operation
// touches which file. What the kernel makes of it is tested in tests/root.

type op = resources.Op

// files makes a directory with the files, "name=content" each.
func files(t *testing.T, list ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range list {
		name, content, _ := strings.Cut(f, "=")
		if err := os.MkdirAll(filepath.Dir(dir+"/"+name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/"+name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestApply(t *testing.T) {
	dir := files(t, "a=", "b=", "other=", "cpuset.cpus=0-3\n", "used/cpuset.cpus=1\n", "empty/cpuset.cpus=\n", "empty/x/cpuset.cpus=", "current=100\n")
	err := Apply([]op{
		{Kind: resources.Mkdir, Path: dir + "/used"},
		{Kind: resources.Mkdir, Path: dir + "/new"},
		{Kind: resources.Inherit, Path: dir + "/used/cpuset.cpus"},
		{Kind: resources.Inherit, Path: dir + "/empty/cpuset.cpus"},
		{Kind: resources.Inherit, Path: dir + "/empty/x/cpuset.cpus"},
	}, []op{
		{Kind: resources.Write, Path: dir + "/a", Value: "1"},
		{Kind: resources.Write, Path: dir + "/a", Value: "2"},
		{Kind: resources.Write, Path: dir + "/missing", Value: "3", Or: &op{Kind: resources.Write, Path: dir + "/other", Value: "4"}},
		{Kind: resources.WritePresent, Path: dir + "/missing", Value: "5"},
		{Kind: resources.WritePresent, Path: dir + "/b", Value: "6"},
		{Kind: resources.Below, Path: dir + "/current", Value: "100"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"a": "12", "b": "6", "other": "4", // a plain file keeps both values
		"used/cpuset.cpus": "1\n", "empty/cpuset.cpus": "0-3", "empty/x/cpuset.cpus": "0-3",
	} {
		if got, err := os.ReadFile(dir + "/" + name); err != nil || string(got) != want {
			t.Errorf("%s: got %q %v, want %q", name, got, err, want)
		}
	}
	if _, err := os.Stat(dir + "/missing"); !errors.Is(err, os.ErrNotExist) {
		t.Error("a file was made")
	}
}

func TestApplyErrors(t *testing.T) {
	dir := files(t, "c1/cgroup.procs=42\n0\n", "frozen/cgroup.procs=", "frozen/cgroup.freeze=1\n", "current=101\n", "file=")
	for _, c := range []struct {
		name string
		op   op
		want string
	}{
		{"missing file", op{Kind: resources.Write, Path: dir + "/hugetlb.2MB.max", Value: "1", From: "a.b"},
			"config.json a.b: write " + dir + "/hugetlb.2MB.max 1: no such file or directory (ENOENT)"},
		{"no alternative either", op{Kind: resources.Write, Path: dir + "/x", From: "a", Or: &op{Kind: resources.Write, Path: dir + "/io.weight", Value: "1", From: "b"}},
			"config.json a: write " + dir + "/io.weight 1: no such file or directory (ENOENT)"},
		{"no directory", op{Kind: resources.WritePresent, Path: dir + "/file/x", From: "a"}, "not a directory (ENOTDIR)"},
		{"parent is missing", op{Kind: resources.Leaf, Path: dir + "/no/c1", From: "p"}, "config.json p: mkdir " + dir + "/no/c1: no such file"},
		{"in use", op{Kind: resources.Leaf, Path: dir + "/c1", From: "p"}, "config.json p: use the cgroup " + dir + "/c1: process 42 is in it"},
		{"frozen", op{Kind: resources.Leaf, Path: dir + "/frozen", From: "p"}, "it is frozen"},
		{"more is used", op{Kind: resources.Below, Path: dir + "/current", Value: "100", From: "m"}, "config.json m: set a memory limit of 100 bytes: 101 are in use"},
		{"no cgroup", op{Kind: resources.Devices, Path: dir, From: "d"}, "config.json d: attach a device program of 0 instructions to " + dir},
		{"unknown", op{Kind: 99, Path: dir}, "function not implemented (ENOSYS)"},
	} {
		err := Apply([]op{{Kind: resources.Mkdir, Path: dir + "/parent"}, {Kind: resources.Leaf, Path: dir + "/parent/leaf"}, c.op})
		var e *fail.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
		if _, err := os.Stat(dir + "/parent"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: directories stayed", c.name)
		}
	}
}

// TestHints gives each hint a case: what is written, and the errno.
func TestHints(t *testing.T) {
	hinted := map[string]bool{}
	for _, c := range []struct {
		kind  resources.Kind
		path  string
		errno syscall.Errno
		want  string
	}{
		{resources.Mkdir, "/c/a", syscall.EROFS, "mounted read-only"},
		{resources.Leaf, "/c/a", syscall.EROFS, "mounted read-only"},
		{resources.Mkdir, "/c/a", syscall.EACCES, "delegated"},
		{resources.Leaf, "/c/a", syscall.EACCES, "delegated"},
		{resources.Write, "/c/memory.memsw.limit_in_bytes", syscall.ENOENT, "swapaccount=1"},
		{resources.Write, "/c/memory.limit_in_bytes", syscall.EBUSY, "cannot free it"},
		{resources.Write, "/c/memory.memsw.limit_in_bytes", syscall.EINVAL, "less than"},
		{resources.Write, "/c/memory.swap.max", syscall.ENOENT, "no swap accounting"},
		{resources.Write, "/c/cpu.cfs_quota_us", syscall.EINVAL, "a parent cgroup"},
		{resources.Write, "/c/cpu.rt_runtime_us", syscall.ENOENT, "RT_GROUP_SCHED"},
		{resources.Write, "/c/cpu.rt_runtime_us", syscall.EINVAL, "the parent cgroup"},
		{resources.Write, "/c/cpu.idle", syscall.ENOENT, "Linux 5.15"},
		{resources.Write, "/c/cpuset.cpus", syscall.EACCES, "a part of"},
		{resources.Write, "/c/cpuset.mems", syscall.EINVAL, "does not have all"},
		{resources.Write, "/c/cpuset.cpus", syscall.ERANGE, "does not have all"},
		{resources.Write, "/c/blkio.bfq.weight_device", syscall.ENOENT, "modprobe bfq"},
		{resources.Write, "/c/io.weight", syscall.ENOENT, "modprobe bfq"},
		{resources.Write, "/c/io.bfq.weight", syscall.EOPNOTSUPP, "must be BFQ"},
		{resources.Write, "/c/blkio.throttle.read_bps_device", syscall.ENODEV, "lsblk"},
		{resources.Write, "/c/io.max", syscall.ENODEV, "lsblk"},
		{resources.Write, "/c/hugetlb.3MB.max", syscall.ENOENT, "huge pages of this size"},
		{resources.Write, "/c/devices.allow", syscall.EPERM, "devices.list"},
		{resources.Write, "/c/devices.deny", syscall.EINVAL, "has children"},
		{resources.Devices, "/c", syscall.EPERM, "CAP_BPF"},
		{resources.Devices, "/c", syscall.EINVAL, "CONFIG_CGROUP_BPF"},
		{resources.WritePresent, "/c/cpuset.cpus", syscall.EACCES, "a part of"},
		{resources.Write, "/c/pids.max", syscall.EINVAL, ""},
		{resources.Write, "/c/cpuset.cpus", syscall.EIO, ""},
	} {
		a := Applier{}
		got := a.hint(op{Kind: c.kind, Path: c.path}, c.errno)
		if !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%v %s: got %q, want %q", c.errno, c.path, got, c.want)
		}
		hinted[got] = true
	}
	for _, h := range hints {
		if !hinted[h.text] {
			t.Errorf("no case for %q", h.text)
		}
	}
}

// TestControllerHint: a file of v2 that is missing because of what happened
// while the controllers were enabled.
func TestControllerHint(t *testing.T) {
	a := Applier{refused: map[string]error{"/cg/p/cgroup.subtree_control +memory": syscall.EBUSY}}
	got := a.hint(op{Kind: resources.Write, Path: "/cg/p/c1/memory.max"}, syscall.ENOENT)
	if want := "the controller memory is not enabled: write +memory to /cg/p/cgroup.subtree_control: device or resource busy (EBUSY); processes in that cgroup prevent it"; got != want {
		t.Errorf("got %q", got)
	}
	if got := a.hint(op{Kind: resources.Write, Path: "/cg/p/c1/pids.max"}, syscall.ENOENT); got != "" {
		t.Errorf("got %q for another controller", got)
	}
	a.refused = map[string]error{"/cg/user.slice/user-7.slice/user@7.service/x.slice/cgroup.subtree_control +cpuset": syscall.ENOENT}
	got = a.hint(op{Kind: resources.Write, Path: "/cg/user.slice/user-7.slice/user@7.service/x.slice/c.scope/cpuset.cpus"}, syscall.ENOENT)
	if want := "the controller cpuset is not delegated to /cg/user.slice/user-7.slice/user@7.service; as root: systemctl edit user@.service, and write [Service] Delegate=cpu cpuset io memory pids"; got != want {
		t.Errorf("got %q", got)
	}
}

// TestEnableOneByOne: what the kernel refuses together it may take alone.
func TestEnableOneByOne(t *testing.T) {
	a := Applier{}
	a.enable("/nowhere/cgroup.subtree_control", "+cpu +io")
	if len(a.refused) != 2 || a.refused["/nowhere/cgroup.subtree_control +io"] != syscall.ENOENT {
		t.Error(a.refused)
	}
}

func TestCounter(t *testing.T) {
	for _, c := range []struct {
		data string
		want uint64
	}{
		{"oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", 3},
		{"low 0\nhigh 0\nmax 12\noom 5\noom_kill 4\noom_group_kill 7\n", 4},
		{"oom_kill x\n", 0},
		{"", 0},
	} {
		if got := counter([]byte(c.data), "oom_kill "); got != c.want {
			t.Errorf("%q: got %d, want %d", c.data, got, c.want)
		}
	}
}

func TestMembers(t *testing.T) {
	dir := files(t, "cgroup.procs=7\n0\n12345\n")
	pids, err := members(dir)
	if err != nil || len(pids) != 2 || pids[0] != 7 || pids[1] != 12345 {
		t.Error(pids, err)
	}
	if pids, err := Pids([]string{dir + "/gone", dir}); err != nil || len(pids) != 2 {
		t.Error(pids, err)
	}
}
