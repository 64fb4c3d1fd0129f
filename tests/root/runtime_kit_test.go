// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/coracle-oci/coracle/internal/testkit"
	"github.com/coracle-oci/coracle/runtime/probe"
)

// A vessel is one container of a test: a bundle of its own, an id and a
// directory of states. What is left of it is removed when the test ends.
type vessel struct {
	t      testing.TB
	id     string
	state  string // --root
	bundle string
}

// newVessel makes the bundle of [testkit.Config] after the edits.
func newVessel(t testing.TB, edits ...func(*specs.Spec)) vessel {
	t.Helper()
	testkit.Need(t, testkit.Root)
	keepControllers(t)
	bundle := filepath.Join(t.TempDir(), "bundle")
	writeRootfs(t, filepath.Join(bundle, "rootfs"))
	testkit.WriteConfig(t, bundle, edits...)
	return sameBundle(t, bundle)
}

// applets are those of busybox that the scripts of these tests call. To make all
// four hundred for each container takes most of the time in a slow machine.
var applets = strings.Fields(`cat chmod cut date dd echo env find grep head hostname id ip ln ls mkdir mount od printf ps pwd readlink
	rm sed seq sh sleep sort stat stty tail test touch tr true tty umount wc`)

// busybox is what [testkit.Rootfs] has as bin/busybox.
var busybox struct {
	sync.Once
	image []byte
}

// writeRootfs makes what [testkit.WriteRootfs] does, with fewer applets.
func writeRootfs(t testing.TB, dir string) {
	t.Helper()
	busybox.Do(func() {
		image, err := os.ReadFile(filepath.Join(testkit.Rootfs(t), "bin/busybox"))
		must(t, err)
		busybox.image = image
	})
	for _, name := range []string{"bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "var"} {
		must(t, os.MkdirAll(filepath.Join(dir, name), 0o755))
	}
	must(t, os.WriteFile(filepath.Join(dir, "bin/busybox"), busybox.image, 0o755))
	for _, name := range applets {
		must(t, os.Symlink("busybox", filepath.Join(dir, "bin", name)))
	}
	must(t, os.WriteFile(filepath.Join(dir, "etc/passwd"), []byte("root:x:0:0:root:/root:/bin/sh\n"), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "etc/group"), []byte("root:x:0:\n"), 0o644))
}

// sameBundle makes one more container of a bundle.
func sameBundle(t testing.TB, bundle string) vessel {
	t.Helper()
	v := vessel{t: t, id: fmt.Sprintf("coracle-test-%d-%d", os.Getpid(), testkit.Seed(t).Uint32()),
		state: filepath.Join(t.TempDir(), "state"), bundle: bundle}
	t.Cleanup(func() {
		if got := v.coracle("delete", "--force", v.id); got.code != 0 {
			t.Errorf("delete --force: %s", got.stderr)
		}
		v.expectGone()
	})
	return v
}

// keepControllers lets the v2 hierarchy have the controllers at the end that it
// had at the beginning.
func keepControllers(t testing.TB) {
	t.Helper()
	facts, err := probe.Cgroup()
	if err != nil {
		t.Fatal(err)
	}
	if facts.V2 != nil {
		restoreControllers(t, facts.V2.Mount+"/cgroup.subtree_control")
	}
}

// edit changes config.json.
func (v vessel) edit(edits ...func(*specs.Spec)) {
	v.t.Helper()
	name := filepath.Join(v.bundle, "config.json")
	var spec specs.Spec
	data, err := os.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(data, &spec)
	}
	if err != nil {
		v.t.Fatal(err)
	}
	for _, edit := range edits {
		edit(&spec)
	}
	if data, err = json.Marshal(&spec); err == nil {
		err = os.WriteFile(name, data, 0o644)
	}
	if err != nil {
		v.t.Fatal(err)
	}
}

// rootfs is a path in the root file system, as seen from the host.
func (v vessel) rootfs(name string) string { return filepath.Join(v.bundle, "rootfs", name) }

// write makes a file of the bundle's root file system.
func (v vessel) write(name, content string, mode os.FileMode) {
	v.t.Helper()
	must(v.t, os.MkdirAll(filepath.Dir(v.rootfs(name)), 0o755))
	must(v.t, os.WriteFile(v.rootfs(name), []byte(content), mode))
	must(v.t, os.Chmod(v.rootfs(name), mode))
}

// A said is what one call of coracle ended with.
type said struct {
	stdout, stderr string
	code           int
}

// command is a call of coracle, not started.
func (v vessel) command(arguments ...string) *exec.Cmd {
	v.t.Helper()
	return exec.Command(testkit.Bin(v.t, "coracle"), append([]string{"--root", v.state}, arguments...)...)
}

// coracle calls it and waits. Output goes to files rather than pipes: a
// container that keeps them open must not keep us.
func (v vessel) coracle(arguments ...string) said {
	v.t.Helper()
	return finish(v.t, v.command(arguments...))
}

func finish(t testing.TB, c *exec.Cmd) said {
	t.Helper()
	out, err := os.CreateTemp("", "coracle-out")
	must(t, err)
	defer os.Remove(out.Name())
	defer out.Close()
	stderr, err := os.CreateTemp("", "coracle-err")
	must(t, err)
	defer os.Remove(stderr.Name())
	defer stderr.Close()
	c.Stdout, c.Stderr = out, stderr
	err = c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	read := func(name string) string {
		data, err := os.ReadFile(name)
		must(t, err)
		return string(data)
	}
	return said{read(out.Name()), read(stderr.Name()), c.ProcessState.ExitCode()}
}

