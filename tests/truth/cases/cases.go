// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package cases has the configs whose plans the tests of the truths run: between
// them they have every kind of step.
package cases

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// A Case is an edit of testkit.Config. What it needs of the machine it makes,
// for as long as the test runs.
type Case struct {
	Name   string
	Change func(testing.TB, *specs.Spec)
}

// All is every case, the simplest first.
var All = []Case{
	{"plain", func(testing.TB, *specs.Spec) {}},
	{"full", full},
	{"mounts", mountOptions},
	{"user", userNamespace},
	{"hooks", allHooks},
	{"terminal", terminal},
	{"joined", joined},
	{"asked", asked},
}

// Scope is a case of the systemd driver: a container in a user namespace that is
// to manage a cgroup below its scope.
var Scope = Case{"scope", func(t testing.TB, s *specs.Spec) {
	limit, shares := int64(64<<20), uint64(512)
	s.Linux.CgroupsPath = "system.slice:truth:scope"
	s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit}, CPU: &specs.LinuxCPU{Shares: &shares}}
	s.Annotations = map[string]string{"org.systemd.property.TimeoutStopSec": "uint64 1", "run.oci.systemd.subgroup": "inner", "run.oci.delegate-cgroup": "payload"}
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	s.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: 100000, Size: 65536}}
	s.Linux.GIDMappings = []specs.LinuxIDMapping{{HostID: 200000, Size: 65536}}
	s.Mounts = append(s.Mounts, specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup"})
}}

// full has most of what config.json knows and needs no other process.
func full(t testing.TB, s *specs.Spec) {
	source := t.TempDir()
	file := filepath.Join(source, "file")
	if err := os.WriteFile(file, []byte("x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	mode := os.FileMode(0o640)
	umask, adj, limit := uint32(0o27), 500, int64(64<<20)
	s.Root.Readonly = true
	s.Domainname = "example"
	s.Process.Cwd = "/tmp/new/cwd"
	s.Process.User = specs.User{UID: 1000, GID: 1001, AdditionalGids: []uint32{5, 6}, Umask: &umask}
	s.Process.OOMScoreAdj, s.Process.NoNewPrivileges = &adj, true
	s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: []string{"CAP_KILL", "CAP_CHOWN"}, Permitted: []string{"CAP_KILL"},
		Effective: []string{"CAP_KILL"}, Inheritable: []string{"CAP_KILL"}, Ambient: []string{"CAP_KILL"}}
	s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 64, Hard: 128}, {Type: "RLIMIT_CORE"}}
	s.Mounts = append(s.Mounts,
		specs.Mount{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"noexec", "size=1m", "strictatime"}},
		specs.Mount{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid"}},
		specs.Mount{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"mode=1733"}},
		specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"ro", "nosuid"}},
		specs.Mount{Destination: "/dev/data", Type: "bind", Source: source, Options: []string{"rbind", "ro", "rprivate"}},
		specs.Mount{Destination: "/dev/data2", Type: "bind", Source: source, Options: []string{"bind", "rro", "nosuid"}},
		specs.Mount{Destination: "/dev/file", Type: "bind", Source: file, Options: []string{"bind"}})
	s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/mine", Type: "c", Major: 1, Minor: 5, FileMode: &mode, UID: &umask, GID: &umask}, {Path: "/dev/pipe", Type: "p"}}
	s.Linux.MaskedPaths = []string{"/proc/version", "/proc/fs", "/no/such/path"}
	s.Linux.ReadonlyPaths = []string{"/proc/sys", "/no/such/path"}
	s.Linux.Sysctl = map[string]string{"net.ipv4.ping_group_range": "0 7", "kernel.shm_rmid_forced": "1"}
	s.Linux.RootfsPropagation = "private"
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
	s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 1000}, "monotonic": {Secs: 500, Nanosecs: 7}}
	s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedBatch, Nice: 5}
	s.Process.IOPriority = &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 6}
	s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: specs.MpolPreferred, Nodes: "0"}
	s.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux32}
	s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"mount"}, Action: specs.ActErrno}}}
	s.Linux.Resources = &specs.LinuxResources{
		Memory:  &specs.LinuxMemory{Limit: &limit},
		Pids:    &specs.LinuxPids{Limit: ptr(int64(100))},
		CPU:     &specs.LinuxCPU{Shares: ptr(uint64(512)), Quota: ptr(int64(25000)), Period: ptr(uint64(50000))},
		Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}, {Allow: true, Type: "c", Major: ptr(int64(1)), Minor: ptr(int64(5)), Access: "rw"}},
	}
	if _, err := os.Stat("/sys/fs/cgroup/cpuset"); err == nil { // on v2 it may not be enabled where the test is
		s.Linux.Resources.CPU.Cpus, s.Linux.Resources.CPU.Mems = "0", "0"
	}
}

