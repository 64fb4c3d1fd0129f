// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/coracle-oci/coracle/internal/testkit"
	"github.com/coracle-oci/coracle/runtime/seccomp"
)

// A recorded is one run of coracle seccomp record.
type recorded struct {
	said
	path string // of the profile
}

// record records the container; TMPDIR is a directory that has to be empty then.
func (v vessel) record(arguments ...string) recorded {
	v.t.Helper()
	r := recorded{path: filepath.Join(v.t.TempDir(), "profile.json")}
	temporary := v.t.TempDir()
	c := v.command(append([]string{"seccomp", "record", "--bundle", v.bundle, "--id", v.id, "--output", r.path}, arguments...)...)
	c.Env = append(os.Environ(), "TMPDIR="+temporary)
	r.said = finish(v.t, c)
	if left, _ := os.ReadDir(temporary); len(left) > 0 {
		v.t.Errorf("left in TMPDIR: %v", left)
	}
	v.expectGone()
	return r
}

// profile reads what was written.
func (r recorded) profile(t *testing.T) *specs.LinuxSeccomp {
	t.Helper()
	text, err := os.ReadFile(r.path)
	must(t, err)
	var s specs.LinuxSeccomp
	must(t, json.Unmarshal(text, &s))
	if left, _ := filepath.Glob(r.path + "*"); len(left) != 1 {
		t.Errorf("beside the profile: %q", left)
	}
	return &s
}

// under is an edit that gives the container a profile.
func under(s *specs.LinuxSeccomp) func(*specs.Spec) {
	return func(c *specs.Spec) { c.Linux.Seccomp = s }
}

// busy is a script of children, pipes and files. It forks none while another may end:
// SIGCHLD could take a clone from the recorder (see "coracle seccomp record --help").
const busy = `umask 077; mkdir /tmp/d; cd /tmp/d; (sleep 0.1; echo one; exec echo two) | cat | sort > f; cat f; wc -l < f; exit 3`

const busySaid = "one\ntwo\n2\n"

// TestRootSeccompRecord: the bundle runs under the profile as it ran while it was
// recorded, by coracle, runc and crun; and not without any of the calls.
func TestRootSeccompRecord(t *testing.T) {
	testkit.Need(t, testkit.Tool("runc"), testkit.Tool("crun"))
	for name, edit := range map[string]func(*specs.Spec){
		"may gain privileges": func(*specs.Spec) {},
		"user":                func(s *specs.Spec) { s.Process.User = specs.User{UID: 1000, GID: 1000, AdditionalGids: []uint32{5}} },
		"no new privileges":   func(s *specs.Spec) { s.Process.NoNewPrivileges = true },
	} {
		t.Run(name, func(t *testing.T) {
			v := newVessel(t, edit, mount("/tmp", "tmpfs", "tmpfs", "mode=1777"), testkit.Args("/bin/sh", "-c", busy), func(s *specs.Spec) { s.Version = "1.0.2" })
			must(t, os.Chmod(v.rootfs("tmp"), 0o777)) // runc lets that count
			want := said{busySaid, "", 3}
			tight := v.record("--tight")
			if tight.said != want {
				t.Fatalf("recording: %+v", tight.said)
			}
			least := tight.profile(t)
			if len(least.Syscalls) != 1 || !slices.IsSorted(least.Syscalls[0].Names) || len(least.Architectures) != 1 || least.DefaultAction != specs.ActErrno {
				t.Errorf("not the least: %+v", least)
			}
			v.edit(under(least))
			if got := v.run(); got != want {
				t.Errorf("under what was recorded: %+v", got)
			}
			v.edit(under(nil))
			full := v.record()
			if full.said != want {
				t.Fatalf("recording: %+v", full.said)
			}
			v.edit(under(full.profile(t)))
			if got := v.run(); got != want {
				t.Errorf("with what others need: %+v", got)
			}
			for _, peer := range []string{"runc", "crun"} {
				for range 3 { // runc consists of threads
					if got := v.peer(peer); got.stdout != want.stdout || got.code != want.code {
						t.Errorf("%s: %+v", peer, got)
					}
				}
			}
		})
	}
}