// run runs the container to its end.
func (v vessel) run(flags ...string) said {
	v.t.Helper()
	return v.coracle(append(append([]string{"run", "--bundle", v.bundle}, flags...), v.id)...)
}

// sh runs a script in the container and returns its output; it must succeed.
func (v vessel) sh(script string) string {
	v.t.Helper()
	v.edit(testkit.Args("/bin/sh", "-c", script))
	got := v.run()
	if got.code != 0 || got.stderr != "" {
		v.t.Fatalf("status %d, stderr %q, stdout %q", got.code, got.stderr, got.stdout)
	}
	return got.stdout
}

// create creates the container; it must succeed in silence.
func (v vessel) create(flags ...string) {
	v.t.Helper()
	v.quiet(append(append([]string{"create", "--bundle", v.bundle}, flags...), v.id)...)
}

// quiet calls coracle, which must succeed and say nothing.
func (v vessel) quiet(arguments ...string) {
	v.t.Helper()
	if got := v.coracle(arguments...); got != (said{}) {
		v.t.Fatalf("%q: %+v", arguments, got)
	}
}

// A status is what "coracle state" prints.
type status struct {
	specs.State
	Rootfs  string `json:"rootfs"`
	Created string `json:"created"`
	Owner   string `json:"owner"`
}

func (v vessel) status() (s status) {
	v.t.Helper()
	got := v.coracle("state", v.id)
	if got.code != 0 {
		v.t.Fatal(got.stderr)
	}
	must(v.t, json.Unmarshal([]byte(got.stdout), &s))
	return s
}

// expectRefusal runs create, which must fail with status 1 and one line of
// stderr that holds all of the words, and leave nothing behind.
func (v vessel) expectRefusal(words ...string) {
	v.t.Helper()
	expectError(v.t, v.coracle("create", "--bundle", v.bundle, v.id), words...)
	v.expectGone()
}

func expectError(t testing.TB, got said, words ...string) {
	t.Helper()
	if got.code != 1 || got.stdout != "" || strings.Count(got.stderr, "\n") != 1 || !strings.HasPrefix(got.stderr, "coracle: ") {
		t.Errorf("want status 1 and one line: got %+v", got)
	}
	for _, w := range words {
		if !strings.Contains(got.stderr, w) {
			t.Errorf("no %q in %q", w, got.stderr)
		}
	}
}

// expectGone checks that there is no state, no cgroup and no mount of the
// container.
func (v vessel) expectGone() {
	v.t.Helper()
	if _, err := os.Lstat(filepath.Join(v.state, v.id)); !errors.Is(err, os.ErrNotExist) {
		v.t.Errorf("the state is still there: %v", err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	must(v.t, err)
	for line := range bytes.Lines(mounts) {
		if bytes.Contains(line, []byte(v.bundle)) {
			v.t.Errorf("still mounted: %s", line)
		}
	}
	facts, err := probe.Cgroup()
	must(v.t, err)
	hierarchies := facts.V1
	if facts.V2 != nil {
		hierarchies = append(slices.Clone(hierarchies), *facts.V2)
	}
	for _, h := range hierarchies {
		found, _ := filepath.Glob(h.Mount + "/*/" + v.id)
		if _, err := os.Stat(h.Mount + "/" + v.id); err == nil {
			found = append(found, h.Mount+"/"+v.id)
		}
		for _, dir := range found {
			v.t.Errorf("%s is still there", dir)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A mountLine is a line of mountinfo, proc_pid_mountinfo(5).
type mountLine struct {
	at, options, propagation, kind, source, super string
}

// mountsOf parses mountinfo, by mount point; of several on one point the last.
func mountsOf(t testing.TB, mountinfo string) map[string]mountLine {
	t.Helper()
	found := map[string]mountLine{}
	for line := range strings.Lines(mountinfo) {
		left, right, ok := strings.Cut(strings.TrimSpace(line), " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 6 || len(r) < 3 {
			t.Fatalf("no line of mountinfo: %q", line)
		}
		found[l[4]] = mountLine{l[4], l[5], strings.Join(l[6:], " "), r[0], r[1], r[2]}
	}
	return found
}

// has tells whether a comma-separated list has all of the words.
func has(list string, words ...string) bool {
	items := strings.Split(list, ",")
	for _, w := range words {
		if !slices.Contains(items, w) {
			return false
		}
	}
	return true
}

// mount is an edit that adds a mount.
func mount(destination, kind, source string, options ...string) func(*specs.Spec) {
	return func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: destination, Type: kind, Source: source, Options: options})
	}
}

// noNamespace is an edit that removes a namespace.
func noNamespace(kind specs.LinuxNamespaceType) func(*specs.Spec) {
	return func(s *specs.Spec) {
		s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == kind })
	}
}

// namespace is an edit that adds a namespace, or joins one.
func namespace(kind specs.LinuxNamespaceType, path string) func(*specs.Spec) {
	return func(s *specs.Spec) {
		noNamespace(kind)(s)
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: kind, Path: path})
	}
}

// mapped is an edit that adds a user namespace with a range of ids.
func mapped(s *specs.Spec) {
	namespace(specs.UserNamespace, "")(s)
	s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
	s.Linux.GIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 200000, Size: 65536}}
}

// becomeSubreaper makes orphans our children for the time of the test, as
// engines do, prctl(2).
func becomeSubreaper(t testing.TB) {
	t.Helper()
	must(t, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	t.Cleanup(func() {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0); err != nil {
			t.Error(err)
		}
	})
}

// killText kills the process whose pid a file holds.
func killText(text string) error {
	pid, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		return err
	}
	return unix.Kill(pid, unix.SIGKILL)
}
