// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package engines_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// patience is how long one command of an engine may take.
const patience = 60 * time.Second

// A said is what a command ended with.
type said struct {
	t              testing.TB
	command        string
	stdout, stderr string
	code           int
}

// call runs a command without input.
func call(t testing.TB, name string, args ...string) said {
	t.Helper()
	return callWith(t, "", name, args...)
}

// callWith gives it standard input.
func callWith(t testing.TB, stdin, name string, args ...string) said {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	return finish(t, cmd)
}

// finish runs a command to its end. Output goes to files: an engine's helpers that
// keep it open would make a pipe wait for them. It may be called by any goroutine.
func finish(t testing.TB, cmd *exec.Cmd) said {
	t.Helper()
	stdout, stderr := tempFile(t), tempFile(t)
	defer stdout.Close()
	defer stderr.Close()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	s := said{t: t, command: strings.Join(cmd.Args, " ")}
	if err := cmd.Start(); err != nil {
		t.Errorf("%s: %v", s.command, err)
		return s
	}
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait()
	s.stdout, s.stderr, s.code = content(stdout), content(stderr), cmd.ProcessState.ExitCode()
	if !late.Stop() {
		t.Errorf("%s did not end within %v: %s%s", s.command, patience, s.stdout, s.stderr)
	}
	return s
}

func tempFile(t testing.TB) *os.File {
	t.Helper()
	f, err := os.CreateTemp("", "engines-")
	must(t, err)
	must(t, os.Remove(f.Name()))
	return f
}

func content(f *os.File) string {
	info, err := f.Stat()
	if err != nil {
		return err.Error()
	}
	data := make([]byte, info.Size())
	n, _ := f.ReadAt(data, 0)
	return string(data[:n])
}

// exits expects an exit status.
func (s said) exits(code int) said {
	s.t.Helper()
	if s.code != code {
		s.t.Errorf("%s\n\texited %d, want %d: %s%s", s.command, s.code, code, s.stdout, s.stderr)
	}
	return s
}

// ok ends the test unless the command succeeded.
func (s said) ok() said {
	s.t.Helper()
	if s.code != 0 {
		s.t.Fatalf("%s\n\texited %d: %s%s", s.command, s.code, s.stdout, s.stderr)
	}
	return s
}

// prints expects a text in what the command printed.
func (s said) prints(text string) said {
	s.t.Helper()
	if !strings.Contains(s.stdout, text) {
		s.t.Errorf("%s\n\tprinted %q, want %q in it; stderr %q", s.command, s.stdout, text, s.stderr)
	}
	return s
}

// complains expects a text in what the command said on standard error.
func (s said) complains(text string) said {
	s.t.Helper()
	if !strings.Contains(s.stderr, text) {
		s.t.Errorf("%s\n\tsaid %q, want %q in it", s.command, s.stderr, text)
	}
	return s
}

