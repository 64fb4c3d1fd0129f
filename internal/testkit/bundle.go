// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package testkit

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Rootfs makes a root file system from the machine's static busybox in a
// directory of the test and returns its path: /bin with all applets, etc/passwd
// and etc/group, and the empty directories that containers mount on.
func Rootfs(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "rootfs")
	WriteRootfs(t, dir)
	return dir
}

// WriteRootfs is [Rootfs] at a path that does not exist yet.
func WriteRootfs(t testing.TB, dir string) {
	t.Helper()
	busybox := staticBusybox(t)
	for _, name := range []string{"bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "var"} {
		check(t, os.MkdirAll(filepath.Join(dir, name), 0o755))
	}
	check(t, os.Chmod(filepath.Join(dir, "tmp"), 0o1777|os.ModeSticky))
	copyFile(t, busybox, filepath.Join(dir, "bin/busybox"))
	applets, err := exec.Command(busybox, "--list").Output()
	check(t, err)
	for _, name := range strings.Fields(string(applets)) {
		if name != "busybox" {
			check(t, os.Symlink("busybox", filepath.Join(dir, "bin", name)))
		}
	}
	check(t, os.Symlink("bin", filepath.Join(dir, "sbin")))
	check(t, os.WriteFile(filepath.Join(dir, "etc/passwd"),
		[]byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"), 0o644))
	check(t, os.WriteFile(filepath.Join(dir, "etc/group"), []byte("root:x:0:\nnogroup:x:65534:\n"), 0o644))
}

// Bundle makes a bundle on [Rootfs] and returns its path. Its config.json is
// [Config] after the edits, in their order.
func Bundle(t testing.TB, edits ...func(*specs.Spec)) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bundle")
	WriteRootfs(t, filepath.Join(dir, "rootfs"))
	WriteConfig(t, dir, edits...)
	return dir
}

// WriteConfig writes config.json into the bundle dir: [Config] after the edits.
func WriteConfig(t testing.TB, dir string, edits ...func(*specs.Spec)) {
	t.Helper()
	config := Config()
	for _, edit := range edits {
		edit(config)
	}
	data, err := json.MarshalIndent(config, "", "\t")
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "config.json"), data, 0o644))
}

// Args is an edit for [Bundle]: what the container runs.
func Args(args ...string) func(*specs.Spec) {
	return func(c *specs.Spec) { c.Process.Args = args }
}

// Config returns a small and ordinary configuration: /bin/true of rootfs, in new
// namespaces of every kind but user and time, with proc, a tmpfs on /dev, devpts
// and sysfs; no terminal, no capabilities, no limits.
func Config() *specs.Spec {
	return &specs.Spec{
		Version: "1.2.0",
		Root:    &specs.Root{Path: "rootfs"},
		Process: &specs.Process{
			Args: []string{"/bin/true"},
			Cwd:  "/",
			Env:  []string{"PATH=/bin", "HOME=/root"},
		},
		Hostname: "test",
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "mode=755", "size=65536k"}},
			{Destination: "/dev/pts", Type: "devpts", Source: "devpts",
				Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
			{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
		},
		Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{
			{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}, {Type: specs.IPCNamespace},
			{Type: specs.UTSNamespace}, {Type: specs.NetworkNamespace}, {Type: specs.CgroupNamespace},
		}},
	}
}

// staticBusybox returns the path of a busybox without a dynamic linker: inside
// the new root there is nothing that could link it.
func staticBusybox(t testing.TB) string {
	t.Helper()
	path := lookTool("busybox")
	if path == "" {
		t.Fatal("no busybox: tools/setup.sh installs busybox-static")
	}
	program, err := elf.Open(path)
	check(t, err)
	defer program.Close()
	for _, segment := range program.Progs {
		if segment.Type == elf.PT_INTERP {
			interpreter, _ := io.ReadAll(segment.Open())
			t.Fatalf("%s is not static (it needs %s): tools/setup.sh installs busybox-static",
				path, bytes.TrimRight(interpreter, "\x00"))
		}
	}
	return path
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	check(t, err)
	check(t, os.WriteFile(to, data, 0o755))
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
