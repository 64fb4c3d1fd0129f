// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// TestRootExecTerminal: size, typing, a new size, ^C, exit code, and the person's
// terminal as it was.
func TestRootExecTerminal(t *testing.T) {
	testkit.NoLeaks(t)
	p := newPerson(t, 31, 97)
	before := p.settings()
	v := sleeping(t)
	c := v.command("exec", "--tty", "--user", "7", v.id, "sh", "-c",
		"trap 'echo interrupted' INT; trap 'echo resized $(stty size)' WINCH; tty; stty size; stat -c %u $(tty); read line; echo got $line; while read line; do :; done; while read line; do :; done; exit 42")
	p.runs(c)
	p.expects("/dev/pts/0\r\n31 97\r\n7\r\n")
	if raw := p.settings(); raw.Lflag&(unix.ECHO|unix.ICANON|unix.ISIG) != 0 {
		t.Errorf("the terminal is not raw: %x", raw.Lflag)
	}
	p.types("hello\r")
	p.expects("got hello\r\n")
	p.types("\x03")
	p.trapped("interrupted")
	p.resize(40, 120)
	must(t, c.Process.Signal(syscall.SIGWINCH))
	p.trapped("resized 40 120")
	p.types("\x04")
	p.types("\x04")
	if c.Wait(); c.ProcessState.ExitCode() != 42 {
		t.Errorf("%v", c.ProcessState)
	}
	if after := p.settings(); after != before {
		t.Errorf("the terminal was %+v, is %+v", before, after)
	}
}

// TestRootTerminalCrash: whatever ends coracle, the person gets the terminal back
// as it was.
func TestRootTerminalCrash(t *testing.T) {
	testkit.NoLeaks(t)
	v := newVessel(t, terminal, testkit.Args("sleep", "1000"))
	inside := sleeping(t)
	for _, args := range [][]string{{"run", "--bundle", v.bundle, v.id}, {"--root", inside.state, "exec", "-t", inside.id, "sleep", "1000"}} {
		for _, whole := range []bool{false, true} { // the process, or its group
			p := newPerson(t, 24, 80)
			before := p.settings()
			c := v.command(args...)
			p.runs(c)
			waitFor(t, "raw mode", func() bool { return p.settings() != before })
			pid := c.Process.Pid
			if whole {
				pid = -pid
			}
			must(t, unix.Kill(pid, unix.SIGKILL))
			c.Wait()
			waitFor(t, "terminal as it was", func() bool { return p.settings() == before })
			v.quiet("delete", "--force", v.id)
		}
	}
}

// TestRootTerminalUnread: who does not read what a container has said is waited for
// until a signal says otherwise; the container is deleted then.
func TestRootTerminalUnread(t *testing.T) {
	testkit.NoLeaks(t)
	v := newVessel(t, terminal, testkit.Args("sh", "-c", "dd if=/dev/zero bs=100000 count=3; sleep 1000"))
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	defer w.Close()
	c := v.command("run", "--bundle", v.bundle, v.id)
	c.Stdout = w
	must(t, c.Start())
	last := 0
	waitFor(t, "output that fills the pipe", func() bool {
		before := last
		last, err = unix.IoctlGetInt(int(r.Fd()), unix.TIOCINQ)
		must(t, err)
		return last > 32<<10 && last == before
	})
	init := "/proc/" + itoa(v.status().Pid)
	v.quiet("kill", v.id, "KILL")
	// What comes before coracle has reaped the init is passed on to that, and lost.
	waitFor(t, "its end", func() bool { return !exists(init) })
	must(t, c.Process.Signal(unix.SIGTERM))
	if c.Wait(); c.ProcessState.ExitCode() != 128+int(unix.SIGKILL) {
		t.Errorf("%v", c.ProcessState)
	}
	v.expectGone()
}

// TestRootExecConsoleSocket: the engine gets the master before exec ends; the
// terminal has the size and the owner of the process.
func TestRootExecConsoleSocket(t *testing.T) {
	v := sleeping(t)
	dir, err := os.MkdirTemp("", "coracle-tty")
	must(t, err)
	defer os.RemoveAll(dir)
	file := v.processFile(func(p *specs.Process) {
		p.Terminal, p.ConsoleSize, p.User.UID = true, &specs.Box{Height: 33, Width: 101}, 1000
		p.Args = []string{"sh", "-c", "tty; stty size; stat -c '%u %t:%T' $(tty); echo > /dev/tty && echo has tty; ls /dev/console; read line; echo got $line"}
	})
	master := receiveTerminal(t, filepath.Join(dir, "s"), func(path string) {
		v.quiet("exec", "--process", file, "--tty", "--detach", "--console-socket", path, "--pid-file", dir+"/pid", v.id)
	})
	defer master.Close()
	_, err = master.WriteString("input\n")
	must(t, err)
	var seen bytes.Buffer
	io.Copy(&seen, master) // ends with EIO
	text := strings.ReplaceAll(seen.String(), "\r", "")
	for _, want := range []string{"/dev/pts/0\n", "33 101\n", "1000 88:0\n", "has tty\n", "got input\n", "/dev/console: No such file"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %q", want, text)
		}
	}
}

