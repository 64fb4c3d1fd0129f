// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package truth_test keeps the first of the three truths: an strace of create
// and start, parent and init, equals the plan, line by line.
//
// Each config is run twice. A raw trace is compared with the model of the launch
// program, call by call; a decoded one is turned into what coracle itself does
// to the world, and compared with the host steps.
package truth_test

import (
	"bytes"
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

	"github.com/coracle-oci/coracle/internal/testkit"
	"github.com/coracle-oci/coracle/runtime/container"
	"github.com/coracle-oci/coracle/runtime/launch"
	"github.com/coracle-oci/coracle/runtime/plan"
	"github.com/coracle-oci/coracle/runtime/probe"
)

func TestRootTruth(t *testing.T) {
	testkit.Need(t, testkit.Root, testkit.Tool("strace"))
	for _, c := range []struct {
		name   string
		change func(*testing.T, *specs.Spec)
	}{
		{"plain", func(*testing.T, *specs.Spec) {}},
		{"full", full},
		{"user", userNamespace},
		{"hooks", allHooks},
		{"terminal", terminal},
		{"joined", joined},
	} {
		t.Run(c.name, func(t *testing.T) {
			testkit.NoLeaks(t)
			bundle := testkit.Bundle(t, func(s *specs.Spec) { c.change(t, s) })
			w := &world{t: t, bundle: bundle, dir: t.TempDir(), id: "truth-" + c.name}
			w.traceBoth("raw", []string{"-e", "raw=all"}, func(create, start []call, pid string, exe []byte) {
				p := w.plan()
				image, err := launch.Assemble(p.Init)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(image.Bytes, exe) {
					t.Error("what runs in the container is not what the plan is assembled to")
				}
				eachStepMatters(t, create, p, replayInit(t, create, p))
			})
			w.traceBoth("decoded", []string{"-y", "-X", "raw", "-s", "100000"}, func(create, start []call, pid string, _ []byte) {
				p := w.plan()
				var namespaces []string
				for _, h := range p.Host {
					if h.Do == plan.OpenNamespace {
						namespaces = append(namespaces, h.Path)
					}
				}
				state := filepath.Join(w.dir, "root", w.id)
				created, started := record(t, create, state, namespaces...), record(t, start, state)
				matchCreate(t, created, p, pid)
				matchStart(t, started, p, pid)
				eachHostStepMatters(t, created, started, p, pid)
			})
		})
	}
}

// A world is one container that is traced.
type world struct {
	t                *testing.T
	bundle, dir, id  string
	pidFile, console string
}

func (w *world) plan() *plan.Plan {
	w.t.Helper()
	_, p, _, err := container.Load(container.Options{ID: w.id, Bundle: w.bundle, PIDFile: w.pidFile, ConsoleSocket: w.console}, probe.Facts)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// traceBoth creates the container under strace, starts it under another one,
// waits for its end, deletes it, and gives what was traced to compare, which is
// called while the container exists.
func (w *world) traceBoth(name string, options []string, compare func(create, start []call, pid string, exe []byte)) {
	t := w.t
	t.Helper()
	dir := filepath.Join(w.dir, name)
	root := filepath.Join(w.dir, "root")
	for _, d := range []string{dir, root} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	w.pidFile = filepath.Join(dir, "pid")
	arguments := []string{"create", "--bundle", w.bundle, "--pid-file", w.pidFile}
	w.console = ""
	if w.hasTerminal() {
		w.console = filepath.Join(dir, "console")
		w.listen()
		arguments = append(arguments, "--console-socket", w.console)
	}
	createLog, startLog := filepath.Join(dir, "create"), filepath.Join(dir, "start")
	create := w.strace(createLog, options, append(arguments, w.id)...)
	if err := create.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- create.Wait() }()
	t.Cleanup(func() { exec.Command(testkit.Bin(t, "coracle"), "--root", root, "delete", "--force", w.id).Run() })
	pid := w.awaitPID(ended, create)
	exe, err := os.ReadFile("/proc/" + pid + "/exe")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := w.strace(startLog, options, "start", w.id).CombinedOutput(); err != nil {
		t.Fatalf("start: %v %s", err, out)
	}
	// strace of create ends with the last process that it traces: the container.
	if err := <-ended; err != nil {
		t.Fatalf("create: %v %s", err, create.Stderr)
	}
	compare(readTrace(t, createLog), readTrace(t, startLog), pid, exe)
	if out, err := exec.Command(testkit.Bin(t, "coracle"), "--root", root, "delete", w.id).CombinedOutput(); err != nil {
		t.Fatalf("delete: %v %s", err, out)
	}
}

func (w *world) strace(log string, options []string, args ...string) *exec.Cmd {
	list := append([]string{"-f", "-o", log}, options...)
	list = append(list, testkit.Bin(w.t, "coracle"), "--root", filepath.Join(w.dir, "root"))
	cmd := exec.Command("strace", append(list, args...)...)
	cmd.Stderr = nil
	if args[0] == "create" { // what the container inherits must be no pipe that we wait for
		file, err := os.Create(log + ".stderr")
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(func() { file.Close() })
		cmd.Stderr = file
	}
	return cmd
}

