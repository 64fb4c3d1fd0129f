// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Bench measures the three programs beside their peers in the same run:
// coracle beside crun and runc, imgmgr beside umoci, the plugins beside Debian's
// containernetworking-plugins. It prints a table of ratios of medians and writes
// it, with the medians and the machine, to bench/RESULTS.md.
//
// The runs of all programs alternate, so that what else the machine does falls
// on all alike. A program that does not do its job fails the bench, peers too:
// a ratio against an error message is worth nothing. A target that is missed is
// named, but is a result and no failure.
//
// It needs root. All that it mounts is in a mount namespace of its own.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// inside is set in the environment of the process that has the namespace.
const inside = "CORACLE_BENCH_INSIDE"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("needs root: cgroups, namespaces and devices are made")
	}
	if os.Getenv(inside) == "" {
		return again()
	}
	bin, err := filepath.Abs(env("CORACLE_BIN", "bin"))
	if err != nil {
		return err
	}
	b := &bench{bin: bin}
	only := flag.String("only", "", "regular expression of the sections to run: start, seccomp, exec, verbs, memory, unpack, network")
	flag.IntVar(&b.runs, "n", 60, "runs of each program in each measurement")
	write := flag.String("o", "", "file to write the results to, as well")
	flag.Parse()
	wanted, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	if err := b.install(); err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Dir(b.bin))
	for _, s := range []struct {
		name    string
		measure func(*bench) error
	}{{"start", (*bench).start}, {"seccomp", (*bench).seccomp}, {"exec", (*bench).exec}, {"verbs", (*bench).verbs}, {"memory", (*bench).memory}, {"unpack", (*bench).unpack}, {"network", (*bench).network}} {
		if !wanted.MatchString(s.name) {
			continue
		}
		fmt.Fprintln(os.Stderr, "bench:", s.name)
		if err := b.inTemp(s.measure); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return b.report(*write)
}

// bench is one run of everything.
type bench struct {
	bin     string // directory of our programs
	plugins string // directory of Debian's plugins
	runs    int
	dir     string // of the section that is being measured: a tmpfs
	results []result

	programs map[string]string // where they are, and what of
}

// install makes copies of all programs, ours and the others, with cp(1), and has these
// be what is measured: how much of its start a program spends on pages of its file
// depends on how that was written, which is no matter of its own.
func (b *bench) install() error {
	dir, err := os.MkdirTemp("", "coracle-bench-bin-")
	if err != nil {
		return err
	}
	bin, others := b.bin, filepath.Join(dir, "others")
	b.bin, b.plugins = filepath.Join(dir, "ours"), filepath.Join(others, "cni")
	from := map[string]string{}
	b.programs = from
	for _, name := range []string{"coracle", "imgmgr", "cni/bridge", "cni/host-local"} {
		from[filepath.Join(b.bin, name)] = filepath.Join(bin, name)
	}
	for _, name := range []string{"bridge", "host-local"} {
		from[filepath.Join(b.plugins, name)] = filepath.Join(debianPlugins, name)
	}
	for _, name := range []string{"crun", "runc", "umoci"} {
		path, err := exec.LookPath(name)
		if err != nil {
			return err
		}
		from[filepath.Join(others, name)] = path
	}
	if err := b.copy(); err != nil {
		return err
	}
	return os.Setenv("PATH", others+":"+os.Getenv("PATH"))
}

func (b *bench) copy() error {
	for to, from := range b.programs {
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if out, err := exec.Command("cp", "--remove-destination", from, to).CombinedOutput(); err != nil {
			return fmt.Errorf("cp: %w: %s", err, out)
		}
	}
	return nil
}

// forget has the kernel read a program from the disk when it runs next, as after a
// reboot, and its libraries, but for those that somebody else is using.
func forget(program string) error {
	libraries, _ := exec.Command("ldd", program).Output() // fails for those that have none
	for _, path := range append(strings.Fields(string(libraries)), program) {
		if !filepath.IsAbs(path) {
			continue
		}
		if err := evict(path); err != nil {
			return err
		}
	}
	return nil
}

// evict takes a file out of the kernel's cache, posix_fadvise(2).
func evict(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return err
	}
	return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// again runs this program in a mount namespace of its own, where nothing that
// it mounts is seen by others or outlives it.
func again() error {
	command := exec.Command("/proc/self/exe", os.Args[1:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.Env = append(os.Environ(), inside+"=1")
	// The mount point of hugetlb is on a tmpfs that all share (see runtimes): it
	// goes away here, where the namespace that used it is gone, however it ended.
	if _, err := os.Stat(hugetlb); err != nil {
		defer os.Remove(hugetlb)
	}
	// Unshareflags also makes the mounts private; Cloneflags would not.
	command.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	return command.Run()
}

// inTemp gives a section a tmpfs and takes it away again: a disk's file system
// has moods (ext4 looks at recently deleted inodes for minutes).
func (b *bench) inTemp(measure func(*bench) error) (err error) {
	if b.dir, err = os.MkdirTemp("", "coracle-bench-"); err != nil {
		return err
	}
	defer os.Remove(b.dir)
	if err := syscall.Mount("bench", b.dir, "tmpfs", 0, "size=12g,mode=700"); err != nil {
		return fmt.Errorf("mount a tmpfs on %s: %w", b.dir, err)
	}
	defer func() {
		if unmountErr := syscall.Unmount(b.dir, syscall.MNT_DETACH); err == nil {
			err = unmountErr
		}
	}()
	return measure(b)
}

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
