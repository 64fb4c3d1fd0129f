// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/coracle-oci/coracle/internal/testkit"
	other "github.com/coracle-oci/coracle/tests/seccomp"
)

// idle is the pause that makes a machine idle: after some 30 ms the kernel's RCU
// lets the processors sleep, and whoever needs a grace period waits for it. In
// real life containers are started on idle machines.
const idle = 40 * time.Millisecond

// A runtimeUnderTest is a contender with the words before its verbs.
type runtimeUnderTest struct {
	*contender
	command []string
	bundle  string // for race, where it is not all the others'
}

// runtimes returns ours first, then the peers. crun of Debian 12 runs on version
// 1 only when hugetlb is mounted as well: mounted here, in our mount namespace.
func (b *bench) runtimes() ([]runtimeUnderTest, error) {
	if err := mountHugetlb(); err != nil {
		return nil, err
	}
	root := func(name string) string { return filepath.Join(b.dir, "state", name) }
	return []runtimeUnderTest{
		{&contender{name: "coracle"}, []string{filepath.Join(b.bin, "coracle"), "--root", root("coracle")}, ""},
		{&contender{name: "crun"}, []string{"crun", "--cgroup-manager=cgroupfs", "--root", root("crun")}, ""},
		{&contender{name: "runc"}, []string{"runc", "--root", root("runc")}, ""},
	}, nil
}

const hugetlb = "/sys/fs/cgroup/hugetlb"

func mountHugetlb() error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs("/sys/fs/cgroup", &fs); err == nil && fs.Type == 0x63677270 {
		return nil // version 2 alone
	}
	if mounts, _ := os.ReadFile("/proc/self/mountinfo"); strings.Contains(string(mounts), "hugetlb") {
		return nil
	}
	if err := os.MkdirAll(hugetlb, 0o755); err != nil {
		return err
	}
	if err := syscall.Mount("cgroup", hugetlb, "cgroup", 0, "hugetlb"); err != nil {
		return fmt.Errorf("mount the hugetlb controller on %s: %w", hugetlb, err)
	}
	return nil
}

// start measures the whole life of a container that does nothing.
func (b *bench) start() error {
	bundle := filepath.Join(b.dir, "bundle")
	if err := writeBundle(bundle, 256<<20, "/tiny"); err != nil {
		return err
	}
	docker := filepath.Join(b.dir, "docker")
	size, err := writeDockerBundle(docker)
	if err != nil {
		return err
	}
	docked := fmt.Sprintf("run with a config of docker's of %d KB, ", size/1000)
	for _, m := range []struct {
		what, bundle string
		pause        time.Duration
		crun, runc   float64
		read         bool // the programs from the disk
	}{
		{"run, back to back", bundle, 0, 0.55, 0.2, false},
		{"run, from idle", bundle, idle, 0.3, 0.2, false},
		{docked + "back to back", docker, 0, 0.55, 0.2, false},
		{docked + "from idle", docker, idle, 0.3, 0.2, false},
		{"run, back to back, programs read from the disk", bundle, 0, 0, 0, true},
	} {
		all, err := b.runtimes()
		if err != nil {
			return err
		}
		for _, r := range all {
			path, err := exec.LookPath(r.command[0])
			if m.read && err == nil {
				err = forget(path)
			}
			if err != nil {
				return err
			}
		}
		if err := b.race(all, m.bundle, m.pause); err != nil {
			return err
		}
		ours, crun, runc := all[0].contender, all[1].contender, all[2].contender
		b.compare(m.what, (*contender).walls, ours, rival{crun, m.crun}, rival{runc, m.runc})
		b.compare(m.what+", processor time", (*contender).cpus, ours, rival{crun, 0}, rival{runc, 0})
		if m.pause == 0 && m.bundle == bundle && !m.read {
			if err := b.phases(all[0], bundle); err != nil {
				return err
			}
		}
	}
	return b.copy() // as they were
}

// block is how often one runtime runs before it is the next one's turn.
const block = 6

// race runs the bundle with all runtimes in turns, in blocks: the kernel takes
// cgroups and network namespaces down after a run has ended, on time that is the
// next run's. So the first run of each block, which pays for another runtime, is
// left out, and so is the first round.
func (b *bench) race(all []runtimeUnderTest, bundle string, pause time.Duration) error {
	for round := 0; len(all[0].samples) < b.runs; round++ {
		for i := range all {
			r := all[(round+i)%len(all)]
			for n := range block {
				time.Sleep(pause)
				command := slices.Concat(r.command, []string{"run", "--bundle", cmp.Or(r.bundle, bundle), fmt.Sprintf("bench-%d-%d-%d", i, round, n)})
				s, err := timed(exec.Command(command[0], command[1:]...))
				if err != nil {
					return err
				}
				if round > 0 && n > 0 {
					r.samples = append(r.samples, s)
				}
			}
		}
	}
	return nil
}

// writeBundle makes a bundle from the default config.json of runc, which all
// runtimes accept, with limits for memory (in bytes) and pids. Its rootfs has the
// tiny program and busybox.
func writeBundle(dir string, memory int64, args ...string) error {
	bin := filepath.Join(dir, "rootfs/bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "rootfs/tiny"), testkit.TinyImage(), 0o755); err != nil {
		return err
	}
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(bin, "busybox"), busybox, 0o755); err != nil {
		return err
	}
	if err := os.Symlink("busybox", filepath.Join(bin, "true")); err != nil {
		return err
	}
	if out, err := exec.Command("runc", "spec", "--bundle", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("runc spec: %w: %s", err, out)
	}
	return editConfig(filepath.Join(dir, "config.json"), func(config map[string]any) {
		process := config["process"].(map[string]any)
		process["terminal"], process["args"] = false, args
		resources := config["linux"].(map[string]any)["resources"].(map[string]any)
		resources["memory"] = map[string]any{"limit": memory}
		resources["pids"] = map[string]any{"limit": 100}
	})
}

// dockerConfig is what docker wrote for docker run, without what is of the machine
// that it ran on: tests of package plan compile it too.
const dockerConfig = "runtime/plan/testdata/configs/docker-run.json"

// writeDockerBundle makes a bundle from it, with the seccomp profile that docker puts
// in there, and returns the size of its config.json in bytes.
func writeDockerBundle(dir string) (size int64, err error) {
	if err := writeBundle(dir, 256<<20, "/tiny"); err != nil {
		return 0, err
	}
	profile, err := other.Docker()
	if err != nil {
		return 0, err
	}
	data, err := os.ReadFile(dockerConfig)
	if err != nil {
		return 0, err
	}
	path := filepath.Join(dir, "config.json")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		return 0, err
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		return 0, err
	}
	err = editConfig(path, func(config map[string]any) {
		config["root"] = map[string]any{"path": "rootfs"}
		config["process"].(map[string]any)["args"] = []string{"/tiny"}
		linux := config["linux"].(map[string]any)
		linux["seccomp"], linux["cgroupsPath"] = profile, "/coracle-bench" // not below a cgroup that would stay
		delete(config, "hooks")                                            // docker's own program sets up the network
		for _, m := range config["mounts"].([]any) {
			if mount := m.(map[string]any); mount["type"] == "bind" {
				mount["source"] = file
			}
		}
	})
	if err != nil {
		return 0, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func editConfig(path string, edit func(map[string]any)) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var config map[string]any
	if err := json.Unmarshal(data, &config); err != nil {
		return err
	}
	edit(config)
	if data, err = json.Marshal(config); err != nil { // without spaces, as engines do
		return err
	}
	return os.WriteFile(path, data, 0o644)
}
