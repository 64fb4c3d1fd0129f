// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// TestRootCVEExecUser: who the process is to be is what --user says as a number, or
// an error: never root because the number was not understood, nor somebody of that
// name in the image.
func TestRootCVEExecUser(t *testing.T) {
	v := sleeping(t)
	v.write("etc/passwd", "1:x:0:0::/root:/bin/sh\n", 0o644)
	for user, want := range map[string]string{"1": "1 0", "1:1": "1 1", "01": "1 0", "65534:65534": "65534 65534", "4294967294": "4294967294 0"} {
		if got := v.execSh("echo $(id -u) $(id -g)", "--user", user); got != want {
			t.Errorf("--user %s: got %s, want %s", user, got, want)
		}
	}
	for _, user := range []string{"4294967295", "4294967296", "18446744073709551616", "1x", "x", " 1", "1 ", "-1", "+1", "0x1", "1:", ":1", "1:2:3", "1:x"} {
		if got := v.exec("--user", user, "--", "id", "-u"); got.code != 255 || got.stdout != "" {
			t.Errorf("--user %q: %+v", user, got)
		}
	}
}

// TestRootCVEExecCwd: exec's working directory is a descriptor that coracle might have
// left open, by number, or by a link that the container has made.
func TestRootCVEExecCwd(t *testing.T) {
	testkit.NoLeaks(t)
	v := sleeping(t)
	refused := func(cwd, word string) {
		t.Helper()
		if got := v.exec("--cwd", cwd, "--", "pwd"); got.code != 255 || got.stdout != "" || !strings.Contains(got.stderr, "process.cwd: ") || !strings.Contains(got.stderr, word) {
			t.Errorf("%s: %+v", cwd, got)
		}
	}
	for fd := range 24 {
		refused("/proc/self/fd/"+itoa(fd), "")
	}
	must(t, os.Symlink("/proc/self/cwd", v.rootfs("cwd")))
	must(t, os.Symlink("/proc/1/cwd/../../../../..", v.rootfs("up")))
	refused("/cwd", "(ELOOP)")
	refused("/up", "(ELOOP)")
	// Before the program runs, nothing in the container sees a directory of the host's
	// in it, either: see TestRootCVEExecInterpreter.
	if got := v.execSh("ls -l /proc/self/cwd /proc/self/root | grep -v -- '-> /$'; true"); got != "" {
		t.Errorf("got %s", got)
	}
}

// TestRootCVEExecInterpreter: a program whose interpreter is /proc/self/exe is
// executed; and somebody in the container writes to the executables of all processes
// that appear, and looks for coracle's through their descriptors, while exec runs.
func TestRootCVEExecInterpreter(t *testing.T) {
	program := testkit.Bin(t, "coracle")
	before, err := os.ReadFile(program)
	must(t, err)
	v := newVessel(t, testkit.Args("/bin/sh", "-c", `trap 'exit 0' TERM
		while :; do
			for p in /proc/[0-9]*; do
				test $p = /proc/1 && continue
				{ echo x > $p/exe; } 2>/dev/null && echo $p >> /wrote
				for f in $p/fd/*; do case $(readlink $f) in *coracle*|*state*) readlink $f >> /found;; esac; done
				case $(readlink $p/exe) in *coracle*) readlink $p/exe >> /found;; esac
			done
			echo x >> /rounds
		done 2>/dev/null`))
	v.create()
	v.quietStart()
	v.write("evil", "#!/proc/self/exe\n", 0o755)
	rounds := 50
	if testing.Short() {
		rounds = 5
	}
	for range rounds {
		if got := v.exec("/evil"); got.code == 0 {
			t.Errorf("%+v", got)
		}
		if got := v.exec("true"); got != (said{}) {
			t.Errorf("%+v", got)
		}
	}
	waitFor(t, "the attacker", func() bool { return readFile(v.rootfs("rounds")) != "" })
	for _, name := range []string{"wrote", "found"} {
		if got := readFile(v.rootfs(name)); strings.Contains(got, filepath.Base(program)+"\n") || name == "wrote" && got != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if after, _ := os.ReadFile(program); !bytes.Equal(before, after) {
		t.Fatal("coracle's own file has changed")
	}
}

// TestRootCVEExecInheritable: capabilities that exec is told to give are not
// inheritable, and a process that is told nothing has no more than the container.
func TestRootCVEExecInheritable(t *testing.T) {
	v := sleeping(t, func(s *specs.Spec) {
		names := []string{"CAP_CHOWN"}
		s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: names, Effective: names, Permitted: names}
	})
	for _, flags := range [][]string{nil, {"--cap", "CAP_KILL"}, {"--user", "5", "--cap", "CAP_KILL"}, {"--process", v.processFile(func(p *specs.Process) { p.Args = []string{"cat", "/proc/self/status"} })}} {
		got := v.exec(append(append(flags[:len(flags):len(flags)], "--"), "cat", "/proc/self/status")...)
		if len(flags) > 0 && flags[0] == "--process" {
			got = v.coracle("exec", "--process", flags[1], v.id)
		}
		if got.code != 0 || field(got.stdout, "CapInh") != caps() || field(got.stdout, "CapAmb") != caps() {
			t.Errorf("%q: %+v", flags, got)
		}
	}
}
