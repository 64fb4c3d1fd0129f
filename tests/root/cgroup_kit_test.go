// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package root_test tests on real kernels what needs root: on version 1 natively
// where the machine has it, and on version 2 in the machine of tests/vm. The
// tests are the same; what is mounted decides.
package root_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/testkit"
	"github.com/coracle-oci/coracle/runtime/cgroup"
	"github.com/coracle-oci/coracle/runtime/cgroup/resources"
	"github.com/coracle-oci/coracle/runtime/probe"
)

// A box is a cgroup of a test, in each hierarchy of the machine.
type box struct {
	resources.Cgroup
	t testing.TB
}

// compileBox finds a place that no other test uses and compiles the limits.
func compileBox(t testing.TB, r *specs.LinuxResources) box {
	t.Helper()
	testkit.Need(t, testkit.Root)
	facts, err := probe.Cgroup()
	if err != nil {
		t.Fatal(err)
	}
	if facts.V2 == nil && len(facts.V1) == 0 {
		t.Fatal("no cgroup hierarchy is mounted")
	}
	parent := fmt.Sprintf("/coracle-test-%d-%d", os.Getpid(), testkit.Seed(t).Uint32())
	if facts.V2 != nil {
		restoreControllers(t, facts.V2.Mount+"/cgroup.subtree_control")
	}
	c, err := resources.Compile("c1", parent+"/c1", r, facts)
	if err != nil {
		t.Fatal(err)
	}
	b := box{c, t}
	t.Cleanup(b.destroy)
	return b
}

// restoreControllers disables at the end what the test enabled: beside v1, a
// controller that is enabled in v2 can no longer be mounted.
func restoreControllers(t testing.TB, file string) {
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		after, _ := os.ReadFile(file)
		for _, name := range strings.Fields(string(after)) {
			if !slices.Contains(strings.Fields(string(before)), name) {
				if err := os.WriteFile(file, []byte("-"+name), 0); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

// newBox makes it.
func newBox(t testing.TB, r *specs.LinuxResources) box {
	t.Helper()
	b := compileBox(t, r)
	if err := cgroup.Apply(b.Make, b.Limit); err != nil {
		t.Fatal(err)
	}
	return b
}

// destroy removes the cgroups and what Compile never removes: their parent.
func (b box) destroy() {
	if err := cgroup.Thaw(b.Dirs); err != nil {
		b.t.Error(err)
	}
	if err := cgroup.Kill(b.Dirs, syscall.SIGKILL); err != nil {
		b.t.Error(err)
	}
	if err := cgroup.Remove(b.Dirs); err != nil {
		b.t.Error(err)
	}
	for _, dir := range b.Dirs {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			b.t.Errorf("%s is still there: %v", dir, err)
		}
		if err := os.Remove(dir[:strings.LastIndexByte(dir, '/')]); err != nil && !errors.Is(err, os.ErrNotExist) {
			b.t.Error(err)
		}
	}
}

// command returns a program that joins the box the way a container's init does:
// it is born in v2, and it writes 0 into the tasks files of v1 itself. The shell
// that does so then becomes the program.
func (b box) command(program string, args ...string) *exec.Cmd {
	b.t.Helper()
	const join = `n=$1; shift; while [ $n -gt 0 ]; do echo 0 > "$1" || exit 99; shift; n=$((n-1)); done; exec "$@"`
	words := append([]string{"-c", join, "sh", fmt.Sprint(len(b.Join))}, b.Join...)
	c := exec.Command("/bin/sh", append(append(words, program), args...)...)
	if b.Into != "" {
		dir, err := os.Open(b.Into)
		if err != nil {
			b.t.Fatal(err)
		}
		b.t.Cleanup(func() { dir.Close() })
		c.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	}
	return c
}

// start runs a program that lives until its standard input ends, in the box,
// and returns when it is there.
func (b box) start() *exec.Cmd {
	b.t.Helper()
	c := b.command("/bin/sh", "-c", "echo ready; read forever")
	input, err := c.StdinPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	output, err := c.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		b.t.Fatal(err)
	}
	if _, err := io.ReadFull(output, make([]byte, len("ready\n"))); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		input.Close()
		c.Process.Kill()
		c.Wait()
	})
	return c
}

// run runs a shell script in the box and returns its output.
func (b box) run(script string) (string, error) {
	b.t.Helper()
	output, err := b.command("/bin/sh", "-c", script).CombinedOutput()
	return string(output), err
}

// file returns the content of the first of these files that exists, v1's or v2's.
func (b box) file(names ...string) string {
	b.t.Helper()
	for _, name := range names {
		for _, dir := range b.Dirs {
			if data, err := os.ReadFile(dir + "/" + name); err == nil {
				return strings.TrimSpace(string(data))
			}
		}
	}
	b.t.Fatalf("no file %v in %v", names, b.Dirs)
	return ""
}

// expectFile checks what the kernel made of a value.
func (b box) expectFile(want string, names ...string) {
	b.t.Helper()
	if got := b.file(names...); got != want {
		b.t.Errorf("%v: got %q, want %q", names, got, want)
	}
}

func ptr[T any](v T) *T { return &v }
