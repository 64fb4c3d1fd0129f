// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package engines_test runs Debian's containerd, Docker and podman with coracle
// as their runtime, and does with them what people do.
//
// Nothing of that is done on the machine itself: the tests run in namespaces of
// their own, on a copy of the machine's root whose changes are kept in memory.
// There, coracle and the plugins are installed where the configuration in
// runtime/engines looks for them, every other runtime is removed, and the
// engines use their usual paths. All of it goes when the last process ends.
package engines_test

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stage is the variable that says which of three processes this is: the one that
// go test has started, the process 1 of the PID namespace, or the tests.
const stage = "CORACLE_ENGINES_STAGE"

// Namespaces are a thread's, and what the first has is what others see in /proc.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	var status int
	var err error
	switch before := os.Getenv(stage); {
	case before == "tests", os.Geteuid() != 0: // the latter fails by testkit.Need
		status = m.Run()
	case before == "init":
		status, err = reap()
	default:
		status, err = outside()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "engines:", err)
		os.Exit(1)
	}
	os.Exit(status)
}

// again is a call of this program with the same arguments, as the next stage.
func again(next string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), stage+"="+next)
	return cmd
}

// outside makes the cgroups below which everything takes place, starts the
// world, and removes the cgroups when it is over. It says which containers have
// left theirs: the engines were to remove all.
func outside() (int, error) {
	parent := fmt.Sprintf("coracle-engines-%d", os.Getpid())
	var made []string
	if err := mountMissing(); err != nil {
		return 1, err
	}
	for _, h := range hierarchies() {
		dir := filepath.Join(h.at, parent)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return 1, err
		}
		made = append(made, dir)
		for _, name := range []string{"cpuset.cpus", "cpuset.mems"} { // empty, they let no process in
			if value, err := os.ReadFile(filepath.Join(h.at, name)); err == nil {
				_ = os.WriteFile(filepath.Join(dir, name), value, 0)
			}
		}
	}
	cmd := again("init")
	cmd.Env = append(cmd.Env, "CORACLE_ENGINES_CGROUP="+parent)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWNS |
		syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS}
	err := cmd.Run()
	for _, dir := range made {
		if left := removeCgroups(dir); left != nil && err == nil {
			err = left
		}
	}
	if exit, ok := err.(*exec.ExitError); ok {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// elsewhere is where hierarchies are mounted that the machine has not mounted.
const elsewhere = "/mnt"

// mountMissing mounts what the kernel lists for a process and the machine has not
// mounted, in a mount namespace of its own: containerd 1.6 knows no statistics of a
// container if one hierarchy is missing.
func mountMissing() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", elsewhere, "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	list, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	var mounted []string
	for _, h := range hierarchies() {
		mounted = append(mounted, h.options)
	}
	for line := range strings.Lines(string(list)) {
		controllers := strings.Split(line, ":")[1]
		if controllers == "" || slices.Contains(mounted, controllers) {
			continue
		}
		at := filepath.Join(elsewhere, controllers)
		if err := os.Mkdir(at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("cgroup", at, "cgroup", 0, controllers); err != nil {
			return fmt.Errorf("mount cgroup %s: %w", controllers, err)
		}
	}
	return nil
}

// removeCgroups removes a cgroup and those below it. Processes that were killed
// a moment ago may still be in them, and there is no event for their end.
func removeCgroups(top string) error {
	var dirs []string
	_ = filepath.WalkDir(top, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	for _, dir := range slices.Backward(dirs) {
		for until := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			err := os.Remove(dir)
			if err == nil {
				break
			}
			if time.Now().After(until) {
				return err
			}
		}
	}
	return nil
}

// A hierarchy is one mount of cgroups.
type hierarchy struct{ kind, at, options string }

// hierarchies reads them from the mount table (proc_pid_mountinfo(5)).
func hierarchies() []hierarchy {
	table, _ := os.ReadFile("/proc/self/mountinfo")
	var found []hierarchy
	for line := range strings.Lines(string(table)) {
		mount, super, _ := strings.Cut(line, " - ")
		m, s := strings.Fields(mount), strings.Fields(super)
		if len(m) > 4 && len(s) > 2 && strings.HasPrefix(s[0], "cgroup") {
			found = append(found, hierarchy{s[0], m[4], strings.TrimPrefix(s[2], "rw,")})
		}
	}
	return found
}

// reap is process 1: it makes the world, starts the tests in it, and waits for
// them and for every orphan, as some engines leave many.
func reap() (int, error) {
	if err := enterWorld(); err != nil {
		return 1, err
	}
	cmd := again("tests")
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return 1, err
		case pid == cmd.Process.Pid && status.Signaled():
			return 128 + int(status.Signal()), nil
		case pid == cmd.Process.Pid:
			return status.ExitStatus(), nil
		}
	}
}

// enterWorld puts this process into its cgroups and onto a root of its own.
func enterWorld() error {
	cgroups := hierarchies()
	for _, h := range cgroups {
		if err := os.WriteFile(filepath.Join(h.at, os.Getenv("CORACLE_ENGINES_CGROUP"), "cgroup.procs"), []byte("0"), 0); err != nil {
			return err
		}
	}
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("unshare the cgroup namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	where, err := os.Getwd()
	if err == nil {
		err = newRoot()
	}
	if err == nil {
		err = os.Chdir(where)
	}
	if err == nil {
		err = mountCgroups(cgroups)
	}
	if err == nil {
		err = unix.Sethostname([]byte("engines"))
	}
	return cmp.Or(err, install())
}

// newRoot changes to a root that shows the machine's and keeps changes in memory.
func newRoot() error {
	memory, root := "/dev/shm", "/dev/shm/root"
	overlay := "lowerdir=/,upperdir=/dev/shm/upper,workdir=/dev/shm/work"
	if err := unix.Mount("tmpfs", memory, "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount memory: %w", err)
	}
	for _, dir := range []string{"root", "upper", "work"} {
		if err := os.Mkdir(filepath.Join(memory, dir), 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount("overlay", root, "overlay", 0, overlay); err != nil {
		return fmt.Errorf("mount the root: %w", err)
	}
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
		data                 string
	}{
		{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"sysfs", "/sys", "sysfs", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"/dev", "/dev", "", unix.MS_BIND, ""},
		{"devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=620,gid=5"},
		{"tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777"},
		{"tmpfs", "/run", "tmpfs", 0, "mode=755"},
		// An overlay cannot lie on another, so images are kept elsewhere.
		{"tmpfs", "/var/lib/docker", "tmpfs", 0, "mode=711"},
		{"tmpfs", "/var/lib/containerd", "tmpfs", 0, "mode=711"},
		{"tmpfs", "/var/lib/containers", "tmpfs", 0, "mode=711"},
		{"tmpfs", "/sys/fs/cgroup", "tmpfs", 0, "mode=755"},
	} {
		if err := os.MkdirAll(root+m.target, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.source, root+m.target, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	return unix.Unmount(".", unix.MNT_DETACH)
}

// mountCgroups mounts what was mounted outside: this namespace's part of it.
func mountCgroups(all []hierarchy) error {
	for _, h := range all {
		at := strings.Replace(h.at, elsewhere, "/sys/fs/cgroup", 1)
		if err := os.MkdirAll(at, 0o755); err != nil {
			return err
		}
		options := h.options
		if h.kind == "cgroup2" {
			options = ""
		}
		if err := unix.Mount("cgroup", at, h.kind, unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, options); err != nil {
			return fmt.Errorf("mount %s with %q: %w", at, options, err)
		}
	}
	return nil
}
