// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package engines_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/coracle-oci/coracle/internal/testkit"
)

// These tests do what runtime/engines/README.md says: back from coracle to Debian's
// runtime, and over to coracle again.

// without takes files away for a time.
func without(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		must(t, os.Rename(name, name+".away"))
		t.Cleanup(func() { must(t, os.Rename(name+".away", name)) })
	}
}

// with puts one of the other runtimes in place for a time.
func with(t *testing.T, path string) {
	t.Helper()
	must(t, copyFile(putAway+filepath.Base(path), path))
	t.Cleanup(func() { must(t, os.Remove(path)) })
}

func TestSwitchDocker(t *testing.T) {
	testkit.Need(t, testkit.Root, testkit.Tool("dockerd"), testkit.Tool("docker"))
	nothingLeft(t, dockerStates)
	archives, _ := images(t)
	build := func(t *testing.T) {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM "+busybox+"\nRUN echo made >/made\n"), 0o644))
		t.Setenv("DOCKER_BUILDKIT", "1")
		docker(t, "build", "--no-cache", dir).exits(0)
	}
	runtime := func(t *testing.T, name string) string {
		return docker(t, "inspect", "-f", "{{.HostConfig.Runtime}}", name).ok().line()
	}
	expect := func(t *testing.T, what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	ours := func(t *testing.T) string { return call(t, coracle, "--root", dockerStates, "list", "-q").ok().line() }
	t.Run("coracle", func(t *testing.T) {
		serveDocker(t)
		for _, archive := range archives {
			docker(t, "load", "-i", archive).ok()
		}
		expect(t, "default", docker(t, "info", "-f", "{{.DefaultRuntime}}").ok().line(), "coracle")
		id := detached(t, "made-by-coracle")
		expect(t, "list", ours(t), id)
		build(t)
		docker(t, "rm", "-f", "made-by-coracle").exits(0) // back, step 1
	})
	t.Run("back", func(t *testing.T) {
		without(t, "/etc/docker/daemon.json", "/usr/local/bin/runc") // step 2
		with(t, "/usr/bin/runc")
		serveDocker(t)
		expect(t, "default", docker(t, "info", "-f", "{{.DefaultRuntime}}").ok().line(), "runc")
		docker(t, "run", "--rm", busybox, "echo", "hello").exits(0).prints("hello")
		build(t)
		detached(t, "made-by-runc")
		expect(t, "its runtime", runtime(t, "made-by-runc"), "runc")
		docker(t, "stop", "-t", "0", "made-by-runc").exits(0)
	})
	expect(t, "list", ours(t), "") // step 3
	t.Run("over", func(t *testing.T) {
		with(t, "/usr/bin/runc")
		serveDocker(t)
		// Those that exist go on as they are.
		docker(t, "start", "made-by-runc").exits(0)
		expect(t, "its runtime", runtime(t, "made-by-runc"), "runc")
		detached(t, "new")
		expect(t, "that of a new one", runtime(t, "new"), "coracle")
		docker(t, "run", "--rm", "--runtime", "runc", busybox, "echo", "by the other").exits(0).prints("by the other")
		docker(t, "rm", "-f", "made-by-runc", "new").exits(0)
	})
}

func TestSwitchPodman(t *testing.T) {
	testkit.Need(t, testkit.Root, testkit.Tool("podman"), testkit.Tool("conmon"))
	const settings, crun = "/etc/containers/containers.conf.d/coracle.conf", "/usr/bin/crun"
	startPodman(t)
	with(t, crun)
	expect := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	path := func() string { return podman(t, "info", "-f", "{{.Host.OCIRuntime.Path}}").ok().line() }
	runtime := func(name string) string {
		return filepath.Base(podman(t, "inspect", "-f", "{{.OCIRuntime}}", name).ok().line())
	}
	start := func(name string) {
		t.Helper()
		podman(t, "run", "-d", "--name", name, busybox, "sleep", "1000").ok()
	}
	expect("the runtime", path(), coracle)
	start("made-by-coracle")
	expect("its runtime", runtime("made-by-coracle"), "coracle")
	podman(t, "rm", "-f", "-t", "0", "made-by-coracle").exits(0)

	must(t, os.Rename(settings, settings+".away"))
	restored := false
	restore := func() {
		if !restored {
			restored = true
			must(t, os.Rename(settings+".away", settings))
		}
	}
	defer restore()
	expect("back", path(), crun)
	podman(t, "run", "--rm", busybox, "echo", "hello").exits(0).prints("hello")
	podman(t, "--runtime", coracle, "run", "--rm", busybox, "echo", "one of coracle").exits(0).prints("one of coracle")
	start("made-by-crun")
	expect("its runtime", runtime("made-by-crun"), "crun")
	podman(t, "stop", "-t", "0", "made-by-crun").exits(0)
	expect("list", call(t, coracle, "list", "-q").ok().line(), "")

	restore()
	expect("over again", path(), coracle)
	podman(t, "start", "made-by-crun").exits(0)
	expect("its runtime", runtime("made-by-crun"), "crun")
	start("new")
	expect("that of a new one", runtime("new"), "coracle")
	podman(t, "rm", "-f", "-t", "0", "made-by-crun", "new").exits(0)
}

func TestSwitchContainerd(t *testing.T) {
	const settings = "/etc/containerd/config.toml"
	ours, err := os.ReadFile(settings)
	must(t, err)
	testkit.Need(t, testkit.Tool("crictl"))
	with(t, "/usr/bin/runc")
	// Without a runtime class, which is a matter of config.toml alone.
	sandbox := func(t *testing.T) (id string, byCoracle bool) {
		startContainerd(t, "k8s.io")
		pod := filepath.Join(t.TempDir(), "pod.json")
		must(t, os.WriteFile(pod, []byte(`{"metadata":{"name":"pod","namespace":"default","uid":"1","attempt":1},"log_directory":"/tmp","linux":{"security_context":{"namespace_options":{"network":2}}}}`), 0o644))
		id = crictl(t, "runp", pod).ok().line()
		t.Cleanup(func() { crictl(t, "rmp", "-f", id).exits(0) })
		// runc keeps its states in the same directory, but in a form of its own.
		_, err := os.Stat("/run/containerd/runc/k8s.io/" + id + "/config.json")
		return id, err == nil
	}
	t.Run("coracle", func(t *testing.T) {
		if id, by := sandbox(t); !by {
			t.Errorf("%s is not by coracle", id)
		}
	})
	t.Run("back", func(t *testing.T) {
		without(t, "/usr/local/bin/runc")
		must(t, os.WriteFile(settings, []byte("version = 2\n[plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"localhost/pause:1\"\nrestrict_oom_score_adj = true\n"), 0o644))
		t.Cleanup(func() { must(t, os.WriteFile(settings, ours, 0o644)) })
		if id, by := sandbox(t); by {
			t.Errorf("%s is by coracle", id)
		}
	})
	t.Run("over", func(t *testing.T) {
		if id, by := sandbox(t); !by {
			t.Errorf("%s is not by coracle", id)
		}
	})
}
