// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package launch

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/coracle-oci/coracle/internal/caller"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// thread starts one that makes no namespaces, which takes no privileges.
func thread(t *testing.T) *Thread {
	t.Helper()
	thread, err := NewThread(0)
	if err != nil {
		t.Fatal(err)
	}
	return thread
}

// confession is a program that sends what its status and its limits are, and ends with
// 7. Its descriptors are the report and the socket.
func confession(t *testing.T, first int) *Image {
	t.Helper()
	b := builder("socket")
	text := b.Struct("text", make([]byte, 4096))
	for _, file := range []string{"status", "limits"} {
		fd := b.Get(file, "open", prog.Openat, prog.Int(linux.AT_FDCWD), b.String("/proc/self/"+file), prog.Int(0))
		n := b.Get("n", "read", prog.Read, fd.Arg(), text, prog.Int(4096))
		b.Do("send", prog.Sendto, prog.Input(1).Arg(), text, n.Arg(), prog.Int(0), prog.Int(0), prog.Int(0))
	}
	exit(b, 7)
	p := b.Program(first, 0)
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	image, err := Assemble(p)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// emulated tells whether the kernel is that of qemu-user, which has no clone3(2).
func emulated() bool { return os.Getenv("TEST_EMULATOR") != "" }

// TestThread: the process starts with its inputs in their places, also where each
// stands in the place of the other, and with the signals and processors of its creator.
func TestThread(t *testing.T) {
	const first = 100
	answers, socket := pipe(t)
	_, report := pipe(t)
	status := func(text []byte, field string) string {
		return string(regexp.MustCompile(`(?m)^` + field + `:.*$`).Find(text))
	}
	for _, at := range [][]int{{first, first + 1}, {first + 1, first}} {
		for i, f := range []*os.File{report, socket} {
			if err := syscall.Dup3(int(f.Fd()), at[i], syscall.O_CLOEXEC); err != nil {
				t.Fatal(err)
			}
		}
		thread := thread(t)
		if err := thread.Start(Spawn{Image: confession(t, first), Preserve: make([]int, first-3), Inputs: at, CgroupFD: -1}); err != nil {
			t.Fatal(err)
		}
		pid, made, err := thread.Wait(60_000)
		syscall.Close(first)
		syscall.Close(first + 1)
		if emulated() {
			if err != syscall.ENOSYS || !made {
				t.Errorf("%v, %v", err, made)
			}
			continue
		}
		if err != nil || !made {
			t.Fatal(err)
		}
		if status, err := sys.Reap(pid); err != nil || status.ExitStatus() != 7 {
			t.Fatalf("%v, status %d", err, status)
		}
		theirs := make([]byte, 4096)
		n, err := answers.Read(theirs)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := os.ReadFile("/proc/thread-self/status")
		if err != nil {
			t.Fatal(err)
		}
		for _, field := range []string{"SigBlk", "SigIgn", "Cpus_allowed"} {
			if got, want := status(theirs[:n], field), status(ours, field); got != want || want == "" {
				t.Errorf("the process has %q, its creator %q", got, want)
			}
		}
		if got := status(theirs[:n], "SigCgt"); got != "SigCgt:\t0000000000000000" {
			t.Error(got)
		}
		if n, err = answers.Read(theirs); err != nil {
			t.Fatal(err)
		}
		soft, hard := caller.Files()
		if got := strings.Fields(string(regexp.MustCompile(`(?m)^Max open files.*$`).Find(theirs[:n]))); len(got) != 6 || got[3] != strconv.FormatUint(soft, 10) || got[4] != strconv.FormatUint(hard, 10) {
			t.Errorf("the process may open %q files, its caller %d or %d", got, soft, hard)
		}
	}
}

// TestThreadFails: who fails is told, and nothing is left.
func TestThreadFails(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	garbage := &Image{Bytes: []byte("this is no program")}
	for name, c := range map[string]struct {
		flags int
		spawn Spawn
		made  bool
		want  syscall.Errno
	}{
		"no such namespace": {1, Spawn{Image: garbage, CgroupFD: -1}, false, syscall.EINVAL},
		"no cgroup":         {0, Spawn{Image: garbage, CgroupFD: int(null.Fd())}, true, syscall.EBADF},
		"no input":          {0, Spawn{Image: garbage, CgroupFD: -1, Inputs: []int{1 << 16}}, true, syscall.EBADF},
		"no program":        {0, Spawn{Image: garbage, CgroupFD: -1}, true, syscall.ENOEXEC},
	} {
		if emulated() && c.made {
			c.want = syscall.ENOSYS
		}
		thread, err := NewThread(c.flags)
		if err != nil {
			t.Fatal(err)
		}
		if c.spawn.CgroupFD >= 0 { // the thread takes it over
			if c.spawn.CgroupFD, err = syscall.Dup(c.spawn.CgroupFD); err != nil {
				t.Fatal(err)
			}
		}
		if err := thread.Start(c.spawn); err != nil {
			t.Fatal(err)
		}
		if pid, made, err := thread.Wait(60_000); err != c.want || made != c.made || pid > 0 {
			t.Errorf("%s: %d, %v, %v; want %v", name, pid, made, err, c.want)
		}
		if thread.pid > 0 {
			if err := syscall.Kill(int(thread.pid), 0); err != syscall.ESRCH {
				t.Errorf("%s: process %d is left: %v", name, thread.pid, err)
			}
		}
	}
	many := thread(t)
	if err := many.Start(Spawn{Image: garbage, CgroupFD: -1, Inputs: make([]int, 100)}); err == nil || !strings.HasPrefix(err.Error(), "bug: ") {
		t.Errorf("a hundred inputs: %v", err)
	}
	many.Drop()
}

// TestThreadPatience: one that has not come so far is not waited for in vain.
func TestThreadPatience(t *testing.T) {
	thread := thread(t)
	const moment = 50
	for _, made := range []bool{false, true} {
		if made {
			thread.pid = 1
		}
		if pid, got, err := thread.Wait(moment); err != syscall.ETIMEDOUT || got != made || pid > 0 {
			t.Errorf("%d, %v, %v", pid, got, err)
		}
	}
	thread.Drop()
	if thread.alive != 0 {
		t.Error("it is still there")
	}
}

// TestThreadDropped: one that is not needed ends, and one that is not there can be
// dropped as well.
func TestThreadDropped(t *testing.T) {
	thread := thread(t)
	if thread.Started() || thread.alive == 0 {
		t.Error("it has not waited")
	}
	thread.Drop()
	if thread.alive != 0 {
		t.Error("it is still there")
	}
	thread = nil
	thread.Drop()
	if thread.Started() {
		t.Error("one that is not there is started")
	}
}
