// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package launch

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// TestLayout keeps layout.h and image.go the same.
func TestLayout(t *testing.T) {
	source, err := os.ReadFile("layout.h")
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^#define (\w+)\s+(\w+)`).FindAllStringSubmatch(string(source), -1) {
		n, err := strconv.ParseInt(m[2], 0, 64)
		if err != nil {
			t.Fatal(err)
		}
		have[m[1]] = int(n)
	}
	for name, want := range map[string]int{"HEADER": header, "STEPS": steps, "STEP_SIZE": stepSize, "MSG_NOSIGNAL": linux.MSG_NOSIGNAL,
		"header_report": 8, "header_exit": 12, "step_arg0": 8, "step_arg5": 48, "step_registers": 56, "step_result": 60, "step_expected": 64, "step_target": 72} {
		if have[name] != want {
			t.Errorf("layout.h: %s is %d, image.go has %d", name, have[name], want)
		}
	}
}

// runImage executes the program with inputs as its descriptors from FirstFD on,
// and returns its exit status and what it wrote. Under GOARCH=arm64 the test
// binary, and so the image, runs under qemu-user.
func runImage(t *testing.T, p *prog.Program, inputs ...*os.File) (int, string) {
	t.Helper()
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	image, err := Assemble(p)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(path, image.Bytes, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	if emulator := os.Getenv("TEST_EMULATOR"); emulator != "" {
		cmd = exec.Command(emulator, path)
	}
	cmd.ExtraFiles = inputs
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func builder(inputs ...string) *prog.Builder {
	b := &prog.Builder{}
	for _, name := range append([]string{"report"}, inputs...) {
		b.Input(name)
	}
	return b
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	fds, err := sockets()
	if err != nil {
		t.Fatal(err)
	}
	r, w = os.NewFile(uintptr(fds[0]), "r"), os.NewFile(uintptr(fds[1]), "w")
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func exit(b *prog.Builder, code int) {
	b.Do("exit", prog.Exit, prog.Int(code))
}

func TestExitStatus(t *testing.T) {
	for _, want := range []int{0, 1, 42, 255} {
		b := builder()
		exit(b, want)
		_, w := pipe(t)
		if got, _ := runImage(t, b.Program(3, 0), w); got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	}
}

func TestEveryArgumentFromRegisters(t *testing.T) {
	// sendto has six arguments; all come from registers here, which dup3 and
	// umask fill with numbers that are known.
	b := builder("socket")
	text := b.String("hello, registers")
	number := func(n int) prog.Arg { // umask returns the mask before
		b.Do("set", prog.Umask, prog.Int(n))
		return b.Get("n"+strconv.Itoa(n), "get", prog.Umask, prog.Int(0)).Arg()
	}
	fd := b.Get("fd", "dup", prog.Dup3, prog.Input(1).Arg(), prog.Int(20), prog.Const(0, ""))
	b.Do("send", prog.Sendto, fd.Arg(), text, number(5), number(0), number(0), number(0))
	exit(b, 7)
	r, w := pipe(t)
	_, report := pipe(t)
	if code, _ := runImage(t, b.Program(3, 0), report, w); code != 7 {
		t.Fatalf("exit status %d", code)
	}
	buf := make([]byte, 64)
	n, _ := r.Read(buf)
	if got := string(buf[:n]); got != "hello" {
		t.Errorf("got %q", got)
	}
}

func TestFailingStepIsReported(t *testing.T) {
	b := builder()
	b.Do("succeed", prog.Umask, prog.Int(0))
	b.Do("open nothing", prog.Openat, prog.Int(linux.AT_FDCWD), b.String("/does/not/exist"), prog.Int(0))
	exit(b, 0)
	p := b.Program(3, 0)
	r, w := pipe(t)
	code, _ := runImage(t, p, w)
	if code != 1 {
		t.Errorf("exit status %d", code)
	}
	buf := make([]byte, 64)
	n, _ := r.Read(buf)
	if got, err := DecodeReport(buf[:n]); err != nil || got != (Report{Step: 1, Errno: linux.ENOENT}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestBranches(t *testing.T) {
	b := builder()
	b.Do("as every program begins", prog.Umask, prog.Int(0))
	missing := b.String("/does/not/exist")
	b.Try(linux.ENOENT, "try", prog.Openat, prog.Int(linux.AT_FDCWD), missing, prog.Int(0))
	end := b.Label()
	b.Jump(end)
	exit(b, 1)
	b.Place(end)
	exit(b, 9)
	_, w := pipe(t)
	if code, _ := runImage(t, b.Program(3, 0), w); code != 9 {
		t.Errorf("exit status %d", code)
	}
}

func TestForkWaitAndCompare(t *testing.T) {
	// A child exits with 3; wait4 writes its status into memory, and futex
	// compares it: the idiom of hooks.
	for _, c := range []struct{ status, want int }{{3, 8}, {4, 1}} {
		b := builder()
		child, ok := b.Label(), b.Label()
		pid := b.Reg("pid")
		step := b.Do("fork", prog.Clone, prog.Int(linux.SIGCHLD), prog.Int(0))
		step.Ret, step.Branch = pid, prog.Branch{Result: 0, To: child}
		status := b.Struct("status", make([]byte, 8))
		b.Do("wait", prog.Wait4, pid.Arg(), status, prog.Int(0), prog.Int(0))
		b.Do("compare", prog.Futex, status, prog.Int(linux.FUTEX_WAIT), prog.Int(c.status<<8), b.Struct("no time", make([]byte, 16))).
			Branch = prog.Branch{Result: -int64(linux.ETIMEDOUT), To: ok}
		exit(b, 1)
		b.Place(child)
		exit(b, 3)
		b.Place(ok)
		exit(b, 8)
		_, w := pipe(t)
		if code, _ := runImage(t, b.Program(3, 0), w); code != c.want {
			t.Errorf("%d: exit status %d, want %d", c.status, code, c.want)
		}
	}
}

func TestCellsAndRefs(t *testing.T) {
	// A result lands in the middle of an item; an item points to another.
	b := builder("socket")
	r := b.Reg("mask")
	item := b.Data(prog.Data{Bytes: make([]byte, 24), Text: "item", Cells: []prog.Cell{{Offset: 8, Reg: r}}})
	b.Do("set", prog.Umask, prog.Int(0o123))
	b.Do("get", prog.Umask, prog.Int(0)).Ret = r
	b.Do("send", prog.Sendto, prog.Input(1).Arg(), item, prog.Int(24), prog.Int(0), prog.Int(0), prog.Int(0))
	b.Do("echo", prog.Execve, b.String("/bin/echo"), b.Vector("argv", []string{"echo", "one", "two"}), b.Vector("env", nil))
	rd, w := pipe(t)
	_, report := pipe(t)
	code, out := runImage(t, b.Program(3, 0), report, w)
	if code != 0 || strings.TrimSpace(out) != "one two" {
		t.Errorf("exit status %d, %q", code, out)
	}
	buf := make([]byte, 64)
	n, _ := rd.Read(buf)
	if want := string(prog.Words(0, 0o123, 0)); string(buf[:n]) != want {
		t.Errorf("got %q, want %q", buf[:n], want)
	}
}
