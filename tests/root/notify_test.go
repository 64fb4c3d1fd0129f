// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// A manager is a service manager that waits for sd_notify(3).
type manager struct {
	t      testing.TB
	socket string
	conn   *net.UnixConn
}

func newManager(t testing.TB) manager {
	t.Helper()
	dir, err := os.MkdirTemp("", "notify") // a socket's address is short
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return manager{t, socket, conn}
}

// hears returns the next message; what does not come within a time is "".
func (m manager) hears(limit time.Duration) string {
	m.t.Helper()
	must(m.t, m.conn.SetReadDeadline(time.Now().Add(limit)))
	buf := make([]byte, 4096)
	n, err := m.conn.Read(buf)
	if err != nil {
		return ""
	}
	return string(buf[:n])
}

// speaking makes a container that can send datagrams. The script sends by say.
func speaking(t testing.TB, script string) vessel {
	t.Helper()
	return withPerl(t, "-MSocket", "-e",
		`sub say { socket(S, PF_UNIX, SOCK_DGRAM, 0); send(S, $_[0], 0, sockaddr_un($ENV{NOTIFY_SOCKET})) or die "send: $!" } `+script)
}

// withPerl makes a container that runs the machine's perl.
func withPerl(t testing.TB, arguments ...string) vessel {
	t.Helper()
	testkit.Need(t, testkit.Tool("perl"))
	v := newVessel(t, mount("/usr", "bind", "/usr", "rbind", "ro"), mount("/tmp", "tmpfs", "tmpfs"), testkit.Args(append([]string{"/usr/bin/perl"}, arguments...)...))
	for _, name := range []string{"lib", "lib64"} {
		must(t, os.Symlink("usr/"+name, v.rootfs(name)))
	}
	return v
}

// with calls coracle with more in its environment.
func (v vessel) with(environment []string, arguments ...string) said {
	v.t.Helper()
	c := v.command(arguments...)
	c.Env = append(os.Environ(), environment...)
	return finish(v.t, c)
}

