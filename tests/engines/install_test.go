// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package engines_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// coracle is the runtime, where the configuration in runtime/engines has it.
const coracle = "/usr/local/bin/coracle"

// install does what runtime/engines/README.md tells an administrator to do, and
// takes away every other runtime: what runs is coracle, or does not run.
//
// $CORACLE_ENGINES_RUNTIME is a program to install instead. It tells what is the
// runtime's fault from what is the engine's or the machine's.
func install() error {
	runtime, err := filepath.Abs("../../bin/coracle")
	if err != nil {
		return err
	}
	if other := os.Getenv("CORACLE_ENGINES_RUNTIME"); other != "" {
		runtime = other
	}
	files := map[string]string{
		runtime:                             coracle,
		"../../bin/imgmgr":                  "/usr/local/bin/imgmgr",
		"../../bin/cni/bridge":              "/opt/cni/bin/bridge",
		"../../bin/cni/host-local":          "/opt/cni/bin/host-local",
		"../../bin/cni/loopback":            "/opt/cni/bin/loopback",
		configs + "/docker/daemon.json":     "/etc/docker/daemon.json",
		configs + "/containerd/config.toml": "/etc/containerd/config.toml",
		configs + "/podman/containers.conf": "/etc/containers/containers.conf.d/coracle.conf",
		"../../out/tools/crictl":            crictlPath,
		"testdata/containers.conf":          "/etc/containers/containers.conf.d/machine.conf",
		"testdata/network.conflist":         "/etc/cni/net.d/87-podman-bridge.conflist",
	}
	for from, to := range files {
		if err := copyFile(from, to); err != nil && to != crictlPath { // which only [TestCRI] needs
			return err
		}
	}
	for _, other := range []string{"/usr/bin/runc", "/usr/sbin/runc", "/usr/bin/crun"} {
		if err := copyFile(other, putAway+filepath.Base(other)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	for _, other := range []string{"/usr/bin/runc", "/usr/sbin/runc", "/usr/bin/crun", "/usr/local/bin/docker"} {
		if err := os.Remove(other); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	// A pod's first container: the tests' own image instead of one of a registry.
	settings, err := os.OpenFile("/etc/containerd/config.toml", os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = settings.WriteString("\n[plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"localhost/pause:1\"\n" +
			"restrict_oom_score_adj = true # without CAP_SYS_RESOURCE it cannot be lowered, as it is for pods\n")
		settings.Close()
	}
	if err != nil {
		return err
	}
	// BuildKit knows its runtime by name only.
	if err := os.Symlink(coracle, "/usr/local/bin/runc"); err != nil {
		return err
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("ip link set lo up: %s", strings.TrimSpace(string(out)))
	}
	return nil
}

const crictlPath = "/usr/local/bin/crictl" // built by make test-engines

const configs = "../../runtime/engines"

// putAway is where other runtimes are, for those who switch back to them.
const putAway = "/opt/runtimes/"

// copyFile copies a file, its mode and all, and makes the directory for it.
func copyFile(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	_ = os.Remove(to)
	return os.WriteFile(to, data, info.Mode()&fs.ModePerm)
}
