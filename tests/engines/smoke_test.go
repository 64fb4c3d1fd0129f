// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package engines_test

import "testing"

// TestEngineSmoke is what make test has of this package: one container of each
// engine. make test-engines has all.
func TestEngineSmoke(t *testing.T) {
	t.Run("containerd", func(t *testing.T) {
		startContainerd(t, "default")
		ctrRun(t, "smoke", "--rm", "echo", "hello").exits(0).prints("hello")
	})
	t.Run("docker", func(t *testing.T) {
		startDocker(t)
		docker(t, "run", "--rm", "-m", "64m", busybox, "echo", "hello").exits(0).prints("hello")
		docker(t, "run", "--rm", busybox, "no-such-program").exits(127)
		detached(t, "one")
		docker(t, "exec", "one", "sh", "-c", "exit 17").exits(17)
	})
	t.Run("podman", func(t *testing.T) {
		startPodman(t)
		podman(t, "run", "--rm", "--read-only", busybox, "echo", "hello").exits(0).prints("hello")
	})
}
