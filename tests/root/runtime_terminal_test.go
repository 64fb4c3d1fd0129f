// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// A person sits at a terminal: the master and slave of a pty of the host, and
// what has been seen on it.
type person struct {
	t             testing.TB
	master, slave *os.File
	seen          chan []byte
	text          string
}

func newPerson(t testing.TB, rows, columns uint16) *person {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	must(t, err)
	must(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	must(t, err)
	slave, err := os.OpenFile("/dev/pts/"+itoa(number), os.O_RDWR|syscall.O_NOCTTY, 0)
	must(t, err)
	p := &person{t: t, master: master, slave: slave, seen: make(chan []byte, 100)}
	p.resize(rows, columns)
	go func() {
		for {
			data := make([]byte, 4096)
			n, err := master.Read(data)
			if err != nil {
				return
			}
			p.seen <- data[:n]
		}
	}()
	t.Cleanup(func() { slave.Close(); master.Close() })
	return p
}

func (p *person) resize(rows, columns uint16) {
	p.t.Helper()
	must(p.t, unix.IoctlSetWinsize(int(p.slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}))
}

// runs starts a command in a session of its own with this terminal.
func (p *person) runs(c *exec.Cmd) {
	p.t.Helper()
	c.Stdin, c.Stdout, c.Stderr = p.slave, p.slave, p.slave
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	must(p.t, c.Start())
}

// expects waits until the text has appeared.
func (p *person) expects(want string) {
	p.t.Helper()
	p.awaits(want, nil)
}

// trapped waits for what a trap of a shell prints. A signal that comes right before the
// shell reads waits for a line: it gets one every second.
func (p *person) trapped(want string) {
	p.t.Helper()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	p.awaits(want, second.C)
}

// awaits waits until the text has appeared, and types a line at each tick.
func (p *person) awaits(want string, line <-chan time.Time) {
	p.t.Helper()
	limit := time.After(20 * time.Second)
	for !strings.Contains(p.text, want) {
		select {
		case data := <-p.seen:
			p.text += string(data)
		case <-line:
			p.types("\r")
		case <-limit:
			p.t.Fatalf("no %q in %q", want, p.text)
		}
	}
	_, p.text, _ = strings.Cut(p.text, want)
}

func (p *person) types(text string) {
	p.t.Helper()
	_, err := p.master.WriteString(text)
	must(p.t, err)
}

func (p *person) settings() unix.Termios {
	p.t.Helper()
	s, err := unix.IoctlGetTermios(int(p.slave.Fd()), unix.TCGETS)
	must(p.t, err)
	return *s
}

func terminal(s *specs.Spec) { s.Process.Terminal = true }

// TestRootTerminal: size, typing, a new size, ^C, exit code, and the person's
// terminal as it was.
func TestRootTerminal(t *testing.T) {
	p := newPerson(t, 31, 97)
	before := p.settings()
	v := newVessel(t, terminal, testkit.Args("/bin/sh", "-c",
		"trap 'echo interrupted' INT; trap 'echo resized $(stty size)' WINCH; tty; stty size; read line; echo got $line; while read line; do :; done; while read line; do :; done; exit 42"))
	c := v.command("run", "--bundle", v.bundle, v.id)
	p.runs(c)
	p.expects("/dev/pts/0\r\n31 97\r\n")
	if raw := p.settings(); raw.Lflag&(unix.ECHO|unix.ICANON|unix.ISIG) != 0 {
		t.Errorf("the terminal is not raw: %x", raw.Lflag)
	}
	p.types("hello\r")
	p.expects("got hello\r\n")
	p.types("\x03")
	p.trapped("interrupted")
	p.resize(40, 120)
	must(t, c.Process.Signal(syscall.SIGWINCH)) // the kernel does so where the size is set by the session
	p.trapped("resized 40 120")
	p.types("\x04")
	p.types("\x04")
	if c.Wait(); c.ProcessState.ExitCode() != 42 {
		t.Errorf("%v", c.ProcessState)
	}
	if after := p.settings(); after != before {
		t.Errorf("the terminal was %+v, is %+v", before, after)
	}
	v.expectGone()
}

// TestRootTerminalRestored: also when the container is killed, and when the
// program cannot be started.
func TestRootTerminalRestored(t *testing.T) {
	p := newPerson(t, 24, 80)
	before := p.settings()
	v := newVessel(t, terminal, testkit.Args("sleep", "1000"))
	c := v.command("run", "--bundle", v.bundle, v.id)
	p.runs(c)
	waitFor(t, "raw mode", func() bool { return p.settings() != before })
	v.quiet("kill", v.id, "KILL")
	if c.Wait(); c.ProcessState.ExitCode() != 137 || p.settings() != before {
		t.Errorf("%v", c.ProcessState)
	}
	v.edit(testkit.Args("/no/such"))
	c = v.command("run", "--bundle", v.bundle, v.id)
	p.runs(c)
	if c.Wait(); c.ProcessState.ExitCode() != 1 || p.settings() != before {
		t.Errorf("%v", c.ProcessState)
	}
	p.expects("no such file or directory")
	v.expectGone()
}

// TestRootTerminalBackground: a background process of the container that keeps
// the terminal open does not keep run waiting.
func TestRootTerminalBackground(t *testing.T) {
	p := newPerson(t, 24, 80)
	v := newVessel(t, terminal, noNamespace(specs.PIDNamespace), testkit.Args("/bin/sh", "-c", "trap '' HUP; sleep 1000 & echo started; exit 3"))
	c := v.command("run", "--bundle", v.bundle, v.id)
	p.runs(c)
	done := make(chan struct{})
	go func() { c.Wait(); close(done) }()
	select {
	case <-done:
		if c.ProcessState.ExitCode() != 3 {
			t.Errorf("%v", c.ProcessState)
		}
	case <-time.After(20 * time.Second):
		t.Error("run waits for a process that is not the container's init")
		c.Process.Kill()
	}
	p.expects("started")
}

// TestRootTerminalPipe: a container with a terminal whose caller has none.
func TestRootTerminalPipe(t *testing.T) {
	v := newVessel(t, terminal, testkit.Args("/bin/sh", "-c", "tty; read line; echo got $line; cat; exit 5"))
	c := v.command("run", "--bundle", v.bundle, v.id)
	c.Stdin = strings.NewReader("from a pipe\n")
	output, err := c.Output()
	if c.ProcessState.ExitCode() != 5 || !strings.Contains(string(output), "/dev/pts/0\r\n") || !strings.Contains(string(output), "got from a pipe\r\n") {
		t.Errorf("%v %q", err, output)
	}
}

// TestRootTerminalOutput: all that was printed arrives, however much it is.
func TestRootTerminalOutput(t *testing.T) {
	p := newPerson(t, 24, 80)
	v := newVessel(t, terminal, testkit.Args("/bin/sh", "-c", "seq 20000; echo the end"))
	c := v.command("run", "--bundle", v.bundle, v.id)
	p.runs(c)
	p.expects("20000\r\nthe end\r\n")
	must(t, c.Wait())
}
