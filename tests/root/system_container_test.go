// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package root_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// TestRootSystemContainer boots this machine's own system, a Debian with systemd,
// as a container like LXC's: to the login on its console, with its own cgroups
// below ours, and down again by the signal that systemd takes for that.
func TestRootSystemContainer(t *testing.T) {
	testkit.Need(t, testkit.Root, testkit.Systemd, testkit.CgroupV2)
	testkit.NoLeaks(t)
	v := newVessel(t, systemContainer, func(s *specs.Spec) { s.Root.Path = systemTree(t) })
	master := receiveTerminal(t, filepath.Join(t.TempDir(), "s"), func(path string) { v.create("--console-socket", path) })
	defer master.Close()
	v.quietStart()
	t.Cleanup(func() { v.coracle("delete", "--force", v.id) })

	said := until(t, master, "login: ", 4*time.Minute)
	pid := v.pid()
	inside := func(command ...string) string {
		out, err := exec.Command("nsenter", append([]string{"-t", strconv.Itoa(pid), "-a", "--"}, command...)...).CombinedOutput()
		if err != nil {
			t.Logf("%q: %v", command, err)
		}
		return strings.TrimSpace(string(out))
	}
	// A slow machine shows the prompt before: it waits for other jobs for a time only.
	t.Logf("the console said\n%s", said)
	waitFor(t, "the login target", func() bool { return inside("systemctl", "is-active", "multi-user.target") == "active" })
	if got := inside("systemctl", "list-units", "--failed", "--no-legend", "--plain"); got != "" {
		t.Errorf("units failed:\n%s", got)
	}
	if got := inside("cat", "/proc/1/cgroup"); got != "0::/init.scope" {
		t.Errorf("systemd is in %q of its cgroup namespace", got)
	}
	v.quiet("kill", v.id, "RTMIN+4") // halt, systemd(1)
	waitFor(t, "the system to go down", func() bool { return strings.Contains(v.coracle("state", v.id).stdout, `"stopped"`) })
	v.quiet("delete", v.id)
	v.expectGone()
}

// systemTree is a writable copy of this machine's root, without the services that
// only a machine needs.
func systemTree(t testing.TB) string {
	dir := t.TempDir()
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"))
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	for _, name := range []string{"upper", "work", "root", "upper/etc", "upper/etc/systemd", "upper/etc/systemd/system"} {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	for _, unit := range strings.Fields(`ssh.service docker.service docker.socket containerd.service apparmor.service podman.socket podman.service
		podman-restart.service podman-auto-update.timer systemd-networkd.service systemd-networkd.socket networking.service
		systemd-networkd-wait-online.service systemd-resolved.service systemd-timesyncd.service cron.service qemu-guest-agent.service
		user@1000.service vm-net.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer`) {
		must(t, os.Symlink("/dev/null", filepath.Join(dir, "upper/etc/systemd/system", unit)))
	}
	must(t, os.WriteFile(filepath.Join(dir, "upper/etc/fstab"), nil, 0o644))
	root := filepath.Join(dir, "root")
	must(t, syscall.Mount("overlay", root, "overlay", 0, "lowerdir=/,upperdir="+filepath.Join(dir, "upper")+",workdir="+filepath.Join(dir, "work")))
	t.Cleanup(func() { syscall.Unmount(root, syscall.MNT_DETACH) })
	return root
}

// systemContainer is what systemd asks of a container manager: cgroups of its
// own, tmpfs where it writes early, a console, and a variable that says so.
func systemContainer(s *specs.Spec) {
	capabilities := strings.Fields(`CAP_AUDIT_WRITE CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_IPC_OWNER CAP_KILL
		CAP_LEASE CAP_LINUX_IMMUTABLE CAP_MKNOD CAP_NET_ADMIN CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_RAW CAP_SETFCAP CAP_SETGID
		CAP_SETPCAP CAP_SETUID CAP_SYS_ADMIN CAP_SYS_CHROOT CAP_SYS_NICE CAP_SYS_PTRACE CAP_SYS_RESOURCE CAP_SYS_TTY_CONFIG`)
	s.Process.Args = []string{"/sbin/init"}
	s.Process.Terminal = true
	s.Process.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "container=coracle", "TERM=linux"}
	s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: capabilities, Permitted: capabilities, Effective: capabilities}
	s.Hostname = "vessel"
	for _, m := range []specs.Mount{
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "relatime", "rw"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "nodev", "mode=1777"}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/run", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "mode=755"}},
		{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "mode=1777"}},
	} {
		s.Mounts = append(s.Mounts, m)
	}
}

// until reads from a terminal up to a text, and returns all of it. EIO is the
// answer while nobody has the other side open, as between two lines of systemd.
func until(t testing.TB, master *os.File, text string, limit time.Duration) string {
	t.Helper()
	var seen bytes.Buffer
	buffer := make([]byte, 4096)
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); {
		n, err := master.Read(buffer)
		seen.Write(buffer[:n])
		if strings.Contains(seen.String(), text) {
			return seen.String()
		}
		if err != nil {
			time.Sleep(50 * time.Millisecond)
		}
	}
	t.Fatalf("no %q within %v:\n%s", text, limit, seen.String())
	return ""
}