// peer runs the bundle by another runtime, in a cgroup below the root: by themselves
// they enable controllers all the way down to where the test is. On hybrid machines crun refuses to, if
// version 2 has controllers: there it gets none to see.
func (v vessel) peer(name string) said {
	v.t.Helper()
	v.edit(func(s *specs.Spec) { s.Linux.CgroupsPath = "/" + v.id })
	root := v.t.TempDir()
	defer exec.Command(name, "--root", root, "delete", "--force", v.id).Run()
	return finish(v.t, exec.Command("unshare", "--mount", "sh", "-c", `umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"`, "-",
		name, "--root", root, "run", "--bundle", v.bundle, v.id))
}

// TestRootSeccompRecordLeast: of the calls that were recorded the container makes
// each, every time.
func TestRootSeccompRecordLeast(t *testing.T) {
	v := newVessel(t, mount("/tmp", "tmpfs", "tmpfs", "mode=1777"), testkit.Args("/bin/sh", "-c", "mkdir /tmp/d; echo done; exit 3"))
	s := v.record("--tight").profile(t)
	s.DefaultAction, s.DefaultErrnoRet = specs.ActKillProcess, nil
	v.edit(under(s))
	want := said{"done\n", "", 3}
	if got := v.run(); got != want {
		t.Fatalf("under what was recorded: %+v", got)
	}
	all := s.Syscalls[0].Names
	for i, name := range all {
		s.Syscalls = []specs.LinuxSyscall{rule(specs.ActAllow, slices.Delete(slices.Clone(all), i, i+1)...), rule(specs.ActTrap, name)} // the newest would be ENOSYS
		v.edit(under(s))
		if got := v.run(); got == want {
			t.Errorf("it runs without %s", name)
		}
	}
	if len(all) < 10 {
		t.Errorf("only %q", all)
	}
}

// TestRootSeccompRecordThreads: calls that only a thread makes are recorded.
func TestRootSeccompRecordThreads(t *testing.T) {
	v := withPerl(t, "-Mthreads", "-e", `threads->create(sub { mkdir "/tmp/d" or die "mkdir: $!" })->join; print "joined\n"`)
	got := v.record("--tight")
	if got.said != (said{"joined\n", "", 0}) {
		t.Fatalf("%+v", got.said)
	}
	names := got.profile(t).Syscalls[0].Names
	for _, of := range [][]string{{"clone", "clone3"}, {"mkdir", "mkdirat"}, {"futex"}} {
		if !slices.ContainsFunc(of, func(name string) bool { return slices.Contains(names, name) }) {
			t.Errorf("none of %q in %q", of, names)
		}
	}
}

// TestRootSeccompRecordSignals: signals hardly ever end a call before the recorder
// has heard of it, which nobody can prevent altogether.
func TestRootSeccompRecordSignals(t *testing.T) {
	testkit.Need(t, testkit.KernelAtLeast(6, 6))
	v := withPerl(t, "-e", `$SIG{USR1} = sub { $signals++ };
		unless (fork) { while (1) { kill USR1 => 1; select undef, undef, undef, 0.0002 } }
		until ($signals >= 200) { mkdir "/none/d"; $lost++ if $!{EINTR} } print "signals: $signals, lost: ", $lost + 0, "\n"`)
	got := v.record("--tight")
	var signals, lost int
	if _, err := fmt.Sscanf(got.stdout, "signals: %d, lost: %d", &signals, &lost); err != nil || got.code != 0 || lost > 10 {
		t.Errorf("%+v", got.said)
	}
}

func TestRootSeccompRecordExec(t *testing.T) {
	v := newVessel(t, mount("/tmp", "tmpfs", "tmpfs", "mode=1777"), testkit.Args("/bin/sh", "-c", "read line; exit 4"))
	path := filepath.Join(t.TempDir(), "profile.json")
	ready := filepath.Join(t.TempDir(), "ready")
	must(t, unix.Mkfifo(ready, 0o600))
	v.edit(mount("/ready", "bind", ready, "bind"), testkit.Args("/bin/sh", "-c", "echo > /ready; read line; exit 4"))
	c := v.command("seccomp", "record", "--bundle", v.bundle, "--id", v.id, "--output", path)
	c.Stderr = os.Stderr
	input, err := c.StdinPipe()
	must(t, err)
	must(t, c.Start())
	_, err = os.ReadFile(ready)
	must(t, err)
	if got := v.coracle("exec", v.id, "rm", "-r", "/tmp"); got.code != 1 {
		t.Errorf("exec: %+v", got)
	}
	must(t, input.Close())
	if c.Wait(); c.ProcessState.ExitCode() != 4 {
		t.Errorf("status %d", c.ProcessState.ExitCode())
	}
	names := recorded{path: path}.profile(t).Syscalls[0].Names
	if !slices.Contains(names, "rmdir") && !slices.Contains(names, "unlinkat") {
		t.Errorf("what exec did is not in %q", names)
	}
	v.expectGone()
}

