// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package selftest

import (
	"fmt"
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// A check is one thing that containers may ask for.
type check struct {
	name   string
	basic  bool                          // a machine where it fails runs no containers worth the name
	lacks  func() string                 // why it is not tried here; nil: it always is
	change func(s *specs.Spec, w *world) // of the config that all have

	globals  []string                                // flags before the verb
	prints   []string                                // files of the container
	readonly []string                                // directories that must not be possible to make
	judge    func(file map[string]string) error      // of what was printed; nil: it ran, and that is enough
	steps    func(w *world, bundle, id string) error // instead of one run
}

// want compares a field of a file such as /proc/self/status.
func want(file, field, value string) func(map[string]string) error {
	return func(files map[string]string) error {
		for line := range strings.Lines(files[file]) {
			if name, got, ok := strings.Cut(line, ":"); ok && name == field {
				if got = strings.Join(strings.Fields(got), " "); got == value {
					return nil
				}
				return fmt.Errorf("%s of %s is %s, not %s", field, file, got, value)
			}
		}
		return fmt.Errorf("there is no %s in %s", field, file)
	}
}

// text compares a whole file.
func text(file, value string) func(map[string]string) error {
	return func(files map[string]string) error {
		if got := strings.TrimSpace(files[file]); got != value {
			return fmt.Errorf("%s is %q, not %q", file, got, value)
		}
		return nil
	}
}

const status = "/proc/self/status"

// limit changes linux.resources.
func limit(change func(*specs.LinuxResources)) func(*specs.Spec, *world) {
	return func(s *specs.Spec, _ *world) { change(s.Linux.Resources) }
}

func pointer[T any](v T) *T { return &v }

// checks are in the order of what they need from the machine.
func checks() []check {
	return append(append(append(basics(), isolation()...), limits()...), extras()...)
}

func basics() []check {
	return []check{
		{name: "run a program in new namespaces", basic: true, prints: []string{status}, judge: want(status, "Pid", "1")},
		{name: "create, start, kill and delete", basic: true, steps: lifecycle},
		{name: "keep the root file system read-only", basic: true, readonly: []string{"/new"}},
		{name: "mask paths", basic: true, prints: []string{"/secret"}, judge: text("/secret", "")},
		{name: "drop capabilities", basic: true, prints: []string{status}, judge: want(status, "CapBnd", "0000000000000020"),
			change: func(s *specs.Spec, _ *world) {
				kill := []string{"CAP_KILL"}
				s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: kill, Effective: kill, Permitted: kill}
			}},
		{name: "never gain privileges", basic: true, prints: []string{status}, judge: want(status, "NoNewPrivs", "1")},
		{name: "mount directories of the host", basic: true, prints: []string{"/mnt/file"}, judge: text("/mnt/file", "shared"), readonly: []string{"/mnt/new"},
			change: func(s *specs.Spec, w *world) {
				s.Mounts = append(s.Mounts, specs.Mount{Destination: "/mnt", Source: w.shared, Options: []string{"rbind", "ro"}})
			}},
		{name: "run hooks", basic: true, change: func(s *specs.Spec, w *world) {
			s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: w.hook}}}
		}},
	}
}

func isolation() []check {
	namespace := func(kind string) func(*specs.Spec, *world) {
		return func(s *specs.Spec, _ *world) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.LinuxNamespaceType(kind)})
		}
	}
	return []check{
		{name: "user namespaces", prints: []string{"/proc/self/uid_map"}, lacks: unlessRoot, judge: want2("/proc/self/uid_map", "0 100000 65536"),
			change: func(s *specs.Spec, w *world) {
				namespace("user")(s, w)
				s.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: 100000, Size: 65536}}
				s.Linux.GIDMappings = s.Linux.UIDMappings
			}},
		{name: "time namespaces", change: func(s *specs.Spec, w *world) {
			namespace("time")(s, w)
			s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 86400}}
		}},
		{name: "system settings of a network namespace", prints: []string{"/proc/sys/net/ipv4/ip_forward"}, judge: text("/proc/sys/net/ipv4/ip_forward", "1"), lacks: unlessRoot,
			change: func(s *specs.Spec, _ *world) { s.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1"} }},
		{name: "filters of system calls (seccomp)", prints: []string{status}, judge: want(status, "Seccomp", "2"),
			change: func(s *specs.Spec, _ *world) {
				s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow,
					Syscalls: []specs.LinuxSyscall{{Names: []string{"reboot"}, Action: specs.ActErrno}}}
			}},
		{name: "AppArmor profiles", lacks: unlessFile("/sys/kernel/security/apparmor/profiles", "the kernel has no AppArmor, or it is off"),
			prints: []string{"/proc/self/attr/current"}, judge: text("/proc/self/attr/current", "unconfined"),
			change: func(s *specs.Spec, _ *world) { s.Process.ApparmorProfile = "unconfined" }},
		{name: "SELinux, as far as the kernel has it", lacks: unlessFile("/sys/fs/selinux/enforce", "the kernel has no SELinux, or it is off")},
		{name: "overlay mounts", change: func(s *specs.Spec, w *world) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/mnt", Type: "overlay", Source: "overlay",
				Options: []string{"lowerdir=" + w.shared, "upperdir=" + w.dir("upper"), "workdir=" + w.dir("work")}})
		}, lacks: unlessRoot},
		{name: "id-mapped mounts of the file system of " + tmp(), lacks: unlessRoot, change: func(s *specs.Spec, w *world) {
			m := []specs.LinuxIDMapping{{HostID: 100000, Size: 65536}}
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/mnt", Source: w.shared, Options: []string{"bind", "idmap"}, UIDMappings: m, GIDMappings: m})
		}},
	}
}

