// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// withFDs runs a call of coracle below a shell that opens strange descriptors.
func withFDs(c *exec.Cmd, redirections string) *exec.Cmd {
	args := append([]string{"-c", "exec " + redirections + `; exec "$@"`, "bash"}, c.Args...)
	return exec.Command("bash", args...)
}

// TestRootDescriptors: only 0 to 2 reach the process, and with --preserve-fds
// those that follow; neither the caller's strange ones nor coracle's own.
func TestRootDescriptors(t *testing.T) {
	v := newVessel(t, testkit.Args("/bin/sh", "-c", "ls /proc/self/fd | tr '\\n' ' '; for n in 3 4 5; do readlink /proc/1/fd/$n; done; true"))
	dir := t.TempDir()
	strange := fmt.Sprintf("3>%[1]s/three 4>%[1]s/four 10>%[1]s/ten 251>%[1]s/far", dir)
	for preserve, want := range map[int]string{0: "0 1 2 3 ", 1: "0 1 2 3 4 " + dir + "/three\n", 2: "0 1 2 3 4 5 " + dir + "/three\n" + dir + "/four\n"} {
		c := v.command("run", "--bundle", v.bundle, "--preserve-fds", itoa(preserve), v.id)
		// ls has the directory itself open, as the first free number.
		if got := finish(t, withFDs(c, strange)); got.stdout != want || got.code != 0 {
			t.Errorf("preserve %d: got %+v, want %q", preserve, got, want)
		}
	}
	// One that is not there is an error, not somebody else's descriptor.
	c := v.command("create", "--bundle", v.bundle, "--preserve-fds", "3", v.id)
	expectError(t, finish(t, withFDs(c, strange)), "--preserve-fds", "5")
}

// TestRootWaitingDescriptors: what the waiting init of a created container keeps
// open is its standard streams, what is to be preserved, and sockets of its own.
func TestRootWaitingDescriptors(t *testing.T) {
	v := newVessel(t)
	dir := t.TempDir()
	c := v.command("create", "--bundle", v.bundle, v.id)
	if got := finish(t, withFDs(c, fmt.Sprintf("3>%[1]s/three 10>%[1]s/ten 251>%[1]s/far", dir))); got.code != 0 {
		t.Fatal(got.stderr)
	}
	fds, err := filepath.Glob("/proc/" + itoa(v.status().Pid) + "/fd/*")
	must(t, err)
	for _, fd := range fds {
		target, _ := os.Readlink(fd)
		switch {
		case slices.Contains([]string{"0", "1", "2"}, filepath.Base(fd)), strings.HasPrefix(target, "socket:"):
		default:
			t.Errorf("%s is %s", filepath.Base(fd), target)
		}
	}
}

// TestRootStdioOwner: after create nobody but the init holds the caller's pipes,
// and the very descriptors reach the process.
func TestRootStdioOwner(t *testing.T) {
	v := newVessel(t, testkit.Args("/bin/sh", "-c", "cat; echo said >&2; readlink /proc/1/fd/1 >/dev/null; exec 0<&- 1>&- 2>&-; sleep 1000"))
	input, inputWriter, err := os.Pipe()
	must(t, err)
	output, outputWriter, err := os.Pipe()
	must(t, err)
	defer output.Close()
	c := v.command("create", "--bundle", v.bundle, v.id)
	c.Stdin, c.Stdout, c.Stderr = input, outputWriter, outputWriter
	must(t, c.Run())
	input.Close()
	outputWriter.Close()
	if _, err := inputWriter.WriteString("line\n"); err != nil {
		t.Fatal(err)
	}
	inputWriter.Close()
	v.quietStart()
	// The end of the stream comes when the container's process closes it, though it lives on.
	done := make(chan []byte)
	go func() { data, _ := io.ReadAll(output); done <- data }()
	select {
	case data := <-done:
		if string(data) != "line\nsaid\n" {
			t.Errorf("got %q", data)
		}
	case <-time.After(20 * time.Second):
		t.Error("somebody still holds the container's output")
	}
	if now := v.status().Status; now != specs.StateRunning {
		t.Errorf("it is %s", now)
	}
}

// TestRootEmptyEnvironment: podman calls with one variable that is empty.
func TestRootEmptyEnvironment(t *testing.T) {
	v := newVessel(t, testkit.Args("sleep", "1000"))
	bare := func(environment []string, arguments ...string) said {
		c := v.command(arguments...)
		c.Env = environment
		return finish(t, c)
	}
	for _, environment := range [][]string{{}, {"XDG_RUNTIME_DIR="}} {
		for _, call := range [][]string{{"create", "--bundle", v.bundle, v.id}, {"start", v.id}, {"kill", v.id, "9"}} {
			if got := bare(environment, call...); got != (said{}) {
				t.Errorf("%v: %+v", call, got)
			}
		}
		waitFor(t, "its end", func() bool { return v.status().Status == specs.StateStopped })
		if got := bare(environment, "delete", "--force", v.id); got != (said{}) {
			t.Errorf("%+v", got)
		}
	}
	// Without --root it is the compiled-in default, /run/coracle, not a path made of nothing.
	c := exec.Command(testkit.Bin(t, "coracle"), "delete", "--force", v.id)
	c.Env = []string{"XDG_RUNTIME_DIR="}
	if got := finish(t, c); got != (said{}) {
		t.Errorf("%+v", got)
	}
}