// mountOptions has what options ask for beyond flags: the parent maps ids and fills
// a tmpfs.
func mountOptions(t testing.TB, s *specs.Spec) {
	source := t.TempDir()
	for _, name := range []string{"file", "data/file"} {
		file := filepath.Join(source, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("x\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("file", filepath.Join(source, "link")); err != nil {
		t.Fatal(err)
	}
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 10}}
	s.Mounts = append(s.Mounts,
		specs.Mount{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"mode=1775", "ro"}},
		specs.Mount{Destination: "/tmp/mapped", Type: "bind", Source: source, Options: []string{"rbind", "ridmap", "ro"}, UIDMappings: ids, GIDMappings: ids},
		specs.Mount{Destination: "/tmp/fs", Type: "tmpfs", Source: "tmpfs", Options: []string{"idmap", "mode=755", "nosuid"}, UIDMappings: ids, GIDMappings: ids},
		specs.Mount{Destination: "/tmp/data", Type: "bind", Source: source, Options: []string{"bind"}},
		specs.Mount{Destination: "/tmp/data/data", Type: "tmpfs", Source: "tmpfs", Options: []string{"tmpcopyup", "mode=751", "shared"}},
		specs.Mount{Destination: "/tmp/itself", Type: "bind", Source: filepath.Join(source, "link"), Options: []string{"bind", "src-nofollow"}},
		specs.Mount{Destination: "/tmp/onfile", Type: "bind", Source: filepath.Join(source, "file"), Options: []string{"bind", "dest-nofollow"}},
		specs.Mount{Destination: "/tmp/late", Type: "tmpfs", Source: "tmpfs", Options: []string{"nr_inodes=100", "mode=700"}},
		specs.Mount{Destination: "/tmp/late", Options: []string{"remount", "size=128k", "sync", "nosuid"}})
}

func ptr[T any](v T) *T { return &v }

func userNamespace(t testing.TB, s *specs.Spec) {
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	maps := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 200000, Size: 1}, {ContainerID: 1, HostID: 300000, Size: 65535}}
	s.Linux.UIDMappings, s.Linux.GIDMappings = maps, maps
	s.Linux.MaskedPaths = []string{"/proc/version", "/proc/fs"}
	s.Linux.Sysctl = map[string]string{"net.ipv4.ping_group_range": "0 7"}
	s.Process.User = specs.User{UID: 7, GID: 8, AdditionalGids: []uint32{9}}
}

// allHooks has two hooks of each of the six kinds.
func allHooks(t testing.TB, s *specs.Spec) {
	host := func(kind string) []specs.Hook {
		return []specs.Hook{{Path: "/bin/true"}, {Path: "/bin/sh", Args: []string{"sh", "-c", "exec cat > /dev/null"}, Env: []string{"KIND=" + kind}, Timeout: ptr(10)}}
	}
	s.Hooks = &specs.Hooks{Prestart: host("prestart"), CreateRuntime: host("createRuntime"), CreateContainer: host("createContainer"),
		StartContainer: []specs.Hook{{Path: "/bin/true"}, {Path: "/bin/sh", Args: []string{"sh", "-c", "echo x"}, Timeout: ptr(10)}}, Poststart: host("poststart"), Poststop: host("poststop")}
}

func terminal(t testing.TB, s *specs.Spec) {
	s.Process.Terminal = true
	s.Process.User = specs.User{UID: 1000, GID: 1000}
	s.Process.ConsoleSize = &specs.Box{Width: 100, Height: 30}
}

// joined puts the container into namespaces of another process.
func joined(t testing.TB, s *specs.Spec) {
	holder := exec.Command("unshare", "--net", "--ipc", "--uts", "sleep", "1000")
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { holder.Process.Kill(); holder.Wait() })
	pid := strconv.Itoa(holder.Process.Pid)
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		comm, err := os.ReadFile("/proc/" + pid + "/comm")
		if err != nil || time.Now().After(until) {
			t.Fatal("unshare does not execute sleep", err)
		}
		if strings.TrimSpace(string(comm)) == "sleep" {
			break
		}
	}
	s.Hostname = ""
	for i := range s.Linux.Namespaces {
		ns := &s.Linux.Namespaces[i]
		if file := map[specs.LinuxNamespaceType]string{specs.NetworkNamespace: "net", specs.IPCNamespace: "ipc", specs.UTSNamespace: "uts"}[ns.Type]; file != "" {
			ns.Path = fmt.Sprintf("/proc/%s/ns/%s", pid, file)
		}
	}
}

// asked has a seccomp filter that asks an agent, who is told of it and then of
// nothing: no program makes the call.
func asked(t testing.TB, s *specs.Spec) {
	socket := filepath.Join(t.TempDir(), "agent")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			io.Copy(io.Discard, conn)
			conn.Close()
		}
	}()
	s.Process.User = specs.User{UID: 1000, GID: 1000}
	s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, ListenerPath: socket, ListenerMetadata: "metadata",
		Syscalls: []specs.LinuxSyscall{{Names: []string{"pivot_root"}, Action: specs.ActNotify}}}
}