// TestRootConsoleSocketBad: sockets that nobody listens at, and that accept nobody,
// are errors, and leave nothing.
func TestRootConsoleSocketBad(t *testing.T) {
	testkit.NoLeaks(t)
	dir, err := os.MkdirTemp("", "coracle-tty")
	must(t, err)
	defer os.RemoveAll(dir)
	full := filepath.Join(dir, "full")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	must(t, unix.Bind(fd, &unix.SockaddrUnix{Name: full}))
	must(t, unix.Listen(fd, 0))
	waiting, err := net.Dial("unix", full) // the only one that is let wait
	must(t, err)
	defer waiting.Close()
	deaf := filepath.Join(dir, "deaf")
	l, err := net.Listen("unix", deaf)
	must(t, err)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	v := newVessel(t, terminal, testkit.Args("sleep", "1000"))
	inside := sleeping(t)
	for socket, want := range map[string]string{full: "(ETIMEDOUT); hint: whoever listens there does not accept connections", deaf: "(ECONNREFUSED)", dir + "/absent": "(ENOENT)", dir: "(ECONNREFUSED)"} {
		expectError(t, v.coracle("create", "--bundle", v.bundle, "--console-socket", socket, v.id), "--console-socket: ", want)
		v.expectGone()
		if got := inside.exec("--tty", "--detach", "--console-socket", socket, "--pid-file", dir+"/pid", "--", "sleep", "100"); got.code != 255 || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: %+v", socket, got)
		}
	}
	if _, err := os.Stat(dir + "/pid"); err == nil {
		t.Error("a pid file of a process that did not run")
	}
}

// TestRootConsoleSocketCloses: whose terminal is closed as soon as it is handed over
// gets SIGHUP, which only the init of a PID namespace survives. That is said.
func TestRootConsoleSocketCloses(t *testing.T) {
	testkit.NoLeaks(t)
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			conn.Close()
		}
	}()
	v, inside := newVessel(t, terminal, testkit.Args("sleep", "1000")), sleeping(t)
	rounds := 20
	if testing.Short() {
		rounds = 2
	}
	for range rounds {
		if got := v.coracle("create", "--bundle", v.bundle, "--console-socket", socket, v.id); got != (said{}) {
			expectError(t, got, "--console-socket: ", "(EPIPE)")
			v.expectGone()
		} else {
			v.quiet("delete", v.id)
		}
		if got := inside.exec("--tty", "--detach", "--console-socket", socket, "--", "sleep", "1000"); got != (said{}) {
			if got.code != 255 || !strings.Contains(got.stderr, "(EPIPE)") && !strings.Contains(got.stderr, "exec: the process was killed by SIGHUP before it ran its program; hint: its terminal was closed") {
				t.Errorf("%+v", got)
			}
		}
	}
	must(t, l.Close())
	<-done
	waitFor(t, "end of what lost its terminal", func() bool { return len(inside.pids()) == 1 })
}

// TestRootExecFakeTerminal: what a container has put in the place of its ptmx is
// not taken for a terminal.
func TestRootExecFakeTerminal(t *testing.T) {
	v := sleeping(t, mount("/dev/pts", "tmpfs", "tmpfs"), func(s *specs.Spec) {
		names := []string{"CAP_MKNOD"}
		s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: names, Effective: names, Permitted: names}
	})
	for _, fake := range []string{"mkfifo /dev/pts/ptmx", "ln -s /dev/null /dev/pts/ptmx", "echo x > /dev/pts/ptmx", "ln -s /proc/self/fd/0 /dev/pts/ptmx"} {
		v.execSh("rm -f /dev/pts/ptmx; busybox " + strings.TrimPrefix(fake, "busybox "))
		got := v.exec("--tty", "--", "true")
		if got.code != 255 || !strings.Contains(got.stderr, "process.terminal: ") {
			t.Errorf("%s: %+v", fake, got)
		}
	}
}

// TestRootTerminalPrograms: a person's programs that have terminals of their own.
func TestRootTerminalPrograms(t *testing.T) {
	testkit.Need(t, testkit.Tool("script"), testkit.Tool("tmux"))
	v := sleeping(t)
	call := fmt.Sprintf("%s --root %s exec -t %s sh -c 'tty; stty size; exit 5'", testkit.Bin(t, "coracle"), v.state, v.id)
	c := exec.Command("script", "-qec", call, "/dev/null")
	out, _ := c.CombinedOutput()
	if c.ProcessState.ExitCode() != 5 || !strings.HasPrefix(string(out), "/dev/pts/0\r\n") {
		t.Errorf("script: %v %q", c.ProcessState, out)
	}
	tmux := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("tmux", append([]string{"-L", v.id, "-f", "/dev/null"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("tmux %q: %v %s", args, err, out)
		}
		return string(out)
	}
	tmux("new-session", "-d", "-x", "90", "-y", "20", strings.Replace(call, "exit 5", "trap : WINCH; while sleep 0.05; do read line && echo got $line $(stty size); done", 1))
	defer exec.Command("tmux", "-L", v.id, "kill-server").Run()
	sees := func(want string) {
		t.Helper()
		waitFor(t, want, func() bool { return strings.Contains(tmux("capture-pane", "-p"), want) })
	}
	sees("/dev/pts/0\n20 90") // its status line is off without a client
	tmux("send-keys", "hello", "Enter")
	sees("got hello 20 90")
	tmux("resize-window", "-x", "70", "-y", "15")
	waitFor(t, "15 70", func() bool {
		tmux("send-keys", "again", "Enter")
		return strings.Contains(tmux("capture-pane", "-p"), "15 70")
	})
}