// TestRootNotify: what the container says of itself comes to the service manager,
// from datagrams of several lines too; the main pid is said by coracle alone. start
// and run --detach return when the container is ready.
func TestRootNotify(t *testing.T) {
	testkit.NoLeaks(t)
	const script = `$ENV{NOTIFY_SOCKET} eq "/run/notify/notify.sock" or die; select(undef, undef, undef, 0.2); say("STATUS=starting\nMAINPID=1\nFDSTORE=1\n"); say("WATCHDOG=1"); say("STATUS=up\nREADY=1\nX_OTHER=1"); sleep 1000`
	for name, call := range map[string]func(v vessel, env []string){
		"start": func(v vessel, env []string) {
			v.with(env, "create", "--bundle", v.bundle, v.id)
			v.with(env, "start", v.id)
		},
		"detach": func(v vessel, env []string) { v.with(env, "run", "--detach", "--bundle", v.bundle, v.id) },
	} {
		t.Run(name, func(t *testing.T) {
			m, v := newManager(t), speaking(t, script)
			call(v, []string{"NOTIFY_SOCKET=" + m.socket})
			// All of it is there when the call has returned.
			for _, want := range []string{"STATUS=starting", "WATCHDOG=1", "STATUS=up\nMAINPID=" + itoa(v.status().Pid) + "\nREADY=1"} {
				if got := m.hears(time.Second); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
			if got := v.execSh("ls -l /run/notify; touch /run/notify/x 2>/dev/null || echo read-only"); !strings.Contains(got, "srwxrwxrwx") || !strings.HasSuffix(got, "read-only") {
				t.Errorf("%q", got)
			}
			v.quiet("delete", "--force", v.id)
		})
	}
	t.Run("foreground", func(t *testing.T) {
		m, v := newManager(t), speaking(t, `say("READY=1"); say("STOPPING=1"); exit 7`)
		c := v.command("run", "--bundle", v.bundle, v.id)
		c.Env = append(os.Environ(), "NOTIFY_SOCKET="+m.socket)
		must(t, c.Start())
		for _, want := range []string{"MAINPID=" + itoa(c.Process.Pid) + "\nREADY=1", "STOPPING=1"} {
			if got := m.hears(20 * time.Second); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		if c.Wait(); c.ProcessState.ExitCode() != 7 {
			t.Errorf("%v", c.ProcessState)
		}
	})
}

// TestRootNotifyNever: a container that ends without a word, and a manager that is
// not there.
func TestRootNotifyNever(t *testing.T) {
	testkit.NoLeaks(t)
	m := newManager(t)
	env := []string{"NOTIFY_SOCKET=" + m.socket}
	v := newVessel(t, testkit.Args("true"))
	if got := v.with(env, "create", "--bundle", v.bundle, v.id); got != (said{}) {
		t.Fatalf("%+v", got)
	}
	if got := v.with(env, "start", v.id); got != (said{}) {
		t.Errorf("%+v", got)
	}
	v.quiet("delete", v.id)
	absent := []string{"NOTIFY_SOCKET=" + m.socket + "-absent"}
	expectError(t, v.with(absent, "run", "--bundle", v.bundle, v.id), "NOTIFY_SOCKET: connect to", "(ENOENT)")
	v.expectGone()
	// Without it at create there is no socket, and nothing is waited for at start.
	v.create()
	if got := v.with(env, "start", v.id); got != (said{}) {
		t.Errorf("%+v", got)
	}
}

// TestRootListenFDs: the sockets of sd_listen_fds(3) come first, those of
// --preserve-fds behind them; with the pid of somebody else they are not for us.
func TestRootListenFDs(t *testing.T) {
	v := newVessel(t, testkit.Args("sh", "-c", "echo $LISTEN_FDS $LISTEN_PID $$; for i in 3 4 5 6; do readlink /proc/$$/fd/$i; done; true"))
	dir := t.TempDir()
	run := func(environment string, flags ...string) said {
		c := v.command(append(append([]string{"run", "--bundle", v.bundle}, flags...), v.id)...)
		for _, name := range []string{"three", "four", "five"} {
			file, err := os.Create(filepath.Join(dir, name))
			must(t, err)
			defer file.Close()
			c.ExtraFiles = append(c.ExtraFiles, file)
		}
		c.Path, c.Args = "/bin/sh", append([]string{"sh", "-c", environment + ` exec "$@"`, "sh"}, c.Args...)
		return finish(t, c)
	}
	for _, c := range []struct {
		environment, want string
		flags             []string
	}{
		{"LISTEN_FDS=2", "2 1 1\n" + dir + "/three\n" + dir + "/four\n", nil},
		{"LISTEN_FDS=2", "2 1 1\n" + dir + "/three\n" + dir + "/four\n" + dir + "/five\n", []string{"--preserve-fds", "1"}},
		{"LISTEN_FDS=1 LISTEN_PID=$$", "1 1 1\n" + dir + "/three\n", nil},
		{"LISTEN_FDS=1 LISTEN_PID=1", "1\n", nil},
		{"LISTEN_FDS=0", "1\n", nil},
	} {
		if got := run(c.environment, c.flags...); got != (said{stdout: c.want}) {
			t.Errorf("%s %q: %+v, want %q", c.environment, c.flags, got, c.want)
		}
	}
	expectError(t, run("LISTEN_FDS=x"), "LISTEN_FDS: ")
	expectError(t, run("LISTEN_FDS=-1"), "LISTEN_FDS: ")
	expectError(t, run("LISTEN_FDS=9"), "--preserve-fds: pass on descriptor")
	v.expectGone()
}

// TestRootPIDFDSocket: a pidfd of the process, which is there when the call returns.
func TestRootPIDFDSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "pidfd")
	must(t, err)
	defer os.RemoveAll(dir)
	v := newVessel(t, testkit.Args("sleep", "1000"))
	kills := func(call func(socket string), pid func() int) {
		t.Helper()
		pidFD := receiveTerminal(t, filepath.Join(dir, "s"), call)
		defer pidFD.Close()
		info, err := os.ReadFile("/proc/self/fdinfo/" + itoa(int(pidFD.Fd())))
		must(t, err)
		if got := field(string(info), "Pid"); got != itoa(pid()) {
			t.Errorf("of %s, want %d", got, pid())
		}
		must(t, unix.PidfdSendSignal(int(pidFD.Fd()), unix.SIGKILL, nil, 0))
	}
	file := filepath.Join(t.TempDir(), "pid")
	execPID := func() int {
		data, err := os.ReadFile(file)
		must(t, err)
		return atoi(t, string(data))
	}
	v.create()
	v.quietStart()
	kills(func(s string) {
		v.quiet("exec", "--detach", "--pidfd-socket", s, "--pid-file", file, v.id, "sleep", "100")
	}, execPID)
	v.quiet("delete", "--force", v.id)
	for _, verb := range [][]string{{"create"}, {"run", "--detach"}} {
		kills(func(s string) { v.quiet(append(verb, "--bundle", v.bundle, "--pidfd-socket", s, v.id)...) }, func() int { return v.status().Pid })
		waitFor(t, "its end", func() bool { return v.status().Status == specs.StateStopped })
		v.quiet("delete", v.id)
	}
	expectError(t, v.coracle("create", "--bundle", v.bundle, "--pidfd-socket", dir+"/absent", v.id), "--pidfd-socket: ", "(ENOENT); hint: there is no such socket")
	v.expectGone()
}

// TestRootExecUntold: a process that its engine cannot be told of does not stay.
func TestRootExecUntold(t *testing.T) {
	testkit.NoLeaks(t)
	v := sleeping(t)
	for _, flag := range []string{"--pid-file", "--pidfd-socket"} {
		got := v.exec(flag, "/no/such/dir/file", "--detach", "--", "sleep", "100")
		if got.code != 255 || !strings.HasPrefix(got.stderr, "coracle: "+flag+": ") {
			t.Errorf("%+v", got)
		}
	}
	if got := v.coracle("ps", "--format", "json", v.id); strings.Contains(got.stdout, ",") {
		t.Errorf("still there: %s", got.stdout)
	}
}
