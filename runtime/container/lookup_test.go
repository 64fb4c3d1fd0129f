// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
)

// TestLookUp: what create would miss is told of with its field and a hint, and what
// a mount may bring along is not.
func TestLookUp(t *testing.T) {
	bundle := t.TempDir()
	for name, mode := range map[string]os.FileMode{"usr/bin/tool": 0o755, "usr/bin/text": 0o644, "work/file": 0o644} {
		name = filepath.Join(bundle, "rootfs", name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"bin": "usr/bin", "usr/bin/alias": "/bin/tool", "usr/bin/away": "../../data/x", "var": "/data/var", "loop": "/loop"} {
		if err := os.Symlink(target, filepath.Join(bundle, "rootfs", link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		program, cwd, path, mount string
		readonly                  bool
		want                      string // what is wrong, and its hint
	}{
		{program: "tool"},
		{program: "/bin/tool"},
		{program: "/usr/bin/alias"},
		{program: "../bin/tool", cwd: "/work"},
		{program: "tool", path: "/work:../bin", cwd: "/usr"},
		{program: "tool", path: "/work", want: `config.json process.args[0]: exec: "tool": executable file not found in $PATH; PATH of process.env is /work`},
		{program: "/tool", want: `config.json process.args[0]: exec: "/tool": stat /tool: no such file or directory (ENOENT); there is no /tool in ` + bundle + "/rootfs"},
		{program: "bin/tool", cwd: "/work", want: "there is no /work/bin/tool in "},
		{program: "/bin/text", want: `exec: "/bin/text": permission denied (EACCES)`},
		{program: "/usr/bin", want: `exec: "/usr/bin": is a directory: permission denied (EACCES)`},
		{program: "/loop", want: "(ELOOP)"},

		// On a mount, also behind a link, or one that a link leads the mount to.
		{program: "/opt/tool", mount: "/opt"},
		{program: "/opt/../opt/a/tool", mount: "/opt/a/"},
		{program: "other", mount: "/usr/bin"},
		{program: "/bin/other", mount: "/usr"},
		{program: "/usr/bin/away", mount: "/data"},
		{program: "/data/var/tool", mount: "/var"},
		{program: "/opt/tool", mount: "/opt/b", want: "(ENOENT)"},
		{program: "other", mount: "/usr/bin/tool", want: "not found"},

		// The working directory is made where it is missing.
		{program: "tool", cwd: "/new/dir"},
		{program: "tool", cwd: "/new/dir", readonly: true, want: "config.json process.cwd: make /new/dir: read-only file system (EROFS); the root file system does not have that directory"},
		{program: "tool", cwd: "/data/dir", mount: "/data", readonly: true},
		{program: "tool", cwd: "/work", readonly: true},
		{program: "tool", cwd: "/work/file", want: "config.json process.cwd: find /work/file: not a directory (ENOTDIR); process.cwd must be a directory"},
	} {
		if c.cwd == "" {
			c.cwd = "/"
		}
		if c.path == "" {
			c.path = "/bin"
		}
		spec := &specs.Spec{Root: &specs.Root{Path: "rootfs", Readonly: c.readonly}, Process: &specs.Process{Args: []string{c.program}, Cwd: c.cwd, Env: []string{"PATH=" + c.path}}}
		if c.mount != "" {
			spec.Mounts = []specs.Mount{{Destination: "/proc"}, {Destination: c.mount}}
		}
		if os.Geteuid() != 0 && strings.Contains(c.want, "EACCES") {
			c.want = "" // root may be able to
		}
		var got []string
		for _, err := range LookUp(bundle, spec) {
			got = append(got, err.Error()+"; "+fail.HintOf(err))
		}
		if len(got) > 1 || (len(got) == 1) != (c.want != "") || len(got) == 1 && !strings.Contains(got[0], c.want) {
			t.Errorf("%+v: got %q", c, got)
		}
	}
	if got := LookUp(bundle, &specs.Spec{Root: &specs.Root{Path: "nowhere"}, Process: &specs.Process{Args: []string{"x"}}}); got != nil {
		t.Errorf("a root that is not there: %v", errors.Join(got...))
	}
	if got := LookUp(bundle, &specs.Spec{Root: &specs.Root{Path: "rootfs"}}); got != nil {
		t.Errorf("no process: %v", errors.Join(got...))
	}
}
