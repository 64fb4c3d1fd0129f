// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Command probe is what the containers of the mutants test run: it writes all
// that a process can see of its container to /out/done, "key: value" by line, and
// waits to be killed.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A report is what has been seen. Values have their line breaks escaped.
type report struct{ strings.Builder }

func (r *report) add(key string, value any) {
	fmt.Fprintf(r, "%s: %s\n", key, strings.ReplaceAll(fmt.Sprint(value), "\n", "⏎"))
}

func (r *report) file(name string) {
	data, err := os.ReadFile(name)
	if err != nil {
		r.add("file "+name, err)
		return
	}
	r.add("file "+name, string(data))
}

func main() {
	var r report
	r.descriptors() // before Go opens any for itself
	r.process()
	r.status()
	r.mounts()
	r.tree("/dev")
	r.tree("/tmp")
	for _, name := range []string{"/tmp/mapped", "/tmp/fs", "/tmp/data/data", "/tmp/itself", "/tmp/late"} {
		r.tree(name)
	}
	r.names()
	r.files()
	r.terminal()
	r.keyring()
	r.network()
	r.scheduling()
	if err := os.WriteFile("/out/seen", []byte(r.String()), 0o666); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	// It appears when nothing is open any more.
	if err := os.Rename("/out/seen", "/out/done"); err != nil {
		os.Exit(4)
	}
	for { // a Go program without work to do would end
		time.Sleep(time.Hour)
	}
}

func (r *report) descriptors() {
	for fd := range 64 {
		if fl, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err == nil {
			target, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
			kind, _, _ := strings.Cut(target, "[")
			r.add(fmt.Sprintf("fd %d", fd), fmt.Sprintf("%s %#x", kind, fl&^unix.O_NONBLOCK))
		}
	}
}

func (r *report) process() {
	cwd, err := os.Getwd()
	r.add("cwd", fmt.Sprint(cwd, err))
	real, _ := os.Readlink("/proc/self/cwd")
	r.add("cwd link", real)
	r.add("arguments", strings.Join(os.Args, "|"))
	r.add("environment", strings.Join(os.Environ(), "|"))
	own := os.Getpid()
	r.add("pid is 1", own == 1)
	r.add("parent is 0", os.Getppid() == 0)
	sid, _ := unix.Getsid(0)
	r.add("leads a session", sid == own)
	r.add("leads a group", unix.Getpgrp() == own)
	// unix.Umask would change it; /proc/self/status has it.
	for _, kind := range []string{"cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "time_for_children", "user", "uts"} {
		id, _ := os.Readlink("/proc/self/ns/" + kind)
		r.add("ns "+kind, id)
	}
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	r.add("dumpable", fmt.Sprint(dumpable, err))
	keep, err := unix.PrctlRetInt(unix.PR_GET_KEEPCAPS, 0, 0, 0, 0)
	r.add("keepcaps", fmt.Sprint(keep, err))
}

func (r *report) status() {
	data, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(data), "\n") {
		key, value, _ := strings.Cut(line, ":")
		switch key {
		case "Name", "Umask", "Uid", "Gid", "Groups", "NSpid", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Cpus_allowed_list", "Mems_allowed_list", "SigIgn", "SigBlk":
			r.add("status "+key, strings.TrimSpace(value))
		}
	}
}

// mounts are shown by where they are, without the numbers that are new each time.
func (r *report) mounts() {
	data, _ := os.ReadFile("/proc/self/mountinfo")
	point := map[string]string{}
	peers := map[string]int{}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	for _, line := range lines {
		if f := strings.Fields(line); len(f) > 4 {
			point[f[0]] = f[4]
		}
	}
	for i, line := range lines {
		f := strings.Fields(line)
		if len(f) < 10 {
			continue
		}
		parent, ok := point[f[1]]
		if !ok {
			parent = "outside"
		}
		major, _, _ := strings.Cut(f[2], ":")
		for n, word := range f {
			if kind, id, ok := strings.Cut(word, ":"); ok && n > 5 && (kind == "master" || kind == "shared" || kind == "propagate_from") {
				if _, known := peers[id]; !known {
					peers[id] = len(peers)
				}
				f[n] = fmt.Sprintf("%s:%d", kind, peers[id])
			}
		}
		r.add(fmt.Sprintf("mount %03d", i), fmt.Sprintf("on %s of %s device %s: %s", f[4], parent, major, strings.Join(f[3:], " ")))
	}
}