func limits() []check {
	return []check{
		{name: "limit memory", lacks: unlessRoot, change: limit(func(r *specs.LinuxResources) { r.Memory = &specs.LinuxMemory{Limit: pointer(int64(64 << 20))} })},
		{name: "limit memory and swap together", lacks: unlessRoot, change: limit(func(r *specs.LinuxResources) {
			r.Memory = &specs.LinuxMemory{Limit: pointer(int64(64 << 20)), Swap: pointer(int64(64 << 20))}
		})},
		{name: "limit CPU time", lacks: unlessRoot, change: limit(func(r *specs.LinuxResources) {
			r.CPU = &specs.LinuxCPU{Shares: pointer(uint64(512)), Quota: pointer(int64(50_000)), Period: pointer(uint64(100_000))}
		})},
		{name: "let CPU time burst", lacks: unlessRoot, change: limit(func(r *specs.LinuxResources) {
			r.CPU = &specs.LinuxCPU{Quota: pointer(int64(50_000)), Period: pointer(uint64(100_000)), Burst: pointer(uint64(10_000))}
		})},
		{name: "pin to CPUs and memory nodes", lacks: unlessRoot, change: limit(func(r *specs.LinuxResources) { r.CPU = &specs.LinuxCPU{Cpus: "0", Mems: "0"} })},
		{name: "limit processes", lacks: unlessRoot, change: limit(func(r *specs.LinuxResources) { r.Pids = &specs.LinuxPids{Limit: pointer(int64(20))} })},
		{name: "weigh disk I/O", lacks: unlessRoot, change: limit(func(r *specs.LinuxResources) { r.BlockIO = &specs.LinuxBlockIO{Weight: pointer(uint16(200))} })},
		{name: "limit huge pages", lacks: unlessRoot, change: limit(func(r *specs.LinuxResources) {
			r.HugepageLimits = []specs.LinuxHugepageLimit{{Pagesize: hugePage(), Limit: 0}}
		})},
		{name: "limit RDMA", lacks: unlessGlob("/sys/class/infiniband/*", "the machine has no RDMA device"), change: limit(func(r *specs.LinuxResources) {
			devices, _ := filepath.Glob("/sys/class/infiniband/*")
			r.Rdma = map[string]specs.LinuxRdma{filepath.Base(devices[0]): {HcaHandles: pointer(uint32(10))}}
		})},
		{name: "raise hard limits above the caller's", change: func(s *specs.Spec, _ *world) {
			s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_MSGQUEUE", Soft: 1 << 30, Hard: 1 << 30}}
		}},
		{name: "freeze and thaw", lacks: unlessRoot, steps: freeze},
	}
}

func extras() []check {
	return []check{
		{name: "schedulers", change: func(s *specs.Spec, _ *world) { s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedBatch} }},
		{name: "real-time scheduling", change: func(s *specs.Spec, _ *world) {
			s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedFIFO, Priority: 1}
		}},
		{name: "I/O priorities", change: func(s *specs.Spec, _ *world) {
			s.Process.IOPriority = &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 7}
		}},
		{name: "memory policies (NUMA)", change: func(s *specs.Spec, _ *world) {
			s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "0"}
		}},
		{name: "32-bit personality", change: func(s *specs.Spec, _ *world) { s.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux32} }},
		{name: "cache and memory bandwidth (resctrl)", lacks: unlessFile("/sys/fs/resctrl/schemata", "resctrl is not mounted: mount -t resctrl resctrl /sys/fs/resctrl, on a CPU that has it"),
			change: func(s *specs.Spec, _ *world) { s.Linux.IntelRdt = &specs.LinuxIntelRdt{EnableMonitoring: true} }},
		{name: "cgroups by systemd", lacks: unlessFile("/run/systemd/system", "systemd does not run here"), globals: []string{"--systemd-cgroup"},
			change: func(s *specs.Spec, _ *world) { s.Linux.CgroupsPath = "system.slice:coracle:selftest" }},
		{name: "ranges of ids for users who are not root", lacks: subIDs},
	}
}

// want2 compares a file with runs of blanks as one.
func want2(file, value string) func(map[string]string) error {
	return func(files map[string]string) error {
		if got := strings.Join(strings.Fields(files[file]), " "); got != value {
			return fmt.Errorf("%s is %q, not %q", file, got, value)
		}
		return nil
	}
}
