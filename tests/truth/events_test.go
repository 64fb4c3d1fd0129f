// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package truth_test

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// harmless are the calls of coracle itself that change nothing but the process
// that makes them. What opens and writes files is looked at more closely. 0x1c9 is
// statmount for an strace that does not know it.
var harmless = strings.Fields(`
	arch_prctl brk clock_gettime close epoll_create1 epoll_ctl epoll_pwait eventfd2 exit exit_group faccessat faccessat2
	fcntl flock fstat fstatfs futex getcpu getdents64 getegid geteuid getgid getpgid getpid getppid getrandom gettid getuid
	lseek madvise mincore mmap mprotect munmap nanosleep newfstatat pidfd_open pipe2 poll ppoll pread64
	read readlink readlinkat recvfrom recvmsg restart_syscall rseq rt_sigaction rt_sigprocmask rt_sigreturn
	sched_getaffinity sched_yield set_robust_list set_tid_address setitimer setsockopt sigaltstack socket statfs statmount statx syscall_0x1c9 tgkill timer_create timer_delete timer_settime
	uname wait4 waitid pidfd_send_signal capget flistxattr fgetxattr`)

// forked are the calls that a forked child of coracle makes between fork and
// execve: Go's os/exec and syscall.ForkExec, and launch.Thread.
var forked = strings.Fields(`close dup dup2 dup3 execve exit fcntl getpid getppid gettid prctl prlimit64 read rt_sigaction rt_sigprocmask sched_setaffinity setpgid write`)

// An event is one thing that coracle does to the world, as a line of text that
// the expectation has too.
type event struct {
	text   string
	call   *call
	beside bool // in the thread that makes namespaces, while others do other things
}

// A recorder turns the calls of coracle, a process of several threads, into events.
type recorder struct {
	t      testing.TB
	calls  []call
	state  string // the directory of the container's state: STATE in events
	events []event
	group  map[int]bool // threads of coracle
	child  map[int]bool // its children, up to their execve
	idle   map[int]bool // those that end at once: Go's os package makes one to see whether pidfds work
	opened map[int64]string
	reads  []string     // paths whose opening for reading matters: namespaces
	beside map[int]bool // the thread that makes namespaces, and its child
}

// record returns what the first process of a trace does to the world.
func record(t testing.TB, calls []call, state string, reads ...string) []event {
	t.Helper()
	r := recorder{t: t, calls: calls, state: state, reads: reads, group: map[int]bool{calls[0].pid: true}, child: map[int]bool{}, idle: map[int]bool{}, opened: map[int64]string{}, beside: map[int]bool{}}
	r.relate()
	for i := range calls {
		c := &calls[i]
		switch {
		case i == 0: // execve of coracle
		case r.group[c.pid]:
			r.own(c)
		case r.child[c.pid]:
			r.fork(c)
		}
	}
	return r.events
}

// relate finds the threads and the children of coracle.
func (r *recorder) relate() {
	defer r.findIdle()
	for changed := true; changed; {
		changed = false
		for i := range r.calls {
			c := &r.calls[i]
			if !r.group[c.pid] || c.ret <= 0 || (c.name != "clone" && c.name != "clone3" && c.name != "vfork" && c.name != "fork") {
				continue
			}
			set := r.child
			if flags(c)&0x10000 != 0 { // CLONE_THREAD
				set = r.group
			}
			if flags(c)&0x210000 == 0x210000 || r.beside[c.pid] { // CLONE_CHILD_CLEARTID: Go's threads have no need of it
				r.beside[int(c.ret)] = true
			}
			if !set[int(c.ret)] {
				set[int(c.ret)], changed = true, true
			}
		}
	}
}

func (r *recorder) findIdle() {
	for child := range r.child {
		r.idle[child] = true
		for i := range r.calls {
			if c := &r.calls[i]; c.pid == child && c.name != "exit_group" {
				r.idle[child] = false
			}
		}
		if r.idle[child] {
			delete(r.child, child)
		}
	}
}

var flagsForm = regexp.MustCompile(`flags=([0-9a-fx|]+)`)