// tree lists a directory as deep as it is on one file system.
func (r *report) tree(root string) {
	var top syscall.Stat_t
	if syscall.Lstat(root, &top) != nil {
		r.add("tree "+root, "missing")
		return
	}
	filepath.Walk(root, func(name string, info os.FileInfo, err error) error {
		if err != nil {
			r.add("tree "+name, err)
			return nil
		}
		st := info.Sys().(*syscall.Stat_t)
		link, _ := os.Readlink(name)
		r.add("tree "+name, fmt.Sprintf("%o %d:%d %x %s", st.Mode, st.Uid, st.Gid, st.Rdev, link))
		if info.Mode()&os.ModeDevice != 0 {
			r.device(name)
		}
		if info.IsDir() && name != root && st.Dev != top.Dev {
			return filepath.SkipDir
		}
		return nil
	})
}

func (r *report) device(name string) {
	switch filepath.Base(name) {
	case "null", "zero", "full", "urandom", "mine":
		fd, err := unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		r.add("open "+name, err)
		unix.Close(fd)
	}
}

func (r *report) names() {
	var u unix.Utsname
	unix.Uname(&u)
	r.add("hostname", unix.ByteSliceToString(u.Nodename[:]))
	r.add("domainname", unix.ByteSliceToString(u.Domainname[:]))
	entries, _ := os.ReadDir("/")
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	sort.Strings(names)
	r.add("root", strings.Join(names, " "))
	err := os.WriteFile("/written", nil, 0o600)
	r.add("write to the root", err)
	os.Remove("/written")
	for _, name := range []string{"/dev/data/written", "/dev/data2/written", "/proc/sys/kernel/domainname", "/proc/bus/written", "/proc/acpi/written", "/sys/firmware/written"} {
		fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
		r.add("write to "+name, err)
		unix.Close(fd)
	}
}

func (r *report) files() {
	for _, name := range []string{"/proc/self/cgroup", "/proc/self/limits", "/proc/self/oom_score_adj", "/proc/self/uid_map", "/proc/self/gid_map", "/proc/self/setgroups",
		"/proc/self/timens_offsets", "/proc/self/comm", "/proc/self/cmdline", "/proc/self/loginuid", "/proc/self/personality",
		"/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/shm_rmid_forced", "/proc/sys/net/ipv4/ping_group_range", "/dev/file", "/out/trace"} {
		r.file(name)
	}
	list, _ := filepath.Glob("/sys/fs/cgroup/*")
	r.add("cgroups shown", strings.Join(list, " "))
	for _, name := range list {
		target, _ := os.Readlink(name)
		r.add("cgroup "+name, target)
	}
	var clock unix.Timespec
	unix.ClockGettime(unix.CLOCK_BOOTTIME, &clock)
	r.add("clock", clock.Sec)
}

func (r *report) terminal() {
	for fd := range 3 {
		size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
		r.add(fmt.Sprintf("terminal %d", fd), fmt.Sprint(size, err))
		name, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		var st unix.Stat_t
		unix.Fstat(fd, &st)
		if strings.HasPrefix(name, "/dev/") {
			r.add(fmt.Sprintf("terminal file %d", fd), fmt.Sprintf("%s %o %d:%d %x", name, st.Mode, st.Uid, st.Gid, st.Rdev))
		}
	}
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_CLOEXEC, 0)
	r.add("controlling terminal", err)
	unix.Close(fd)
	fd, err = unix.Open("/dev/console", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	r.add("console", err)
	unix.Close(fd)
	fd, err = unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	r.add("ptmx", err)
	unix.Close(fd)
}

func (r *report) keyring() {
	name, err := unix.KeyctlString(unix.KEYCTL_DESCRIBE, unix.KEY_SPEC_SESSION_KEYRING)
	r.add("session keyring", fmt.Sprint(name, err))
}

func (r *report) network() {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		r.add("network", err)
		return
	}
	defer unix.Close(s)
	request, _ := unix.NewIfreq("lo")
	err = unix.IoctlIfreq(s, unix.SIOCGIFFLAGS, request)
	r.add("lo", fmt.Sprintf("%#x %v", request.Uint16(), err))
}