// TestRootUmask: the caller's mask neither hides nor is changed by what is made.
func TestRootUmask(t *testing.T) {
	v := newVessel(t, mount("/made/here", "tmpfs", "tmpfs"), testkit.Args("/bin/sh", "-c", "umask; stat -c %a /dev/null /made"))
	c := v.command("run", "--bundle", v.bundle, v.id)
	shell := exec.Command("bash", append([]string{"-c", `umask 077; exec "$@"`, "bash"}, c.Args...)...)
	if got := finish(t, shell); got.stdout != "0077\n666\n755\n" {
		t.Errorf("%+v", got)
	}
}

// TestRootKeyring: the container has a session keyring of its own, or with
// --no-new-keyring the caller's.
func TestRootKeyring(t *testing.T) {
	ring := func(flags ...string) string {
		t.Helper()
		v := newVessel(t, testkit.Args("cat", "/proc/keys"))
		got := v.run(flags...)
		if got.code != 0 {
			t.Fatal(got.stderr)
		}
		for line := range strings.Lines(got.stdout) {
			if strings.Contains(line, "_ses."+v.id) {
				return "own"
			}
		}
		return "caller's"
	}
	if _, err := os.Stat("/proc/keys"); err != nil {
		t.Fatal(err)
	}
	if got := ring(); got != "own" {
		t.Errorf("by default it is the %s", got)
	}
	if got := ring("--no-new-keyring"); got != "caller's" {
		t.Errorf("with --no-new-keyring it is its %s", got)
	}
}

// TestRootSignals: what is sent to run reaches the container's process, and for all
// that run needs one thread.
func TestRootSignals(t *testing.T) {
	// What our caller ignores (nohup) run does not get, but see TestRootSignalsReset.
	names := slices.DeleteFunc([]string{"HUP", "USR1", "USR2", "ALRM", "WINCH", "TERM", "CONT"}, func(name string) bool {
		return signal.Ignored(unix.SignalNum("SIG" + name))
	})
	var script strings.Builder
	for _, name := range names {
		fmt.Fprintf(&script, "trap 'echo %s' %s; ", name, name)
	}
	v := newVessel(t, testkit.Args("/bin/sh", "-c", script.String()+"trap 'echo RTMIN+3' 37; trap 'exit 42' QUIT; echo ready; while :; do sleep 0.02; done"))
	c := v.command("run", "--bundle", v.bundle, v.id)
	output, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	// Should run end before its container, nobody would close the pipe.
	defer time.AfterFunc(time.Minute, func() { v.command("delete", "--force", v.id).Run() }).Stop()
	lines := bufio.NewScanner(output)
	expect := func(want string) {
		t.Helper()
		if !lines.Scan() || lines.Text() != want {
			t.Errorf("got %q, want %q", lines.Text(), want)
		}
	}
	expect("ready")
	for _, name := range names {
		must(t, c.Process.Signal(unix.SignalNum("SIG"+name)))
		expect(name)
	}
	must(t, c.Process.Signal(syscall.Signal(37)))
	expect("RTMIN+3")
	status, err := os.ReadFile("/proc/" + itoa(c.Process.Pid) + "/status")
	must(t, err)
	if threads := field(string(status), "Threads"); threads != "1" {
		t.Errorf("run has %s threads: tools/overlay is not in force, or a goroutine was started", threads)
	}
	must(t, c.Process.Signal(syscall.SIGQUIT))
	if err := c.Wait(); c.ProcessState.ExitCode() != 42 {
		t.Errorf("%v", err)
	}
	v.expectGone()
}

// TestRootSignalsReset: what the caller ignores or blocks is its own affair.
func TestRootSignalsReset(t *testing.T) {
	v := newVessel(t, testkit.Args("grep", "-E", "Sig(Ign|Blk)", "/proc/self/status"))
	c := v.command("run", "--bundle", v.bundle, v.id)
	c.Args = append([]string{"env", "--ignore-signal", "--block-signal=USR1,TERM,RTMIN+3"}, c.Args...)
	c.Path, _ = exec.LookPath("env")
	if got := finish(t, c); got != (said{stdout: "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"}) {
		t.Errorf("%+v", got)
	}
}