// busyboxCalls is more than its shell needs for a command.
var busyboxCalls = []string{
	"write", "read", "execve",
	"exit_group", "arch_prctl", "brk", "mprotect", "prctl", "prlimit64", "readlink", "readlinkat", "rseq", "set_robust_list", "set_tid_address", "getrandom", "getuid",
	"fork", "vfork", "clone", "wait4", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "getpid", "getppid", "getcwd", "uname", "openat2",
	"fcntl", "dup2", "dup3", "close", "open", "openat", "stat", "newfstatat", "fstat", "mmap", "munmap", "umask", "poll", "ppoll",
}

// TestRootSeccompRecordUnder: a profile that the container has stays in force, and
// what comes out allows no more.
func TestRootSeccompRecordUnder(t *testing.T) {
	testkit.Need(t, testkit.Tool("runc"), testkit.Tool("crun"))
	errno := uint(unix.EXDEV)
	for name, have := range map[string]*specs.LinuxSeccomp{
		"denies":     {DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{noMkdir()}},
		"conditions": {DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{noMkdir(), {Names: []string{"read", "sendto"}, Action: specs.ActLog, Args: []specs.LinuxSeccompArg{{Index: 2, Value: 1 << 40, Op: specs.OpLessThan}}}}},
		"allows":     {DefaultAction: specs.ActErrno, DefaultErrnoRet: &errno, Syscalls: []specs.LinuxSyscall{rule(specs.ActAllow, busyboxCalls...)}},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVessel(t, mount("/tmp", "tmpfs", "tmpfs", "mode=1777"), under(have), testkit.Args("/bin/sh", "-c", tryMkdirOnly))
			want := v.run()
			if want.code != 0 || want.stdout != "mkdir: can't create directory '/tmp/x': Invalid cross-device link\n" {
				t.Fatalf("%+v", want)
			}
			got := v.record("--tight")
			if got.said != want {
				t.Errorf("while it was recorded: %+v", got.said)
			}
			s := got.profile(t)
			if s.DefaultAction != specs.ActErrno {
				t.Errorf("the default is %s", s.DefaultAction)
			}
			v.edit(under(s))
			if got := v.run(); got != want {
				t.Errorf("under what was recorded: %+v\n%+v", got, s)
			}
			v.edit(testkit.Args("/bin/sh", "-c", "cat /etc/passwd; echo $?"))
			if got := v.run(); strings.Contains(got.stdout, "root") {
				t.Errorf("what was not recorded is allowed: %+v", got)
			}
		})
	}
	// A rule that only says how old the profile was is none that others refuse.
	few := filter(specs.ActErrno, rule(specs.ActAllow, append(seccomp.Runtimes(true), busyboxCalls...)...))
	v := newVessel(t, few, testkit.Args("/bin/echo", "done"), func(s *specs.Spec) { s.Version, s.Process.NoNewPrivileges = "1.0.2", true })
	got := v.record()
	if s := got.profile(t); got.stdout != "done\n" || s.Syscalls[len(s.Syscalls)-1].Action != specs.ActErrno {
		t.Errorf("%+v of %+v", s, got.said)
	}
	v.edit(under(got.profile(t)))
	for _, peer := range []string{"runc", "crun"} {
		if got := v.peer(peer); got.stdout != "done\n" || got.code != 0 {
			t.Errorf("%s: %+v", peer, got)
		}
	}

	for want, have := range map[string]*specs.LinuxSeccomp{
		"config.json linux.seccomp.listenerPath: record calls that an agent answers; hint: ":                                                  {DefaultAction: specs.ActAllow, ListenerPath: newAgent(t).path, Syscalls: []specs.LinuxSyscall{rule(specs.ActNotify, "mkdir")}},
		"config.json linux.seccomp.syscalls[0].args: take something from what the default allows, which a list of what is allowed cannot say": {DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"mkdir"}, Action: specs.ActErrno, Args: []specs.LinuxSeccompArg{{Op: specs.OpEqualTo}}}}},
		"config.json linux.seccomp.defaultAction: is missing":                                                                                 {},
	} {
		v := newVessel(t, under(have))
		got := v.record()
		expectError(t, got.said, want)
		if _, err := os.Stat(got.path); err == nil {
			t.Errorf("%s: a profile was written", want)
		}
	}
}