func flags(c *call) uint64 {
	m := flagsForm.FindStringSubmatch(c.args)
	if m == nil {
		return 0
	}
	var all uint64
	for _, part := range strings.Split(m[1], "|") {
		n, _ := strconv.ParseUint(part, 0, 64)
		all |= n
	}
	return all
}

func (r *recorder) add(c *call, format string, args ...any) {
	r.events = append(r.events, event{fmt.Sprintf(format, args...), c, r.beside[c.pid]})
}

func (r *recorder) fork(c *call) {
	if c.name == "execve" && c.ret == 0 {
		r.add(c, "execute %s", r.path(text(c.args)))
		delete(r.child, c.pid)
		return
	}
	if c.name == "execveat" && c.ret == 0 { // of a descriptor, as a path below /proc/self would be
		r.add(c, "execute /proc/self/fd/N")
		delete(r.child, c.pid)
		return
	}
	if !slices.Contains(forked, c.name) {
		r.add(c, "UNLISTED %s", c.text)
	}
}

var (
	textForm = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"(\.\.\.)?`)
	fdForm   = regexp.MustCompile(`^(-?\d+)(?:<((?:[^>\\]|\\.)*)>)?`)
)

// texts are the strings among the arguments.
func texts(args string) []string {
	var out []string
	for _, m := range textForm.FindAllStringSubmatch(args, -1) {
		s, err := strconv.Unquote(`"` + fixOctal(m[1]) + `"`)
		if err != nil {
			s = m[1]
		}
		out = append(out, s)
	}
	return out
}

var octalForm = regexp.MustCompile(`\\[0-7]{1,3}`)