func (w *world) hasTerminal() bool {
	config, err := os.ReadFile(filepath.Join(w.bundle, "config.json"))
	if err != nil {
		w.t.Fatal(err)
	}
	return bytes.Contains(config, []byte(`"terminal": true`))
}

// listen takes the master of the terminal, and reads what comes out of it.
func (w *world) listen() {
	l, err := net.Listen("unix", w.console)
	if err != nil {
		w.t.Fatal(err)
	}
	done := make(chan struct{})
	w.t.Cleanup(func() { l.Close(); <-done })
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
}

// awaitPID waits for the pid file, which is the last thing that create writes.
func (w *world) awaitPID(ended chan error, create *exec.Cmd) string {
	w.t.Helper()
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		if data, err := os.ReadFile(w.pidFile); err == nil {
			return string(data)
		}
		select {
		case err := <-ended:
			out, _ := os.ReadFile(create.Stderr.(*os.File).Name())
			w.t.Fatalf("create ended: %v %s", err, out)
		default:
		}
	}
	w.t.Fatal("create does not end")
	return ""
}

// full has most of what config.json knows and needs no other process.
func full(t *testing.T, s *specs.Spec) {
	source := t.TempDir()
	file := filepath.Join(source, "file")
	if err := os.WriteFile(file, []byte("x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	mode := os.FileMode(0o640)
	umask, adj, limit, swappiness := uint32(0o27), 500, int64(64<<20), uint64(10)
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
		specs.Mount{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"mode=1777"}},
		specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"ro", "nosuid"}},
		specs.Mount{Destination: "/dev/data", Type: "bind", Source: source, Options: []string{"rbind", "ro", "rprivate"}},
		specs.Mount{Destination: "/dev/data2", Type: "bind", Source: source, Options: []string{"bind", "rro", "nosuid"}},
		specs.Mount{Destination: "/dev/file", Type: "bind", Source: file, Options: []string{"bind"}})
	s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/mine", Type: "c", Major: 1, Minor: 5, FileMode: &mode, UID: &umask, GID: &umask}, {Path: "/dev/pipe", Type: "p"}}
	s.Linux.MaskedPaths = []string{"/proc/kcore", "/proc/acpi", "/sys/firmware", "/no/such/path"}
	s.Linux.ReadonlyPaths = []string{"/proc/sys", "/proc/bus", "/no/such/path"}
	s.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1"}
	s.Linux.RootfsPropagation = "private"
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
	s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 1000}, "monotonic": {Secs: 500, Nanosecs: 7}}
	s.Linux.Resources = &specs.LinuxResources{
		Memory:  &specs.LinuxMemory{Limit: &limit, Swappiness: &swappiness},
		Pids:    &specs.LinuxPids{Limit: ptr(int64(100))},
		CPU:     &specs.LinuxCPU{Shares: ptr(uint64(512)), Quota: ptr(int64(50000)), Period: ptr(uint64(100000)), Cpus: "0", Mems: "0"},
		Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}, {Allow: true, Type: "c", Major: ptr(int64(1)), Minor: ptr(int64(5)), Access: "rw"}},
	}
}

func ptr[T any](v T) *T { return &v }

func userNamespace(t *testing.T, s *specs.Spec) {
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	maps := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 200000, Size: 1}, {ContainerID: 1, HostID: 300000, Size: 65535}}
	s.Linux.UIDMappings, s.Linux.GIDMappings = maps, maps
	s.Linux.MaskedPaths = []string{"/proc/kcore", "/sys/firmware"}
	s.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1"}
	s.Process.User = specs.User{UID: 7, GID: 8, AdditionalGids: []uint32{9}}
}

// allHooks has two hooks of each of the six kinds.
func allHooks(t *testing.T, s *specs.Spec) {
	host := func(kind string) []specs.Hook {
		return []specs.Hook{{Path: "/bin/true"}, {Path: "/bin/sh", Args: []string{"sh", "-c", "exec cat > /dev/null"}, Env: []string{"KIND=" + kind}, Timeout: ptr(10)}}
	}
	s.Hooks = &specs.Hooks{Prestart: host("prestart"), CreateRuntime: host("createRuntime"), CreateContainer: host("createContainer"),
		StartContainer: []specs.Hook{{Path: "/bin/true"}, {Path: "/bin/sh", Args: []string{"sh", "-c", "echo x"}, Timeout: ptr(10)}}, Poststart: host("poststart"), Poststop: host("poststop")}
}

func terminal(t *testing.T, s *specs.Spec) {
	s.Process.Terminal = true
	s.Process.ConsoleSize = &specs.Box{Width: 100, Height: 30}
}

// joined puts the container into namespaces of another process.
func joined(t *testing.T, s *specs.Spec) {
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