const tryMkdirOnly = "mkdir /tmp/x 2>&1; echo -n"

// TestRootSeccompRecordEnds: however the container ends, the profile is there; and
// not, if it never ran.
func TestRootSeccompRecordEnds(t *testing.T) {
	v := newVessel(t, testkit.Args("/bin/sh", "-c", `trap 'exit 5' TERM; sleep 1000 & echo > /ready; wait`))
	path := filepath.Join(t.TempDir(), "profile.json")
	ready := filepath.Join(t.TempDir(), "ready")
	must(t, unix.Mkfifo(ready, 0o600))
	v.edit(mount("/ready", "bind", ready, "bind"))
	for signal, want := range map[unix.Signal]int{unix.SIGTERM: 5, unix.SIGKILL: 137} {
		must(t, os.WriteFile(path, []byte("old"), 0o600))
		c := v.command("seccomp", "record", "--bundle", v.bundle, "--id", v.id, "--output", path)
		must(t, c.Start())
		_, err := os.ReadFile(ready)
		must(t, err)
		// A signal interrupts whatever call is asked about, also those that nothing else
		// interrupts, with which shells do not reckon: let it come to its wait.
		time.Sleep(300 * time.Millisecond)
		if signal == unix.SIGKILL { // of the container, not of coracle
			v.quiet("kill", v.id, "KILL")
		} else {
			must(t, c.Process.Signal(signal))
		}
		if c.Wait(); c.ProcessState.ExitCode() != want {
			t.Errorf("%v: status %d", signal, c.ProcessState.ExitCode())
		}
		if names := (recorded{path: path}).profile(t).Syscalls[0].Names; !slices.Contains(names, "execve") {
			t.Errorf("%v: no execve in %q", signal, names)
		}
		v.expectGone()
	}

	v.edit(testkit.Args("/bin/nothing"))
	got := v.record()
	expectError(t, got.said, "config.json process.args[0]: ")
	if _, err := os.Stat(got.path); err == nil {
		t.Error("a profile of nothing was written")
	}
	v.write("bin/broken", "#!/no/interpreter\n", 0o755)
	got = v.record("--", "/bin/broken")
	expectError(t, got.said, "config.json process.args: execute /bin/broken: no such file or directory (ENOENT)")
	if _, err := os.Stat(got.path); err == nil {
		t.Error("a profile of a failed start was written")
	}
	for want, output := range map[string]string{
		"coracle: --output: stat /no/where: no such file or directory (ENOENT)": "/no/where/profile.json",
		"coracle: --output: /tmp is a directory":                                "/tmp",
	} {
		expectError(t, v.coracle("seccomp", "record", "--bundle", v.bundle, "--id", v.id, "--output", output), want)
	}
	// On standard output it comes last; a command takes the place of process.args.
	if got := v.coracle("seccomp", "record", "--bundle", v.bundle, "--id", v.id, "-o", "-", "echo", "--help"); got.code != 0 || !strings.HasPrefix(got.stdout, "--help\n{\n\t\"defaultAction\"") {
		t.Errorf("%+v", got)
	}
}

// TestRootSeccompRecordOrdinary: an ordinary user can record, and others do not see
// how.
func TestRootSeccompRecordOrdinary(t *testing.T) {
	v := newRootless(t)
	v.edit(testkit.Args("/bin/sh", "-c", "pwd; exit 3"))
	got := v.as("seccomp", "record", "--bundle", v.bundle, "--id", v.id, "--tight", "--output", v.bundle+"/profile.json")
	if got.stdout != "/\n" || got.code != 3 {
		t.Fatalf("%+v", got)
	}
	s := recorded{path: v.bundle + "/profile.json"}.profile(t)
	v.edit(under(s))
	if again := v.as("run", "--bundle", v.bundle, v.id); again != got {
		t.Errorf("under what was recorded: %+v, before %+v", again, got)
	}
}