// fixOctal makes strace's escapes those of Go: "\0" is "\000" here.
func fixOctal(s string) string {
	return octalForm.ReplaceAllStringFunc(s, func(o string) string { return `\` + strings.Repeat("0", 4-len(o)) + o[1:] })
}

func text(args string) string {
	if all := texts(args); len(all) > 0 {
		return all[0]
	}
	return ""
}

// path shows a path of the host with the state's directory as STATE.
func (r *recorder) path(p string) string {
	if rest, ok := strings.CutPrefix(p, r.state); ok {
		return "STATE" + rest
	}
	return p
}

// at is the path that a call means: relative to its first descriptor, if it is.
func (r *recorder) at(c *call) string {
	name := text(c.args)
	if path.IsAbs(name) {
		return r.path(name)
	}
	if m := fdForm.FindStringSubmatch(c.args); m != nil && m[2] != "" {
		return r.path(path.Join(m[2], name))
	}
	return name
}

// fdPathForm is how coracle names sockets: their addresses have little room.
var fdPathForm = regexp.MustCompile(`^/proc/self/fd/(\d+)(/.*)?$`)

func (r *recorder) socket(name string) string {
	if m := fdPathForm.FindStringSubmatch(name); m != nil {
		n, _ := strconv.ParseInt(m[1], 10, 64)
		name = r.opened[n] + m[2]
	}
	return r.path(name)
}

// own turns one call of coracle itself into an event.
func (r *recorder) own(c *call) {
	args := strings.Split(c.args, ", ")
	switch c.name {
	case "openat", "openat2":
		r.openat(c)
	case "write", "pwrite64":
		if m := fdForm.FindStringSubmatch(c.args); strings.HasPrefix(m[2], "anon_inode:") || strings.HasPrefix(m[2], "pipe:") || m[1] == "2" {
			return // the Go runtime to itself; and what coracle says
		} else {
			r.add(c, "write %s %s", strings.TrimSuffix(r.path(m[2]), " (deleted)"), strings.TrimSuffix(text(c.args), "\n"))
		}
	case "mkdirat", "mkdir":
		r.add(c, "mkdir %s", r.at(c))
	case "unlinkat", "unlink":
		r.add(c, "unlink %s", r.at(c))
	case "renameat", "renameat2", "rename":
		names := texts(c.args)
		dir := ""
		if m := fdForm.FindStringSubmatch(c.args); m != nil {
			dir = m[2]
		}
		for i, n := range names {
			if !path.IsAbs(n) {
				names[i] = path.Join(dir, n)
			}
		}
		r.add(c, "rename %s %s", r.path(names[0]), r.path(names[1]))
	case "memfd_create":
		r.add(c, "memfd %s", text(c.args))
	case "socketpair":
		r.add(c, "socketpair %s", args[1])
	case "bind", "connect":
		r.add(c, "%s %s", c.name, r.socket(text(c.args)))
	case "listen":
		r.add(c, "listen")
	case "sendmsg", "sendto":
		r.add(c, "send %q", text(c.args[strings.Index(c.args, "msg_iov"):]))
	case "open_tree":
		r.add(c, "open_tree %s %s", r.path(text(c.args)), args[len(args)-1])
	case "mount_setattr":
		r.add(c, "mount_setattr %s %s", args[2], strings.Join(args[3:len(args)-1], " "))
	case "fsopen":
		r.add(c, "fsopen %s", text(c.args))
	case "fsconfig":
		r.add(c, "fsconfig %s", strings.Join(append([]string{args[1]}, texts(c.args)...), " "))
	case "fsmount":
		r.add(c, "fsmount %s", args[2])
	case "sendfile", "ftruncate", "fchown", "fchownat", "fchmod", "fchmodat", "fsetxattr", "utimensat", "mknodat", "symlinkat":
		if dir := fdForm.FindStringSubmatch(c.args); strings.HasPrefix(c.name, "fchown") && len(dir) > 0 && strings.HasPrefix(dir[2], "/sys/fs/cgroup/") {
			r.add(c, "chown %s", path.Join(dir[2], text(c.args)))
			return
		}
		r.add(c, "copy %s", c.name)
	case "bpf":
		if c.ret >= 0 { // a load that is refused is made again
			r.add(c, "bpf %s", args[0])
		}
	case "prlimit64":
		// Go raises its own number of open files when it starts: os/rlimit.go.
		if own := args[1] == "0x7" && len(r.events) == 0; args[2] != "NULL" && !own {
			r.add(c, "prlimit %s %s", args[1], strings.Join(args[2:len(args)-1], " "))
		}
	case "prctl":
		if args[0] != "0x53564d41" && args[0] != "0x17" { // PR_SET_VMA: Go names its memory; PR_CAPBSET_READ
			r.add(c, "UNLISTED %s", c.text)
		}
	case "clone", "clone3", "vfork", "fork":
		if c.ret > 0 && flags(c)&0x10000 == 0 && !r.idle[int(c.ret)] {
			into := ""
			if flags(c)&0x200000000 != 0 { // CLONE_INTO_CGROUP
				into = " into a cgroup"
			}
			r.add(c, "fork%s", into)
		}
	case "unshare":
		r.add(c, "unshare %s", c.args)
	case "sched_setaffinity":
		if id, _ := strconv.Atoi(args[0]); !r.beside[id] && !r.beside[c.pid] {
			r.add(c, "UNLISTED %s", c.text)
		}
	default:
		if !slices.Contains(harmless, c.name) {
			r.add(c, "UNLISTED %s", c.text)
		}
	}
}

// openat: opening for writing is an event, and so is opening what a container
// is put into.
func (r *recorder) openat(c *call) {
	const accessMode, creat, tmpfile, oPath = 3, 0o100, 0o20000000, 0o10000000
	var how uint64
	if m := regexp.MustCompile(`(?:", |flags=)(0x[0-9a-f]+|0)`).FindStringSubmatch(c.args); m != nil {
		how, _ = strconv.ParseUint(m[1], 0, 64)
	} else {
		r.t.Errorf("no flags in %s", c.text)
	}
	name := r.at(c)
	if c.ret >= 0 {
		r.opened[c.ret] = c.fd
	}
	switch {
	case strings.HasPrefix(name, "/dev/null"):
	case how&(accessMode|creat|tmpfile) != 0 && how&oPath == 0 && c.ret < 0:
		r.add(c, "absent %s %s", name, c.text[strings.LastIndex(c.text, "= "):])
	case how&(accessMode|creat|tmpfile) != 0 && how&oPath == 0:
		r.add(c, "open %s", name)
	case slices.Contains(r.reads, name):
		r.add(c, "read %s", name)
	}
}