// TestRootExitCodes: each status, and 128 + n for signals.
func TestRootExitCodes(t *testing.T) {
	v := newVessel(t)
	for script, want := range map[string]int{"exit 0": 0, "exit 1": 1, "exit 255": 255, "exit 137": 137} {
		v.edit(testkit.Args("/bin/sh", "-c", script))
		if got := v.run(); got.code != want || got.stderr != "" {
			t.Errorf("%s: %+v", script, got)
		}
	}
	v.edit(testkit.Args("sleep", "1000"))
	for _, signal := range []string{"KILL", "SIGKILL", "9", "sigkill", "kill"} {
		c := v.command("run", "--bundle", v.bundle, v.id)
		must(t, c.Start())
		waitFor(t, "it to run", func() bool { return strings.Contains(v.coracle("state", v.id).stdout, `"running"`) })
		v.quiet("kill", v.id, signal)
		if c.Wait(); c.ProcessState.ExitCode() != 137 {
			t.Errorf("%s: %v", signal, c.ProcessState)
		}
		v.expectGone()
	}
}

// receiveTerminal listens on a console socket as engines do, and returns the
// master that one call of coracle sends: one message with one descriptor.
func receiveTerminal(t *testing.T, path string, call func(path string)) *os.File {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	defer l.Close()
	type message struct {
		text []byte
		fds  []int
		err  error
	}
	got := make(chan message, 1)
	go func() {
		conn, err := l.AcceptUnix()
		if err != nil {
			got <- message{err: err}
			return
		}
		defer conn.Close()
		data, control := make([]byte, 4096), make([]byte, 4096)
		n, oob, _, _, err := conn.ReadMsgUnix(data, control)
		m := message{text: data[:n], err: err}
		if messages, parseErr := syscall.ParseSocketControlMessage(control[:oob]); parseErr == nil && len(messages) == 1 {
			m.fds, _ = syscall.ParseUnixRights(&messages[0])
		}
		if n, _ := conn.Read(data); n != 0 {
			m.err = fmt.Errorf("%d bytes more", n)
		}
		got <- m
	}()
	call(path)
	m := <-got
	if m.err != nil && m.err != io.EOF || len(m.text) == 0 || len(m.fds) != 1 {
		t.Fatalf("%q, %d descriptors, %v", m.text, len(m.fds), m.err)
	}
	return os.NewFile(uintptr(m.fds[0]), "master")
}

// TestRootConsoleSocket: the master arrives before create ends; the terminal has
// the size and owner asked for, is /dev/console and the controlling terminal.
func TestRootConsoleSocket(t *testing.T) {
	for name, long := range map[string]bool{"short": false, "long": true} {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "coracle-tty")
			must(t, err)
			defer os.RemoveAll(dir)
			v := newVessel(t, func(s *specs.Spec) {
				s.Process.Terminal = true
				s.Process.ConsoleSize = &specs.Box{Height: 33, Width: 101}
				s.Process.User.UID = 1000
			}, testkit.Args("/bin/sh", "-c", "tty; stty size; stat -c '%u %t:%T' $(tty); stat -c %n /dev/console; echo > /dev/tty && echo has tty; cut -d' ' -f6,7 /proc/self/stat; read line; echo got $line"))
			master := receiveTerminal(t, filepath.Join(dir, "s"), func(path string) {
				if long { // longer than a socket's address can be
					deep := filepath.Join(dir, strings.Repeat("d", 100), strings.Repeat("e", 100))
					must(t, os.MkdirAll(deep, 0o755))
					must(t, os.Rename(path, filepath.Join(deep, "s")))
					path = filepath.Join(deep, "s")
				}
				v.create("--console-socket", path)
			})
			defer master.Close()
			v.quietStart()
			if _, err := master.WriteString("input\n"); err != nil {
				t.Fatal(err)
			}
			var seen bytes.Buffer
			io.Copy(&seen, master) // ends with EIO
			text := strings.ReplaceAll(seen.String(), "\r", "")
			for _, want := range []string{"/dev/pts/0\n", "33 101\n", "1000 88:0\n", "/dev/console\n", "has tty\n", "got input\n"} {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in %q", want, text)
				}
			}
		})
	}
}

// TestRootConsoleRefused: what cannot be: no socket for a detached terminal, a
// socket without a terminal, and one that nobody listens on.
func TestRootConsoleRefused(t *testing.T) {
	v := newVessel(t, func(s *specs.Spec) { s.Process.Terminal = true })
	v.expectRefusal("process.terminal", "--console-socket")
	expectError(t, v.run("--detach"), "process.terminal")
	expectError(t, v.run("--console-socket", "/no/such/socket"), "--console-socket", "(ENOENT)")
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o644))
	expectError(t, v.run("--detach", "--console-socket", file), "--console-socket", "(ECONNREFUSED)")
	v.expectGone()
	v.edit(func(s *specs.Spec) { s.Process.Terminal = false })
	expectError(t, v.run("--detach", "--console-socket", file), "--console-socket")
	v.expectGone()
}