// line is what the command printed, without the newline.
func (s said) line() string { return strings.TrimSpace(s.stdout) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until a condition holds. What engines do behind their
// commands' backs (restart, notice an exit, check health) has no event that
// they would give us.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// serve starts an engine's daemon, waits until something answers at the socket,
// and ends it with the test. Its log is shown if the test fails.
func serve(t testing.TB, socket, name string, args ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), filepath.Base(name)+".log"))
	must(t, err)
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = log, log
	must(t, cmd.Start())
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(patience):
			t.Errorf("%s does not end", name)
			_ = cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			if len(text) > 3<<10 {
				text = text[len(text)-3<<10:]
			}
			t.Logf("the end of the log of %s:\n%s", name, text)
		}
		log.Close()
	})
	eventually(t, name+" answers at "+socket, func() bool {
		select {
		case <-ended:
			t.Fatalf("%s has ended", name)
		default:
		}
		c, err := net.Dial("unix", socket)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// nothingLeft expects that the engine has had the runtime remove all containers
// below its directory of states, and all their cgroups.
func nothingLeft(t testing.TB, root string) {
	t.Helper()
	before := containerCgroups()
	t.Cleanup(func() {
		t.Helper()
		var left []string
		eventuallyEmpty := func() bool {
			left = nil
			entries, _ := os.ReadDir(root)
			for _, e := range entries {
				left = append(left, filepath.Join(root, e.Name()))
			}
			for c := range containerCgroups() {
				if !before[c] {
					left = append(left, c)
				}
			}
			return len(left) == 0
		}
		for until := time.Now().Add(10 * time.Second); !eventuallyEmpty(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(until) {
				t.Errorf("left behind:\n\t%s", strings.Join(left, "\n\t"))
				return
			}
		}
	})
}

// containerCgroups returns those of containers, by the names that engines give
// them. Engines make others around them, and keep some.
func containerCgroups() map[string]bool {
	found := map[string]bool{}
	for _, h := range hierarchies() {
		for _, pattern := range []string{"default/*", "k8s.io/*", "docker/*", "docker/buildkit/*",
			"libpod_parent/libpod-*", "libpod_parent/*/libpod-*"} {
			dirs, _ := filepath.Glob(filepath.Join(h.at, pattern))
			for _, dir := range dirs {
				if info, err := os.Stat(dir); err == nil && info.IsDir() && filepath.Base(dir) != "buildkit" {
					found[dir] = true
				}
			}
		}
	}
	return found
}

// limit expects a memory limit of a cgroup.
func limit(t testing.TB, cgroup, want string) {
	t.Helper()
	have, err := os.ReadFile(filepath.Join("/sys/fs/cgroup/memory", cgroup, "memory.limit_in_bytes"))
	if err != nil || strings.TrimSpace(string(have)) != want {
		t.Errorf("the limit of %s is %q (%v), want %s", cgroup, have, err, want)
	}
}

// archives is where our images are, as tar files of docker and OCI.
var archives struct {
	sync.Once
	docker, oci []string
}

// images makes localhost/busybox:1 from Debian's busybox, and localhost/pause:1, the
// first container of pods, by imgmgr. It returns the archives.
func images(t testing.TB) (docker, oci []string) {
	t.Helper()
	testkit.Need(t, testkit.Root)
	archives.Do(func() {
		dir, err := os.MkdirTemp("", "engines-images-")
		must(t, err)
		rootfs, store := filepath.Join(dir, "rootfs"), filepath.Join(dir, "store")
		writeRootfs(t, rootfs)
		for _, name := range []string{"busybox", "pause"} {
			reference, files := "localhost/"+name+":1", filepath.Join(dir, name)
			program := map[string]string{"busybox": "/bin/sh", "pause": "/bin/forever"}[name]
			call(t, "imgmgr", "--store", store, "import", rootfs, reference, "--cmd", program,
				"--env", "PATH=/bin:/sbin:/usr/bin:/usr/sbin", "--env", "FROM_IMAGE=yes").ok()
			call(t, "imgmgr", "--store", store, "export", reference, "docker-archive:"+files+".docker:"+reference).ok()
			call(t, "imgmgr", "--store", store, "export", reference, "oci-archive:"+files+".oci:"+reference).ok()
			archives.docker, archives.oci = append(archives.docker, files+".docker"), append(archives.oci, files+".oci")
		}
	})
	if len(archives.oci) != 2 {
		t.Fatal("there are no images")
	}
	return archives.docker, archives.oci
}

// writeRootfs is a root file system with two users, a file that cannot be
// executed, a directory to become a volume, and a program that does not end.
func writeRootfs(t testing.TB, dir string) {
	t.Helper()
	testkit.WriteRootfs(t, dir)
	for name, text := range map[string]string{
		"etc/passwd":    "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n",
		"etc/group":     "root:x:0:\napp:x:1000:\nextra:x:2000:app\n",
		"etc/notexec":   "#!/bin/sh\n",
		"var/full/seed": "from the image\n",
		"bin/forever":   "#!/bin/sh\nexec sleep 1000000\n",
	} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	must(t, os.Chmod(filepath.Join(dir, "bin/forever"), 0o755))
}
