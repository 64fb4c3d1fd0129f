// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package testkit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A Fact is something about the machine that a test cannot do without.
type Fact struct {
	Name    string        // as tests/SKIPS spells it: "cgroup v2"
	missing func() string // what is the matter and how to get it; "" when the fact holds
}

var (
	// Root is being user 0 with the right to mount.
	Root = Fact{"root", missingRoot}
	// CgroupV1 is the memory controller on a version 1 hierarchy.
	CgroupV1 = Fact{"cgroup v1", missingV1}
	// CgroupV2 is /sys/fs/cgroup being the one hierarchy of version 2.
	CgroupV2 = Fact{"cgroup v2", missingV2}
	// Netns is the right to make network namespaces.
	Netns = Fact{"network namespaces", missingNetns}
	// AppArmor is the kernel having it, enabled.
	AppArmor = Fact{"AppArmor", missingAppArmor}
	// Audit is the kernel telling us what it audits.
	Audit = Fact{"audit", missingAudit}
	// Systemd is systemd being process 1.
	Systemd = Fact{"systemd", missingSystemd}
)

// Tool is a program in PATH or in the system's sbin directories.
func Tool(name string) Fact {
	return Fact{"tool " + name, func() string {
		if lookTool(name) == "" {
			return "no program " + name + " is installed; tools/setup.sh installs what the tests call"
		}
		return ""
	}}
}

// KernelAtLeast is the version of the running kernel.
func KernelAtLeast(major, minor int) Fact {
	name := fmt.Sprintf("kernel %d.%d", major, minor)
	return Fact{name, func() string {
		release, err := os.ReadFile("/proc/sys/kernel/osrelease")
		var hasMajor, hasMinor int
		if n, _ := fmt.Sscanf(string(release), "%d.%d", &hasMajor, &hasMinor); err != nil || n != 2 {
			return "cannot read the kernel's version"
		}
		if hasMajor > major || hasMajor == major && hasMinor >= minor {
			return ""
		}
		return "this is " + strings.TrimSpace(string(release))
	}}
}

// Controller is a cgroup controller that can be used: mounted as version 1, or
// enabled in the root of version 2.
func Controller(name string) Fact {
	return Fact{"controller " + name, func() string {
		if slices.Contains(v1Controllers(), name) {
			return ""
		}
		for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
			available, _ := os.ReadFile(root + "/cgroup.controllers")
			if slices.Contains(strings.Fields(string(available)), name) {
				return ""
			}
		}
		return "the controller " + name + " is on no hierarchy"
	}}
}

// Need ends the test unless all facts hold. A fact that does not hold fails the
// test; it skips it only if tests/SKIPS allows that for this test and this fact,
// so that no test can silently stop being run.
func Need(t testing.TB, facts ...Fact) {
	t.Helper()
	for _, f := range facts {
		why := f.missing()
		if why == "" {
			continue
		}
		if allowedSkip(t, f.Name) {
			t.Skipf("needs %s: %s", f.Name, why)
		}
		t.Fatalf("needs %s: %s (tests/SKIPS does not allow %s to be skipped for that)", f.Name, why, t.Name())
	}
}

// allowedSkip reports whether tests/SKIPS has a line for the test, or for one
// that contains it, and the fact.
func allowedSkip(t testing.TB, fact string) bool {
	t.Helper()
	list, err := os.ReadFile(filepath.Join(Repo(t), "tests", "SKIPS"))
	if err != nil {
		t.Fatal(err)
	}
	return skipListed(string(list), t.Name(), fact)
}

// skipListed looks a test up in the text of tests/SKIPS. Its lines are
// "TestName<TAB>fact<TAB>why"; "#" starts a comment.
func skipListed(list, test, fact string) bool {
	for line := range strings.Lines(list) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != 3 || strings.HasPrefix(line, "#") || fields[1] != fact {
			continue
		}
		if test == fields[0] || strings.HasPrefix(test, fields[0]+"/") {
			return true
		}
	}
	return false
}

func missingRoot() string {
	if os.Geteuid() != 0 {
		return "this is an ordinary user; run it as root"
	}
	return ""
}

func missingV1() string {
	if !slices.Contains(v1Controllers(), "memory") {
		return "the memory controller is on no version 1 hierarchy"
	}
	return ""
}

// cgroup2Magic is CGROUP2_SUPER_MAGIC of linux/magic.h.
const cgroup2Magic = 0x63677270

func missingV2() string {
	var fs syscall.Statfs_t
	if err := syscall.Statfs("/sys/fs/cgroup", &fs); err != nil || fs.Type != cgroup2Magic {
		return "/sys/fs/cgroup is not cgroup2 alone; tests/vm has a machine where it is"
	}
	return ""
}

// missingNetns tries it, in a thread that is thrown away: a goroutine that ends
// while locked takes its thread with it.
func missingNetns() string {
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		result <- syscall.Unshare(syscall.CLONE_NEWNET)
	}()
	if err := <-result; err != nil {
		return "unshare(CLONE_NEWNET): " + err.Error()
	}
	return ""
}

func missingAppArmor() string {
	if _, err := os.Stat("/sys/kernel/security/apparmor"); err != nil {
		return "the kernel has none, or it is disabled; tests/vm has a machine where it is not"
	}
	return ""
}

// missingAudit tries what a test does that reads the records: netlink's group of
// readers, in the machine's own network namespace (audit_net_init of kernel/audit.c).
func missingAudit() string {
	logged, _ := os.ReadFile("/proc/sys/kernel/seccomp/actions_logged")
	if !slices.Contains(strings.Fields(string(logged)), "log") {
		return "sysctl kernel.seccomp.actions_logged lacks log"
	}
	line, _ := os.ReadFile("/proc/cmdline")
	for _, off := range []string{"audit=0", "audit=off"} {
		if slices.Contains(strings.Fields(string(line)), off) {
			return "the kernel was started with " + off
		}
	}
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.NETLINK_AUDIT)
	if err == nil {
		defer syscall.Close(fd)
		err = syscall.Bind(fd, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK, Groups: 1})
	}
	if err != nil {
		return "the kernel does not let us read audit records: " + err.Error()
	}
	return ""
}

func missingSystemd() string {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return "systemd does not run here; tests/vm has a machine where it does"
	}
	return ""
}

// v1Controllers returns the controllers that are mounted as version 1, from the
// super block options of /proc/self/mountinfo (proc_pid_mountinfo(5)).
func v1Controllers() []string {
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	var controllers []string
	for line := range strings.Lines(string(mounts)) {
		_, super, _ := strings.Cut(line, " - ")
		if fields := strings.Fields(super); len(fields) == 3 && fields[0] == "cgroup" {
			controllers = append(controllers, strings.Split(fields[2], ",")...)
		}
	}
	return controllers
}

// lookTool returns the path of a program, or "". Debian keeps servers and
// network tools in directories that an ordinary user's PATH lacks.
func lookTool(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	return ""
}
