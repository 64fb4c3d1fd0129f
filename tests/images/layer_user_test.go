// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package images_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// TestRootLayersAsUser: without root, an image of root's becomes a bundle of the
// user's, and changes in it are root's again in the image.
func TestRootLayersAsUser(t *testing.T) {
	testkit.Need(t, testkit.Root)
	dir := t.TempDir()
	rootStore, tree := filepath.Join(dir, "rootstore"), filepath.Join(dir, "tree")
	oddities(t, tree)
	// Commit cannot look into a directory that its owner cannot read.
	if err := os.Chmod(filepath.Join(tree, "closed"), 0o755); err != nil {
		t.Fatal(err)
	}
	must(t, rootStore, "import", "--cmd", "/bin/sh", tree, "odd:1")
	archive := filepath.Join(dir, "odd.tar")
	must(t, rootStore, "export", "odd:1", archive)

	home := filepath.Join(dir, "home")
	program := filepath.Join(dir, "imgmgr")
	run(t, "cp", testkit.Bin(t, "imgmgr"), program)
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(home, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	for d := dir; d != "/tmp" && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(archive, 0o644); err != nil {
		t.Fatal(err)
	}
	asUser := func(name string, args ...string) string {
		t.Helper()
		c := exec.Command(name, args...)
		c.Dir, c.Env = home, []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	asUser(program, "pull", "oci-archive:"+archive, "odd:1")
	if out := asUser(program, "unpack", "odd:1", "bundle"); !strings.Contains(out, "null: device left out") {
		t.Errorf("nobody was told of the devices: %s", out)
	}
	rootfs := filepath.Join(home, "bundle", "rootfs")
	for _, line := range listing(t, rootfs) {
		if !strings.Contains(line, " 65534:65534 ") {
			t.Errorf("not the user's: %s", line)
		}
	}
	data, err := os.ReadFile(filepath.Join(home, "bundle", "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s specs.Spec
	if err := json.Unmarshal(data, &s); err != nil || len(s.Linux.UIDMappings) != 1 || s.Linux.UIDMappings[0].HostID != 65534 {
		t.Errorf("config.json: %v %+v", err, s.Linux)
	}
	asUser("sh", "-ec", "echo x >bundle/rootfs/new; rm bundle/rootfs/fifo")
	asUser(program, "commit", "bundle", "odd:2")
	asUser(program, "export", "odd:2", "odd2.tar")
	must(t, rootStore, "pull", "oci-archive:"+home+"/odd2.tar", "odd:2")
	b := filepath.Join(dir, "b")
	must(t, rootStore, "unpack", "odd:2", b)
	run(t, "sh", "-ec", `cd "$0"; echo x >new; touch -r "$1/new" new; rm fifo; touch -r "$1" .`, tree, b+"/rootfs")
	sameTree(t, b+"/rootfs", tree)
	asUser("sh", "-c", "chmod -R u+rwx bundle; rm -rf bundle")
}
